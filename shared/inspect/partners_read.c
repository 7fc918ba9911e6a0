/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the view of all partners.
 *
 * Heads of feeds are read before progress, so an endpoint that keeps up is not
 * behind.  An endpoint that is at the end of a feed costs no look-up in the
 * log.  Every walk of the log is cut into short transactions.
 */

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/endpoint_state.h"
#include "delivery/figures.h"
#include "delivery/report.h"
#include "inspect/partners_view.h"
#include "inspect/watched.h"
#include "limit/polls.h"
#include "log/feed.h"
#include "read/lag.h"
#include "read/retention.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_VIEW_AGE_US   1000000   /* a view is used again */
#define ES_VIEW_COST     10        /* times its cost */
#define ES_VIEW_SLICE    500       /* look-ups of a transaction */

/* A feed of an endpoint that is behind. */
typedef struct {
    es_partner_line_t  *line;
    uint32_t            feed;
    bool                halted;
    es_cursor_t         done;
} es_view_lane_t;

typedef struct {
    es_partners_t      *view;
    es_store_t         *store;
    es_report_feeds_t   feeds;
    es_watched_list_t   watched;
    es_buf_t            lanes;     /* of es_view_lane_t */
} es_view_reading_t;

typedef struct {
    es_partner_line_t  **lines;    /* by the partners' numbers */
    size_t               n;
} es_view_numbers_t;


es_partners_t *
es_partners_create(void)
{
    return calloc(1, sizeof(es_partners_t));
}


void
es_partners_free(es_partners_t *partners)
{
    if (partners != NULL) {
        es_registry_free(partners->registry);
        free(partners->lines);
        free(partners->feeds);
        free(partners);
    }
}


/* Loads the registry if it has changed. */

static es_rc_t
es_view_registry(es_partners_t *view, es_store_t *store)
{
    es_rc_t         rc;
    es_registry_t  *registry;

    if (view->registry != NULL
        && es_registry_unchanged(store, view->registry))
    {
        return ES_OK;
    }

    rc = es_registry_load_closed(store, &registry);
    if (rc != ES_OK) {
        return rc;
    }

    /* the lines point into the registry */

    view->whole = false;
    es_registry_free(view->registry);
    view->registry = registry;

    return ES_OK;
}


static es_rc_t
es_view_begin(es_partners_t *view)
{
    size_t               i, n;
    const es_partner_t  *partners;

    partners = es_registry_partners(view->registry, &n);

    free(view->lines);
    view->n = 0;
    memset(view->counts, 0, sizeof(view->counts));

    view->lines = calloc(n + 1, sizeof(es_partner_line_t));
    if (view->lines == NULL) {
        return ES_NOMEM;
    }

    view->n = n;

    for (i = 0; i < n; i++) {
        view->lines[i].partner = &partners[i];
    }

    return ES_OK;
}


static es_partner_line_t *
es_view_line(const es_view_reading_t *r, const es_watched_t *watched)
{
    size_t  n;

    return &r->view->lines[watched->endpoint->partner
                           - es_registry_partners(r->view->registry, &n)];
}


static void
es_view_states(es_view_reading_t *r)
{
    size_t               i;
    const es_watched_t  *watched;

    for (i = 0; i < r->watched.n; i++) {
        watched = &r->watched.list[i];

        if (watched->endpoint != NULL) {
            es_view_line(r, watched)
                ->states[es_endpoint_state(&watched->facts)]++;
        }
    }
}


static es_rc_t
es_view_progress(void *ctx, const es_progress_t *progress)
{
    es_view_lane_t       lane = { 0 };
    const es_feed_t     *feed;
    es_view_reading_t   *r = ctx;
    const es_watched_t  *watched;

    watched = es_watched_get(&r->watched, progress->endpoint);
    feed = es_report_feed(&r->feeds, progress->feed);
    lane.done.sequence = es_progress_done(progress);

    if (watched == NULL || feed->number == 0
        || (lane.done.sequence == feed->last
            && strcmp(feed->epoch, progress->epoch) == 0)
        || es_report_away(&r->feeds, progress->endpoint, progress->feed)
           != NULL)
    {
        return ES_OK;
    }

    lane.line = es_view_line(r, watched);
    lane.feed = progress->feed;
    memcpy(lane.done.epoch, progress->epoch, sizeof(lane.done.epoch));
    lane.halted = watched->facts.disabled || watched->facts.stopped
                  || watched->facts.paused;

    return es_buf_append(&r->lanes, &lane, sizeof(lane));
}


/* Begins another read of the log at every ES_VIEW_SLICE-th look-up.  `*txn` is
   NULL at first, and after a failure. */

static es_rc_t
es_view_slice(es_store_t *store, size_t i, es_txn_t **txn)
{
    es_rc_t  rc;

    if (i % ES_VIEW_SLICE != 0) {
        return ES_OK;
    }

    if (*txn != NULL) {
        es_txn_end(*txn);
    }

    rc = es_txn_begin(store, txn);
    *txn = rc == ES_OK ? *txn : NULL;

    return rc;
}


static void
es_view_lag(es_view_reading_t *r, es_txn_t *txn, const es_view_lane_t *lane)
{
    es_lag_t            lag;
    es_partner_line_t  *line;

    /* a feed that is damaged is left out */

    if (es_lag_read(txn, es_report_feed(&r->feeds, lane->feed), &lane->done,
                    r->view->time_ms, &lag) != ES_OK
        || lag.state == ES_RESET || lag.state == ES_AHEAD)
    {
        return;
    }

    line = lane->line;
    line->behind = lag.events > line->behind ? lag.events : line->behind;
    line->lag_ms = lag.ms > line->lag_ms ? lag.ms : line->lag_ms;
    line->missed += lag.missed;
    line->near |= lag.warning && !line->partner->disabled;
    line->late |= !lane->halted && lag.ms >= ES_PARTNERS_LATE;

    if (lag.expires_ms != 0
        && (line->expires_ms == 0 || lag.expires_ms < line->expires_ms))
    {
        line->expires_ms = lag.expires_ms;
    }
}


static es_rc_t
es_view_lags(es_view_reading_t *r)
{
    size_t                 i, n;
    es_rc_t                rc;
    es_txn_t              *txn;
    const es_view_lane_t  *lanes;

    lanes = (const es_view_lane_t *) (const void *) r->lanes.data;
    n = r->lanes.len / sizeof(es_view_lane_t);
    txn = NULL;
    rc = ES_OK;

    for (i = 0; rc == ES_OK && i < n; i++) {
        rc = es_view_slice(r->store, i, &txn);

        if (rc == ES_OK) {
            es_view_lag(r, txn, &lanes[i]);
        }
    }

    if (txn != NULL) {
        es_txn_end(txn);
    }

    return rc;
}


/* Counts the dead letters of the endpoint where the cursor is, and moves it to
   the next endpoint. */

static int
es_view_dead_of(es_view_reading_t *r, MDB_cursor *cursor, MDB_val *key)
{
    int                  rc;
    MDB_val              value;
    uint32_t             endpoint;
    unsigned             n;
    es_dkey_t            next;
    const es_watched_t  *watched;

    rc = 0;
    endpoint = es_key32_get(key, 0);
    watched = es_watched_get(&r->watched, endpoint);

    for (n = 0; watched != NULL && n < ES_PARTNERS_DEAD; n++) {
        if (rc != 0 || key->mv_size != ES_DEAD_KEY_LEN
            || es_key32_get(key, 0) != endpoint)
        {
            break;
        }

        rc = mdb_cursor_get(cursor, key, &value, MDB_NEXT);
    }

    if (watched != NULL) {
        es_view_line(r, watched)->dead += n;
    }

    if (rc != 0 || endpoint == UINT32_MAX) {
        return rc != 0 ? rc : MDB_NOTFOUND;
    }

    next = es_endpoint_key(endpoint + 1);
    key->mv_data = next.data;
    key->mv_size = next.len;

    return mdb_cursor_get(cursor, key, &value, MDB_SET_RANGE);
}


static es_rc_t
es_view_dead(es_view_reading_t *r)
{
    int          rc;
    es_rc_t      result;
    MDB_txn     *txn;
    MDB_val      key, value;
    es_env_t    *env;
    MDB_cursor  *cursor;

    env = r->store->delivery;

    result = es_env_read_begin(env, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, es_env_dbi(env, ES_DELIVERY_DEAD), &cursor);

    if (rc == 0) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);

        while (rc == 0 && key.mv_size >= sizeof(uint32_t)) {
            rc = es_view_dead_of(r, cursor, &key);
        }

        mdb_cursor_close(cursor);
    }

    es_env_read_end(env, txn);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_view_figures(void *ctx, uint32_t endpoint, const es_figures_t *figures)
{
    es_partner_line_t   *line;
    es_view_reading_t   *r = ctx;
    const es_watched_t  *watched;

    watched = es_watched_get(&r->watched, endpoint);

    if (watched != NULL) {
        line = es_view_line(r, watched);
        es_figures_total(figures, ES_SPAN_MINUTE, r->view->time_ms,
                         &line->minute);
        es_figures_total(figures, ES_SPAN_HOUR, r->view->time_ms,
                         &line->hour);
    }

    return ES_OK;
}


static void
es_view_poll(void *ctx, const es_poll_figures_t *figures)
{
    unsigned            i;
    es_view_numbers_t  *numbers = ctx;
    es_partner_line_t  *line;

    line = figures->partner < numbers->n ? numbers->lines[figures->partner]
                                         : NULL;
    if (line == NULL) {
        return;
    }

    for (i = 0; i < ES_POLL_CHANNELS; i++) {
        line->polls += figures->requests[i];
        line->polled += figures->events[i];
    }

    if (figures->last_ms > line->polled_ms) {
        line->polled_ms = figures->last_ms;
    }
}


static es_rc_t
es_view_polls(es_partners_t *view, const es_polls_t *polls)
{
    size_t             i;
    es_view_numbers_t  numbers = { 0 };

    if (polls == NULL) {
        return ES_OK;
    }

    for (i = 0; i < view->n; i++) {
        if (view->lines[i].partner->number >= numbers.n) {
            numbers.n = view->lines[i].partner->number + 1;
        }
    }

    numbers.lines = calloc(numbers.n + 1, sizeof(es_partner_line_t *));
    if (numbers.lines == NULL) {
        return ES_NOMEM;
    }

    for (i = 0; i < view->n; i++) {
        numbers.lines[view->lines[i].partner->number] = &view->lines[i];
    }

    es_polls_each(polls, es_view_poll, &numbers);
    free(numbers.lines);

    return ES_OK;
}


static void
es_view_attention(es_partners_t *view, const es_partners_source_t *source)
{
    size_t              i;
    es_partner_line_t  *line;

    for (i = 0; i < view->n; i++) {
        line = &view->lines[i];

        if (source->limits != NULL) {
            source->limits(source->ctx, line->partner->number, &line->limits);
        }

        line->attention =
            line->states[ES_STATE_STOPPED] + line->states[ES_STATE_FAILING] > 0
            ? ES_ATTENTION_FAILING
            : line->late || line->near || line->states[ES_STATE_STALLED] > 0
            ? ES_ATTENTION_LAGGING
            : line->limits.policies != 0 ? ES_ATTENTION_LIMITED
            : ES_ATTENTION_NONE;

        view->counts[line->attention]++;
    }
}


static es_rc_t
es_view_overdue(es_view_reading_t *r)
{
    size_t     i;
    es_rc_t    rc;
    int64_t    since_ms;
    es_txn_t  *txn;

    rc = ES_OK;
    txn = NULL;

    for (i = 0; rc == ES_OK && i < r->feeds.n; i++) {
        rc = es_view_slice(r->store, i, &txn);

        if (rc == ES_OK && es_feed_limited(&r->feeds.feeds[i])
            && es_feed_overdue(txn, &r->feeds.feeds[i], r->view->time_ms,
                               &since_ms) == ES_OK)
        {
            r->view->feeds[i].overdue_ms = since_ms;
            r->view->overdue += since_ms != 0;
        }
    }

    if (txn != NULL) {
        es_txn_end(txn);
    }

    return rc;
}


static int
es_view_feed_order(const void *one, const void *two)
{
    const es_feed_line_t  *a = one, *b = two;

    if ((a->overdue_ms != 0) != (b->overdue_ms != 0)) {
        return a->overdue_ms != 0 ? -1 : 1;
    }

    if (a->bytes != b->bytes) {
        return a->bytes > b->bytes ? -1 : 1;
    }

    return strcmp(a->name, b->name);
}


static es_rc_t
es_view_feeds(es_view_reading_t *r)
{
    size_t            i;
    es_rc_t           rc;
    es_partners_t    *view;
    es_feed_line_t   *line;
    const es_feed_t  *feed;

    view = r->view;
    view->events = view->bytes = view->overdue = 0;
    view->nfeeds = 0;
    free(view->feeds);

    view->feeds = calloc(r->feeds.n + 1, sizeof(es_feed_line_t));
    if (view->feeds == NULL) {
        return ES_NOMEM;
    }

    for (i = 0; i < r->feeds.n; i++) {
        feed = &r->feeds.feeds[i];
        line = &view->feeds[i];

        memcpy(line->name, feed->name, sizeof(line->name));
        (void) es_feed_cursor(feed, feed->oldest - 1, line->oldest);
        (void) es_feed_cursor(feed, feed->last, line->latest);
        line->events = feed->last + 1 - feed->oldest;
        line->bytes = feed->bytes;
        line->last_ms = feed->last == 0 ? 0 : feed->last_ms;
        line->held_ms = feed->held ? feed->hold.since_ms : 0;

        view->events += line->events;
        view->bytes += line->bytes;
    }

    view->nfeeds = r->feeds.n;

    rc = es_view_overdue(r);

    qsort(view->feeds, view->nfeeds, sizeof(es_feed_line_t),
          es_view_feed_order);

    return rc;
}


static es_rc_t
es_view_read(es_view_reading_t *r, int64_t now_ms)
{
    es_rc_t         rc;
    es_partners_t  *view;

    view = r->view;

    rc = es_view_registry(view, r->store);

    if (rc == ES_OK) {
        view->whole = false;
        view->time_ms = now_ms;
        rc = es_view_begin(view);
    }

    if (rc == ES_OK) {
        rc = es_report_feeds_load(r->store, &r->feeds);
    }

    if (rc == ES_OK) {
        rc = es_watched_load(r->store, view->registry, &r->watched);
    }

    if (rc == ES_OK) {
        es_view_states(r);
        rc = es_delivery_each_progress(r->store, 0, es_view_progress, r);
    }

    if (rc == ES_OK) {
        rc = es_view_lags(r);
    }

    if (rc == ES_OK) {
        rc = es_view_dead(r);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_figures(r->store, es_view_figures, r);
    }

    if (rc == ES_OK) {
        rc = es_view_feeds(r);
    }

    if (rc == ES_OK) {
        view->seen_ms = 0;
        rc = es_delivery_heartbeat(r->store, &view->seen_ms);
        rc = rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    return rc;
}


es_rc_t
es_partners_refresh(es_partners_t *view, const es_partners_source_t *source)
{
    es_rc_t            rc;
    int64_t            now_us, age_us;
    es_view_reading_t  r = { .view = view, .store = source->store };

    ES_ASSERT_NO_EVENT_LOOP();

    now_us = es_clock_mono_us();
    age_us = view->cost_us * ES_VIEW_COST;
    age_us = age_us > ES_VIEW_AGE_US ? age_us : ES_VIEW_AGE_US;

    if (view->whole && now_us - view->read_us < age_us) {
        return ES_OK;
    }

    rc = es_view_read(&r, source->now_ms);
    rc = rc == ES_OK ? es_view_polls(view, source->polls) : rc;

    es_watched_free(&r.watched);
    es_report_feeds_free(&r.feeds);
    es_buf_free(&r.lanes);

    if (rc == ES_OK) {
        es_view_attention(view, source);
        view->whole = true;
        view->read_us = es_clock_mono_us();
        view->cost_us = view->read_us - now_us;
    }

    return rc;
}
