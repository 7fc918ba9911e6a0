/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Files and directories within a store.
 *
 * Several users write a store, as members of its group.  So what is made
 * within it can be written by that group, whatever the umask is, and belongs
 * to the group of the directory that it is made in, whoever makes it.  What
 * root makes also belongs to the user of that directory.  A directory keeps
 * the set-group-id bit that it inherits.
 *
 * Outcomes that are not ES_OK are recorded (reason.h).
 */

#ifndef ES_FILE_H
#define ES_FILE_H

#include "base/base.h"

/* Makes a directory, 0770, unless it is there.  `parent` is where it is made,
   and gives its group; NULL: the group is left as it is. */
es_rc_t es_file_mkdir(const char *dir, const char *parent);

/*
 * open(2), and close-on-exec.  With O_CREAT a file that is not there is made,
 * 0660.  ES_NOT_FOUND (errno ENOENT, and no record), ES_FULL, ES_IO.
 */
es_rc_t es_file_open(const char *path, int flags, int *fd);

/* Gives what this process has just made its mode and group; not every system
   lets it have the group, and then it stays its maker's. */
void es_file_share(int fd, const char *path);

#endif /* ES_FILE_H */
