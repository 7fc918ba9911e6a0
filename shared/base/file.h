/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Files and directories within a store.
 *
 * Several users write a store, as members of its group.  A file that the
 * library makes in it is therefore writable for that group, whatever the umask
 * is.  It belongs to the group of its directory, whoever makes it, and if root
 * makes it, to the user of that directory as well.  A directory keeps the
 * set-group-id bit that it inherits.
 *
 * Outcomes other than ES_OK are recorded (reason.h).
 */

#ifndef ES_FILE_H
#define ES_FILE_H

#include "base/base.h"

/* Makes a directory with mode 0770 unless it exists.  It gets the group of
   `parent`, the directory that it is made in; NULL: its group stays. */
es_rc_t es_file_mkdir(const char *dir, const char *parent);

/*
 * Opens a file as open(2) does, with close-on-exec.  With O_CREAT a missing
 * file is made with mode 0660.  ES_NOT_FOUND (errno is ENOENT, and nothing is
 * recorded), ES_FULL, ES_IO.  The caller closes `*fd`.
 */
es_rc_t es_file_open(const char *path, int flags, int *fd);

/* Gives a file that this process has just made its mode, 0660, and its
   group.  Where the system does not allow it, the group stays the maker's. */
void es_file_share(int fd, const char *path);

#endif /* ES_FILE_H */
