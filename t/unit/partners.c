/* SPDX-License-Identifier: BSD-2-Clause */

/* The list of all partners: its orders, its pages, its view of the store. */

#include <jansson.h>
#include <unistd.h>

#include "base/json.h"
#include "delivery/delivery.h"
#include "delivery/figures.h"
#include "delivery/stall.h"
#include "inspect/partners.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "open/open.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/plain_secrets.h"
#include "store/store.h"
#include "store/txn.h"
#include "tap.h"

#define PARTNERS  2000

static char                   dir[] = "/tmp/eventsync-partners-XXXXXX";
static es_store_t            *store;
static es_problem_t           problem;
static es_feed_t              feed;
static es_partners_t         *partners;
static es_partners_source_t   source;


static bool
make(es_kind_t kind, const char *name, const char *json)
{
    return es_registry_create(store, kind, es_str(name), json, &problem)
           == ES_OK;
}


/* Without waiting for the disk, which would take most of the time. */

static bool
hurry(void)
{
    return mdb_env_set_flags(es_env_handle(store->registry), MDB_NOSYNC, 1)
           == 0;
}


/* The partner p0001 has the number 1.  Each tenth one has an endpoint, whose
   numbers begin with 1: that of p0010 is 1. */

static bool
make_partners(void)
{
    int   i;
    char  name[32], json[256];

    for (i = 1; i <= PARTNERS; i++) {
        (void) snprintf(name, sizeof(name), "p%04d", i);

        if (!make(ES_KIND_PARTNER, name, i == 90 ? "{\"disabled\":true}"
                                                 : "{\"feeds\":[\"*\"]}"))
        {
            return false;
        }

        if (i % 10 != 0) {
            continue;
        }

        (void) snprintf(json, sizeof(json), "{\"partner\":\"%s\",\"url\":"
                        "\"https://a.example/\",\"feeds\":[\"*\"],"
                        "\"secrets\":"
                        "[\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]%s}",
                        name, i == 80 ? ",\"paused\":true" : "");
        (void) snprintf(name, sizeof(name), "ep_aaaaaaaaaaaa%c%c%c%c",
                        'a' + i / 1000, 'a' + i / 100 % 10, 'a' + i / 10 % 10,
                        'a');

        if (!make(ES_KIND_ENDPOINT, name, json)) {
            return false;
        }
    }

    return true;
}


/* p0050 is failing, and p0020 stopped; p0070 is stalled; p0030 and p0080, which
   is paused, are behind; p0040 has dead letters. */

static bool
record(int64_t now_ms)
{
    unsigned         i;
    es_rc_t          rc = ES_OK;
    es_dead_t        dead = { .endpoint = 4, .feed = 1, .epoch = "a" };
    es_stop_t        stop = { .endpoint = 2, .revision = 1 };
    es_stall_t       stall = { .endpoint = 7, .feed = 1,
                               .reason = ES_STALL_EVENT };
    es_attempt_t     attempt = { .status = 200, .attempt = 1 };
    es_circuit_t     circuit = { .endpoint = 5, .trips = 1 };
    es_figures_t     figures = { 0 };
    es_progress_t    progress = { .feed = 1 };
    es_changeset_t  *c;

    c = es_changeset_create();
    memcpy(progress.epoch, feed.epoch, sizeof(progress.epoch));

    for (i = 1; rc == ES_OK && i <= PARTNERS / 10; i++) {
        progress.endpoint = i;
        progress.sequence = i == 3 ? 0 : i == 8 ? 1 : feed.last;
        rc = es_changeset_progress(c, &progress);
    }

    for (i = 0; rc == ES_OK && i < ES_PARTNERS_DEAD + 5; i++) {
        dead.sequence = i + 1;
        rc = es_changeset_dead(c, &dead);
    }

    dead.endpoint = 6;
    rc = rc == ES_OK ? es_changeset_dead(c, &dead) : rc;
    dead.endpoint = 100000;                    /* of no endpoint */
    rc = rc == ES_OK ? es_changeset_dead(c, &dead) : rc;

    (void) es_figures_attempt(&figures, &attempt, now_ms - 1800000);
    (void) es_figures_attempt(&figures, &attempt, now_ms);
    attempt.class = ES_ATTEMPT_STATUS;
    attempt.status = 500;
    (void) es_figures_attempt(&figures, &attempt, now_ms);

    rc = rc == ES_OK ? es_changeset_figures(c, 1, &figures) : rc;
    rc = rc == ES_OK ? es_changeset_stop(c, &stop) : rc;
    rc = rc == ES_OK ? es_changeset_circuit(c, &circuit) : rc;
    rc = rc == ES_OK ? es_changeset_stall(c, &stall) : rc;
    rc = rc == ES_OK ? es_changeset_heartbeat(c, now_ms) : rc;
    rc = rc == ES_OK ? es_delivery_commit(store, c) : rc;
    es_changeset_destroy(c);
    es_figures_free(&figures);

    return rc == ES_OK;
}


/* p0060 is limited by "publish"; p0061 was. */

static void
limits(void *ctx, uint32_t partner, es_partner_limits_t *answer)
{
    (void) ctx;

    answer->policies = partner == 60 ? 1U << ES_POLICY_PUBLISH : 0;
    answer->refused = partner == 60 ? 5 : partner == 61 ? 2 : 0;
}


/* p0062 reads two feeds; 100000 is no partner. */

static bool
polls(void)
{
    es_poll_t    poll = { .feed = 1, .channel = ES_POLL_LONG, .status = 200,
                          .events = 3, .partner = 62,
                          .now_ms = 1795435201000 };
    es_polls_t  *table;

    table = aligned_alloc(64, es_polls_size(8));
    if (table == NULL) {
        return false;
    }

    memset(table, 0, es_polls_size(8));
    es_polls_init(table, 8);

    es_polls_count(table, &poll);
    poll.feed = 2;
    poll.events = 4;
    poll.now_ms -= 1000;
    es_polls_count(table, &poll);
    poll.partner = 100000;
    es_polls_count(table, &poll);

    source.polls = table;

    return true;
}


static json_t *
parse(es_buf_t *out)
{
    json_t  *answer;

    answer = json_loadb(out->data, out->len, 0, NULL);
    es_buf_free(out);

    return answer;
}


static json_t *
page(const es_partners_query_t *q)
{
    es_buf_t  out = { 0 };

    if (es_partners_page(partners, &source, q, &out) != ES_OK) {
        return NULL;
    }

    return parse(&out);
}


static const char *
name_of(json_t *answer, size_t i)
{
    const char  *name;

    name = json_string_value(json_object_get(
        json_array_get(json_object_get(answer, "partners"), i), "name"));

    return name != NULL ? name : "";
}


static void
begins(const char *sort, const char *search, const char *expected)
{
    char                 names[256] = "";
    size_t               i;
    json_t              *answer;
    es_partners_query_t  q = { .search = es_str(search), .limit = 8 };

    ok(es_sort_find(es_str(sort), &q.sort) == ES_OK, "the order \"%s\"",
       sort);
    answer = page(&q);

    for (i = 0; i < 8; i++) {
        (void) snprintf(names + strlen(names), sizeof(names) - strlen(names),
                        "%s ", name_of(answer, i));
    }

    is_str(es_str(names), expected, "begins with these");
    json_decref(answer);
}


static void
test_orders(void)
{
    es_sort_t  sort;

    begins("attention", "", "p0020 p0050 p0030 p0070 p0060 p0001 p0002 p0003 ");
    begins("name", "", "p0001 p0002 p0003 p0004 p0005 p0006 p0007 p0008 ");
    begins("lag", "", "p0030 p0080 p0001 p0002 p0003 p0004 p0005 p0006 ");
    begins("failures", "", "p0010 p0001 p0002 p0003 p0004 p0005 p0006 p0007 ");
    begins("dead-letters", "",
           "p0040 p0060 p0001 p0002 p0003 p0004 p0005 p0006 ");
    begins("attention", "05", "p0050 p0005 p0051 p0052 p0053 p0054 p0055 p0056 ");
    begins("name", "199", "p0199 p1199 p1990 p1991 p1992 p1993 p1994 p1995 ");
    begins("name", "nobody", "        ");
    ok(es_sort_find(es_str("size"), &sort) == ES_NOT_FOUND, "no other order");
}


/* Follows the list to its end. */

static void
test_pages(es_sort_t sort)
{
    char                 seen[PARTNERS + 1] = { 0 };
    size_t               i, n = 0, pages = 0, twice = 0;
    json_t              *answer;
    es_partners_query_t  q = { .sort = sort, .limit = 300 };

    for ( ;; ) {
        answer = page(&q);
        pages++;

        for (i = 0; name_of(answer, i)[0] != '\0'; i++, n++) {
            twice += seen[atoi(name_of(answer, i) + 1)]++;
        }

        if (json_is_null(json_object_get(answer, "next"))
            || es_partners_after(&q, es_str(json_string_value(
                                         json_object_get(answer, "next"))))
               != ES_OK)
        {
            break;
        }

        json_decref(answer);
    }

    json_decref(answer);
    is_int((int64_t) pages, 7, "seven pages");
    is_int((int64_t) n, PARTNERS, "have all partners");
    is_int((int64_t) twice, 0, "and none twice");

    q.search = es_str("p");
    q.limit = 1;
    q.has_after = false;
    answer = page(&q);
    q.search = es_str("");
    ok(es_partners_after(&q, es_str(json_string_value(
                                 json_object_get(answer, "next"))))
       == ES_INVALID, "a position is good for its own search only");
    json_decref(answer);
}


static json_t *
partner(const char *name)
{
    json_t              *answer, *object;
    es_partners_query_t  q = { .search = es_str(name), .limit = 1 };

    answer = page(&q);
    object = json_incref(json_array_get(json_object_get(answer, "partners"),
                                        0));
    json_decref(answer);

    return object;
}


static void
has(const char *name, const char *member, const char *expected)
{
    char    *text;
    json_t  *object;

    object = partner(name);
    text = json_dumps(json_object_get(object, member),
                      ES_JSON_PRINT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
    is_str(es_str(text), expected, member);
    free(text);
    json_decref(object);
}


static void
test_members(void)
{
    json_t              *answer, *lag;
    es_partners_query_t  q = { .limit = 1 };

    answer = page(&q);
    is_int(json_integer_value(json_object_get(answer, "total")), PARTNERS,
           "all are counted");
    is_int(json_integer_value(json_object_get(answer, "failing")), 2,
           "so are those who fail");
    is_int(json_integer_value(json_object_get(answer, "lagging")), 2, "lag");
    is_int(json_integer_value(json_object_get(answer, "limited")), 1,
           "and are limited");
    json_decref(answer);

    has("p0020", "attention", "\"failing\"");
    has("p0020", "endpoints", "{\"stopped\":1}");
    has("p0050", "endpoints", "{\"failing\":1}");
    has("p0070", "attention", "\"lagging\"");
    has("p0070", "endpoints", "{\"stalled\":1}");
    has("p0080", "attention", "null");
    has("p0080", "endpoints", "{\"paused\":1}");
    has("p0090", "disabled", "true");
    has("p0090", "endpoints", "{\"disabled\":1}");
    has("p0001", "endpoints", "{}");
    has("p0040", "dead_letters", "100");
    has("p0060", "dead_letters", "1");
    has("p0060", "attention", "\"limited\"");
    has("p0060", "limited", "[\"publish\"]");
    has("p0060", "refused", "5");
    has("p0061", "refused", "2");
    has("p0061", "attention", "null");
    has("p0061", "polls", "{\"events\":0,\"last\":null,\"requests\":0}");
    has("p0062", "polls", "{\"events\":7,\"last\":"
        "\"2026-11-23T12:00:01.000Z\",\"requests\":2}");
    has("p0010", "minute",
        "{\"attempts\":2,\"dead\":0,\"ok\":1,\"success\":0.5}");
    has("p0010", "hour", "{\"attempts\":3,\"dead\":0,\"ok\":2,"
        "\"success\":0.666666666666667}");

    answer = partner("p0030");
    lag = json_object_get(answer, "lag");
    is_int(json_integer_value(json_object_get(lag, "events")), 4,
           "one is four events behind");
    ok(json_number_value(json_object_get(lag, "seconds")) > 3000,
       "for almost an hour");
    json_decref(answer);
}


static char *
time_of_page(void)
{
    char                *time;
    json_t              *answer;
    es_partners_query_t  q = { .limit = 1 };

    answer = page(&q);
    time = strdup(json_string_value(json_object_get(answer, "time")));
    json_decref(answer);

    return time;
}


/* A view is used again, unless it became old between two pages. */

static void
test_kept(void)
{
    int    tries;
    bool   kept, changed;
    char  *first, *one, *two;

    kept = changed = false;
    first = time_of_page();

    for (tries = 0; !(kept && changed) && tries < 400; tries++) {
        one = time_of_page();
        source.now_ms += 1000;
        two = time_of_page();

        kept |= strcmp(one, two) == 0;
        changed |= strcmp(first, two) != 0;
        free(one);
        free(two);

        if (kept) {
            (void) usleep(50000);
        }
    }

    free(first);
    ok(kept, "a view is used again");
    ok(changed, "and read again when it is old");
}


/* A change of the registry is seen by the next view. */

static void
test_changed(void)
{
    int      tries;
    bool     changed;
    json_t  *object;

    ok(es_registry_change(store, ES_KIND_PARTNER, es_str("p0001"),
                          "{\"disabled\":true}", &problem) == ES_OK,
       "a change");

    changed = false;

    for (tries = 0; !changed && tries < 400; tries++) {
        object = partner("p0001");
        changed = json_is_true(json_object_get(object, "disabled"));
        json_decref(object);

        if (!changed) {
            (void) usleep(50000);
        }
    }

    ok(changed, "is seen");
}


static void
test_status(void)
{
    es_buf_t   out = { 0 };
    json_t    *answer;

    ok(es_partners_status(partners, &source, es_str("nobody"), &out)
       == ES_NOT_FOUND, "no such partner");
    ok(es_partners_status(partners, &source, es_str("p0020"), &out) == ES_OK,
       "the status of a partner");
    answer = parse(&out);
    is_int((int64_t) json_array_size(json_object_get(answer, "endpoints")), 1,
           "has its endpoint");
    is_int((int64_t) json_array_size(json_object_get(answer, "feeds")), 2,
           "and its feeds");
    is_str(es_str(json_string_value(json_object_get(
               json_object_get(answer, "overview"), "attention"))), "failing",
           "and why it needs attention");
    json_decref(answer);

    ok(es_partners_status(partners, &source, es_str("p0090"), &out) == ES_OK,
       "another");
    answer = parse(&out);
    is_int((int64_t) json_array_size(json_object_get(answer, "feeds")), 0,
           "has no feed that it may not read");
    json_decref(answer);
}


static void
test_store(void)
{
    json_t    *answer, *feeds, *first;
    es_buf_t   out = { 0 };

    ok(es_partners_store(partners, &source, &out) == ES_OK, "the store");
    answer = parse(&out);
    ok(json_is_string(json_object_get(answer, "dispatcher")),
       "its dispatcher was seen");
    ok(json_integer_value(json_object_get(json_object_get(answer, "disk"),
                                          "free")) > 0, "it has a disk");
    ok(json_integer_value(json_object_get(answer, "map_limit")) > 0,
       "and a limit");
    is_int((int64_t) json_array_size(json_object_get(answer, "environments")),
           3, "three environments are open");

    feeds = json_object_get(answer, "feeds");
    is_int(json_integer_value(json_object_get(feeds, "total")), 2,
           "two feeds");
    is_int(json_integer_value(json_object_get(feeds, "events")), 4,
           "with four events");
    first = json_array_get(json_object_get(feeds, "listed"), 0);
    is_str(es_str(json_string_value(json_object_get(first, "name"))),
           "orders", "the largest is first");
    is_int(json_integer_value(json_object_get(first, "events")), 4,
           "with its events");
    ok(json_is_null(json_object_get(first, "overdue_since")),
       "retention is applied");
    json_decref(answer);
}


static bool
publish(void)
{
    int          i;
    bool         stored;
    char         json[128];
    es_txn_t    *txn;
    es_batch_t  *batch;

    batch = es_batch_create(es_str("orders"), NULL);
    stored = true;

    for (i = 0; i < 4; i++) {
        (void) snprintf(json, sizeof(json), "{\"specversion\":\"1.0\",\"id\":"
                        "\"%d\",\"source\":\"/s\",\"type\":\"t\"}", i);
        stored = stored && es_batch_add(batch, json, strlen(json), &problem)
                           == ES_OK;
    }

    es_publish(store, &batch, 1);
    stored = stored && es_batch_rc(batch) == ES_OK;
    es_batch_destroy(batch);

    if (es_txn_begin(store, &txn) != ES_OK) {
        return false;
    }

    stored = stored && es_feed_get(txn, es_str("orders"), &feed) == ES_OK;
    es_txn_end(txn);

    return stored;
}


int
main(void)
{
    char       command[64];
    es_feed_t  empty;

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_plain_secrets_begin(dir) != ES_OK
        || es_store_open(dir, ES_STORE_DELIVER | ES_STORE_ADMIN
                              | ES_STORE_PUBLISH, &store, &problem) != ES_OK
        || es_feed_create(store, es_str("orders"), NULL, &feed) != ES_OK
        || es_feed_create(store, es_str("a"), NULL, &empty) != ES_OK
        || !hurry() || !make_partners() || !publish() || !record(es_store_ms(store) + 3500000) || !polls())
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    partners = es_partners_create();
    source.store = store;
    source.limits = limits;
    source.now_ms = es_store_ms(store) + 3500000;

    test_orders();
    test_pages(ES_SORT_ATTENTION);
    test_pages(ES_SORT_NAME);
    test_members();
    test_status();
    test_store();
    test_kept();
    test_changed();

    es_partners_free(partners);
    free((void *) (uintptr_t) source.polls);
    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
