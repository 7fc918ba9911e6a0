/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A copy of a store in its temporary directory (stage.h), which "backup",
 * "restore" and "compact" open as a store before it gets its name.
 */

#ifndef CTL_COPY_H
#define CTL_COPY_H

#include "ctl.h"
#include "inspect/backup.h"

/* The flag that opens the checkpoints of a store if it has any: a store of an
   old version may have none. */
unsigned ctl_copy_checkpoints(const char *path);

/* Calls es_backup_copy() with the store of `ctl`, and shows the progress.
   CTL_FAILED with a message. */
int ctl_copy_make(const ctl_t *ctl, const char *path, bool hash,
    es_pace_t *pace, es_backup_t *backup);

/* Opens the copy at `path` with its checkpoints and delivery state, and with
   these flags, as `copy`, which takes the key file of `ctl`.  The caller closes
   copy->store in any case.  CTL_FAILED with a message. */
int ctl_copy_open(const ctl_t *ctl, const char *path, unsigned flags,
    ctl_t *copy);

/* Lists in backup->keys the ids of the keys that the secrets of the copy need,
   instead of what is there.  CTL_FAILED with a message. */
int ctl_copy_keys(const ctl_t *copy, es_backup_t *backup);

/* What the copy has, and the ids of the keys, as the document of --json. */
json_t *ctl_copy_json(const char *directory, const es_backup_t *backup,
    const es_verify_t *totals);

/* Prints what the copy has, without a line end. */
void ctl_copy_print(const es_verify_t *totals);

/* Says which keys are not in the backup. */
void ctl_copy_print_keys(const es_backup_t *backup);

#endif /* CTL_COPY_H */
