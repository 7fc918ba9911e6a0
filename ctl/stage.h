/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A directory that is there whole or not at all.
 *
 * It is made under a name of its own, and moved to its place when all of it is
 * on disk: beside its place, or, where that is an empty directory already,
 * within it.  (That may be the root of a disk, which nothing can be moved to.)
 * Whatever ends the command before, a signal too, removes it; only SIGKILL
 * leaves it, under that name.
 */

#ifndef CTL_STAGE_H
#define CTL_STAGE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

typedef struct {
    char         target[PATH_MAX];
    char         path[PATH_MAX];   /* where it is made; 0700 */
    bool         within;           /* the target is there, and empty */
    struct stat  like;             /* owner, group and S_ISGID that it will
                                      have: the target's, if that is there */
} ctl_stage_t;

/* `target` is not there, or an empty directory.  One for each process.
   CTL_FAILED with a line said. */
int ctl_stage_open(ctl_stage_t *stage, const char *target);

/* Gives every directory and file in it, and the target if that is there, its
   mode (directories S_ISGID as well, where `like` has that) and the owner and
   group of `like`. */
int ctl_stage_modes(const ctl_stage_t *stage, mode_t dirs, mode_t files);

/* Moves it to its place; the file `last`, which makes it what it is, comes
   there last. */
int ctl_stage_finish(const ctl_stage_t *stage, const char *last);

/* Removes what is at `path`, with all that is in it. */
void ctl_stage_remove(const char *path);

#endif /* CTL_STAGE_H */
