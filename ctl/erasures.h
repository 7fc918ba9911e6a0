/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Erasures as a list that a restore can be given.
 *
 * The list has a first line, {"store", "erasures"}, and a line for each erased
 * event: {"number", "feed", "cursor", "time", "key", "hash"}.  It has no part of
 * an event.
 */

#ifndef CTL_ERASURES_H
#define CTL_ERASURES_H

#include "ctl.h"

/*
 * Repeats in the copy the erasures that came after the backup: those of the
 * list in the file, or with NULL of the store of --store, if it is the one that
 * was backed up.  "none" says that there were none.  CTL_FAILED with a message:
 * nobody can know them, or the list is of another store or cut short.
 */
int ctl_erasures_repeat(const ctl_t *ctl, const ctl_t *copy, const char *file,
    uint64_t identity);

#endif /* CTL_ERASURES_H */
