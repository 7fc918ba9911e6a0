/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A lane: the deliveries of one feed to one endpoint, and their progress.
 *
 * A lane has taken the log up to `position`.  Each event that it has taken and
 * not finished is in flight or waiting.  A waiting event is a retry, with a
 * record of its own on disk, or was in flight when the last run ended; then the
 * progress record lists it as pending until it has an outcome.
 */

#include <ev.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/assert.h"
#include "base/base.h"
#include "delivery/away_feeds.h"
#include "delivery/delivery.h"
#include "log/feed.h"
#include "store/txn.h"

#include "about.h"
#include "dispatcher.h"
#include "figures.h"
#include "item.h"
#include "lane.h"
#include "log.h"
#include "ready.h"
#include "recorder.h"
#include "schedule.h"
#include "send.h"
#include "target.h"
#include "types.h"
#include "waiting.h"

#define ESD_WAITING_MIN  1000      /* that every lane may have */


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

    if (lane->encrypting) {
        TAILQ_REMOVE(&d->encrypt.waiting, lane, in_encrypt);
    }

    if (d->encrypt.lane == lane) {
        d->encrypt.lane = NULL;
    }

    esd_ready_leave_slots(lane);

    TAILQ_REMOVE(&lane->source->lanes, lane, in_source);
    TAILQ_REMOVE(&lane->target->lanes, lane, in_target);
    free(lane);
}


esd_lane_t *
esd_lane_of(const esd_target_t *target, const esd_source_t *source)
{
    esd_lane_t  *lane;

    esd_each(lane, &target->lanes, in_target) {
        if (lane->source == source) {
            return lane;
        }
    }

    return NULL;
}


esd_lane_t *
esd_lane_find(const esd_dispatcher_t *d, const esd_target_t *target,
    uint32_t feed)
{
    esd_source_t  *source;

    source = feed < d->nsources ? d->sources[feed] : NULL;

    return source ? esd_lane_of(target, source) : NULL;
}


size_t
esd_lane_find_item(const esd_lane_t *lane, uint64_t key, uint64_t sequence)
{
    size_t  i;

    i = esd_waiting_find(lane, key, sequence);

    return i != ESD_NO_ITEM && lane->waiting[i].sequence == sequence
           ? i : ESD_NO_ITEM;
}


/* Drops all events in flight or waiting. */

void
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
        lane->target->requested -= lane->waiting[i].requested;
    }

    d->nwaiting -= lane->nwaiting;
    esd_waiting_clear(lane);
    esd_figures_changed(d, lane->target);
    lane->npending = 0;
    lane->ndeferred = 0;
    lane->swapped = 0;
    esd_lane_stop_lingering(d, lane);
    esd_lane_reset_nudge(lane);
}


void
esd_lane_linger(esd_dispatcher_t *d, esd_lane_t *lane, int64_t until_ms)
{
    d->nlingering += (until_ms != 0) - (size_t) (lane->linger_ms != 0);
    lane->linger_ms = until_ms;

    if (until_ms != 0 && !ev_is_active(&d->tock)) {
        ev_timer_again(d->loop.ev, &d->tock);
    }
}


void
esd_lane_stop_lingering(esd_dispatcher_t *d, esd_lane_t *lane)
{
    esd_lane_linger(d, lane, 0);
}


void
esd_lane_reset_nudge(esd_lane_t *lane)
{
    lane->ahead = 0;
    lane->nahead = 0;
    lane->nudges = 0;
}


void
esd_lane_wait(esd_dispatcher_t *d, esd_lane_t *lane, const esd_item_t *item)
{
    if (!esd_waiting_add(lane, item)) {
        esd_out_of_memory();
    }

    lane->npending += !item->recorded;
    lane->ndeferred += item->deferred_ms != 0;
    lane->target->failed += item->attempts > 0;
    lane->target->requested += item->requested;
    d->nwaiting++;
    esd_figures_changed(d, lane->target);

    if (!ev_is_active(&d->tock)) {
        ev_timer_again(d->loop.ev, &d->tock);
    }
}


void
esd_lane_unwait(esd_dispatcher_t *d, esd_lane_t *lane, size_t i)
{
    const esd_item_t  *item;

    item = &lane->waiting[i];

    ES_ASSERT(item->recorded || lane->npending > 0);               /* I7 */
    ES_ASSERT(d->nwaiting > 0);

    lane->npending -= !item->recorded;
    lane->ndeferred -= item->deferred_ms != 0;
    lane->target->failed -= item->attempts > 0;
    lane->target->requested -= item->requested;
    d->nwaiting--;
    esd_figures_changed(d, lane->target);
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


/* Writes the retry record of an item. */

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
    retry.deferred_ms = item->deferred_ms;
    retry.prevcursor = item->prev;
    retry.batch = item->batch;

    esd_must(d, es_changeset_retry(d->recorder.filling, &retry));
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
    ES_ASSERT(item->recorded || lane->npending > 0);               /* I7 */

    lane->npending -= !item->recorded;
    esd_lane_record(d, lane, item);
    esd_lane_dirty(d, lane);
}


void
esd_lane_drop(esd_dispatcher_t *d, esd_lane_t *lane, const esd_item_t *item)
{
    if (item->recorded) {
        lane->target->retries--;
        esd_must(d, es_changeset_retry_done(d->recorder.filling,
                                            lane->target->number,
                                            lane->source->feed.number,
                                            item->sequence));
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


void
esd_lane_unread(const esd_lane_t *lane, uint64_t sequence, es_rc_t rc)
{
    esd_log_about(ESD_LOG_ERROR, esd_about_event(lane, sequence),
                  "cannot read event %s-%llu of feed \"%s\" for endpoint "
                  "%s: %s; trying again in %d s",
                  es_feed_epoch_of(&lane->source->feed, sequence),
                  (unsigned long long) sequence, lane->source->feed.name,
                  lane->target->name,
                  rc == ES_DENIED ? "its field lists cannot be applied"
                                  : es_reason(rc),
                  ESD_STUCK_MS / 1000);
}


void
esd_lane_stuck(esd_lane_t *lane, uint64_t sequence, es_rc_t rc)
{
    lane->stuck_ms = esd_schedule_ms(lane->target->d) + ESD_STUCK_MS;
    lane->stuck_at = sequence;
    lane->refused = rc == ES_DENIED;

    if (rc != ES_PENDING) {
        esd_lane_unread(lane, sequence, rc);

    } else if (!lane->encrypting) {
        lane->encrypting = true;
        TAILQ_INSERT_TAIL(&lane->target->d->encrypt.waiting, lane, in_encrypt);
    }
}
