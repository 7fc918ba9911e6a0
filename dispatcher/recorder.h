/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The recorder: writes delivery state, many changes in one commit of a
 * thread.
 */

#ifndef ESD_RECORDER_H
#define ESD_RECORDER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "base/reason.h"
#include "delivery/delivery.h"
#include "delivery/cases.h"
#include "delivery/tally.h"

#include "item.h"
#include "thread.h"
#include "types.h"

typedef struct {
    esd_thread_t     thread;
    bool             handed;       /* `committing` is the thread's */
    int64_t          handed_us;    /* monotonic: since then */
    es_rc_t          rc;           /* of the last commit */
    int              error;        /* its errno */
    es_reason_t      reason;       /* and its record */

    /* The loop's. */
    es_changeset_t  *filling;
    es_changeset_t  *committing;
    bool             notices;      /* `filling` has operational events */
    bool             noticed;      /* so has `committing` */
    bool             announce;     /* events of a commit are in the outbox:
                                      the loop wakes the notifier */
    bool             busy;
    bool             due;          /* commit again as soon as possible */
    bool             failed;       /* `committing` waits to be tried again */
    bool             full;         /* as there is no room for it */
    uint64_t         commits;
    ev_async         done;
    ev_timer         timer;
    esd_lanes_t      dirty;
    es_tally_t       tally;        /* with what is in `filling` */
    bool             tallied;      /* it has moved since it was written */
    es_cases_t       cases;        /* of the tally */
    bool             cased;        /* likewise */
    int64_t          cased_us;     /* monotonic: when they were written */
} esd_recorder_t;

es_rc_t esd_recorder_start(esd_dispatcher_t *d);
/* Changes are committed within the interval of --commit-interval. */
void esd_recorder_touch(esd_dispatcher_t *d);
/* Each second: tries a failed commit again. */
void esd_recorder_retry(esd_dispatcher_t *d);
/* For how long the thread has had the present set of changes; 0: it has none. */
int64_t esd_recorder_busy_us(esd_dispatcher_t *d);
/* Commits all changes, and ends the thread. */
es_rc_t esd_recorder_finish(esd_dispatcher_t *d);

/* `rc` is the result of adding a change to recorder->filling.  Unless it is
   ES_OK the process ends: a lost change would let an event be delivered twice,
   or never. */
void esd_must(esd_dispatcher_t *d, es_rc_t rc);
/* Ends the process in the same way. */
void esd_out_of_memory(void) __attribute__((noreturn));

/* Adds the lane's present progress to the changes at once. */
void esd_record_progress(esd_dispatcher_t *d, esd_lane_t *lane);
/* Records an attempt.  Attempts and dead letters are counted as well, see
   delivery/tally.h. */
void esd_record_attempt(esd_dispatcher_t *d, const es_attempt_t *attempt);
/* Counts that the endpoint has accepted the event, and how long after its
   commit. */
void esd_record_delivered(esd_dispatcher_t *d, const esd_lane_t *lane,
    const esd_item_t *item);
/* Records that the item is a dead letter now, and fills `*dead`. */
void esd_record_dead(esd_dispatcher_t *d, const esd_lane_t *lane,
    const esd_item_t *item, es_attempt_class_t class, const char *reason,
    es_dead_t *dead);
/* Records the attempt of a send, and logs it if an option says so.  `id` and
   `sequence` are the event's; an attempt of no event has "" and what
   identifies it. */
void esd_record_send(esd_send_t *send, const char *id, uint64_t sequence,
    uint32_t attempt, const esd_outcome_t *o);
/* Records that this process is alive. */
void esd_record_heartbeat(esd_dispatcher_t *d);

#endif /* ESD_RECORDER_H */
