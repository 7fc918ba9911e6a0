/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The record of a feed whose digest chain must be made anew: beside a hold and
 * earlier epochs, and over new events, retention and a reset.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "erase/erase.h"
#include "event/batch.h"
#include "log/feed.h"
#include "log/feed_hold.h"
#include "log/feed_record.h"
#include "log/rechain.h"
#include "open/open.h"
#include "read/range.h"
#include "store/store.h"
#include "tap.h"
#include "verifies.h"

static char         dir[] = "/tmp/eventsync-rechain-XXXXXX";
static es_store_t  *store;
static es_feed_t    feed;


static void
publish(unsigned n)
{
    char          json[200];
    es_batch_t   *batch;
    es_problem_t  problem;

    static unsigned  id;

    batch = es_batch_create(es_lit("f"), NULL);

    while (n-- > 0) {
        (void) snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                        "\"id\":\"%u\",\"source\":\"/s\",\"type\":\"t\"}",
                        ++id);
        (void) es_batch_add(batch, json, strlen(json), &problem);
    }

    es_publish(store, &batch, 1);
    if (es_batch_rc(batch) != ES_OK) {
        printf("Bail out! %s\n", es_batch_problem(batch)->detail);
        exit(1);
    }

    es_batch_destroy(batch);
}


/* Loads the feed, and returns the outcome for D(sequence). */

static es_rc_t
digest(uint64_t sequence)
{
    es_rc_t    rc;
    uint8_t    out[ES_CHAIN_LEN];
    es_txn_t  *txn;

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_lit("f"), &feed);
    rc = es_range_digest(txn, &feed, sequence, out);
    es_txn_end(txn);

    return rc;
}


static void
drop(uint64_t sequence)
{
    es_erase_t  what = { .feed = es_lit("f"), .forget = true, .drop = true };

    (void) digest(0);
    memcpy(what.event.epoch, feed.epoch, sizeof(what.event.epoch));
    what.event.sequence = sequence;
    ok(es_erase(store, &what) == ES_OK, "event %u is erased",
       (unsigned) sequence);
}


static void
test_record(void)
{
    int       i;
    uint8_t   before[ES_CHAIN_LEN];

    publish(10);
    publish(10);
    publish(10);
    (void) digest(0);
    memcpy(before, feed.digest, sizeof(before));

    drop(25);
    ok(digest(30) == ES_BUSY && digest(20) == ES_BUSY && digest(19) == ES_OK,
       "from its chunk on the chain proves nothing");
    is_int((int64_t) feed.rechain.next, 21, "and the record says so");

    drop(15);
    ok(digest(30) == ES_BUSY && feed.rechain.next == 11, "an earlier one");
    drop(26);
    ok(digest(30) == ES_BUSY && feed.rechain.next == 11, "and a later one");

    ok(es_feed_hold(store, es_lit("f"), es_lit("why"), &feed) == ES_OK,
       "the feed is held");

    for (i = 0; i < ES_FEED_EARLIER_MAX + 1; i++) {
        ok(es_feed_begin_epoch(store, es_lit("f"), NULL, &feed) == ES_OK
           && digest(30) == ES_BUSY && feed.held && feed.rechained
           && strcmp(feed.hold.reason, "why") == 0
           && feed.rechain.next == 11, "both are kept with %d epochs", i + 1);
        publish(1);
    }

    ok(memcmp(before, feed.digest, sizeof(before)) != 0, "publishers go on");
    verifies(store, "", "the store is sound meanwhile");
    ok(es_rechain(store) == ES_OK && digest(feed.last) == ES_OK
       && !feed.rechained && feed.held && digest(15) == ES_OK,
       "the chain is made anew, beside the hold");
    verifies(store, "", "the store is sound");
    ok(es_rechain(store) == ES_OK, "and there is nothing left to do");
    ok(es_feed_release(store, es_lit("f"), &feed) == ES_OK
       && digest(0) == ES_OK && !feed.held, "the feed is released");
}


static void
test_trim(void)
{
    uint64_t  last;

    drop(22);
    (void) es_feed_trim(store, es_lit("f"), 35);
    ok(digest(40) == ES_BUSY && feed.rechain.next == 21,
       "retention takes the chunk");
    ok(es_rechain(store) == ES_OK && digest(40) == ES_OK, "and the rest");
    verifies(store, "", "is sound");

    publish(3);
    (void) digest(40);
    last = feed.last;
    drop(last);
    (void) es_feed_trim(store, es_lit("f"), last + 1);
    ok(digest(last) == ES_BUSY, "retention takes all of it");
    ok(es_rechain(store) == ES_OK && digest(last) == ES_OK,
       "the empty feed has a chain");
    publish(3);
    verifies(store, "", "which goes on");

    drop(last + 2);
    ok(es_feed_reset(store, es_lit("f"), &feed) == ES_OK
       && digest(0) == ES_OK && !feed.rechained, "a reset begins another");
}


static void
test_form(void)
{
    char     value[sizeof(es_feed_record_t) + sizeof(es_rechain_t)] = "";
    char     name[] = "f";
    MDB_val  key = { 1, name }, val = { sizeof(value), value };

    es_rechain_t  rechain = { .next = 1, .form = ES_RECHAIN_FORM };

    memcpy(value + sizeof(es_feed_record_t), &rechain, sizeof(rechain));
    ok(es_feed_decode(&key, &val, &feed) == ES_OK && feed.rechained,
       "the form that there is");
    rechain.form++;
    memcpy(value + sizeof(es_feed_record_t), &rechain, sizeof(rechain));
    ok(es_feed_decode(&key, &val, &feed) == ES_CORRUPT, "another is refused");
    val.mv_size--;
    ok(es_feed_decode(&key, &val, &feed) == ES_CORRUPT, "and another size");
}


/* Between two slices of es_verify() a digest is dropped, in an event that was
   verified, and the chain may be made anew. */

static void
say_and_drop(void *ctx, const char *text)
{
    unsigned    *n = ctx;
    es_erase_t   what = { .feed = es_lit("f"), .forget = true, .drop = true };

    if (text == NULL) {
        memcpy(what.event.epoch, feed.epoch, sizeof(what.event.epoch));
        what.event.sequence = ++*n;
        ok(es_erase(store, &what) == ES_OK
           && (*n % 4 < 2 || es_rechain(store) == ES_OK),
           "event %u is erased", *n);
    }

    verifies_say(NULL, text);
}


static void
test_verify(void)
{
    unsigned     n;
    es_verify_t  totals;

    for (n = 0; n < 300; n++) {
        publish(1);
    }

    (void) digest(0);
    verifies_said[0] = '\0';
    n = 0;
    (void) es_verify(store, say_and_drop, &n, &totals);
    ok(n > 4, "digests are dropped while the feed is verified");
    is_str(es_str(verifies_said), "", "that is no fault");
    ok(es_rechain(store) == ES_OK, "the chain is completed");
    verifies(store, "", "and sound");
}


int
main(void)
{
    char          command[64];
    es_problem_t  problem;

    (void) mkdtemp(dir);

    if (es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_PUBLISH, &store, &problem) != ES_OK
        || es_feed_create(store, es_lit("f"), NULL, NULL) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    test_record();
    test_trim();
    test_verify();
    test_form();

    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
