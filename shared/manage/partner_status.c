/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the status of all of a partner's endpoints and feeds.
 */

#include <jansson.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/json.h"
#include "delivery/delivery.h"
#include "delivery/endpoint_state.h"
#include "delivery/endpoint_status.h"
#include "delivery/figures.h"
#include "delivery/report.h"
#include "event/cursor.h"
#include "limit/polls.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "manage/deprecations.h"
#include "manage/manage.h"
#include "manage/partner_status.h"
#include "manage/polls_report.h"
#include "registry/origin.h"
#include "registry/flags.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "store/txn.h"

typedef struct {
    es_store_t                 *store;
    const es_partner_status_t  *q;
    es_report_feeds_t           feeds;
    int64_t                     now_ms;
    bool                        whole;     /* the key is not narrowed */
    json_t                     *endpoints;
    json_t                     *read;      /* the feeds that it may read */
    json_t                     *deprecations;
    json_t                     *flags;
    json_t                     *data_use;      /* the agreement, or NULL */
    json_t                     *list;      /* deliveries of one endpoint */
    uint32_t                    endpoint;  /* its number */
    unsigned                    dead;
    uint32_t                    hidden;    /* feed that a walk has met, of which
                                              the answer may not tell */
    unsigned                    examined;
} es_overview_t;


/* The time as JSON; null for 0. */

static json_t *
es_overview_time(int64_t ms)
{
    char  time[ES_TIME_LEN];

    if (ms == 0) {
        return json_null();
    }

    es_time_print(ms, time);

    return json_stringn(time, sizeof(time));
}


static bool
es_overview_tells(const es_overview_t *o, const char *feed)
{
    return es_narrow_covers(&o->q->narrow, es_str(feed));
}


static es_rc_t
es_on_progress(void *ctx, const es_progress_t *progress)
{
    es_rc_t           rc;
    json_t           *report;
    es_overview_t    *o = ctx;
    const es_feed_t  *feed;

    o->examined++;
    feed = es_report_feed(&o->feeds, progress->feed);

    if (feed->number == 0
        || !es_overview_tells(o, feed->name)
        || es_report_away(&o->feeds, o->endpoint, progress->feed) != NULL)
    {
        return ES_OK;
    }

    report = es_report_progress(&o->feeds, progress);
    (void) json_object_del(report, "kind");

    rc = es_report_lag(o->store, &o->feeds, progress, o->now_ms, report);

    if (rc != ES_OK) {
        json_decref(report);
        return rc;
    }

    return report != NULL && json_array_append_new(o->list, report) == 0
           ? ES_OK : ES_NOMEM;
}


/* Passes over the rest of a feed of which the answer may not tell. */

static es_rc_t
es_on_dead_letter(void *ctx, const es_dead_t *dead)
{
    es_overview_t  *o = ctx;

    o->examined++;

    if (!es_overview_tells(o, es_report_feed(&o->feeds, dead->feed)->name)) {
        o->hidden = dead->feed;
        return ES_STOP;
    }

    o->dead++;

    return o->dead < ES_PARTNER_STATUS_DEAD ? ES_OK : ES_STOP;
}


/* One look-up for each feed that is passed over, however many dead letters it
   has. */

static es_rc_t
es_overview_dead(es_overview_t *o)
{
    es_rc_t             rc;
    es_dead_position_t  after = { .endpoint = o->endpoint };

    o->dead = 0;
    rc = ES_OK;

    do {
        o->hidden = 0;

        rc = es_delivery_dead_after(o->store, &after, es_on_dead_letter, o);

        after.feed = o->hidden;
        after.sequence = UINT64_MAX;
        memset(after.epoch, 0x7f, sizeof(after.epoch) - 1);

    } while (rc == ES_STOP && o->hidden != 0);

    return rc == ES_STOP ? ES_OK : rc;
}


static es_rc_t
es_overview_state(es_overview_t *o, json_t *object, json_t *report)
{
    es_rc_t              rc;
    uint64_t             revision;
    es_stop_t            stop;
    es_endpoint_facts_t  facts = { 0 };

    revision = (uint64_t) json_integer_value(json_object_get(object,
                                                             "revision"));
    facts.paused = json_is_true(json_object_get(object, "paused"));

    rc = es_endpoint_facts_read(o->store, o->endpoint, revision, &facts);
    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        return rc;
    }

    (void) json_object_set_new(
        report, "state",
        json_string(es_endpoint_state_name(es_endpoint_state(&facts))));

    if (facts.stopped
        && es_delivery_stop(o->store, o->endpoint, &stop) == ES_OK)
    {
        (void) json_object_set_new(report, "stopped",
                                   json_string(stop.reason));
    }

    return ES_OK;
}


static es_rc_t
es_overview_figures(es_overview_t *o, json_t *report)
{
    es_rc_t       rc;
    es_figures_t  figures = { 0 };

    if (!o->whole) {
        return ES_OK;
    }

    rc = es_delivery_figures(o->store, o->endpoint, &figures);

    if (rc == ES_OK) {
        (void) json_object_set_new(report, "waiting",
                                   json_integer(figures.waiting.waiting));
        (void) json_object_set_new(report, "held",
                                   json_integer(figures.waiting.held));
        (void) json_object_set_new(report, "next",
                                   es_overview_time(figures.waiting.next_ms));
        (void) json_object_set_new(report, "figures",
                                   es_figures_summary(&figures, o->now_ms));
    }

    es_figures_free(&figures);

    return rc;
}


static es_rc_t
es_overview_endpoint(es_overview_t *o, es_str_t name, json_t *object)
{
    char     origin[ES_ORIGIN_MAX] = "";
    json_t  *report;
    es_rc_t  rc;

    o->endpoint = (uint32_t) json_integer_value(json_object_get(object,
                                                                "number"));
    o->list = json_array();
    (void) es_origin(es_str(json_string_value(json_object_get(object, "url"))),
                     origin);

    report = json_pack("{s:s%, s:s, s:O}", "name", name.data, name.len,
                       "origin", origin, "feeds",
                       json_object_get(object, "feeds"));

    rc = es_overview_state(o, object, report);

    if (rc == ES_OK) {
        rc = es_delivery_each_progress(o->store, o->endpoint, es_on_progress,
                                       o);
    }

    if (rc == ES_OK) {
        rc = es_overview_dead(o);
    }

    if (rc == ES_OK) {
        rc = es_overview_figures(o, report);
    }

    (void) json_object_set_new(report, "deliveries", o->list);
    (void) json_object_set_new(report, "dead_letters", json_integer(o->dead));

    if (json_array_append_new(o->endpoints, report) != 0) {
        return rc == ES_OK ? ES_NOMEM : rc;
    }

    return rc;
}


static es_rc_t
es_on_endpoint_record(void *ctx, es_str_t name, es_str_t text)
{
    json_t         *object;
    es_rc_t         rc;
    es_overview_t  *o = ctx;

    o->examined++;
    object = json_loadb(text.data, text.len, 0, NULL);

    rc = es_narrow_sees(&o->q->narrow, json_object_get(object, "feeds"))
         ? es_overview_endpoint(o, name, object) : ES_OK;

    json_decref(object);

    return rc;
}


static es_rc_t
es_overview_polls(const es_overview_t *o, const es_feed_t *feed,
    json_t **polls)
{
    es_poll_figures_t  figures;

    if (o->q->polls == NULL
        || !es_polls_get(o->q->polls, o->q->number, feed->number, &figures))
    {
        *polls = json_null();
        return ES_OK;
    }

    return es_polls_report(o->store, feed, &figures, o->now_ms, polls);
}


static es_rc_t
es_overview_feed(es_overview_t *o, const es_feed_t *feed)
{
    char             oldest[ES_CURSOR_MAX], latest[ES_CURSOR_MAX];
    json_t          *polls;
    es_rc_t          rc;
    es_feed_rule_t   rule;

    rc = es_registry_rule(o->store, es_str(feed->name), &rule);

    if (rc == ES_CORRUPT || rc == ES_INVALID) {
        rule.fresh_within_ms = 0;
        rc = ES_OK;
    }

    if (rc == ES_OK) {
        rc = es_overview_polls(o, feed, &polls);
    }

    if (rc != ES_OK) {
        return rc;
    }

    (void) es_feed_cursor(feed, feed->oldest - 1, oldest);
    (void) es_feed_cursor(feed, feed->last, latest);

    return json_array_append_new(
               o->read, json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}",
                                  "name", feed->name,
                                  "oldest", oldest, "latest", latest,
                                  "time", es_overview_time(feed->last == 0
                                                           ? 0
                                                           : feed->last_ms),
                                  "fresh_within",
                                  rule.fresh_within_ms == 0 ? json_null()
                                  : json_real((double) rule.fresh_within_ms
                                              / 1000),
                                  "polls", polls))
           == 0 ? ES_OK : ES_NOMEM;
}


static es_rc_t
es_overview_feeds(es_overview_t *o)
{
    size_t            i;
    es_rc_t           rc;
    const es_feed_t  *feed;

    rc = ES_OK;

    for (i = 0; rc == ES_OK && i < o->feeds.n; i++) {
        feed = &o->feeds.feeds[i];
        o->examined++;

        if (o->q->reads(o->q->ctx, es_str(feed->name))) {
            rc = es_overview_feed(o, feed);
        }
    }

    return rc;
}


/* What the partner's record says.  A credential for some feeds is not told of
   the data-use agreement, which is the partner's. */

static es_rc_t
es_overview_partner(es_overview_t *o)
{
    json_t        *object;
    es_rc_t        rc;
    es_buf_t       text = { 0 };
    es_pool_t      pool = { 0 };
    es_partner_t   partner = { .name = o->q->partner };

    rc = es_registry_get(o->store, ES_KIND_PARTNER, o->q->partner, &text);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    object = json_loadb(text.data, text.len, 0, NULL);

    rc = json_is_object(object)
         ? es_partner_decode(object, &pool, &partner, NULL) : ES_CORRUPT;

    if (rc == ES_OK) {
        rc = es_flags_report(o->store, &partner, o->flags);
    }

    if (rc == ES_OK && o->whole) {
        o->data_use = json_incref(json_object_get(object, "data_use"));
    }

    json_decref(object);
    es_pool_free(&pool);
    es_buf_free(&text);

    return rc == ES_INVALID ? ES_CORRUPT : rc;
}


/* The versions that concern a feed which the credential may read. */

static es_rc_t
es_overview_deprecations(es_overview_t *o)
{
    size_t             i;
    es_rc_t            rc;
    es_deprecations_t  found = { 0 };

    rc = es_deprecations_load(o->store, &o->feeds, o->q->reads, o->q->ctx,
                              &found);

    for (i = 0; rc == ES_OK && i < found.n; i++) {
        o->examined++;

        if (json_array_size(found.list[i].feeds) > 0
            && json_array_append_new(
                   o->deprecations,
                   es_deprecation_report(&found.list[i], found.list[i].feeds))
               != 0)
        {
            rc = ES_NOMEM;
        }
    }

    es_deprecations_free(&found);

    return rc;
}


static es_rc_t
es_overview_print(es_overview_t *o, int64_t seen_ms, es_buf_t *out)
{
    char    *text;
    json_t  *answer;
    es_rc_t  rc;

    answer = json_pack("{s:o, s:o, s:O, s:O, s:O, s:O}",
                       "time", es_overview_time(o->now_ms),
                       "dispatcher", es_overview_time(seen_ms),
                       "endpoints", o->endpoints, "feeds", o->read,
                       "deprecations", o->deprecations,
                       "flags", o->flags);

    if (o->data_use != NULL) {
        (void) json_object_set(answer, "data_use", o->data_use);
    }

    text = answer ? json_dumps(answer, ES_JSON_PRINT) : NULL;
    rc = text ? es_buf_str(out, es_str(text)) : ES_NOMEM;
    free(text);
    json_decref(answer);

    return rc;
}


es_rc_t
es_partner_status(es_store_t *store, const es_partner_status_t *q,
    es_buf_t *out, unsigned *examined)
{
    es_rc_t        rc;
    int64_t        seen_ms = 0;
    es_overview_t  o = { .store = store, .q = q,
                         .now_ms = es_store_ms(store) };

    ES_ASSERT_NO_EVENT_LOOP();

    o.whole = es_narrow_covers(&q->narrow, es_str("*"));
    o.endpoints = json_array();
    o.read = json_array();
    o.deprecations = json_array();
    o.flags = json_array();

    rc = es_report_feeds_load(store, &o.feeds);

    if (rc == ES_OK) {
        rc = es_registry_each_of(store, ES_KIND_ENDPOINT, q->partner,
                                 es_null_str, es_on_endpoint_record, &o);
    }

    if (rc == ES_OK) {
        rc = es_delivery_heartbeat(store, &seen_ms);
        rc = rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    if (rc == ES_OK) {
        rc = es_overview_feeds(&o);
    }

    if (rc == ES_OK) {
        rc = es_overview_deprecations(&o);
    }

    if (rc == ES_OK) {
        rc = es_overview_partner(&o);
    }

    if (rc == ES_OK) {
        rc = es_overview_print(&o, seen_ms, out);
    }

    *examined = o.examined;
    es_report_feeds_free(&o.feeds);
    json_decref(o.endpoints);
    json_decref(o.read);
    json_decref(o.deprecations);
    json_decref(o.flags);
    json_decref(o.data_use);

    return rc;
}
