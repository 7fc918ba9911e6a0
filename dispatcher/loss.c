/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Loss: events that an endpoint will never receive.
 *
 * A loss is logged, counted and announced by an operational event.  Retention
 * may overtake the same lane with every commit, so the first loss is announced
 * at once and later ones once a minute as a sum.  Losses that are not announced
 * yet are stored, so that the next run announces them.
 */

#include "base/base.h"
#include "base/clock.h"
#include "delivery/away_feeds.h"
#include "event/cursor.h"
#include "log/ended_epochs.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "about.h"
#include "dispatcher.h"
#include "lane.h"
#include "log.h"
#include "loss.h"
#include "notice.h"
#include "recorder.h"
#include "saved_state.h"
#include "send.h"
#include "target.h"
#include "types.h"

#define ESD_LOSS_US    60000000    /* between two announcements of a lane */
#define ESD_ENDING_US  5000000     /* that deleting a slice may take */


size_t
esd_loss_items(const esd_lane_t *lane, uint64_t *first)
{
    size_t             i, n;
    const esd_send_t  *send;

    n = lane->nwaiting;

    for (i = 0; i < lane->nwaiting; i++) {
        *first = lane->waiting[i].sequence < *first
                 ? lane->waiting[i].sequence : *first;
    }

    esd_each(send, &lane->sends, link) {
        n += send->nitems;

        for (i = 0; i < send->nitems; i++) {
            *first = send->items[i].sequence < *first
                     ? send->items[i].sequence : *first;
        }
    }

    return n;
}


void
esd_loss_away(const esd_lane_t *lane, es_away_t *away)
{
    es_str_t  operations;

    memset(away, 0, sizeof(es_away_t));
    away->endpoint = lane->target->number;
    away->feed = lane->source->feed.number;
    memcpy(away->name, lane->target->name, sizeof(lane->target->name));
    memcpy(away->feed_name, lane->source->feed.name,
           sizeof(lane->source->feed.name));

    operations = lane->target->conf->partner->operations;

    if (operations.data != NULL) {
        memcpy(away->operations, operations.data, operations.len);
    }
}


static void
esd_loss_log(const es_away_t *away, const es_loss_t *loss)
{
    char                from[ES_CURSOR_MAX], to[ES_CURSOR_MAX];
    unsigned long long  n;

    n = (unsigned long long) loss->count;
    (void) es_cursor_print(loss->epoch, loss->from, from);
    (void) es_cursor_print(loss->epoch, loss->to, to);

    switch ((es_loss_reason_t) loss->reason) {

    case ES_LOSS_RETENTION:
        esd_log_about(ESD_LOG_WARN, esd_about_away(away),
                      "retention of feed \"%s\" has overtaken endpoint %s: "
                      "%llu events, %s to %s, were deleted without delivery",
                      away->feed_name, away->name, n, from, to);
        break;

    case ES_LOSS_RESET:
        esd_log_about(ESD_LOG_WARN, esd_about_away(away),
                      "feed \"%s\" was reset: %llu events, %s to %s, were "
                      "deleted without delivery to endpoint %s",
                      away->feed_name, n, from, to, away->name);
        break;

    case ES_LOSS_REMOVED:
        esd_log_about(ESD_LOG_WARN, esd_about_away(away),
                      "feed \"%s\" was removed: %llu events, %s to %s, were "
                      "deleted without delivery to endpoint %s",
                      away->feed_name, n, from, to, away->name);
        break;

    case ES_LOSS_AWAY:
        esd_log_about(ESD_LOG_WARN, esd_about_away(away),
                      "endpoint %s has not received feed \"%s\" for 30 "
                      "days: its position is deleted, with %llu undelivered "
                      "events, %s to %s", away->name, away->feed_name, n, from,
                      to);
        break;

    case ES_LOSS_REASONS:
        break;
    }
}


void
esd_loss_report(esd_dispatcher_t *d, const es_away_t *away,
    const es_loss_t *loss)
{
    if (loss->count == 0) {
        return;
    }

    esd_loss_log(away, loss);

    d->lost += loss->count;
    esd_must(d, es_changeset_lost(d->recorder.filling, d->lost));
    esd_must(d, es_changeset_loss_done(d->recorder.filling, away->endpoint,
                                       away->feed));
    esd_notice_lost(d, away, loss);
}


/* Announces what the lane has lost, if anything. */

static void
esd_loss_flush(esd_dispatcher_t *d, esd_lane_t *lane)
{
    es_away_t  away;

    if (lane->loss.count > 0) {
        esd_loss_away(lane, &away);
        esd_loss_report(d, &away, &lane->loss);
        lane->loss.count = 0;
        lane->loss_us = es_clock_mono_us();
    }
}


void
esd_loss_tick(esd_dispatcher_t *d, esd_lane_t *lane)
{
    if (lane->loss.count > 0
        && (lane->loss_us == 0
            || es_clock_mono_us() - lane->loss_us > ESD_LOSS_US))
    {
        esd_loss_flush(d, lane);
    }
}


/* Counts the events that retention has deleted before the oldest one. */

void
esd_loss_overtaken(esd_dispatcher_t *d, esd_lane_t *lane)
{
    es_loss_t  *loss;

    loss = &lane->loss;

    if (loss->count == 0 || strcmp(loss->epoch, lane->epoch) != 0) {
        esd_loss_flush(d, lane);

        loss->endpoint = lane->target->number;
        loss->feed = lane->source->feed.number;
        memcpy(loss->epoch, lane->epoch, sizeof(loss->epoch));
        loss->reason = ES_LOSS_RETENTION;
        loss->count = 0;
        loss->from = lane->position + 1;
    }

    loss->to = lane->source->feed.oldest - 1;
    loss->count += loss->to - lane->position;

    esd_must(d, es_changeset_loss(d->recorder.filling, loss));
    esd_loss_tick(d, lane);
}


/* The undelivered events of an ended epoch; `n` and `first` describe the items
   of the position.  Events of which the log knows nothing are not counted. */

void
esd_loss_ended(es_txn_t *txn, const esd_saved_lane_t *saved, size_t n,
    uint64_t first, es_ended_epoch_t *ended, es_loss_t *loss)
{
    memset(loss, 0, sizeof(es_loss_t));
    loss->endpoint = saved->endpoint;
    loss->feed = saved->feed;
    memcpy(loss->epoch, saved->epoch, sizeof(loss->epoch));

    if (es_ended_epoch_get(txn, saved->feed, saved->epoch, ended) != ES_OK) {
        memset(ended, 0, sizeof(es_ended_epoch_t));
    }

    loss->count = n;
    loss->from = n > 0 && first <= saved->sequence ? first
                                                   : saved->sequence + 1;
    loss->to = saved->sequence;

    if (ended->last > saved->sequence) {
        loss->count += ended->last - saved->sequence;
        loss->to = ended->last;
    }
}


/* The lane's epoch has ended by a reset or with its feed. */

void
esd_loss_epoch(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    es_loss_reason_t reason)
{
    size_t            n;
    uint64_t          first;
    es_away_t         away;
    es_loss_t         loss;
    es_ended_epoch_t  ended;
    esd_saved_lane_t  saved = { .endpoint = lane->target->number,
                                .feed = lane->source->feed.number,
                                .sequence = lane->position };

    esd_loss_flush(d, lane);

    memcpy(saved.epoch, lane->epoch, sizeof(saved.epoch));
    first = UINT64_MAX;
    n = esd_loss_items(lane, &first);

    esd_loss_ended(txn, &saved, n, first, &ended, &loss);
    loss.reason = reason;

    esd_loss_away(lane, &away);
    esd_loss_report(d, &away, &loss);
}


void
esd_loss_beyond(esd_dispatcher_t *d, esd_lane_t *lane, size_t n,
    uint64_t first)
{
    es_away_t  away;
    es_loss_t  loss;

    esd_loss_flush(d, lane);

    memset(&loss, 0, sizeof(loss));
    loss.endpoint = lane->target->number;
    loss.feed = lane->source->feed.number;
    memcpy(loss.epoch, lane->epoch, sizeof(loss.epoch));
    loss.reason = ES_LOSS_RESET;
    loss.count = n;
    loss.from = first;
    loss.to = lane->position;

    esd_loss_away(lane, &away);
    esd_loss_report(d, &away, &loss);
}


/* True while a reset or a removal deletes the feed's events: the number of lost
   events is known only afterwards.  One that was killed is not waited for. */

bool
esd_loss_ending(es_txn_t *txn, esd_lane_t *lane)
{
    int64_t           now_us;
    es_ended_epoch_t  ended;

    if (es_ended_epoch_get(txn, lane->source->feed.number, lane->epoch, &ended)
        != ES_OK
        || ended.over)
    {
        return false;
    }

    now_us = es_clock_mono_us();

    if (lane->ending_ms != ended.time_ms) {
        lane->ending_ms = ended.time_ms;
        lane->ending_us = now_us;
    }

    return now_us - lane->ending_us < ESD_ENDING_US;
}
