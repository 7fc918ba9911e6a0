/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The durable log of the events that a receiver has processed.
 *
 * It has one line of JSON for each event, in the order of processing, and is
 * only appended to.  A receiver that starts again reads its cursors from it.
 */

#ifndef CTL_JOURNAL_H
#define CTL_JOURNAL_H

#include "held.h"
#include "incoming.h"

typedef struct {
    const char  *file;             /* NULL: no log */
    int          fd;               /* 0 until the log is open */
    es_buf_t     pending;          /* lines that are not on disk yet */
    bool         broken;           /* a write failed: no line may follow */
} ctl_journal_t;

/* Opens or creates the file, locks it, cuts a torn last line off, and sets
   `helds` from its lines.  CTL_FAILED with a message. */
int ctl_journal_open(ctl_journal_t *journal, ctl_helds_t *helds);

/* Adds a line in memory; `how` is "webhook", "late" or "polled". */
int ctl_journal_add(ctl_journal_t *journal, const char *how,
    const ctl_event_t *event);

/* Returns when all lines are on disk.  After one CTL_FAILED every later call
   fails as well; a new process continues from the lines in the file. */
int ctl_journal_sync(ctl_journal_t *journal);

void ctl_journal_close(ctl_journal_t *journal);

#endif /* CTL_JOURNAL_H */
