/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An event from the time when a lane takes it from the log until it is
 * delivered, dead or skipped.
 */

#ifndef ESD_ITEM_H
#define ESD_ITEM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t  sequence;
    uint64_t  prev;            /* sequence sent as prevcursor */
    int64_t   time_ms;         /* of its commit; 0: it was not read yet */
    int64_t   next_ms;         /* of the next attempt, by esd_schedule_ms() */
    int64_t   first_ms;        /* of the first attempt; 0: none yet */
    int64_t   deferred_ms;     /* since when its receiver only answers 429 or
                                  503, by esd_schedule_ms(); 0: it does not */
    uint32_t  attempts;        /* steps of the schedule that it has taken */
    int32_t   status;          /* of the last one */
    bool      recorded;        /* has a retry record; else it is pending */
    bool      held;            /* an earlier one of its key is not done */
    bool      repeated;        /* a simulated duplicate: simulate.c */
    bool      acked;           /* in flight: must not be tried again */
    bool      keyed;           /* `key` is known, see ordering.c */
    bool      requested;       /* of a redrive or resend, not tried yet */
    uint64_t  batch;           /* first event of its batch, see batch.c; 0: it
                                  is sent alone */
    uint64_t  key;             /* of its subject, see ordering.c; 0: none */
} esd_item_t;

#endif /* ESD_ITEM_H */
