/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Takes the next event of the log for a lane, or a batch of events.
 *
 * A batch takes the events that are available.  With `batch_wait` it waits for
 * more, measured from the time of its first event, so that a restart does not
 * extend the wait.
 */

#include "base/base.h"
#include "delivery/delivery.h"
#include "event/filter.h"
#include "read/reader.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "batch.h"
#include "dispatcher.h"
#include "item.h"
#include "lane.h"
#include "message.h"
#include "next_event.h"
#include "ordering.h"
#include "outcome.h"
#include "send.h"
#include "simulate.h"
#include "target.h"
#include "token.h"
#include "trusted_clock.h"

/* A message while it is filled. */
typedef struct {
    esd_dispatcher_t  *d;
    es_txn_t          *txn;
    esd_lane_t        *lane;
    esd_send_t        *send;
    uint64_t           position;   /* of the lane after the message is sent */
    uint64_t           matched;
    int64_t            first_ms;   /* commit of the first event */
    uint64_t           fault;      /* event that cannot be read */
} esd_next_event_t;


/* The number of events that the progress record can still list as pending, see
   es_progress_t.  Events with a retry record do not count. */

static unsigned
esd_next_event_room(const esd_lane_t *lane)
{
    size_t    taken;
    unsigned  batch;

    batch = lane->target->conf->batch;
    taken = lane->npending + lane->nflying;

    if (taken >= ES_INFLIGHT_MAX) {
        return 0;
    }

    taken = ES_INFLIGHT_MAX - taken;

    return taken < batch ? (unsigned) taken : batch;
}


/* False: the batch must wait for more events. */

static bool
esd_next_event_ripe(const esd_lane_t *lane, int64_t until_ms)
{
    int64_t               wait_ms;
    const es_endpoint_t  *conf;

    conf = lane->target->conf;
    wait_ms = until_ms - esd_clock_stamp_ms(lane->target->d);

    /* after the clock was set back, the wait ends */

    return wait_ms <= 0 || wait_ms > conf->batch_wait_ms;
}


/* ES_NOT_FOUND: none up to fresh->position; ES_STOP: it is not sent now;
   ES_TOO_LARGE: it is for the next message. */

static es_rc_t
esd_next_event_take(esd_next_event_t *next)
{
    es_rc_t             rc;
    int64_t             next_ms;
    uint64_t            scanned;
    esd_item_t          item;
    esd_lane_t         *lane;
    es_event_t          event;
    const es_filter_t  *filter;

    lane = next->lane;
    filter = &lane->target->conf->filter;

    rc = es_event_next(next->txn, &lane->source->feed, next->position,
                       filter, &event, &scanned);
    if (rc != ES_OK) {
        next->position = rc == ES_NOT_FOUND ? scanned : next->position;
        next->fault = scanned;
        return rc;
    }

    if (next->send->nitems > 0
        && next->send->body.len + event.json.len
           > esd_batch_bytes(lane->target))
    {
        return ES_TOO_LARGE;
    }

    memset(&item, 0, sizeof(item));
    item.sequence = event.sequence;
    item.prev = es_filter_is_all(filter) ? event.sequence - 1
                                         : next->matched;

    if (esd_ordering_holds(lane, &event, &item)) {
        item.held = true;
        esd_lane_retry(next->d, lane, &item, 0);
        rc = ES_STOP;

    } else if (esd_simulate_new_event(next->d, lane, &item, event.id,
                                      &next_ms))
    {
        if (next_ms >= 0) {
            esd_lane_retry(next->d, lane, &item, next_ms);
        }

        rc = ES_STOP;

    } else {
        next->fault = event.sequence;
        rc = esd_message_add(next->send, lane, &item, &event);
    }

    if (rc == ES_OK || rc == ES_STOP) {
        next->first_ms = next->first_ms ? next->first_ms : event.time_ms;
        next->position = event.sequence;
        next->matched = event.sequence;
    }

    return rc;
}


static void
esd_next_event_move(esd_next_event_t *next, unsigned taken)
{
    esd_lane_t  *lane;

    lane = next->lane;
    lane->nahead -= taken < lane->nahead ? taken : lane->nahead;
    lane->position = next->position;
    lane->matched = next->matched;
    esd_lane_stop_lingering(next->d, lane);
}


/* True: events were sent or skipped. */

static bool
esd_next_event_end(esd_next_event_t *next, es_rc_t rc, unsigned max)
{
    int64_t      until_ms;
    esd_lane_t  *lane;

    lane = next->lane;

    if (next->send->nitems == 0 && rc == ES_NOT_FOUND) {
        esd_next_event_move(next, 0);
        lane->moved = true;
        return true;
    }

    if (next->send->nitems == 0) {
        esd_lane_stuck(lane, next->fault, rc);
        return false;
    }

    until_ms = next->first_ms + lane->target->conf->batch_wait_ms;

    if (rc == ES_NOT_FOUND
        && max == lane->target->conf->batch
        && next->position >= lane->source->feed.last
        && !esd_next_event_ripe(lane, until_ms))
    {
        esd_lane_linger(next->d, lane, until_ms);
        return false;
    }

    if (!esd_token_ready(next->d, lane->target)) {
        return false;
    }

    esd_batch_join(next->send);

    rc = esd_send_start(next->send, lane, esd_outcome_events);
    if (rc != ES_OK) {
        esd_lane_stuck(lane, next->send->items[0].sequence, rc);
        return false;
    }

    esd_next_event_move(next, next->send->nitems);

    return true;
}


bool
esd_next_event(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane)
{
    es_rc_t           rc;
    unsigned          max;
    esd_next_event_t  next = { d, txn, lane, NULL, lane->position,
                               lane->matched, 0, 0 };

    if (lane->position >= lane->source->feed.last) {
        return false;
    }

    max = esd_next_event_room(lane);

    if (max == 0) {
        lane->target->full = true;
        return false;
    }

    if (lane->linger_ms != 0
        && lane->source->feed.last - lane->position < max
        && !esd_next_event_ripe(lane, lane->linger_ms))
    {
        return false;
    }

    next.send = esd_send_get(d, lane->target);
    if (next.send == NULL) {
        esd_lane_stuck(lane, lane->position + 1, ES_NOMEM);
        return false;
    }

    esd_message_begin(next.send);

    do {
        rc = esd_next_event_take(&next);
    } while (rc == ES_OK && next.send->nitems < max);

    if (rc == ES_STOP && next.send->nitems == 0) {
        esd_next_event_move(&next, 1);
        esd_lane_dirty(d, lane);
        return true;
    }

    return esd_next_event_end(&next, rc, max);
}
