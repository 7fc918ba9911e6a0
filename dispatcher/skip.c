/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Skip: makes the event that blocks a lane a dead letter.
 *
 * In `fifo` the first unfinished event of a lane blocks it, or the next event
 * of the log if there is none.  In `key` the first event of each subject
 * blocks that subject.  In `none` a waiting event blocks only itself.
 */

#include <stdio.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "event/attribute.h"
#include "event/cursor.h"
#include "event/filter.h"
#include "log/feed.h"
#include "manage/clearing.h"
#include "read/reader.h"
#include "registry/control_request.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "about.h"
#include "clearing.h"
#include "dispatcher.h"
#include "item.h"
#include "lane.h"
#include "log.h"
#include "loss.h"
#include "notice.h"
#include "ordering.h"
#include "ready.h"
#include "recorder.h"
#include "send.h"
#include "skip.h"
#include "stall.h"
#include "target.h"
#include "types.h"
#include "waiting.h"


/* Removes the event from the request in flight.  The other events of a batch
   wait again. */

static void
esd_skip_send(esd_dispatcher_t *d, esd_lane_t *lane, esd_send_t *send,
    uint64_t sequence, esd_item_t *item)
{
    unsigned  i;

    for (i = 0; i < send->nitems; i++) {
        if (send->items[i].sequence == sequence) {
            *item = send->items[i];

        } else if (send->items[i].acked) {
            esd_ordering_done(d, lane, &send->items[i]);

        } else {
            esd_lane_wait(d, lane, &send->items[i]);
        }
    }

    esd_send_end(send);
}


static esd_send_t *
esd_skip_sending(const esd_lane_t *lane, uint64_t sequence)
{
    unsigned     i;
    esd_send_t  *send;

    esd_each(send, &lane->sends, link) {
        for (i = 0; i < send->nitems; i++) {
            if (send->items[i].sequence == sequence) {
                return send;
            }
        }
    }

    return NULL;
}


/* The next event that the lane would take from the log; 0: there is none. */

static uint64_t
esd_skip_next(es_txn_t *txn, const esd_lane_t *lane)
{
    es_rc_t           rc;
    uint64_t          scanned;
    es_event_t        event;
    const es_feed_t  *feed;

    feed = &lane->source->feed;

    if (lane->position >= feed->last) {
        return 0;
    }

    rc = es_event_next(txn, feed, lane->position, &lane->target->conf->filter,
                       &event, &scanned);

    return rc == ES_OK ? event.sequence : rc == ES_NOT_FOUND ? 0 : scanned;
}


/* Removes the event if it blocks the lane; otherwise `*first` becomes the event
   that does, or 0. */

static bool
esd_skip_take(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    uint64_t sequence, esd_item_t *item, uint64_t *first)
{
    size_t       i, n;
    esd_send_t  *send;

    memset(item, 0, sizeof(esd_item_t));
    *first = UINT64_MAX;
    n = esd_loss_items(lane, first);

    if (n == 0) {
        *first = esd_skip_next(txn, lane);
    }

    if (lane->target->conf->ordering == ES_ORDER_FIFO && *first != sequence) {
        return false;
    }

    send = esd_skip_sending(lane, sequence);

    if (send != NULL) {
        esd_skip_send(d, lane, send, sequence, item);
        return true;
    }

    i = esd_lane_find_item(lane, esd_ordering_key_at(txn, lane, sequence),
                           sequence);

    if (i != ESD_NO_ITEM) {
        *item = lane->waiting[i];

        if (item->held) {
            return false;
        }

        esd_lane_unwait(d, lane, i);
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
    esd_lane_stop_lingering(d, lane);

    return true;
}


static void
esd_skip_dead(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    const esd_item_t *item, const char *by)
{
    char        id[ES_ID_MAX + 1] = "", reason[ES_REASON_MAX];
    es_dead_t   dead;
    es_event_t  event;

    if (es_event_get(txn, &lane->source->feed, item->sequence, &event)
        == ES_OK)
    {
        (void) snprintf(id, sizeof(id), "%.*s", (int) event.id.len,
                        event.id.data);
    }

    (void) snprintf(reason, sizeof(reason), "skipped by %s", by);

    esd_ordering_done(d, lane, item);
    esd_record_dead(d, lane, item, ES_ATTEMPT_SKIPPED, reason, &dead);
    esd_notice_skipped(d, lane, &dead, id[0] != '\0' ? id : NULL, by);

    esd_log_about(ESD_LOG_WARN, esd_about_event(lane, item->sequence),
                  "endpoint %s: event %s-%llu of feed \"%s\" was skipped "
                  "after %u attempts and is a dead letter, by %s",
                  lane->target->name,
                  es_feed_epoch_of(&lane->source->feed, item->sequence),
                  (unsigned long long) item->sequence, lane->source->feed.name,
                  item->attempts, by);
}


void
esd_skip(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target,
    const es_control_request_t *request)
{
    char            cursor[ES_CURSOR_MAX] = "none";
    char            detail[ES_REASON_MAX + ES_CURSOR_MAX];
    uint64_t        first;
    esd_item_t      item;
    esd_lane_t     *lane;
    es_clearing_t   clearing;

    if (es_clearing_read(request, &clearing) != ES_OK) {
        esd_clearing_reply(d, request, "", ES_CORRUPT, 0,
                           "the request cannot be read");
        return;
    }

    lane = esd_lane_find(d, target, request->feed);

    if (lane == NULL
        || !es_feed_has(&lane->source->feed, request->epoch,
                        request->sequence))
    {
        esd_clearing_reply(d, request, clearing.by, ES_CONFLICT, 0,
                           "the endpoint does not receive this feed or epoch");

    } else if (!esd_skip_take(d, txn, lane, request->sequence, &item,
                              &first)) {
        if (first != 0 && first != UINT64_MAX) {
            (void) es_feed_cursor(&lane->source->feed, first, cursor);
        }

        (void) snprintf(detail, sizeof(detail), "the event does not block "
                        "the endpoint; the first event that waits is %s",
                        cursor);
        esd_clearing_reply(d, request, clearing.by, ES_CONFLICT, 0, detail);

    } else {
        esd_skip_dead(d, txn, lane, &item, clearing.by);
        esd_clearing_reply(d, request, clearing.by, ES_OK, 1, NULL);

        lane->stuck_ms = 0;
        lane->swapped = 0;
        esd_lane_reset_nudge(lane);
        esd_lane_dirty(d, lane);
        esd_stall_check(d, lane);
        esd_ready_lane(d, lane);
    }

    es_clearing_free(&clearing);
}
