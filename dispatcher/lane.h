/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A lane: one feed of one endpoint, with its own order and its own progress.
 *
 * lane.c has what changes a lane's state.  Functions that can run out of
 * memory end the process, see esd_must().
 */

#ifndef ESD_LANE_H
#define ESD_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/base.h"
#include "base/fresh.h"
#include "delivery/away_feeds.h"
#include "delivery/stall.h"
#include "log/feed.h"
#include "store/txn.h"

#include "item.h"
#include "slots.h"
#include "types.h"
#include "waiting.h"

#define ESD_STUCK_MS  60000        /* until an event that could not be read is
                                      read again */

/* A feed and its lanes to all endpoints. */
struct esd_source {
    es_feed_t    feed;
    uint64_t     round;            /* d->rounds in which `feed` was read */
    uint64_t     seen;             /* d->refreshes that found it last */
    uint64_t     known;            /* the last event at d->alive_ms, */
    char         known_epoch[ES_EPOCH_MAX + 1];    /* and its epoch */
    esd_lanes_t  lanes;
    uint64_t     rule_version;     /* of the registry, when the next was read;
                                      0: never */
    uint32_t     fresh_within_ms;  /* see fresh.c; 0: no promise */
    bool         fresh_loaded;
    es_fresh_t   fresh;
    int64_t      fresh_due_us;     /* monotonic: it is written then; 0: it has
                                      not changed */
    TAILQ_ENTRY(esd_source)  in_fresh;
};

struct esd_lane {
    esd_target_t          *target;
    esd_source_t          *source;
    TAILQ_ENTRY(esd_lane)  in_source;
    TAILQ_ENTRY(esd_lane)  in_target;
    TAILQ_ENTRY(esd_lane)  in_ready;
    TAILQ_ENTRY(esd_lane)  in_dirty;
    TAILQ_ENTRY(esd_lane)  in_passed;
    TAILQ_ENTRY(esd_lane)  in_encrypt;
    bool                   encrypting; /* it is in that list */
    esd_sends_t            sends;      /* in flight */
    size_t                 nflying;    /* their events without a retry record */
    char                   epoch[ES_EPOCH_MAX + 1];
    uint64_t               position;   /* the log was taken up to here */
    uint64_t               matched;    /* last one that matched */
    uint64_t               acked;      /* by a checkpoint, see ack.c */
    esd_item_t            *waiting;    /* not in flight: retries, and events
                                          in flight at the end of the last run;
                                          see waiting.h */
    size_t                 nwaiting;
    size_t                 waiting_cap;
    esd_link_t            *links[ESD_ORDERS];
    uint32_t               roots[ESD_ORDERS];
    size_t                 nheld;      /* held ones of these */
    size_t                 npending;   /* those without a retry record */
    size_t                 ndeferred;  /* those whose receiver was busy */
    int64_t                due_ms;     /* the least next_ms of `waiting` */
    bool                   retried;    /* its last turn sent a retry */
    int64_t                stuck_ms;   /* nothing is sent before; 0: now */
    uint64_t               stuck_at;   /* the event that cannot be read */
    bool                   refused;    /* because of field lists */
    uint64_t               unmatched;  /* none matches up to here, see
                                          stall.c */
    es_stall_t             stall;      /* see stall.c */
    int64_t                linger_ms;  /* a batch may fill until then; or 0 */
    uint64_t               ahead;      /* matches are counted up to here, */
    uint64_t               nahead;     /* from `position` on: see nudge.c */
    unsigned               nudges;     /* attempts of one */
    uint64_t               swapped;    /* was put back, see simulate.c; or 0 */
    esd_lanes_t           *ready;      /* the list that it is in, or NULL */
    es_loss_t              loss;       /* not announced yet */
    int64_t                loss_us;    /* monotonic: last announced; 0: never */
    int64_t                ending_us;  /* monotonic: since when the feed is
                                          being emptied, by the record of */
    int64_t                ending_ms;  /* that time, see loss.c */
    esd_passed_t          *passed;     /* the list in which it waits for a slot,
                                          see slots.c; or NULL */
    bool                   woken;      /* woken from that list for its turn */
    bool                   dirty;
    bool                   moved;      /* only the position, since the commit */
};

esd_lane_t *esd_lane_create(esd_target_t *target, esd_source_t *source);
void esd_lane_destroy(esd_dispatcher_t *d, esd_lane_t *lane);

/* The endpoint's lane of a feed; NULL: the endpoint does not receive it. */
esd_lane_t *esd_lane_of(const esd_target_t *target,
    const esd_source_t *source);
/* The same, by the feed's number. */
esd_lane_t *esd_lane_find(const esd_dispatcher_t *d,
    const esd_target_t *target, uint32_t feed);
/* The index in `lane->waiting` of an event, or ESD_NO_ITEM. */
size_t esd_lane_find_item(const esd_lane_t *lane, uint64_t key,
    uint64_t sequence);

/* Forgets all events that the lane has in flight or waiting; their records
   stay. */
void esd_lane_forget(esd_dispatcher_t *d, esd_lane_t *lane);
/* The lane's progress is written with the next commit. */
void esd_lane_dirty(esd_dispatcher_t *d, esd_lane_t *lane);

/* True while the lane may take events that may have to wait, and `more`: all
   lanes share --max-waiting, and each may have as many as the others leave. */
bool esd_lane_room(const esd_dispatcher_t *d, const esd_lane_t *lane,
    size_t more);
/* Adds an item to `waiting`. */
void esd_lane_wait(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item);
/* Takes an item out of `waiting`; the last one moves to its index. */
void esd_lane_unwait(esd_dispatcher_t *d, esd_lane_t *lane, size_t i);
/* Adds an item with a retry record: it waits until `next_ms`, or until the
   event that holds it is done. */
void esd_lane_retry(esd_dispatcher_t *d, esd_lane_t *lane, esd_item_t *item,
    int64_t next_ms);
/* Writes a retry record for an item that waits without one. */
void esd_lane_note(esd_dispatcher_t *d, esd_lane_t *lane, esd_item_t *item);
/* Deletes the item's retry record, if it has one. */
void esd_lane_drop(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item);

/* The lane waits until `until_ms` for its batch to fill; 0: no longer. */
void esd_lane_linger(esd_dispatcher_t *d, esd_lane_t *lane, int64_t until_ms);
void esd_lane_stop_lingering(esd_dispatcher_t *d, esd_lane_t *lane);
/* The lane's position has changed, so the counts of nudge.c are void. */
void esd_lane_reset_nudge(esd_lane_t *lane);
/* Logs that an event cannot be read. */
void esd_lane_unread(const esd_lane_t *lane, uint64_t sequence, es_rc_t rc);
/* The same, and the lane sends nothing for ESD_STUCK_MS. */
void esd_lane_stuck(esd_lane_t *lane, uint64_t sequence, es_rc_t rc);

#endif /* ESD_LANE_H */
