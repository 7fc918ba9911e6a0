/*
 * stage.h - a directory that is there whole or not at all.
 *
 * It is made beside its place, under a name of its own, and moved there when
 * all of it is on disk.  Whatever ends the command before, a signal too,
 * removes it; only SIGKILL leaves it, under that name.
 */

#ifndef CTL_STAGE_H
#define CTL_STAGE_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

typedef struct {
    char         target[PATH_MAX];
    char         path[PATH_MAX];   /* where it is made; 0700 */
    struct stat  like;             /* owner, group and S_ISGID that it will
                                      have: the target's, if that is there */
} ctl_stage_t;

/* `target` is not there, or an empty directory.  One for each process.
   CTL_FAILED with a line said. */
int ctl_stage_open(ctl_stage_t *stage, const char *target);

/* Gives every directory and file in it its mode (directories S_ISGID as well,
   where `like` has that) and the owner and group of `like`. */
int ctl_stage_modes(const ctl_stage_t *stage, mode_t dirs, mode_t files);

/* Moves it to its place. */
int ctl_stage_finish(const ctl_stage_t *stage);

/* Removes what is at `path`, with all that is in it. */
void ctl_stage_remove(const char *path);

#endif /* CTL_STAGE_H */
