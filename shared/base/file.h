/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Files and directories within a store, and how a program replaces its own.
 *
 * Several users use a store, by the rights of its directories
 * (open/rights.h).  A file that the library makes gets the rights of its
 * directory, whatever the umask is: who may list the directory may read the
 * file, and who may make files there may write it.  It belongs to the group of
 * the directory, whoever makes it, and if root makes it, to the user of that
 * directory as well.  A directory keeps the set-group-id bit that it inherits.
 *
 * Outcomes other than ES_OK are recorded (reason.h).
 */

#ifndef ES_FILE_H
#define ES_FILE_H

#include <sys/types.h>

#include "base/base.h"

#define ES_FILE_SHARED  1    /* who may read the file may write it, too */
#define ES_FILE_GROUP   2    /* others have no rights to it */

/* Makes a directory unless it exists, with the rights of the group in `parent`,
   the directory that it is made in, and with its group.  NULL: with mode 0770,
   and its group stays.  Others have no rights to it. */
es_rc_t es_file_mkdir(const char *dir, const char *parent);

/*
 * Opens a file as open(2) does, with close-on-exec.  With O_CREAT a missing
 * file is made, with the rights that `share` says.  ES_NOT_FOUND (errno is
 * ENOENT, and nothing is recorded), ES_FULL, ES_IO.  The caller closes `*fd`.
 */
es_rc_t es_file_open(const char *path, int flags, unsigned share, int *fd);

/*
 * Writes a file of a program's own outside the store, with exactly this mode
 * less the umask, and syncs it.  Readers see it whole or as it was, because it
 * is written under the name with ".new" first.  ES_NOMEM, ES_FULL, ES_IO.
 */
es_rc_t es_file_replace(const char *path, const es_buf_t *text, mode_t mode);

/* Returns the mode of a file in a directory of this mode. */
mode_t es_file_mode(mode_t dir, unsigned share);

/* Gives a file that this process has just made its mode and its group.  Where
   the system does not allow it, the group stays the maker's. */
void es_file_share(int fd, const char *path, unsigned share);

/* Parses the number of a user or group.  False: it is no number, or one that
   calls take to mean "none". */
bool es_file_owner(const char *text, uint32_t *id);

#endif /* ES_FILE_H */
