/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Selection: chooses the next lane and its next event.
 *
 * Ready lanes are in a queue, and each gets one turn at a time, so that no
 * endpoint delays another one.
 */

#include <sys/queue.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/stall.h"
#include "log/feed.h"
#include "log/unpacked.h"
#include "read/reader.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "about.h"
#include "channel.h"
#include "dispatcher.h"
#include "health.h"
#include "host.h"
#include "item.h"
#include "lane.h"
#include "lane_check.h"
#include "log.h"
#include "message.h"
#include "next_event.h"
#include "notice.h"
#include "nudge.h"
#include "ordering.h"
#include "outcome.h"
#include "proxy.h"
#include "rate.h"
#include "ready.h"
#include "recorder.h"
#include "schedule.h"
#include "select.h"
#include "send.h"
#include "simulate.h"
#include "slots.h"
#include "stall.h"
#include "target.h"
#include "token.h"
#include "trusted_clock.h"
#include "types.h"
#include "waiting.h"

#define ESD_PUMP_TURNS        512  /* before the loop polls sockets again */
#define ESD_LATER_TURNS       16   /* the same for doubted endpoints */
#define ESD_LATER_EVERY       16   /* at least one turn of theirs in so many */
#define ESD_RETRY_SLOTS_FROM  4    /* slots from which one is reserved */


/* The clock has been set back if the next attempt is further away than any
   delay: an earlier run chose that time.  Such an event is due. */

static bool
esd_select_is_due(const esd_lane_t *lane, int64_t next_ms, int64_t now_ms)
{
    return next_ms <= now_ms
           || (next_ms != INT64_MAX
               && next_ms - now_ms > lane->target->longest_ms);
}


void
esd_select_due(esd_dispatcher_t *d)
{
    size_t         i;
    int64_t        now_ms, wall_ms, now_us;
    esd_lane_t    *lane;
    esd_target_t  *target;

    now_ms = esd_schedule_ms(d);
    wall_ms = d->nlingering > 0 ? esd_clock_stamp_ms(d) : 0;
    now_us = es_clock_mono_us();

    for (i = 0; i < d->ntargets; i++) {
        target = d->targets[i];

        if (target == NULL || target->throttled_us > now_us) {
            continue;
        }

        esd_each(lane, &target->lanes, in_target) {
            if (target->throttled_us != 0
                || (lane->nwaiting > 0
                    && esd_select_is_due(lane, lane->due_ms, now_ms))
                || (lane->stuck_ms != 0
                    && esd_select_is_due(lane, lane->stuck_ms, now_ms))
                || (lane->linger_ms != 0 && lane->linger_ms <= wall_ms))
            {
                esd_ready_lane(d, lane);
            }
        }

        target->throttled_us = 0;
    }
}


static bool
esd_select_open(const esd_dispatcher_t *d, const esd_target_t *target)
{
    return !d->halted
           && !d->stopping
           && esd_target_enabled(target)
           && target->throttled_us == 0;
}


/* Handles an event that retention has deleted before its retry. */

static void
esd_select_lost(esd_dispatcher_t *d, esd_lane_t *lane, const esd_item_t *item)
{
    es_dead_t  dead;

    esd_log_about(ESD_LOG_WARN, esd_about_event(lane, item->sequence),
                  "retention of feed \"%s\" deleted event %s-%llu before "
                  "its delivery to endpoint %s, after %u attempts",
                  lane->source->feed.name,
                  es_feed_epoch_of(&lane->source->feed, item->sequence),
                  (unsigned long long) item->sequence, lane->target->name,
                  item->attempts);

    esd_record_dead(d, lane, item, ES_ATTEMPT_INTERNAL,
                    "retention deleted the event", &dead);
    esd_notice_exhausted(d, lane, &dead, NULL, dead.reason);

    esd_ordering_done(d, lane, item);
    esd_lane_dirty(d, lane);
}


/* Adds the waiting events of the same batch, which follow the one at `i`. */

static es_rc_t
esd_select_batch(es_txn_t *txn, esd_send_t *send, const esd_lane_t *lane,
    size_t i)
{
    es_rc_t      rc;
    uint64_t     batch;
    esd_item_t   item;
    es_event_t   event;

    rc = ES_OK;
    batch = lane->waiting[i].batch;

    while (rc == ES_OK
           && batch != 0
           && send->nitems < lane->target->conf->batch)
    {
        i = esd_waiting_next(lane, ESD_BY_KEY, i);

        if (i == ESD_NO_ITEM || lane->waiting[i].batch != batch) {
            break;
        }

        item = lane->waiting[i];
        item.requested = false;

        /* an event that cannot be read now is handled in its own turn */

        if (es_event_get(txn, &lane->source->feed, item.sequence, &event)
            != ES_OK)
        {
            break;
        }

        rc = esd_message_add(send, lane, &item, &event);
    }

    return rc;
}


static void
esd_select_taken(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_send_t *send)
{
    unsigned           n;
    const esd_item_t  *item;

    for (n = 0; n < send->nitems; n++) {
        item = &send->items[n];
        esd_lane_unwait(d, lane, esd_lane_find_item(lane, item->key,
                                                    item->sequence));
    }
}


/* True: the turn did something, so that the lane may get another one. */

static bool
esd_select_waiting(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    size_t i)
{
    es_rc_t      rc;
    esd_item_t   item;
    esd_send_t  *send;
    es_event_t   event;

    item = lane->waiting[i];
    item.requested = false;

    rc = es_event_get(txn, &lane->source->feed, item.sequence, &event);

    if (rc == ES_NOT_FOUND) {
        esd_lane_unwait(d, lane, i);
        esd_select_lost(d, lane, &item);
        return true;
    }

    if (rc != ES_OK && lane->target->conf->ordering != ES_ORDER_FIFO) {
        esd_lane_unread(lane, item.sequence, rc);
        esd_waiting_move(lane, i, item.held,
                         esd_schedule_ms(d) + ESD_STUCK_MS);
        return true;
    }

    if (rc != ES_OK) {
        esd_lane_stuck(lane, item.sequence, rc);
        return false;
    }

    if (!esd_token_ready(d, lane->target)) {
        return false;
    }

    send = esd_send_get(d, lane->target);

    rc = ES_NOMEM;

    if (send != NULL) {
        esd_message_begin(send);
        rc = esd_message_add(send, lane, &item, &event);
    }

    if (rc == ES_OK) {
        rc = esd_select_batch(txn, send, lane, i);
    }

    if (rc == ES_OK) {
        rc = esd_send_start(send, lane, esd_outcome_events);
    }

    if (rc != ES_OK) {
        esd_lane_stuck(lane, item.sequence, rc);
        return false;
    }

    esd_select_taken(d, lane, send);

    return true;
}


/* Reads the feed again in this transaction.  False: the feed was removed, which
   the next refresh handles. */

static bool
esd_select_update(esd_dispatcher_t *d, es_txn_t *txn, esd_source_t *source)
{
    es_feed_t  feed;

    if (source->round == d->rounds) {
        return true;
    }

    if (es_feed_get(txn, es_str(source->feed.name), &feed) != ES_OK
        || feed.number != source->feed.number)
    {
        return false;
    }

    source->feed = feed;
    source->round = d->rounds;

    return true;
}


/* While events wait for another attempt, an eighth of the window is reserved
   for them, so that a due one need not wait for a slow answer. */

static bool
esd_select_room(const esd_target_t *target)
{
    unsigned  window, kept;

    window = (unsigned) target->window;

    if (target->failed == 0 || window < ESD_RETRY_SLOTS_FROM) {
        return true;
    }

    kept = window / 8 > 0 ? window / 8 : 1;

    return target->in_flight - target->retrying < window - kept;
}


/* Selects in modes other than `fifo`.  Failed events get half of the window and
   every other turn, or all of them when there are no new events: many failing
   events must not delay others, even if only few may be sent.  Events that were
   in flight when the last run ended come first, and so do those whose receiver
   was busy; held ones are not selected, see ordering.c. */

static bool
esd_select_event(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    int64_t now_ms)
{
    bool           due, unsent, room, retry;
    esd_target_t  *target;

    target = lane->target;
    due = lane->nwaiting > 0 && esd_select_is_due(lane, lane->due_ms, now_ms);
    unsent = lane->npending == 0 && lane->ndeferred == 0
             && lane->position < lane->source->feed.last;

    if (unsent && !esd_lane_room(d, lane, 0)) {
        unsent = false;

        if (lane->stall.reason != ES_STALL_FULL) {
            esd_stall_check(d, lane);
        }
    }

    room = unsent && esd_select_room(target);
    retry = due && (!unsent || target->retrying < 1 + target->window / 2);

    if (retry && (!room || !lane->retried)) {
        lane->retried = true;
        return esd_select_waiting(d, txn, lane,
                                  esd_waiting_first(lane, ESD_BY_DUE));
    }

    lane->retried = false;
    target->full |= unsent && !room;

    if (room && esd_next_event(d, txn, lane)) {
        return true;
    }

    return retry && lane->stuck_ms == 0
           && esd_select_waiting(d, txn, lane,
                                 esd_waiting_first(lane, ESD_BY_DUE));
}


/* True: the limits of the endpoint, its partner and the process allow the lane
   a request now. */

static bool
esd_select_allowed(esd_dispatcher_t *d, esd_lane_t *lane)
{
    bool           fifo;
    esd_target_t  *target;

    target = lane->target;
    fifo = target->conf->ordering == ES_ORDER_FIFO;

    if (!esd_select_open(d, target)) {
        return false;
    }

    if (fifo ? !TAILQ_EMPTY(&lane->sends)
             : target->in_flight >= (unsigned) target->window)
    {
        target->full |= !fifo;
        return false;
    }

    return esd_health_room(target)
           && esd_host_room(d, &target->caller)
           && esd_slot_room(d, lane)
           && esd_rate_room(target);
}


/* Selects in `fifo` mode: waiting events in order, and then new ones. */

static bool
esd_select_fifo(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    int64_t now_ms)
{
    size_t  i;

    if (lane->nwaiting == 0 || esd_simulate_swap(lane)) {
        return esd_next_event(d, txn, lane);
    }

    /* without keys this is the first by sequence */

    i = esd_waiting_first(lane, ESD_BY_KEY);

    return esd_select_is_due(lane, lane->waiting[i].next_ms, now_ms)
           && esd_select_waiting(d, txn, lane, i);
}


static bool
esd_select_turn(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane)
{
    bool           again;
    int64_t        now_ms;
    esd_target_t  *target;

    target = lane->target;

    if (!esd_select_allowed(d, lane)
        || !esd_select_update(d, txn, lane->source)
        || !esd_lane_check(d, txn, lane))
    {
        return false;
    }

    now_ms = lane->nwaiting > 0 || lane->stuck_ms != 0 ? esd_schedule_ms(d)
                                                       : 0;

    if (lane->stuck_ms != 0) {
        if (!esd_select_is_due(lane, lane->stuck_ms, now_ms)) {
            return false;
        }

        lane->stuck_ms = 0;
    }

    if (target->conf->nudge > 0 && esd_nudge_turn(d, txn, lane, &again)) {
        return again;
    }

    return target->conf->ordering == ES_ORDER_FIFO
           ? esd_select_fifo(d, txn, lane, now_ms)
           : esd_select_event(d, txn, lane, now_ms);
}


/* The next lane to get a turn.  Doubted endpoints come last and rarely: each
   needs a new connection and may never answer.  They do get turns, however
   busy the others are. */

static esd_lane_t *
esd_select_lane(esd_dispatcher_t *d)
{
    esd_lane_t  *lane, *later;

    lane = TAILQ_FIRST(&d->first);

    if (lane != NULL) {
        TAILQ_REMOVE(&d->first, lane, in_ready);
        lane->ready = NULL;
        return lane;
    }

    lane = esd_slots_left(d) ? TAILQ_FIRST(&d->ready) : NULL;
    later = d->nlater < ESD_LATER_TURNS ? TAILQ_FIRST(&d->later) : NULL;

    if (later != NULL && (lane == NULL || d->nready >= ESD_LATER_EVERY)) {
        lane = later;
        d->nlater++;
        d->nready = 0;

    } else {
        d->nready++;
    }

    if (lane != NULL) {
        TAILQ_REMOVE(lane->ready, lane, in_ready);
        lane->ready = NULL;
    }

    return lane;
}


static bool
esd_select_held(const esd_dispatcher_t *d)
{
    return d->stopping
           || d->halted
           || esd_proxy_holds(d)
           || esd_descriptors_short(d)
           || d->in_flight >= d->options.max_connections;
}


static bool
esd_select_any(const esd_dispatcher_t *d)
{
    return !TAILQ_EMPTY(&d->first)
           || (!TAILQ_EMPTY(&d->ready) && esd_slots_left(d))
           || !TAILQ_EMPTY(&d->later);
}


/* Wakes what waits for a slot or a host; true: there was something. */

static bool
esd_select_wake(esd_dispatcher_t *d)
{
    bool  woken;

    woken = esd_slots_wake(d);

    return esd_hosts_wake(d) || woken;
}


bool
esd_select_run(esd_dispatcher_t *d)
{
    int          turns;
    es_rc_t      rc;
    es_txn_t    *txn;
    esd_lane_t  *lane;

    if (esd_select_held(d)) {
        return false;
    }

    (void) esd_slots_wake(d);

    if (!esd_select_any(d)) {
        return false;
    }

    rc = es_txn_begin(d->store, &txn);
    if (rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR, "cannot read the log: %s", es_reason(rc));
        return false;
    }

    d->rounds++;

    for (turns = 0;
         turns < ESD_PUMP_TURNS && d->in_flight < d->options.max_connections;
         turns++)
    {
        lane = esd_select_lane(d);

        if (lane == NULL) {

            /* a lane that was woken may have had nothing to send */

            if (esd_select_any(d) || !esd_select_wake(d)) {
                break;
            }

            continue;
        }

        if (esd_select_turn(d, txn, lane)) {
            esd_ready_lane(d, lane);
        }

        es_unpacked_forget();          /* messages have copies */
    }

    es_txn_end(txn);

    return !esd_select_held(d) && esd_select_any(d);
}
