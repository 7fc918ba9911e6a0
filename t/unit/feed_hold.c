/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Legal holds: what the library itself refuses, and a record that a build
 * without holds refuses.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/exposition.h"
#include "erase/erase.h"
#include "inspect/metrics.h"
#include "log/feed.h"
#include "log/feed_hold.h"
#include "log/feed_record.h"
#include "open/open.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"
#include "tap.h"
#include "verifies.h"

static char         dir[] = "/tmp/eventsync-hold-XXXXXX";
static es_store_t  *store;


static void
publish(const char *id)
{
    int           len;
    char          json[256];
    es_batch_t   *batch;
    es_problem_t  problem;

    batch = es_batch_create(es_lit("f"), NULL);
    len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\",\"id\":\"%s\","
                   "\"source\":\"/s\",\"type\":\"t\",\"subject\":\"s\"}", id);
    (void) es_batch_add(batch, json, (size_t) len, &problem);
    es_publish(store, &batch, 1);
    ok(es_batch_rc(batch) == ES_OK, "an event is published");
    es_batch_destroy(batch);
}


static es_feed_t
feed_now(void)
{
    es_txn_t   *txn;
    es_feed_t   feed;

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_lit("f"), &feed);
    es_txn_end(txn);

    return feed;
}


/* How the record of the feed lies in the log. */

static size_t
record(char *out)
{
    MDB_val    key = { 1, (char []) { 'f' } }, value = { 0, NULL };
    es_txn_t  *txn;

    (void) es_txn_begin(store, &txn);
    (void) mdb_get(txn->mdb, es_env_dbi(store->log, ES_LOG_FEEDS), &key,
                   &value);
    memcpy(out, value.mv_data, value.mv_size);
    es_txn_end(txn);

    return value.mv_size;
}


static void
test_reasons(void)
{
    char  text[ES_HOLD_REASON_MAX + 2];

    memset(text, 'r', sizeof(text));

    ok(es_feed_hold(store, es_lit("f"), es_null_str, NULL) == ES_INVALID,
       "no reason");
    ok(es_feed_hold(store, es_lit("f"), (es_str_t) { text, sizeof(text) - 1 },
                    NULL) == ES_INVALID, "a reason that is too long");
    ok(es_feed_hold(store, es_lit("f"), es_lit("a\x7f"), NULL) == ES_INVALID,
       "a control character");
    ok(es_feed_hold(store, es_lit("f"), es_lit("\xff"), NULL) == ES_INVALID,
       "no UTF-8");
    ok(es_feed_hold(store, es_lit("g"), es_lit("r"), NULL) == ES_NOT_FOUND,
       "no feed");
    ok(es_feed_release(store, es_lit("f"), NULL) == ES_INVALID, "no hold");
    ok(!feed_now().held, "nothing is held");
    ok(es_feed_hold(store, es_lit("f"), (es_str_t) { text, sizeof(text) - 2 },
                    NULL) == ES_OK, "the longest reason");
    is_int((int64_t) strlen(feed_now().hold.reason), ES_HOLD_REASON_MAX,
           "it is kept");
}


static void
test_refused(void)
{
    uint64_t      count;
    es_feed_t     feed;
    es_erase_t    what = { .feed = es_lit("f"), .subject = es_lit("s"),
                           .forget = true };
    es_erasure_t  again = { .feed = 1, .sequence = 1 };

    ok(es_feed_trim(store, es_lit("f"), 2) == ES_HELD, "trim");
    ok(es_feed_reset(store, es_lit("f"), NULL) == ES_HELD, "reset");
    ok(es_feed_remove(store, es_lit("f")) == ES_HELD, "removal");
    ok(es_erase(store, &what) == ES_HELD, "erasure of a subject");
    ok(es_erase_state(store, &count, &count) == ES_OK && count == 0,
       "nothing was erased");

    feed = feed_now();
    is_int((int64_t) feed.oldest, 1, "nothing was deleted");
    ok(!es_feed_limited(&feed), "the limits do not apply");
    verifies(store, "", "the store is sound");

    memcpy(again.epoch, feed.epoch, sizeof(again.epoch));
    ok(es_erase_again(store, &again) == ES_OK,
       "a restore repeats what was erased before the hold");
    ok(es_erase_state(store, &count, &count) == ES_OK && count == 0,
       "its bytes are not overwritten yet");
}


/* A build without holds takes a record of 136 bytes and a multiple of 24. */

static void
test_record(void)
{
    char       bytes[1024];
    size_t     size;
    MDB_val    key = { 1, (char []) { 'f' } }, value = { 0, bytes };
    unsigned   i;
    es_feed_t  feed;

    for (i = 0; i <= ES_FEED_EARLIER_MAX + 1; i++) {
        size = record(bytes);

        if ((size - sizeof(es_feed_record_t)) % sizeof(es_earlier_t) == 0) {
            break;
        }

        (void) es_feed_begin_epoch(store, es_lit("f"), NULL, NULL);
    }

    is_int(i, ES_FEED_EARLIER_MAX + 2, "a build without holds refuses the "
           "record, whatever epochs it has");
    ok(feed_now().held, "the hold is still there");
    is_int(feed_now().nearlier, ES_FEED_EARLIER_MAX, "and all epochs");

    size = record(bytes);
    value.mv_size = size;
    ok(es_feed_decode(&key, &value, &feed) == ES_OK, "the record is whole");

    bytes[size - 1] = 'x';
    ok(es_feed_decode(&key, &value, &feed) == ES_CORRUPT,
       "a reason without an end is refused");
}


static void
test_metrics(void)
{
    es_buf_t         out = { 0 };
    es_metrics_t     m = { .store = store, .now_ms = 1 };
    es_exposition_t  e = { .out = &out };

    (void) es_metrics_store(&m, &e);
    (void) es_buf_append(&out, "", 1);
    ok(strstr(out.data, "\neventsync_feed_held{feed=\"f\"} 1\n") != NULL,
       "a metric");
    es_buf_free(&out);
}


int
main(void)
{
    char          command[64];
    es_problem_t  problem;

    if (mkdtemp(dir) == NULL || es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_PUBLISH, &store, &problem) != ES_OK
        || es_feed_create(store, es_lit("f"),
                          &(es_feed_options_t) { .retain_count = 1 }, NULL)
           != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    publish("1");
    test_reasons();
    publish("2");
    publish("3");
    test_refused();
    test_record();
    test_metrics();

    ok(es_feed_release(store, es_lit("f"), NULL) == ES_OK, "the end");
    ok(!feed_now().held, "nothing is held");
    ok(es_feed_trim(store, es_lit("f"), 2) == ES_OK, "the feed can be trimmed");

    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
