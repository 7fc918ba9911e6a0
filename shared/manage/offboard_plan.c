/* SPDX-License-Identifier: BSD-2-Clause */

/* Finds what a store has of a partner. */

#include "base/clock.h"
#include "checkpoint/checkpoint.h"
#include "delivery/removal.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "manage/offboard.h"
#include "registry/offboard.h"
#include "registry/registry.h"
#include "registry/removed_endpoints.h"
#include "store/txn.h"

typedef struct {
    es_store_t      *store;
    es_registry_t   *registry;
    const es_partner_t  *partner;
    json_t          *plan;
    es_rc_t          rc;
    es_problem_t    *problem;
} es_offboard_scan_t;


/* Adds an item to an array of the plan. */

static void
es_offboard_add(es_offboard_scan_t *s, const char *array, json_t *item)
{
    if (json_array_append_new(json_object_get(s->plan, array), item) != 0) {
        s->rc = ES_NOMEM;
    }
}


static void
es_offboard_endpoint(void *ctx, es_str_t name, uint64_t number)
{
    es_rc_t               rc;
    es_offboard_scan_t   *s = ctx;
    es_removal_counts_t   counts;

    rc = es_removal_count(s->store, (uint32_t) number, &counts);

    if (rc != ES_OK) {
        s->rc = rc;
        return;
    }

    es_offboard_add(s, "endpoints",
                    json_pack("{s:s%, s:I, s:I, s:I, s:I, s:I}",
                              "name", name.data, name.len,
                              "number", (json_int_t) number,
                              "positions", (json_int_t) counts.positions,
                              "retries", (json_int_t) counts.retries,
                              "attempts", (json_int_t) counts.attempts,
                              "dead_letters",
                              (json_int_t) counts.dead_letters));
}


static es_rc_t
es_offboard_key(void *ctx, es_str_t name, es_str_t text)
{
    es_offboard_scan_t  *s = ctx;

    (void) text;
    es_offboard_add(s, "keys", json_stringn(name.data, name.len));

    return s->rc;
}


static void
es_offboard_endpoints(es_offboard_scan_t *s)
{
    size_t                i, n;
    es_rc_t               rc;
    const es_endpoint_t  *endpoints;

    endpoints = es_registry_endpoints(s->registry, &n);

    for (i = 0; s->rc == ES_OK && i < n; i++) {
        if (endpoints[i].partner == s->partner) {
            es_offboard_endpoint(s, endpoints[i].name, endpoints[i].number);
        }
    }

    /* The state of those that were removed before is kept for a while. */

    rc = s->rc == ES_OK ? es_removed_each(s->store, s->partner->name,
                                          es_offboard_endpoint, s) : ES_OK;
    s->rc = rc != ES_OK ? rc : s->rc;
}


/* True if a pattern other than "*" matches the feed. */

static bool
es_offboard_names(const es_patterns_t *patterns, es_str_t feed)
{
    size_t         i;
    es_patterns_t  one = { .n = 1 };

    for (i = 0; i < patterns->n; i++) {
        one.list = &patterns->list[i];

        if (!es_str_eq(patterns->list[i], es_lit("*"))
            && es_patterns_match(&one, feed))
        {
            return true;
        }
    }

    return false;
}


static bool
es_offboard_private(const es_offboard_scan_t *s, es_str_t feed)
{
    size_t               i, n;
    const es_partner_t  *partners, *p;

    partners = es_registry_partners(s->registry, &n);

    for (i = 0; i < n; i++) {
        p = &partners[i];

        if (p != s->partner
            && (es_patterns_match(&p->feeds, feed)
                || es_patterns_match(&p->publish, feed)
                || es_str_eq(p->operations, feed)))
        {
            return false;
        }
    }

    return es_str_eq(s->partner->operations, feed)
           || es_offboard_names(&s->partner->feeds, feed);
}


static void
es_offboard_feeds(es_offboard_scan_t *s)
{
    es_rc_t    rc;
    es_txn_t  *txn;
    es_feed_t  feed = { 0 };

    rc = es_txn_begin(s->store, &txn);
    if (rc != ES_OK) {
        s->rc = rc;
        return;
    }

    while (s->rc == ES_OK
           && (rc = es_feed_next(txn, es_str(feed.name), &feed)) == ES_OK)
    {
        if (!es_offboard_private(s, es_str(feed.name))) {
            continue;
        }

        if (feed.held) {
            rc = es_problem_set(s->problem, ES_HELD, -1, NULL, "the private "
                                "feed \"%s\" is held: nothing was deleted",
                                feed.name);
            break;
        }

        es_offboard_add(s, "feeds",
                        json_pack("{s:s, s:I, s:I}", "name", feed.name,
                                  "events",
                                  (json_int_t) (feed.last + 1 - feed.oldest),
                                  "bytes", (json_int_t) feed.bytes));
    }

    es_txn_end(txn);

    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        s->rc = rc;
    }
}


static es_rc_t
es_offboard_scan(es_offboard_scan_t *s, bool feeds)
{
    es_str_t             name;
    char                 time[ES_TIME_LEN];
    uint64_t             checkpoints;
    const es_partner_t  *p;

    p = s->partner;
    name = p->name;
    es_time_print(es_store_ms(s->store), time);

    s->rc = es_checkpoint_count(s->store, p->number, &checkpoints);
    s->plan = json_pack("{s:s%, s:I, s:s%, s:o, s:[], s:[], s:I, s:[]}",
                        "partner", name.data, name.len,
                        "number", (json_int_t) p->number,
                        "time", time, (size_t) ES_TIME_LEN,
                        "operations", p->operations.data != NULL
                        ? json_stringn(p->operations.data, p->operations.len)
                        : json_null(),
                        "keys", "endpoints",
                        "checkpoints", (json_int_t) checkpoints, "feeds");

    if (s->rc == ES_OK && s->plan == NULL) {
        s->rc = ES_NOMEM;
    }

    if (s->rc == ES_OK) {
        s->rc = es_registry_each_of(s->store, ES_KIND_KEY, name, es_null_str,
                                    es_offboard_key, s);
    }

    if (s->rc == ES_OK) {
        es_offboard_endpoints(s);
    }

    if (s->rc == ES_OK && feeds) {
        es_offboard_feeds(s);
    }

    return s->rc;
}


es_rc_t
es_offboard_plan(es_store_t *store, es_str_t partner, bool feeds,
    json_t **plan, es_problem_t *problem)
{
    es_rc_t              rc;
    es_offboard_scan_t   s = { .store = store, .problem = problem };

    problem->rc = ES_OK;
    rc = es_registry_load_closed(store, &s.registry);

    if (rc == ES_OK) {
        s.partner = es_registry_partner(s.registry, partner);
        rc = s.partner == NULL ? ES_NOT_FOUND : es_offboard_scan(&s, feeds);
        es_registry_free(s.registry);
    }

    if (rc == ES_OK) {
        *plan = s.plan;
        return ES_OK;
    }

    json_decref(s.plan);

    return rc == problem->rc
           ? rc : es_problem_set(problem, rc, -1, NULL, "%s", es_reason(rc));
}


es_rc_t
es_offboard_resume(es_store_t *store, es_str_t partner, json_t **plan)
{
    es_rc_t   rc;
    es_buf_t  text = { 0 };

    rc = es_registry_offboard_plan(store, partner, &text);

    if (rc == ES_OK) {
        *plan = json_loadb(text.data, text.len, 0, NULL);
        rc = json_is_object(*plan) ? ES_OK : ES_CORRUPT;
    }

    es_buf_free(&text);

    return rc;
}


uint64_t
es_offboard_records(const json_t *plan)
{
    return json_array_size(json_object_get(plan, "keys"))
           + json_array_size(json_object_get(plan, "endpoints"))
           + json_array_size(json_object_get(plan, "feeds"));
}
