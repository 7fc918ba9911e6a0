/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the events that a skip, a cancel or a discard matches.
 */

#include <stdlib.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/report.h"
#include "event/cursor.h"
#include "event/filter.h"
#include "log/feed.h"
#include "manage/clearing.h"
#include "read/reader.h"
#include "registry/control_request.h"
#include "registry/registry.h"
#include "store/txn.h"

typedef struct {
    es_store_t                  *store;
    const es_control_request_t  *request;
    const es_clearing_t         *clearing;
    es_txn_t                    *txn;
    es_report_feeds_t            feeds;
    es_progress_t                progress;
    bool                         found;  /* the progress */
    uint64_t                     first;  /* of what waits */
    bool                         waits;  /* the event of a skip does */
    bool                         held;
    uint64_t                     count;
} es_clearing_walk_t;


static bool
es_clearing_status(const es_clearing_t *c, int32_t status)
{
    unsigned  i;

    for (i = 0; i < c->nstatuses; i++) {
        if (c->statuses[i] == status) {
            return true;
        }
    }

    return c->nstatuses == 0;
}


static bool
es_clearing_within(const es_clearing_t *c, uint64_t sequence)
{
    return sequence >= c->from && (c->to == 0 || sequence <= c->to);
}


/* An event without an attempt has no status. */

bool
es_clearing_waits(const es_clearing_t *c, uint64_t sequence,
    uint32_t attempts, int32_t status)
{
    return es_clearing_within(c, sequence)
           && (c->nstatuses == 0
               || (attempts > 0 && es_clearing_status(c, status)));
}


/* An epoch that began after another one has the same events before that. */

static bool
es_clearing_epoch(const es_feed_t *feed, const char *one, const char *other)
{
    return strcmp(one, other) == 0
           || (feed != NULL && es_feed_has(feed, one, 0)
               && es_feed_has(feed, other, 0));
}


/* A range belongs to one epoch, and to those that it took over; a whole feed
   includes all its epochs. */

static bool
es_clearing_of(const es_clearing_t *c, const es_control_request_t *request,
    const es_feed_t *feed, const es_dead_t *dead)
{
    if (dead->feed != request->feed) {
        return request->feed == 0;
    }

    return (c->from == 0 && c->to == 0)
           || (es_clearing_epoch(feed, dead->epoch, request->epoch)
               && es_clearing_within(c, dead->sequence));
}


bool
es_clearing_dead(const es_clearing_t *c, const es_control_request_t *request,
    const es_feed_t *feed, const es_dead_t *dead)
{
    if (!es_clearing_of(c, request, feed, dead)) {
        return false;
    }

    return dead->time_ms <= request->time_ms
           && es_clearing_status(c, dead->status)
           && (c->classes == 0 || (c->classes >> dead->class & 1));
}


bool
es_clearing_type(const es_clearing_t *c, es_txn_t *txn, const es_feed_t *feed,
    const char *epoch, uint64_t sequence)
{
    es_event_t  event;

    if (c->filter.ntypes == 0) {
        return true;
    }

    return feed != NULL
           && es_feed_has(feed, epoch, sequence)
           && es_event_get(txn, feed, sequence, &event) == ES_OK
           && es_filter_type_matches(&c->filter, event.type);
}


uint64_t
es_clearing_ahead(const es_clearing_t *c, uint64_t position, uint64_t last,
    uint64_t *to)
{
    uint64_t  end;

    end = c->to < last ? c->to : last;

    if (c->filter.ntypes > 0
        || c->nstatuses > 0
        || c->from > position + 1
        || end <= position)
    {
        *to = position;
        return 0;
    }

    *to = end;

    return end - position;
}


static const es_feed_t *
es_clearing_walk_feed(es_clearing_walk_t *w, uint32_t number)
{
    const es_feed_t  *feed;

    feed = es_report_feed(&w->feeds, number);

    return feed->number != 0 ? feed : NULL;
}


static es_rc_t
es_clearing_progress(void *ctx, const es_progress_t *progress)
{
    es_clearing_walk_t  *w = ctx;

    if (progress->feed == w->request->feed
        && es_clearing_epoch(es_clearing_walk_feed(w, progress->feed),
                             progress->epoch, w->request->epoch))
    {
        w->progress = *progress;
        w->found = true;
    }

    return ES_OK;
}


static es_rc_t
es_clearing_retry(void *ctx, const es_retry_t *r)
{
    es_clearing_walk_t  *w = ctx;

    if (w->found
        && r->feed == w->request->feed
        && es_clearing_waits(w->clearing, r->sequence, r->attempts, r->status)
        && es_clearing_type(w->clearing, w->txn,
                            es_clearing_walk_feed(w, r->feed),
                            w->request->epoch, r->sequence))
    {
        w->count++;
    }

    return ES_OK;
}


static es_rc_t
es_clearing_letter(void *ctx, const es_dead_t *dead)
{
    const es_feed_t     *feed;
    es_clearing_walk_t  *w = ctx;

    feed = es_clearing_walk_feed(w, dead->feed);

    if (es_clearing_dead(w->clearing, w->request, feed, dead)
        && es_clearing_type(w->clearing, w->txn, feed, dead->epoch,
                            dead->sequence))
    {
        w->count++;
    }

    return ES_OK;
}


static es_rc_t
es_clearing_walk_begin(es_clearing_walk_t *w)
{
    es_rc_t  rc;

    rc = es_report_feeds_load(w->store, &w->feeds);

    if (rc == ES_OK) {
        rc = es_delivery_each_progress(w->store, w->request->endpoint,
                                       es_clearing_progress, w);
    }

    if (rc == ES_OK) {
        rc = es_txn_begin(w->store, &w->txn);
    }

    return rc;
}


static void
es_clearing_walk_end(es_clearing_walk_t *w)
{
    if (w->txn != NULL) {
        es_txn_end(w->txn);
    }

    es_report_feeds_free(&w->feeds);
}


es_rc_t
es_clearing_count(es_store_t *store, const es_control_request_t *request,
    const es_clearing_t *clearing, uint64_t *count)
{
    es_rc_t             rc;
    uint64_t            to;
    const es_feed_t    *feed;
    es_clearing_walk_t  w = { .store = store, .request = request,
                              .clearing = clearing };

    rc = es_clearing_walk_begin(&w);

    if (rc == ES_OK && request->kind == ES_CONTROL_DISCARD) {
        rc = es_delivery_each_dead(store, request->endpoint,
                                   es_clearing_letter, &w);

    } else if (rc == ES_OK) {
        rc = es_delivery_each_retry(store, request->endpoint,
                                    es_clearing_retry, &w);
        feed = es_clearing_walk_feed(&w, request->feed);

        if (w.found && feed != NULL) {
            w.count += es_clearing_ahead(clearing, w.progress.sequence,
                                         feed->last, &to);
        }
    }

    es_clearing_walk_end(&w);
    *count = w.count;

    return rc;
}


static es_rc_t
es_clearing_first(void *ctx, const es_retry_t *r)
{
    es_clearing_walk_t  *w = ctx;

    if (r->feed == w->request->feed) {
        w->first = r->sequence < w->first ? r->sequence : w->first;

        if (r->sequence == w->request->sequence) {
            w->waits = true;
            w->held = r->attempts == 0;
        }
    }

    return ES_OK;
}


/* The first waiting event, or the next event of the feed; 0: none. */

static uint64_t
es_clearing_next(es_clearing_walk_t *w, const es_endpoint_t *endpoint)
{
    unsigned          i;
    uint64_t          scanned;
    es_event_t        event;
    const es_feed_t  *feed;

    for (i = 0; i < w->progress.npending; i++) {
        w->first = w->progress.pending[i] < w->first ? w->progress.pending[i]
                                                     : w->first;
        w->waits |= w->progress.pending[i] == w->request->sequence;
    }

    if (w->first != UINT64_MAX) {
        return w->first;
    }

    feed = es_clearing_walk_feed(w, w->request->feed);

    if (feed == NULL || w->progress.sequence >= feed->last) {
        return 0;
    }

    switch (es_event_next(w->txn, feed, w->progress.sequence,
                          &endpoint->filter, &event, &scanned))
    {
    case ES_OK:
        return event.sequence;
    case ES_NOT_FOUND:
        return 0;
    default:
        return scanned;
    }
}


es_rc_t
es_clearing_blocks(es_store_t *store, const es_control_request_t *request,
    const es_endpoint_t *endpoint, es_problem_t *problem)
{
    bool                blocked;
    char                cursor[ES_CURSOR_MAX] = "none";
    es_rc_t             rc;
    uint64_t            next;
    es_clearing_walk_t  w = { .store = store, .request = request,
                              .first = UINT64_MAX };

    rc = es_clearing_walk_begin(&w);

    if (rc == ES_OK) {
        rc = es_delivery_each_retry(store, request->endpoint,
                                    es_clearing_first, &w);
    }

    next = rc == ES_OK && w.found ? es_clearing_next(&w, endpoint) : 0;
    es_clearing_walk_end(&w);

    if (rc != ES_OK) {
        return rc;
    }

    blocked = endpoint->ordering == ES_ORDER_FIFO
              ? next == request->sequence : w.waits && !w.held;

    if (blocked) {
        return ES_OK;
    }

    if (next != 0) {
        (void) es_cursor_print(request->epoch, next, cursor);
    }

    return es_problem_set(problem, ES_CONFLICT, -1, NULL, "the event does not "
                          "block the endpoint; the first event that waits is "
                          "%s",
                          cursor);
}
