/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The event log in one process: publishing, duplicates, reading, filters,
 * times, trim, reset, growth of the map, and recovery of the id index.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "inspect/verify.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/id_index_fill.h"
#include "open/open.h"
#include "read/reader.h"
#include "read/retention.h"
#include "tap.h"

static char  dir[] = "/tmp/eventsync-log-XXXXXX";


static es_store_t *
reopen(es_store_t *store)
{
    es_problem_t  problem;

    es_store_close(store);

    if (es_store_open(dir, ES_STORE_PUBLISH, &store, &problem) != ES_OK) {
        printf("Bail out! %s\n", problem.detail);
        exit(1);
    }

    return store;
}


static es_batch_t *
batch_of(const char *feed, unsigned from, unsigned n, const char *extra)
{
    int           len;
    char          json[1024];
    unsigned      i;
    es_batch_t   *batch;
    es_problem_t  problem;

    batch = es_batch_create(es_str(feed), NULL);

    for (i = from; i < from + n; i++) {
        len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                       "\"id\":\"e%u\",\"source\":\"/s\",\"type\":\"t.%u\","
                       "\"subject\":\"s/%u\",\"data\":{\"n\":%u%s}}",
                       i, i % 10, i % 7, i, extra);

        if (es_batch_add(batch, json, (size_t) len, &problem) != ES_OK) {
            printf("Bail out! %s\n", problem.detail);
            exit(1);
        }
    }

    return batch;
}


static es_rc_t
publish(es_store_t *store, const char *feed, unsigned from, unsigned n,
    const char *extra, es_result_t *last)
{
    es_rc_t      rc;
    es_batch_t  *batch;

    batch = batch_of(feed, from, n, extra);
    es_publish(store, &batch, 1);
    rc = es_batch_rc(batch);

    if (rc == ES_OK && last != NULL) {
        *last = *es_batch_result(batch, n - 1);
    }

    es_batch_destroy(batch);

    return rc;
}


static void
say(void *ctx, const char *text)
{
    (void) ctx;

    if (text != NULL) {
        printf("# %s\n", text);
    }
}


static bool
verified(es_store_t *store, uint64_t events)
{
    es_rc_t      rc;
    es_verify_t  totals;

    rc = es_verify(store, say, NULL, &totals);

    return rc == ES_OK && totals.events == events;
}


static unsigned
read_all(es_store_t *store, const char *name, const es_filter_t *filter,
    unsigned limit, bool *chained)
{
    char         held[ES_CURSOR_MAX], *text;
    bool         more;
    unsigned     count;
    uint64_t     after;
    es_txn_t    *txn;
    es_feed_t    feed;
    es_page_t    page = { 0 };
    const char  *p;

    count = 0;
    after = 0;
    *chained = true;

    do {
        (void) es_txn_begin(store, &txn);
        (void) es_feed_get(txn, es_str(name), &feed);
        (void) es_cursor_print(feed.epoch, after, held);

        if (es_page_read(txn, &feed, after, es_str(held), limit, 1 << 20,
                         filter, NULL, &page) != ES_OK)
        {
            *chained = false;
        }

        text = calloc(1, page.bytes + 1);
        if (es_page_copy(&page, text) != text + page.bytes
            || (page.count && page.ends[page.count - 1] != page.bytes))
        {
            *chained = false;
        }

        p = strstr(text, "\"prevcursor\":\"");
        if (page.count > 0
            && (p == NULL || strncmp(p + 14, held, strlen(held)) != 0))
        {
            *chained = false;
        }

        free(text);

        count += page.count;
        after = page.next;
        more = page.has_more;
        es_txn_end(txn);
    } while (more);

    es_page_free(&page);

    return count;
}


static void
test_reading(es_store_t *store)
{
    bool          chained;
    es_txn_t     *txn;
    uint64_t      after;
    es_feed_t     feed;
    es_event_t    event;
    es_filter_t   filter = { 0 };
    es_problem_t  problem;

    ok(read_all(store, "a", NULL, 7, &chained) == 2501 && chained,
       "every event is read once, in small pages");
    ok(read_all(store, "a", NULL, 1000, &chained) == 2501 && chained,
       "and in large ones");

    (void) es_filter_types(&filter, es_str("t.3"), &problem);
    ok(read_all(store, "a", &filter, 9, &chained) == 250 && chained,
       "one type in ten is a tenth of the events, chained by prevcursor");

    memset(&filter, 0, sizeof(filter));
    (void) es_filter_types(&filter, es_str("t.*"), &problem);
    ok(read_all(store, "a", &filter, 100, &chained) == 2501 && chained,
       "a prefix takes all its types");

    memset(&filter, 0, sizeof(filter));
    (void) es_filter_types(&filter, es_str("nothing"), &problem);
    ok(read_all(store, "a", &filter, 100, &chained) == 0 && chained,
       "an unknown type matches nothing and ends at the head");

    memset(&filter, 0, sizeof(filter));
    filter.by_subject = true;
    filter.subject = es_str("s/3");
    ok(read_all(store, "a", &filter, 10, &chained) == 357 && chained,
       "a subject is found wherever it is");

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_str("a"), &feed);
    ok(es_event_get(txn, &feed, 1234, &event) == ES_OK
       && event.sequence == 1234
       && es_str_eq(event.id, es_str("e1233"))
       && strncmp(event.cursor.data + event.cursor.len - 5, "-1234", 5) == 0,
       "an event is found by its sequence, with its parts");
    ok(es_event_get(txn, &feed, 2502, &event) == ES_NOT_FOUND,
       "but not past the head");
    ok(es_feed_seek_time(txn, &feed, 0, &after) == ES_OK && after == 0,
       "the beginning of time is the oldest event");
    ok(es_feed_seek_time(txn, &feed, feed.last_ms + 1, &after) == ES_OK
       && after == feed.last, "the future is the head");
    ok(es_feed_since(txn, &feed, 0, &after) == ES_OK
       && after == feed.last + 1 - feed.oldest
       && es_feed_since(txn, &feed, feed.last_ms + 1, &after) == ES_OK
       && after == 0, "events since a time are counted");
    ok(es_feed_seek_time(txn, &feed, feed.last_ms, &after) == ES_OK
       && after < feed.last, "the last commit's time is before the head");
    es_txn_end(txn);
}


/* Types that begin alike, and enough of them for the index to be asked. */

static void
test_prefix(es_store_t *store)
{
    int           len;
    bool          chained;
    char          json[256];
    unsigned      i;
    es_batch_t   *batch;
    es_filter_t   filter = { 0 };
    es_problem_t  problem;

    static const char *const  types[] = {
        "order", "order-x", "order.", "order.a", "order.b.c", "order/a",
        "orders.created", "orderx"
    };

    batch = es_batch_create(es_str("b"), NULL);

    for (i = 0; i < 800; i++) {
        len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                       "\"id\":\"p%u\",\"source\":\"/s\",\"type\":\"%s\"}",
                       i, types[i % 8]);
        (void) es_batch_add(batch, json, (size_t) len, &problem);
    }

    es_publish(store, &batch, 1);
    ok(es_batch_rc(batch) == ES_OK, "events of types that begin alike");
    es_batch_destroy(batch);

    (void) es_filter_types(&filter, es_str("order.*"), &problem);
    is_int(read_all(store, "b", &filter, 70, &chained), 300,
           "a prefix takes what has a '.' after it, and no other");
    (void) es_filter_types(&filter, es_str("order"), &problem);
    is_int(read_all(store, "b", &filter, 70, &chained), 100,
           "what it stands before is a type like any other");
    (void) es_filter_types(&filter, es_str("order.b.*,order-x"), &problem);
    is_int(read_all(store, "b", &filter, 70, &chained), 200,
           "beside another type, too");
}


static void
test_trim(es_store_t *store)
{
    es_txn_t            *txn;
    uint64_t             oldest;
    es_feed_t            feed, again;
    es_deletion_cause_t  why;
    es_cursor_t          cursor;
    es_feed_options_t    options = { .retain_count = 1000 };

    (void) es_feed_change(store, es_str("a"), &options);

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_str("a"), &feed);
    ok(es_feed_retained(txn, &feed, es_clock_ms(), &oldest, &why) == ES_OK
       && oldest == 1502 && why == ES_DELETION_COUNT,
       "retention by count keeps the newest");
    es_txn_end(txn);

    ok(es_feed_trim(store, es_str("a"), oldest) == ES_OK, "they are trimmed");

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_str("a"), &feed);
    es_txn_end(txn);

    ok(feed.oldest == 1502 && feed.last == 2501, "and oldest has moved");

    memcpy(cursor.epoch, feed.epoch, sizeof(cursor.epoch));
    cursor.sequence = 1500;
    ok(es_feed_check(&feed, &cursor) == ES_EXPIRED, "a cursor expires");
    cursor.sequence = 1501;
    ok(es_feed_check(&feed, &cursor) == ES_OK, "the one before oldest is good");
    cursor.sequence = 2502;
    ok(es_feed_check(&feed, &cursor) == ES_AHEAD, "one ahead is refused");
    ok(verified(store, 1003), "the trimmed store verifies");

    ok(es_feed_reset(store, es_str("a"), &again) == ES_OK
       && strcmp(again.epoch, feed.epoch) != 0 && again.last == 0,
       "a reset gives a new epoch");
    memcpy(cursor.epoch, feed.epoch, sizeof(cursor.epoch));
    ok(es_feed_check(&again, &cursor) == ES_RESET, "an old cursor is told so");
}


/* A store whose map is small at first, so that it has to grow. */
static es_store_t *
test_create(void)
{
    char          cmd[256];
    es_feed_t     feed;
    es_store_t   *store;
    es_problem_t  problem;

    store = NULL;

    ok(es_store_open(dir, 0, &store, &problem) == ES_NOT_FOUND,
       "an empty directory is not a store");
    ok(es_store_create(dir, &problem) == ES_OK, "a store is made");
    ok(es_store_create(dir, &problem) == ES_EXISTS, "only once");

    (void) snprintf(cmd, sizeof(cmd),
                    "sed -i 's/^map_initial .*/map_initial 65536/' %s/format",
                    dir);
    ok(system(cmd) == 0, "the map starts small");

    store = reopen(NULL);

    ok(es_feed_create(store, es_str("a"), NULL, &feed) == ES_OK, "a feed");
    ok(es_feed_create(store, es_str("a"), NULL, &feed) == ES_EXISTS,
       "a feed is created once");
    ok(es_feed_create(store, es_str("B"), NULL, &feed) == ES_INVALID,
       "a feed's name is checked");
    ok(es_feed_create(store, es_str("b"), NULL, &feed) == ES_OK, "another");

    return store;
}


static void
test_publishing(es_store_t *store)
{
    unsigned     i;
    es_result_t  result;

    ok(publish(store, "none", 0, 1, "", NULL) == ES_NOT_FOUND, "no such feed");
    ok(publish(store, "a", 0, 1, "", &result) == ES_OK
       && result.sequence == 1 && !result.duplicate, "the first is 1");
    ok(publish(store, "a", 0, 1, "", &result) == ES_OK
       && result.sequence == 1 && result.duplicate, "a repeat is the first");
    ok(publish(store, "a", 0, 1, ",\"x\":1", NULL) == ES_CONFLICT,
       "other content is a conflict");
    ok(publish(store, "b", 0, 3, "", &result) == ES_OK && result.sequence == 3,
       "sequences belong to the feed");

    for (i = 1; i < 2401; i += 150) {
        if (publish(store, "a", i, 150, "", &result) != ES_OK) {
            break;
        }
    }

    ok(i == 2401 && result.sequence == 2401, "the map grows while publishing");

    for (i = 2401; i < 2501; i++) {
        if (publish(store, "a", i, 1, "", &result) != ES_OK) {
            break;
        }
    }

    ok(i == 2501 && result.sequence == 2501, "single events follow batches");
    ok(publish(store, "a", 2000, 600, ",\"x\":1", NULL) == ES_CONFLICT,
       "one conflict refuses the batch");
    ok(verified(store, 2504), "the store verifies");
}


static es_store_t *
test_lost_index(es_store_t *store)
{
    char         cmd[256];
    es_result_t  result;

    (void) snprintf(cmd, sizeof(cmd), "rm -r %s/ids", dir);
    ok(system(cmd) == 0, "the id index is lost");
    store = reopen(store);
    ok(publish(store, "a", 1000, 1, "", &result) == ES_OK && result.duplicate
       && result.sequence == 1001, "and comes back from the log");
    ok(verified(store, 2504), "complete");

    return store;
}


int
main(void)
{
    char         cmd[256];
    es_store_t  *store;

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    store = test_create();
    test_publishing(store);
    test_reading(store);
    store = test_lost_index(store);
    test_trim(store);
    test_prefix(store);

    es_store_close(store);

    (void) snprintf(cmd, sizeof(cmd), "rm -r %s", dir);
    if (system(cmd) != 0) {
        return 1;
    }

    return done();
}
