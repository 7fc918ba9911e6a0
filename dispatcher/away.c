/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Lanes that are away: progress on feeds that an endpoint does not receive
 * now.  The records are those of delivery/away_feeds.h.
 *
 * A lane is away when the partner's grant or the endpoint's list no longer
 * has its feed, or when the endpoint is removed.  The position stays in
 * delivery/ with its retries for 30 days, and a lane that begins again takes
 * it over.
 */

#include <stdlib.h>

#include "base/base.h"
#include "delivery/away_feeds.h"
#include "delivery/delivery.h"
#include "event/cursor.h"
#include "log/ended_epochs.h"
#include "log/feed.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "about.h"
#include "away.h"
#include "dispatcher.h"
#include "item.h"
#include "lane.h"
#include "log.h"
#include "loss.h"
#include "notice.h"
#include "recorder.h"
#include "saved_state.h"
#include "send.h"
#include "stall.h"
#include "table.h"
#include "target.h"
#include "trusted_clock.h"
#include "types.h"

struct esd_away {
    esd_away_t        *next;           /* of the same endpoint */
    esd_saved_lane_t   saved;          /* its `away` is never NULL */
};


/* The link to the endpoint's position on the feed, or NULL. */

static esd_away_t **
esd_away_find(esd_dispatcher_t *d, uint32_t endpoint, uint32_t feed)
{
    esd_away_t  **link;

    if (endpoint >= d->naway) {
        return NULL;
    }

    for (link = &d->away[endpoint]; *link != NULL; link = &(*link)->next) {
        if ((*link)->saved.feed == feed) {
            return link;
        }
    }

    return NULL;
}


static void
esd_away_free(esd_away_t **link)
{
    esd_away_t  *away;

    away = *link;
    *link = away->next;

    free(away->saved.items);
    free(away->saved.away);
    free(away);
}


/* Takes over the contents of `saved`. */

static esd_away_t *
esd_away_add(esd_dispatcher_t *d, esd_saved_lane_t *saved)
{
    void          *slots;
    esd_away_t  *away;

    slots = esd_table_reserve(d->away, &d->naway, saved->endpoint);
    away = calloc(1, sizeof(esd_away_t));

    if (slots == NULL || away == NULL) {
        esd_out_of_memory();
    }

    d->away = slots;
    away->saved = *saved;
    away->next = d->away[saved->endpoint];
    d->away[saved->endpoint] = away;

    return away;
}


static uint64_t
esd_away_behind(const es_feed_t *feed, const esd_saved_lane_t *saved)
{
    return saved->nitems
           + (es_feed_has(feed, saved->epoch, saved->sequence)
              && feed->last > saved->sequence ? feed->last - saved->sequence
                                              : 0);
}


/* Records and announces that the position is kept. */

static void
esd_away_begin(esd_dispatcher_t *d, const es_feed_t *feed,
    const esd_saved_lane_t *saved, const char *why)
{
    char       cursor[ES_CURSOR_MAX];
    uint64_t   n;
    es_away_t  *away;

    away = saved->away;
    n = esd_away_behind(feed, saved);
    (void) es_cursor_print(saved->epoch, saved->sequence, cursor);

    esd_log_about(n > 0 ? ESD_LOG_WARN : ESD_LOG_INFO, esd_about_away(away),
                  "endpoint %s %s: its position on feed \"%s\", %s with "
                  "%llu undelivered events, is kept for 30 days", away->name,
                  why, away->feed_name, cursor, (unsigned long long) n);

    esd_must(d, es_changeset_away(d->recorder.filling, away));
    esd_notice_away(d, away, cursor, n);
}


static void
esd_away_items(esd_dispatcher_t *d, esd_lane_t *lane,
    esd_saved_lane_t *saved, const esd_item_t *items, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (items[i].acked) {
            esd_lane_drop(d, lane, &items[i]);

        } else {
            esd_must(d, esd_saved_item(saved, &items[i]));
        }
    }
}


void
esd_away_lane(esd_dispatcher_t *d, esd_lane_t *lane, const char *why)
{
    esd_send_t        *send;
    esd_away_t        *away;
    esd_saved_lane_t   saved;

    memset(&saved, 0, sizeof(saved));
    saved.endpoint = lane->target->number;
    saved.feed = lane->source->feed.number;
    memcpy(saved.epoch, lane->epoch, sizeof(saved.epoch));
    saved.sequence = lane->position;
    saved.matched = lane->matched;
    saved.loss = lane->loss;

    saved.away = malloc(sizeof(es_away_t));
    if (saved.away == NULL) {
        esd_out_of_memory();
    }

    esd_loss_away(lane, saved.away);
    saved.away->since_ms = esd_clock_stamp_ms(d);

    /* events in flight get no outcome any more and are sent again */

    esd_each(send, &lane->sends, link) {
        esd_away_items(d, lane, &saved, send->items, send->nitems);
    }

    esd_away_items(d, lane, &saved, lane->waiting, lane->nwaiting);

    esd_stall_end(d, lane);
    esd_record_progress(d, lane);
    away = esd_away_add(d, &saved);
    esd_away_begin(d, &lane->source->feed, &away->saved, why);

    esd_lane_destroy(d, lane);
}


esd_saved_lane_t *
esd_away_progress(esd_dispatcher_t *d, uint32_t endpoint, uint32_t feed)
{
    esd_away_t  **link;

    link = esd_away_find(d, endpoint, feed);

    return link ? &(*link)->saved : NULL;
}


void
esd_away_resumed(esd_dispatcher_t *d, const esd_saved_lane_t *saved)
{
    esd_away_t  **link;

    if (saved->away != NULL) {
        esd_log_about(ESD_LOG_INFO, esd_about_away(saved->away),
                      "endpoint %s receives feed \"%s\" again: it continues "
                      "after %s-%llu", saved->away->name,
                      saved->away->feed_name, saved->epoch,
                      (unsigned long long) saved->sequence);

        esd_must(d, es_changeset_away_done(d->recorder.filling,
                                           saved->endpoint, saved->feed));
    }

    link = esd_away_find(d, saved->endpoint, saved->feed);

    if (link != NULL) {
        esd_away_free(link);
    }
}


bool
esd_away_any(const esd_dispatcher_t *d, uint32_t endpoint)
{
    return endpoint < d->naway && d->away[endpoint] != NULL;
}


void
esd_away_forget(esd_dispatcher_t *d, uint32_t endpoint)
{
    while (esd_away_any(d, endpoint)) {
        esd_away_free(&d->away[endpoint]);
    }
}


/* Deletes the position; its undelivered events are lost. */

static void
esd_away_drop(esd_dispatcher_t *d, es_txn_t *txn, esd_away_t **link,
    const es_feed_t *feed)
{
    size_t             i;
    uint32_t           endpoint;
    uint64_t           first;
    es_loss_t          loss;
    es_ended_epoch_t   ended;
    esd_saved_lane_t  *saved;

    saved = &(*link)->saved;
    endpoint = saved->endpoint;
    first = UINT64_MAX;

    for (i = 0; i < saved->nitems; i++) {
        first = saved->items[i].sequence < first ? saved->items[i].sequence
                                                 : first;
    }

    esd_loss_report(d, saved->away, &saved->loss);
    esd_loss_ended(txn, saved, saved->nitems, first, &ended, &loss);
    loss.reason = feed != NULL ? ES_LOSS_AWAY : ES_LOSS_REMOVED;

    if (feed != NULL && es_feed_has(feed, saved->epoch, saved->sequence)
        && feed->last > saved->sequence)
    {
        loss.count = saved->nitems + feed->last - saved->sequence;
        loss.to = feed->last;
    }

    esd_loss_report(d, saved->away, &loss);

    if (loss.count == 0) {
        esd_log_about(ESD_LOG_INFO, esd_about_away(saved->away),
                      "endpoint %s: its position on feed \"%s\" was "
                      "deleted, with no undelivered events", saved->away->name,
                      saved->away->feed_name);
    }

    esd_must(d, es_changeset_forget_feed(d->recorder.filling, endpoint,
                                         saved->feed));
    esd_away_free(link);

    if (!esd_away_any(d, endpoint)
        && (endpoint >= d->ntargets || d->targets[endpoint] == NULL))
    {
        esd_must(d, es_changeset_forget(d->recorder.filling, endpoint));
    }
}


static const es_feed_t *
esd_away_feed(const esd_dispatcher_t *d, const esd_away_t *away)
{
    uint32_t  feed;

    feed = away->saved.feed;

    return feed < d->nsources && d->sources[feed] != NULL
           ? &d->sources[feed]->feed : NULL;
}


typedef bool (*esd_away_fn)(const esd_away_t *away, int64_t arg);


/* Deletes the positions that `fn` selects. */

static void
esd_away_sweep(esd_dispatcher_t *d, es_txn_t *txn, esd_away_fn fn,
    int64_t arg)
{
    size_t          i;
    esd_away_t  **link;

    for (i = 0; i < d->naway; i++) {
        link = &d->away[i];

        while (*link != NULL) {
            if (fn(*link, arg)) {
                esd_away_drop(d, txn, link, esd_away_feed(d, *link));

            } else {
                link = &(*link)->next;
            }
        }
    }
}


static bool
esd_away_of(const esd_away_t *away, int64_t feed)
{
    return away->saved.feed == (uint32_t) feed;
}


void
esd_away_feed_gone(esd_dispatcher_t *d, es_txn_t *txn, uint32_t feed)
{
    esd_away_sweep(d, txn, esd_away_of, feed);
}


static bool
esd_away_over(const esd_away_t *away, int64_t now_ms)
{
    return now_ms - away->saved.away->since_ms >= ES_AWAY_MS;
}


void
esd_away_expire(esd_dispatcher_t *d, es_txn_t *txn, int64_t now_ms)
{
    esd_away_sweep(d, txn, esd_away_over, now_ms);
}


/* The name is known if the endpoint existed when the position was left. */

static void
esd_away_name(const esd_dispatcher_t *d, esd_saved_lane_t *saved)
{
    const esd_target_t  *target;
    es_str_t             operations;

    target = saved->endpoint < d->ntargets ? d->targets[saved->endpoint]
                                           : NULL;

    if (target == NULL) {
        (void) es_registry_removed_name(d->store, saved->endpoint,
                                        saved->away->name);
        return;
    }

    memcpy(saved->away->name, target->name, sizeof(target->name));
    operations = target->conf->partner->operations;

    if (operations.data != NULL) {
        memcpy(saved->away->operations, operations.data, operations.len);
    }
}


/* Takes over the position of a lane of the last run that no lane of this run
   continues.  Either that lane was away, or its endpoint has lost the feed
   since then. */

static void
esd_away_take(esd_dispatcher_t *d, es_txn_t *txn, esd_saved_lane_t *saved)
{
    bool              left;
    es_ended_epoch_t  ended;
    esd_away_t       *away;
    const es_feed_t  *feed;

    left = saved->away == NULL;

    if (left) {
        saved->away = calloc(1, sizeof(es_away_t));
        if (saved->away == NULL) {
            esd_out_of_memory();
        }

        saved->away->endpoint = saved->endpoint;
        saved->away->feed = saved->feed;
        saved->away->since_ms = esd_clock_stamp_ms(d);
        esd_away_name(d, saved);
    }

    away = esd_away_add(d, saved);
    saved->items = NULL;
    saved->away = NULL;
    saved = &away->saved;
    feed = esd_away_feed(d, away);

    if (feed == NULL) {
        if (es_ended_epoch_get(txn, saved->feed, saved->epoch,
                               &ended) == ES_OK) {
            memcpy(saved->away->feed_name, ended.name, sizeof(ended.name));
        }

        esd_away_drop(d, txn, esd_away_find(d, saved->endpoint, saved->feed),
                      NULL);

    } else if (left) {
        memcpy(saved->away->feed_name, feed->name, sizeof(feed->name));
        esd_away_begin(d, feed, saved, "no longer receives a feed");
    }
}


void
esd_away_load(esd_dispatcher_t *d, es_txn_t *txn)
{
    size_t  i;

    for (i = 0; i < d->saved.nlanes; i++) {
        if (!d->saved.lanes[i].taken) {
            esd_away_take(d, txn, &d->saved.lanes[i]);
        }
    }
}


void
esd_away_done(esd_dispatcher_t *d)
{
    size_t  i;

    for (i = 0; i < d->naway; i++) {
        while (d->away[i] != NULL) {
            esd_away_free(&d->away[i]);
        }
    }

    free(d->away);
}
