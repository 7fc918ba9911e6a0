/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Select: what an endpoint is sent next of a feed.
 *
 * A lane has taken the log up to `position`.  What it took and is not done
 * with is either in flight or waiting: a retry, which has a record of its own
 * on disk, or something that was in flight when the last run ended, which is
 * listed with the progress as pending until it has an outcome.
 *
 * Ready lanes queue, and each has one turn at a time, so that no endpoint
 * keeps another one waiting.
 */

#include <stdio.h>

#include "dispatcher.h"

#define ES_PUMP_TURNS   512        /* before the loop looks at sockets again */
#define ES_LATER_TURNS  16         /* the same, of doubted endpoints */
#define ES_LATER_EVERY  16         /* one of theirs in so many, if not more */
#define ES_STUCK_MS     60000
#define ES_KEPT_FROM    4          /* places, to keep one of them */
#define ES_WAITING_MIN  1000       /* that a lane may have in any case */

static void es_lane_forget(es_dispatcher_t *d, es_lane_t *lane);


es_lane_t *
es_lane_create(es_dispatcher_t *d, es_target_t *target, es_source_t *source)
{
    es_lane_t  *lane;

    lane = calloc(1, sizeof(es_lane_t));
    if (lane == NULL) {
        es_record(d, ES_NOMEM);
        abort();
    }

    lane->target = target;
    lane->source = source;
    memcpy(lane->epoch, source->feed.epoch, sizeof(lane->epoch));
    lane->due_ms = INT64_MAX;
    TAILQ_INIT(&lane->sends);
    TAILQ_INSERT_TAIL(&source->lanes, lane, in_source);
    TAILQ_INSERT_TAIL(&target->lanes, lane, in_target);

    return lane;
}


void
es_lane_destroy(es_dispatcher_t *d, es_lane_t *lane)
{
    es_lane_forget(d, lane);

    if (lane->ready != NULL) {
        TAILQ_REMOVE(lane->ready, lane, in_ready);
    }

    if (lane->dirty) {
        TAILQ_REMOVE(&d->recorder.dirty, lane, in_dirty);
    }

    es_place_forget(lane);

    TAILQ_REMOVE(&lane->source->lanes, lane, in_source);
    TAILQ_REMOVE(&lane->target->lanes, lane, in_target);
    free(lane);
}


/* Drops what is in flight or waiting. */

static void
es_lane_forget(es_dispatcher_t *d, es_lane_t *lane)
{
    size_t      i;
    es_send_t  *send;

    while ((send = TAILQ_FIRST(&lane->sends)) != NULL) {
        for (i = 0; i < send->nitems; i++) {
            lane->target->retries -= send->items[i].recorded;
        }

        es_send_end(send);
    }

    for (i = 0; i < lane->nwaiting; i++) {
        if (lane->waiting[i].recorded) {
            lane->target->retries--;
        }

        lane->target->failed -= lane->waiting[i].attempts > 0;
        lane->target->asked -= lane->waiting[i].asked;
    }

    d->nwaiting -= lane->nwaiting;
    es_waiting_clear(lane);
    lane->npending = 0;
    lane->swapped = 0;
    es_fresh_leave(d, lane);
    es_nudge_reset(lane);
}


void
es_lane_restart(es_dispatcher_t *d, es_lane_t *lane, uint64_t position)
{
    es_lane_forget(d, lane);
    es_record(d, es_changes_forget_feed(d->recorder.filling,
                                        lane->target->number,
                                        lane->source->feed.number));

    memcpy(lane->epoch, lane->source->feed.epoch, sizeof(lane->epoch));
    lane->position = position;
    lane->matched = position;
    lane->unmatched = 0;
    lane->acked = 0;
    es_lane_dirty(d, lane);
}


bool
es_lane_check(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane)
{
    const es_feed_t  *feed;

    feed = &lane->source->feed;

    if (strcmp(lane->epoch, feed->epoch) != 0) {
        es_loss_epoch(d, txn, lane, ES_LOSS_RESET);
        es_log_line(ES_LOG_INFO, "feed \"%s\" was reset: endpoint %s goes on "
                    "at the beginning of epoch %s", feed->name,
                    lane->target->name, feed->epoch);
        es_lane_restart(d, lane, 0);
    }

    if (lane->position + 1 < feed->oldest) {
        if (es_loss_ending(txn, lane)) {
            return false;
        }

        es_loss_overtaken(d, lane);
        lane->position = feed->oldest - 1;
        lane->matched = lane->position;
        es_lane_dirty(d, lane);
    }

    return true;
}


void
es_lane_wait(es_dispatcher_t *d, es_lane_t *lane, const es_item_t *item)
{
    if (!es_waiting_add(lane, item)) {
        es_record(d, ES_NOMEM);
        return;
    }

    lane->npending += !item->recorded;
    lane->target->failed += item->attempts > 0;
    lane->target->asked += item->asked;
    d->nwaiting++;

    if (!ev_is_active(&d->tock)) {
        ev_timer_again(d->loop.ev, &d->tock);
    }
}


void
es_lane_unwait(es_dispatcher_t *d, es_lane_t *lane, size_t i)
{
    lane->npending -= !lane->waiting[i].recorded;
    lane->target->failed -= lane->waiting[i].attempts > 0;
    lane->target->asked -= lane->waiting[i].asked;
    d->nwaiting--;
    es_waiting_take(lane, i);
}


bool
es_lane_room(const es_dispatcher_t *d, const es_lane_t *lane, size_t more)
{
    size_t  n, min, max;

    n = lane->nwaiting + more;
    max = d->options.max_waiting;
    min = max / 2 < ES_WAITING_MIN ? max / 2 : ES_WAITING_MIN;

    return n < min || (d->nwaiting < max && n < max - d->nwaiting);
}


/* Its record, with what is known of it. */

static void
es_lane_record(es_dispatcher_t *d, es_lane_t *lane, es_item_t *item)
{
    es_retry_t  retry;

    if (!item->recorded) {
        item->recorded = true;
        lane->target->retries++;
    }

    retry.endpoint = lane->target->number;
    retry.feed = lane->source->feed.number;
    retry.sequence = item->sequence;
    retry.attempts = item->attempts;
    retry.status = item->status;
    retry.next_ms = item->next_ms;
    retry.first_ms = item->first_ms;
    retry.prevcursor = item->prev;

    es_record(d, es_changes_retry(d->recorder.filling, &retry));
}


void
es_lane_retry(es_dispatcher_t *d, es_lane_t *lane, es_item_t *item,
    int64_t next_ms)
{
    item->next_ms = next_ms;
    es_lane_record(d, lane, item);
    es_lane_wait(d, lane, item);
}


void
es_lane_note(es_dispatcher_t *d, es_lane_t *lane, es_item_t *item)
{
    lane->npending -= !item->recorded;
    es_lane_record(d, lane, item);
    es_lane_dirty(d, lane);
}


void
es_lane_drop(es_dispatcher_t *d, es_lane_t *lane, const es_item_t *item)
{
    if (item->recorded) {
        lane->target->retries--;
        es_record(d, es_changes_retry_done(d->recorder.filling,
                                           lane->target->number,
                                           lane->source->feed.number,
                                           item->sequence));
    }
}


void
es_lane_done(es_dispatcher_t *d, es_lane_t *lane, const es_item_t *item)
{
    es_lane_drop(d, lane, item);

    /* who is held itself holds nobody */

    if (!item->held) {
        es_key_release(lane, item->key);
    }
}


/* What its record says, whose change wakes it. */

bool
es_target_on(const es_target_t *target)
{
    return !target->stopped
           && !target->conf->paused
           && target->nsigners > 0
           && !target->conf->partner->disabled;
}


void
es_lane_wake(es_dispatcher_t *d, es_lane_t *lane)
{
    if (lane->ready == NULL && es_target_on(lane->target)) {
        lane->ready = lane->target->doubted ? &d->later : &d->ready;
        TAILQ_INSERT_TAIL(lane->ready, lane, in_ready);
    }
}


void
es_lane_dirty(es_dispatcher_t *d, es_lane_t *lane)
{
    if (!lane->dirty) {
        lane->dirty = true;
        TAILQ_INSERT_TAIL(&d->recorder.dirty, lane, in_dirty);
    }

    es_recorder_touch(d);
}


/* A time further away than any delay is of an earlier run, whose clock has
   since been put back. */

static bool
es_due(const es_lane_t *lane, int64_t next_ms, int64_t now_ms)
{
    return next_ms <= now_ms
           || (next_ms != INT64_MAX
               && next_ms - now_ms > lane->target->longest_ms);
}


void
es_lanes_due(es_dispatcher_t *d)
{
    size_t        i;
    int64_t       now_ms, wall_ms, now_us;
    es_lane_t    *lane;
    es_target_t  *target;

    now_ms = es_schedule_ms(d);
    wall_ms = d->nlingering > 0 ? es_stamp_ms(d) : 0;
    now_us = es_clock_mono_us();

    for (i = 0; i < d->ntargets; i++) {
        target = d->targets[i];

        if (target == NULL || target->throttled_us > now_us) {
            continue;
        }

        es_each(lane, &target->lanes, in_target) {
            if (target->throttled_us != 0
                || (lane->nwaiting > 0 && es_due(lane, lane->due_ms, now_ms))
                || (lane->stuck_ms != 0
                    && es_due(lane, lane->stuck_ms, now_ms))
                || (lane->linger_ms != 0 && lane->linger_ms <= wall_ms))
            {
                es_lane_wake(d, lane);
            }
        }

        target->throttled_us = 0;
    }
}


static bool
es_target_open(const es_dispatcher_t *d, const es_target_t *target)
{
    return !d->halted
           && !d->stopping
           && es_target_on(target)
           && target->throttled_us == 0;
}


static void
es_lane_unread(const es_lane_t *lane, uint64_t sequence, es_rc_t rc)
{
    es_log_line(ES_LOG_ERROR, "cannot read event %s-%llu of feed \"%s\" for "
                "endpoint %s: %s; trying again in %d s", lane->epoch,
                (unsigned long long) sequence, lane->source->feed.name,
                lane->target->name, es_reason(rc), ES_STUCK_MS / 1000);
}


void
es_lane_stuck(es_lane_t *lane, uint64_t sequence, es_rc_t rc)
{
    lane->stuck_ms = es_schedule_ms(lane->target->d) + ES_STUCK_MS;
    lane->stuck_at = sequence;
    es_lane_unread(lane, sequence, rc);
}


/* An event that retention has taken before its retry. */

static void
es_lane_lost(es_dispatcher_t *d, es_lane_t *lane, const es_item_t *item)
{
    es_dead_t  dead;

    es_log_line(ES_LOG_WARN, "retention of feed \"%s\" has taken event "
                "%s-%llu before endpoint %s had it, after %u attempts",
                lane->source->feed.name, lane->epoch,
                (unsigned long long) item->sequence, lane->target->name,
                item->attempts);

    dead.endpoint = lane->target->number;
    dead.feed = lane->source->feed.number;
    memcpy(dead.epoch, lane->epoch, sizeof(dead.epoch));
    dead.sequence = item->sequence;
    dead.prevcursor = item->prev;
    dead.time_ms = es_stamp_ms(d);
    dead.attempts = item->attempts;
    dead.status = item->status;
    dead.klass = ES_ATTEMPT_INTERNAL;
    (void) snprintf(dead.reason, sizeof(dead.reason), "retention has taken "
                    "the event");
    es_record_dead(d, &dead);
    es_notice_exhausted(d, lane, &dead, NULL, dead.reason);

    es_lane_done(d, lane, item);
    es_lane_dirty(d, lane);
}


/* True when the lane's turn did something, so that it may have another. */

static bool
es_lane_again(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane, size_t i)
{
    es_rc_t     rc;
    es_item_t   item;
    es_send_t  *send;
    es_event_t  event;

    item = lane->waiting[i];
    item.asked = false;

    rc = es_event_get(txn, &lane->source->feed, item.sequence, &event);

    if (rc == ES_NOT_FOUND) {
        es_lane_unwait(d, lane, i);
        es_lane_lost(d, lane, &item);
        return true;
    }

    if (rc != ES_OK && lane->target->conf->ordering != ES_ORDER_FIFO) {
        es_lane_unread(lane, item.sequence, rc);
        es_waiting_move(lane, i, item.held, es_schedule_ms(d) + ES_STUCK_MS);
        return true;
    }

    if (rc != ES_OK) {
        es_lane_stuck(lane, item.sequence, rc);
        return false;
    }

    if (!es_token_ready(d, lane->target)) {
        return false;
    }

    send = es_send_get(d, lane->target);

    if (send != NULL) {
        es_message_begin(send);
        rc = es_message_add(send, lane, &item, &event);
    }

    rc = send == NULL ? ES_NOMEM : rc == ES_OK ? es_send_start(send, lane)
                                               : rc;
    if (rc != ES_OK) {
        es_lane_stuck(lane, item.sequence, rc);
        return false;
    }

    es_lane_unwait(d, lane, i);

    return true;
}


/* The feed as this read sees it; false when it is gone, which the next look
   at the log takes in. */

static bool
es_source_refresh(es_dispatcher_t *d, es_txn_t *txn, es_source_t *source)
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


/* As long as events wait for another attempt, an eighth of the places is kept
   for them, so that one that is due need not wait for a slow answer. */

static bool
es_fresh_room(const es_target_t *target)
{
    unsigned  window, kept;

    window = (unsigned) target->window;

    if (target->failed == 0 || window < ES_KEPT_FROM) {
        return true;
    }

    kept = window / 8 > 0 ? window / 8 : 1;

    return target->in_flight - target->retrying < window - kept;
}


/* In other modes than `fifo`.  Failed events have half of the places and every
   other turn, or all when nothing else is there: many that fail must not hold
   back those that would not, however few may be sent.  What was in flight when
   the last run ended goes first; what is held is none of it, see key.c. */

static bool
es_lane_choose(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane,
    int64_t now_ms)
{
    bool          due, fresh, room, retry;
    es_target_t  *target;

    target = lane->target;
    due = lane->nwaiting > 0 && es_due(lane, lane->due_ms, now_ms);
    fresh = lane->npending == 0 && lane->position < lane->source->feed.last;

    if (fresh && !es_lane_room(d, lane, 0)) {
        fresh = false;

        if (lane->stall.reason != ES_STALL_FULL) {
            es_stall_look(d, lane);
        }
    }

    room = fresh && es_fresh_room(target);
    retry = due && (!fresh || target->retrying < 1 + target->window / 2);

    if (retry && (!room || !lane->retried)) {
        lane->retried = true;
        return es_lane_again(d, txn, lane,
                             es_waiting_first(lane, ES_BY_DUE));
    }

    lane->retried = false;
    target->full |= fresh && !room;

    if (room && es_lane_fresh(d, txn, lane)) {
        return true;
    }

    return retry && lane->stuck_ms == 0
           && es_lane_again(d, txn, lane, es_waiting_first(lane, ES_BY_DUE));
}


static bool
es_lane_turn(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane)
{
    bool          fifo, again;
    int64_t       now_ms;
    size_t        i;
    es_target_t  *target;

    target = lane->target;
    fifo = target->conf->ordering == ES_ORDER_FIFO;

    if (!es_target_open(d, target)) {
        return false;
    }

    if (fifo ? !TAILQ_EMPTY(&lane->sends)
             : target->in_flight >= (unsigned) target->window)
    {
        target->full |= !fifo;
        return false;
    }

    if (!es_health_room(target)
        || !es_place_room(d, lane)
        || !es_rate_room(target))
    {
        return false;
    }

    if (!es_source_refresh(d, txn, lane->source)
        || !es_lane_check(d, txn, lane))
    {
        return false;
    }

    now_ms = lane->nwaiting > 0 || lane->stuck_ms != 0 ? es_schedule_ms(d) : 0;

    if (lane->stuck_ms != 0) {
        if (!es_due(lane, lane->stuck_ms, now_ms)) {
            return false;
        }

        lane->stuck_ms = 0;
    }

    if (target->conf->nudge > 0 && es_nudge_turn(d, txn, lane, &again)) {
        return again;
    }

    if (fifo) {
        if (lane->nwaiting == 0) {
            return es_lane_fresh(d, txn, lane);
        }

        if (es_simulate_swap(lane)) {
            return es_lane_fresh(d, txn, lane);
        }

        /* without keys that is the first in sequence */

        i = es_waiting_first(lane, ES_BY_KEY);
        return es_due(lane, lane->waiting[i].next_ms, now_ms)
               && es_lane_again(d, txn, lane, i);
    }

    return es_lane_choose(d, txn, lane, now_ms);
}


/* The next one to have its turn.  Who is doubted comes last, and not often: it
   takes a new connection each time, and may never answer.  But it does come,
   however much the others have to do. */

static es_lane_t *
es_lanes_next(es_dispatcher_t *d)
{
    es_lane_t  *lane, *later;

    lane = es_places_left(d) ? TAILQ_FIRST(&d->ready) : NULL;
    later = d->nlater < ES_LATER_TURNS ? TAILQ_FIRST(&d->later) : NULL;

    if (later != NULL && (lane == NULL || d->nready >= ES_LATER_EVERY)) {
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
es_lanes_held(const es_dispatcher_t *d)
{
    return d->stopping
           || d->halted
           || es_proxy_holds(d)
           || es_loop_short(d)
           || d->in_flight >= d->options.max_connections;
}


static bool
es_lanes_any(const es_dispatcher_t *d)
{
    return (!TAILQ_EMPTY(&d->ready) && es_places_left(d))
           || !TAILQ_EMPTY(&d->later);
}


bool
es_lanes_pump(es_dispatcher_t *d)
{
    int         turns;
    es_rc_t     rc;
    es_txn_t   *txn;
    es_lane_t  *lane;

    if (es_lanes_held(d)) {
        return false;
    }

    (void) es_places_wake(d);

    if (!es_lanes_any(d)) {
        return false;
    }

    rc = es_txn_begin(d->store, &txn);
    if (rc != ES_OK) {
        es_log_line(ES_LOG_ERROR, "cannot read the log: %s", es_reason(rc));
        return false;
    }

    d->rounds++;

    for (turns = 0;
         turns < ES_PUMP_TURNS && d->in_flight < d->options.max_connections;
         turns++)
    {
        lane = es_lanes_next(d);

        if (lane == NULL) {

            /* who was woken may have had nothing to send */

            if (es_lanes_any(d) || !es_places_wake(d)) {
                break;
            }

            continue;
        }

        if (es_lane_turn(d, txn, lane)) {
            es_lane_wake(d, lane);
        }
    }

    es_txn_end(txn);

    return !es_lanes_held(d) && es_lanes_any(d);
}
