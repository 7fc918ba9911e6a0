/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Somebody asks that the event which a lane stands on is not waited
 * for any more.
 *
 * In `fifo` a lane stands on the first of what it has taken and is not done
 * with, or on the next event if there is none.  In `key` every subject stands
 * on its first event, and in `none` an event that waits stands for itself.
 */

#include <stdio.h>

#include "dispatcher.h"


/* Takes the event out of the request that has it in flight.  Others of a batch
   wait again. */

static void
es_skip_send(es_dispatcher_t *d, es_lane_t *lane, es_send_t *send,
    uint64_t sequence, es_item_t *item)
{
    unsigned  i;

    for (i = 0; i < send->nitems; i++) {
        if (send->items[i].sequence == sequence) {
            *item = send->items[i];

        } else if (send->items[i].acked) {
            es_lane_done(d, lane, &send->items[i]);

        } else {
            es_lane_wait(d, lane, &send->items[i]);
        }
    }

    es_send_end(send);
}


static es_send_t *
es_skip_sending(const es_lane_t *lane, uint64_t sequence)
{
    unsigned    i;
    es_send_t  *send;

    es_each(send, &lane->sends, link) {
        for (i = 0; i < send->nitems; i++) {
            if (send->items[i].sequence == sequence) {
                return send;
            }
        }
    }

    return NULL;
}


/* The next event to be taken from the log; 0: there is none. */

static uint64_t
es_skip_next(es_txn_t *txn, const es_lane_t *lane)
{
    uint64_t           scanned;
    es_event_t         event;
    const es_feed_t   *feed;

    feed = &lane->source->feed;

    if (lane->position >= feed->last) {
        return 0;
    }

    switch (es_event_next(txn, feed, lane->position,
                          &lane->target->conf->filter, &event, &scanned))
    {
    case ES_OK:
        return event.sequence;
    case ES_NOT_FOUND:
        return 0;
    default:
        return scanned;
    }
}


/* Takes the event off the lane, if that stands on it; otherwise `*first` is the
   one on which it does, or 0. */

static bool
es_skip_take(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane,
    uint64_t sequence, es_item_t *item, uint64_t *first)
{
    size_t      i, n;
    es_send_t  *send;

    memset(item, 0, sizeof(es_item_t));
    *first = UINT64_MAX;
    n = es_lane_items(lane, first);

    if (n == 0) {
        *first = es_skip_next(txn, lane);
    }

    if (lane->target->conf->ordering == ES_ORDER_FIFO && *first != sequence) {
        return false;
    }

    send = es_skip_sending(lane, sequence);

    if (send != NULL) {
        es_skip_send(d, lane, send, sequence, item);
        return true;
    }

    i = es_lane_at(lane, es_key_read(txn, lane, sequence), sequence);

    if (i != ES_NO_ITEM) {
        *item = lane->waiting[i];

        if (item->held) {
            return false;
        }

        es_lane_unwait(d, lane, i);
        return true;
    }

    if (n > 0 || *first != sequence || sequence == 0) {
        return false;
    }

    item->sequence = sequence;
    item->prev = es_filter_is_all(&lane->target->conf->filter)
                 ? sequence - 1 : lane->matched;
    lane->position = sequence;
    lane->matched = sequence;
    es_fresh_leave(d, lane);

    return true;
}


static void
es_skip_dead(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane,
    const es_item_t *item, const char *by)
{
    char        id[ES_ID_MAX + 1] = "";
    es_dead_t   dead;
    es_event_t  event;

    if (es_event_get(txn, &lane->source->feed, item->sequence, &event)
        == ES_OK)
    {
        (void) snprintf(id, sizeof(id), "%.*s", (int) event.id.len,
                        event.id.data);
    }

    memset(&dead, 0, sizeof(dead));
    dead.endpoint = lane->target->number;
    dead.feed = lane->source->feed.number;
    memcpy(dead.epoch, lane->epoch, sizeof(dead.epoch));
    dead.sequence = item->sequence;
    dead.prevcursor = item->prev;
    dead.time_ms = es_stamp_ms(d);

    /* as of one that dies in a redrive, see judge.c */

    if (dead.time_ms <= lane->target->redrive_ms) {
        dead.time_ms = lane->target->redrive_ms + 1;
    }

    dead.attempts = item->attempts;
    dead.status = item->status;
    dead.klass = ES_ATTEMPT_SKIPPED;
    (void) snprintf(dead.reason, sizeof(dead.reason), "skipped by %s", by);

    es_lane_done(d, lane, item);
    es_record_dead(d, &dead);
    es_notice_skipped(d, lane, &dead, id[0] != '\0' ? id : NULL, by);

    es_log_line(ES_LOG_WARN, "endpoint %s: event %s-%llu of feed \"%s\" is "
                "skipped after %u attempts and a dead letter, by %s",
                lane->target->name, lane->epoch,
                (unsigned long long) item->sequence, lane->source->feed.name,
                item->attempts, by);
}


void
es_skip(es_dispatcher_t *d, es_txn_t *txn, es_target_t *target,
    const es_request_t *request)
{
    char            cursor[ES_CURSOR_MAX] = "none";
    char            detail[ES_REASON_MAX + ES_CURSOR_MAX];
    uint64_t        first;
    es_item_t       item;
    es_lane_t      *lane;
    es_clearing_t   clearing;

    if (es_clearing_read(request, &clearing) != ES_OK) {
        es_clear_reply(d, request, "", ES_CORRUPT, 0, "cannot be read");
        return;
    }

    lane = es_lane_find(d, target, request->feed);

    if (lane == NULL || strcmp(lane->epoch, request->epoch) != 0) {
        es_clear_reply(d, request, clearing.by, ES_CONFLICT, 0,
                       "the endpoint is not sent this feed or epoch");

    } else if (!es_skip_take(d, txn, lane, request->sequence, &item, &first)) {
        if (first != 0 && first != UINT64_MAX) {
            (void) es_cursor_print(lane->epoch, first, cursor);
        }

        (void) snprintf(detail, sizeof(detail), "the endpoint does not stand "
                        "on it; the first of all that waits is %s", cursor);
        es_clear_reply(d, request, clearing.by, ES_CONFLICT, 0, detail);

    } else {
        es_skip_dead(d, txn, lane, &item, clearing.by);
        es_clear_reply(d, request, clearing.by, ES_OK, 1, NULL);

        lane->stuck_ms = 0;
        lane->swapped = 0;
        es_nudge_reset(lane);
        es_lane_dirty(d, lane);
        es_stall_look(d, lane);
        es_lane_wake(d, lane);
    }

    es_clearing_free(&clearing);
}
