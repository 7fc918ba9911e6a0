/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The durable log of what a receiver has processed: a line of JSON
 * for each event, in the order in which they were processed, only ever
 * appended.  What is held of each feed is found again from it.
 */

#ifndef CTL_JOURNAL_H
#define CTL_JOURNAL_H

#include "held.h"
#include "incoming.h"

typedef struct {
    const char  *file;             /* NULL: none is kept */
    int          fd;               /* once it is open */
    es_buf_t     pending;          /* lines that are not on disk yet */
    bool         broken;           /* a write failed: nothing is added */
} ctl_journal_t;

/* Opens or makes the file, locks it, cuts a torn last line off, and sets
   `helds` to what its lines say.  CTL_FAILED with a line said. */
int ctl_journal_open(ctl_journal_t *journal, ctl_helds_t *helds);

/* A line, in memory; `how` is "webhook", "late" or "polled". */
int ctl_journal_add(ctl_journal_t *journal, const char *how,
    const ctl_event_t *event);

/* Returns when all lines are on disk.  After CTL_FAILED it fails for ever: who
   starts again goes on from what did arrive in the file. */
int ctl_journal_sync(ctl_journal_t *journal);

void ctl_journal_close(ctl_journal_t *journal);

#endif /* CTL_JOURNAL_H */
