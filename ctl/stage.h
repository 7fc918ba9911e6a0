/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A directory that appears under its name only when it is complete.
 *
 * It is created under a temporary name and renamed when all of it is on disk.
 * The temporary directory is beside the target or, where the target is an empty
 * directory, within it: such a target may be the root of a disk, which cannot
 * be replaced.  A failure or a signal removes the temporary directory.  Only
 * SIGKILL leaves it, and until it is complete a file in it keeps it from being
 * used as a store (ES_STORE_UNFINISHED).
 */

#ifndef CTL_STAGE_H
#define CTL_STAGE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

typedef struct {
    char         target[PATH_MAX];
    char         path[PATH_MAX];   /* the temporary directory; 0700 */
    bool         within;           /* the target exists and is empty */
    struct stat  like;             /* has the owner, group and S_ISGID that the
                                      result gets: an existing target's */
} ctl_stage_t;

/* `target` must not exist or be an empty directory.  A process may open one
   stage.  CTL_FAILED or CTL_USAGE with a message. */
int ctl_stage_open(ctl_stage_t *stage, const char *target);

/* Sets the mode of every directory and file, and of an existing target, and the
   owner and group of `like`; directories get S_ISGID where `like` has it. */
int ctl_stage_modes(const ctl_stage_t *stage, mode_t dirs, mode_t files);

/* Gives every directory and file the owner, group and mode that it has in the
   store `from`, or those of a new file there. */
int ctl_stage_mirror(const ctl_stage_t *stage, const char *from);

/* Gives an existing target the owner, group and mode of the directory. */
int ctl_stage_adopt(const ctl_stage_t *stage);

/* Moves the directory to its target.  The file `last` is moved last, because
   with it the target counts as complete. */
int ctl_stage_finish(const ctl_stage_t *stage, const char *last);

/* Removes the file or directory `path` with all that it contains. */
void ctl_stage_remove(const char *path);

#endif /* CTL_STAGE_H */
