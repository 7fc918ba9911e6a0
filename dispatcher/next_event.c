/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The next of the log for a lane: one event, or a batch of them.
 *
 * A batch takes what there is; with `batch_wait` it waits for more, by the
 * time of its first event, so that a restart changes nothing.
 */

#include "dispatcher.h"

#define ES_BATCH_BYTES  (1024 * 1024)

/* A message while it is filled. */
typedef struct {
    es_dispatcher_t  *d;
    es_txn_t         *txn;
    es_lane_t        *lane;
    es_send_t        *send;
    uint64_t          position;    /* the lane's, once it is sent */
    uint64_t          matched;
    int64_t           first_ms;    /* commit of the first event */
    uint64_t          fault;       /* what cannot be read */
} es_fresh_t;


static void
es_fresh_linger(es_dispatcher_t *d, es_lane_t *lane, int64_t until_ms)
{
    d->nlingering += (until_ms != 0) - (size_t) (lane->linger_ms != 0);
    lane->linger_ms = until_ms;

    if (until_ms != 0 && !ev_is_active(&d->tock)) {
        ev_timer_again(d->loop.ev, &d->tock);
    }
}


void
es_fresh_leave(es_dispatcher_t *d, es_lane_t *lane)
{
    es_fresh_linger(d, lane, 0);
}


/* As many as are on record as pending at most, see es_progress_t: those that
   have a retry record are none of them. */

static unsigned
es_fresh_room(const es_lane_t *lane)
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


/* False as long as too few events have come to look at them again. */

static bool
es_fresh_ripe(const es_lane_t *lane, int64_t until_ms)
{
    int64_t               wait_ms;
    const es_endpoint_t  *conf;

    conf = lane->target->conf;
    wait_ms = until_ms - es_stamp_ms(lane->target->d);

    /* a clock that was put back is not waited for */

    return wait_ms <= 0 || wait_ms > conf->batch_wait_ms;
}


/* ES_NOT_FOUND: none up to fresh->position; ES_EXISTS: it is not sent now;
   ES_TOO_LARGE: it is for the next message. */

static es_rc_t
es_fresh_take(es_fresh_t *fresh)
{
    es_rc_t             rc;
    uint64_t            scanned;
    es_item_t           item;
    es_lane_t          *lane;
    es_event_t          event;
    const es_filter_t  *filter;

    lane = fresh->lane;
    filter = &lane->target->conf->filter;

    rc = es_event_next(fresh->txn, &lane->source->feed, fresh->position,
                       filter, &event, &scanned);
    if (rc != ES_OK) {
        fresh->position = rc == ES_NOT_FOUND ? scanned : fresh->position;
        fresh->fault = scanned;
        return rc;
    }

    if (fresh->send->nitems > 0
        && fresh->send->body.len + event.json.len > ES_BATCH_BYTES)
    {
        return ES_TOO_LARGE;
    }

    memset(&item, 0, sizeof(item));
    item.sequence = event.sequence;
    item.prev = es_filter_is_all(filter) ? event.sequence - 1
                                         : fresh->matched;

    if (es_key_holds(lane, &event, &item)) {
        item.held = true;
        es_lane_retry(fresh->d, lane, &item, 0);
        rc = ES_EXISTS;

    } else if (es_simulate_fresh(fresh->d, lane, &item, event.id)) {
        rc = ES_EXISTS;

    } else {
        rc = es_message_add(fresh->send, lane, &item, &event);
    }

    if (rc == ES_OK || rc == ES_EXISTS) {
        fresh->first_ms = fresh->first_ms ? fresh->first_ms : event.time_ms;
        fresh->position = event.sequence;
        fresh->matched = event.sequence;
    }

    return rc;
}


static void
es_fresh_move(es_fresh_t *fresh, unsigned taken)
{
    es_lane_t  *lane;

    lane = fresh->lane;
    lane->nahead -= taken < lane->nahead ? taken : lane->nahead;
    lane->position = fresh->position;
    lane->matched = fresh->matched;
    es_fresh_leave(fresh->d, lane);
}


/* True when something was done: sent, or passed over. */

static bool
es_fresh_end(es_fresh_t *fresh, es_rc_t rc, unsigned max)
{
    int64_t     until_ms;
    es_lane_t  *lane;

    lane = fresh->lane;

    if (fresh->send->nitems == 0 && rc == ES_NOT_FOUND) {
        es_fresh_move(fresh, 0);
        lane->moved = true;
        return true;
    }

    if (fresh->send->nitems == 0) {
        es_lane_stuck(lane, fresh->fault, rc);
        return false;
    }

    until_ms = fresh->first_ms + lane->target->conf->batch_wait_ms;

    if (rc == ES_NOT_FOUND
        && max == lane->target->conf->batch
        && fresh->position >= lane->source->feed.last
        && !es_fresh_ripe(lane, until_ms))
    {
        es_fresh_linger(fresh->d, lane, until_ms);
        return false;
    }

    if (!es_token_ready(fresh->d, lane->target)) {
        return false;
    }

    rc = es_send_start(fresh->send, lane);
    if (rc != ES_OK) {
        es_lane_stuck(lane, fresh->send->items[0].sequence, rc);
        return false;
    }

    es_fresh_move(fresh, fresh->send->nitems);

    return true;
}


bool
es_lane_fresh(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane)
{
    es_rc_t     rc;
    unsigned    max;
    es_fresh_t  fresh = { d, txn, lane, NULL, lane->position, lane->matched,
                          0, 0 };

    if (lane->position >= lane->source->feed.last) {
        return false;
    }

    max = es_fresh_room(lane);

    if (max == 0) {
        lane->target->full = true;
        return false;
    }

    if (lane->linger_ms != 0
        && lane->source->feed.last - lane->position < max
        && !es_fresh_ripe(lane, lane->linger_ms))
    {
        return false;
    }

    fresh.send = es_send_get(d, lane->target);
    if (fresh.send == NULL) {
        es_lane_stuck(lane, lane->position + 1, ES_NOMEM);
        return false;
    }

    es_message_begin(fresh.send);

    do {
        rc = es_fresh_take(&fresh);
    } while (rc == ES_OK && fresh.send->nitems < max);

    if (rc == ES_EXISTS && fresh.send->nitems == 0) {
        es_fresh_move(&fresh, 1);
        es_lane_dirty(d, lane);
        return true;
    }

    return es_fresh_end(&fresh, rc, max);
}
