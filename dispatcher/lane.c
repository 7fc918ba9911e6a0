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

#define ESD_PUMP_TURNS   512       /* before the loop looks at sockets again */
#define ESD_LATER_TURNS  16        /* the same, of doubted endpoints */
#define ESD_LATER_EVERY  16        /* one of theirs in so many, if not more */
#define ESD_STUCK_MS     60000
#define ESD_RETRY_SLOTS_FROM    4         /* places, to keep one of them */
#define ESD_WAITING_MIN  1000      /* that a lane may have in any case */

static void esd_lane_forget(esd_dispatcher_t *d, esd_lane_t *lane);


esd_lane_t *
esd_lane_create(esd_target_t *target, esd_source_t *source)
{
    esd_lane_t  *lane;

    lane = calloc(1, sizeof(esd_lane_t));
    if (lane == NULL) {
        esd_out_of_memory();
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
esd_lane_destroy(esd_dispatcher_t *d, esd_lane_t *lane)
{
    esd_lane_forget(d, lane);

    if (lane->ready != NULL) {
        TAILQ_REMOVE(lane->ready, lane, in_ready);
    }

    if (lane->dirty) {
        TAILQ_REMOVE(&d->recorder.dirty, lane, in_dirty);
    }

    esd_slot_stop_waiting(lane);

    TAILQ_REMOVE(&lane->source->lanes, lane, in_source);
    TAILQ_REMOVE(&lane->target->lanes, lane, in_target);
    free(lane);
}


/* Drops what is in flight or waiting. */

static void
esd_lane_forget(esd_dispatcher_t *d, esd_lane_t *lane)
{
    size_t       i;
    esd_send_t  *send;

    while ((send = TAILQ_FIRST(&lane->sends)) != NULL) {
        for (i = 0; i < send->nitems; i++) {
            lane->target->retries -= send->items[i].recorded;
        }

        esd_send_end(send);
    }

    for (i = 0; i < lane->nwaiting; i++) {
        if (lane->waiting[i].recorded) {
            lane->target->retries--;
        }

        lane->target->failed -= lane->waiting[i].attempts > 0;
        lane->target->asked -= lane->waiting[i].asked;
    }

    d->nwaiting -= lane->nwaiting;
    esd_waiting_clear(lane);
    lane->npending = 0;
    lane->swapped = 0;
    esd_lane_stop_lingering(d, lane);
    esd_nudge_reset(lane);
}


void
esd_lane_restart(esd_dispatcher_t *d, esd_lane_t *lane, uint64_t position)
{
    esd_lane_forget(d, lane);
    esd_must(d, es_changes_forget_feed(d->recorder.filling,
                                       lane->target->number,
                                       lane->source->feed.number));

    memcpy(lane->epoch, lane->source->feed.epoch, sizeof(lane->epoch));
    lane->position = position;
    lane->matched = position;
    lane->unmatched = 0;
    lane->acked = 0;
    esd_lane_dirty(d, lane);
}


bool
esd_lane_check(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane)
{
    const es_feed_t  *feed;

    feed = &lane->source->feed;

    if (strcmp(lane->epoch, feed->epoch) != 0) {
        esd_loss_epoch(d, txn, lane, ES_LOSS_RESET);
        esd_log_line(ESD_LOG_INFO,
                     "feed \"%s\" was reset: endpoint %s goes on "
                     "at the beginning of epoch %s", feed->name,
                     lane->target->name, feed->epoch);
        esd_lane_restart(d, lane, 0);
    }

    if (lane->position + 1 < feed->oldest) {
        if (esd_loss_ending(txn, lane)) {
            return false;
        }

        esd_loss_overtaken(d, lane);
        lane->position = feed->oldest - 1;
        lane->matched = lane->position;
        esd_lane_dirty(d, lane);
    }

    return true;
}


void
esd_lane_wait(esd_dispatcher_t *d, esd_lane_t *lane, const esd_item_t *item)
{
    if (!esd_waiting_add(lane, item)) {
        esd_out_of_memory();
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
esd_lane_unwait(esd_dispatcher_t *d, esd_lane_t *lane, size_t i)
{
    lane->npending -= !lane->waiting[i].recorded;
    lane->target->failed -= lane->waiting[i].attempts > 0;
    lane->target->asked -= lane->waiting[i].asked;
    d->nwaiting--;
    esd_waiting_take(lane, i);
}


bool
esd_lane_room(const esd_dispatcher_t *d, const esd_lane_t *lane, size_t more)
{
    size_t  n, min, max;

    n = lane->nwaiting + more;
    max = d->options.max_waiting;
    min = max / 2 < ESD_WAITING_MIN ? max / 2 : ESD_WAITING_MIN;

    return n < min || (d->nwaiting < max && n < max - d->nwaiting);
}


/* Its record, with what is known of it. */

static void
esd_lane_record(esd_dispatcher_t *d, esd_lane_t *lane, esd_item_t *item)
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

    esd_must(d, es_changes_retry(d->recorder.filling, &retry));
}


void
esd_lane_retry(esd_dispatcher_t *d, esd_lane_t *lane, esd_item_t *item,
    int64_t next_ms)
{
    item->next_ms = next_ms;
    esd_lane_record(d, lane, item);
    esd_lane_wait(d, lane, item);
}


void
esd_lane_note(esd_dispatcher_t *d, esd_lane_t *lane, esd_item_t *item)
{
    lane->npending -= !item->recorded;
    esd_lane_record(d, lane, item);
    esd_lane_dirty(d, lane);
}


void
esd_lane_drop(esd_dispatcher_t *d, esd_lane_t *lane, const esd_item_t *item)
{
    if (item->recorded) {
        lane->target->retries--;
        esd_must(d, es_changes_retry_done(d->recorder.filling,
                                          lane->target->number,
                                          lane->source->feed.number,
                                          item->sequence));
    }
}


void
esd_lane_done(esd_dispatcher_t *d, esd_lane_t *lane, const esd_item_t *item)
{
    esd_lane_drop(d, lane, item);

    /* who is held itself holds nobody */

    if (!item->held) {
        esd_ordering_release(lane, item->key);
    }
}


/* What its record says, whose change wakes it. */

bool
esd_target_enabled(const esd_target_t *target)
{
    return !target->stopped
           && !target->conf->paused
           && target->nsigners > 0
           && !target->conf->partner->disabled;
}


void
esd_lane_wake(esd_dispatcher_t *d, esd_lane_t *lane)
{
    if (lane->ready == NULL && esd_target_enabled(lane->target)) {
        lane->ready = lane->target->doubted ? &d->later : &d->ready;
        TAILQ_INSERT_TAIL(lane->ready, lane, in_ready);
    }
}


void
esd_lane_dirty(esd_dispatcher_t *d, esd_lane_t *lane)
{
    if (!lane->dirty) {
        lane->dirty = true;
        TAILQ_INSERT_TAIL(&d->recorder.dirty, lane, in_dirty);
    }

    esd_recorder_touch(d);
}


/* A time further away than any delay is of an earlier run, whose clock has
   since been put back. */

static bool
esd_lane_item_due(const esd_lane_t *lane, int64_t next_ms, int64_t now_ms)
{
    return next_ms <= now_ms
           || (next_ms != INT64_MAX
               && next_ms - now_ms > lane->target->longest_ms);
}


void
esd_lanes_due(esd_dispatcher_t *d)
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
                || (lane->nwaiting > 0 && esd_lane_item_due(lane, lane->due_ms,
                                                            now_ms))
                || (lane->stuck_ms != 0
                    && esd_lane_item_due(lane, lane->stuck_ms, now_ms))
                || (lane->linger_ms != 0 && lane->linger_ms <= wall_ms))
            {
                esd_lane_wake(d, lane);
            }
        }

        target->throttled_us = 0;
    }
}


static bool
esd_target_sendable(const esd_dispatcher_t *d, const esd_target_t *target)
{
    return !d->halted
           && !d->stopping
           && esd_target_enabled(target)
           && target->throttled_us == 0;
}


static void
esd_lane_unread(const esd_lane_t *lane, uint64_t sequence, es_rc_t rc)
{
    esd_log_line(ESD_LOG_ERROR, "cannot read event %s-%llu of feed \"%s\" for "
                 "endpoint %s: %s; trying again in %d s", lane->epoch,
                 (unsigned long long) sequence, lane->source->feed.name,
                 lane->target->name, es_reason(rc), ESD_STUCK_MS / 1000);
}


void
esd_lane_stuck(esd_lane_t *lane, uint64_t sequence, es_rc_t rc)
{
    lane->stuck_ms = esd_schedule_ms(lane->target->d) + ESD_STUCK_MS;
    lane->stuck_at = sequence;
    esd_lane_unread(lane, sequence, rc);
}


/* An event that retention has taken before its retry. */

static void
esd_lane_lost(esd_dispatcher_t *d, esd_lane_t *lane, const esd_item_t *item)
{
    es_dead_t  dead;

    esd_log_line(ESD_LOG_WARN, "retention of feed \"%s\" has taken event "
                 "%s-%llu before endpoint %s had it, after %u attempts",
                 lane->source->feed.name, lane->epoch,
                 (unsigned long long) item->sequence, lane->target->name,
                 item->attempts);

    dead.endpoint = lane->target->number;
    dead.feed = lane->source->feed.number;
    memcpy(dead.epoch, lane->epoch, sizeof(dead.epoch));
    dead.sequence = item->sequence;
    dead.prevcursor = item->prev;
    dead.time_ms = esd_clock_stamp_ms(d);
    dead.attempts = item->attempts;
    dead.status = item->status;
    dead.klass = ES_ATTEMPT_INTERNAL;
    (void) snprintf(dead.reason, sizeof(dead.reason), "retention has taken "
                    "the event");
    esd_record_dead(d, &dead);
    esd_notice_exhausted(d, lane, &dead, NULL, dead.reason);

    esd_lane_done(d, lane, item);
    esd_lane_dirty(d, lane);
}


/* True when the lane's turn did something, so that it may have another. */

static bool
esd_lane_resend(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane, size_t i)
{
    es_rc_t      rc;
    esd_item_t   item;
    esd_send_t  *send;
    es_event_t   event;

    item = lane->waiting[i];
    item.asked = false;

    rc = es_event_get(txn, &lane->source->feed, item.sequence, &event);

    if (rc == ES_NOT_FOUND) {
        esd_lane_unwait(d, lane, i);
        esd_lane_lost(d, lane, &item);
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

    if (send != NULL) {
        esd_message_begin(send);
        rc = esd_message_add(send, lane, &item, &event);
    }

    rc = send == NULL ? ES_NOMEM : rc == ES_OK ? esd_send_start(send, lane)
                                               : rc;
    if (rc != ES_OK) {
        esd_lane_stuck(lane, item.sequence, rc);
        return false;
    }

    esd_lane_unwait(d, lane, i);

    return true;
}


/* The feed as this read sees it; false when it is gone, which the next look
   at the log takes in. */

static bool
esd_source_update(esd_dispatcher_t *d, es_txn_t *txn, esd_source_t *source)
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
esd_target_room(const esd_target_t *target)
{
    unsigned  window, kept;

    window = (unsigned) target->window;

    if (target->failed == 0 || window < ESD_RETRY_SLOTS_FROM) {
        return true;
    }

    kept = window / 8 > 0 ? window / 8 : 1;

    return target->in_flight - target->retrying < window - kept;
}


/* In other modes than `fifo`.  Failed events have half of the places and every
   other turn, or all when nothing else is there: many that fail must not hold
   back those that would not, however few may be sent.  What was in flight when
   the last run ended goes first; what is held is none of it, see
   ordering.c. */

static bool
esd_lane_choose(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    int64_t now_ms)
{
    bool           due, fresh, room, retry;
    esd_target_t  *target;

    target = lane->target;
    due = lane->nwaiting > 0 && esd_lane_item_due(lane, lane->due_ms, now_ms);
    fresh = lane->npending == 0 && lane->position < lane->source->feed.last;

    if (fresh && !esd_lane_room(d, lane, 0)) {
        fresh = false;

        if (lane->stall.reason != ES_STALL_FULL) {
            esd_stall_check(d, lane);
        }
    }

    room = fresh && esd_target_room(target);
    retry = due && (!fresh || target->retrying < 1 + target->window / 2);

    if (retry && (!room || !lane->retried)) {
        lane->retried = true;
        return esd_lane_resend(d, txn, lane,
                               esd_waiting_first(lane, ESD_BY_DUE));
    }

    lane->retried = false;
    target->full |= fresh && !room;

    if (room && esd_next_event(d, txn, lane)) {
        return true;
    }

    return retry && lane->stuck_ms == 0
           && esd_lane_resend(d, txn, lane, esd_waiting_first(lane,
                                                              ESD_BY_DUE));
}


static bool
esd_lane_turn(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane)
{
    bool           fifo, again;
    int64_t        now_ms;
    size_t         i;
    esd_target_t  *target;

    target = lane->target;
    fifo = target->conf->ordering == ES_ORDER_FIFO;

    if (!esd_target_sendable(d, target)) {
        return false;
    }

    if (fifo ? !TAILQ_EMPTY(&lane->sends)
             : target->in_flight >= (unsigned) target->window)
    {
        target->full |= !fifo;
        return false;
    }

    if (!esd_health_room(target)
        || !esd_slot_room(d, lane)
        || !esd_rate_room(target))
    {
        return false;
    }

    if (!esd_source_update(d, txn, lane->source)
        || !esd_lane_check(d, txn, lane))
    {
        return false;
    }

    now_ms = lane->nwaiting > 0 || lane->stuck_ms != 0 ? esd_schedule_ms(d)
                                                       : 0;

    if (lane->stuck_ms != 0) {
        if (!esd_lane_item_due(lane, lane->stuck_ms, now_ms)) {
            return false;
        }

        lane->stuck_ms = 0;
    }

    if (target->conf->nudge > 0 && esd_nudge_turn(d, txn, lane, &again)) {
        return again;
    }

    if (fifo) {
        if (lane->nwaiting == 0) {
            return esd_next_event(d, txn, lane);
        }

        if (esd_simulate_swap(lane)) {
            return esd_next_event(d, txn, lane);
        }

        /* without keys that is the first in sequence */

        i = esd_waiting_first(lane, ESD_BY_KEY);
        return esd_lane_item_due(lane, lane->waiting[i].next_ms, now_ms)
               && esd_lane_resend(d, txn, lane, i);
    }

    return esd_lane_choose(d, txn, lane, now_ms);
}


/* The next one to have its turn.  Who is doubted comes last, and not often: it
   takes a new connection each time, and may never answer.  But it does come,
   however much the others have to do. */

static esd_lane_t *
esd_lanes_next(esd_dispatcher_t *d)
{
    esd_lane_t  *lane, *later;

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
esd_lanes_held(const esd_dispatcher_t *d)
{
    return d->stopping
           || d->halted
           || esd_proxy_holds(d)
           || esd_loop_short(d)
           || d->in_flight >= d->options.max_connections;
}


static bool
esd_lanes_any(const esd_dispatcher_t *d)
{
    return (!TAILQ_EMPTY(&d->ready) && esd_slots_left(d))
           || !TAILQ_EMPTY(&d->later);
}


bool
esd_lanes_pump(esd_dispatcher_t *d)
{
    int          turns;
    es_rc_t      rc;
    es_txn_t    *txn;
    esd_lane_t  *lane;

    if (esd_lanes_held(d)) {
        return false;
    }

    (void) esd_slots_wake(d);

    if (!esd_lanes_any(d)) {
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
        lane = esd_lanes_next(d);

        if (lane == NULL) {

            /* who was woken may have had nothing to send */

            if (esd_lanes_any(d) || !esd_slots_wake(d)) {
                break;
            }

            continue;
        }

        if (esd_lane_turn(d, txn, lane)) {
            esd_lane_wake(d, lane);
        }
    }

    es_txn_end(txn);

    return !esd_lanes_held(d) && esd_lanes_any(d);
}
