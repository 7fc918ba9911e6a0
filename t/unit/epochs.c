/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Epochs that begin after the last event: which names are allowed, which
 * cursors are valid, how many the record has room for, and what verify finds.
 */

#include <stdio.h>
#include <stdlib.h>

#include "log/ended_epochs.h"
#include "log/feed.h"
#include "log/feed_record.h"
#include "open/open.h"
#include "store/env.h"
#include "store/store.h"
#include "tap.h"
#include "verifies.h"

static char         dir[] = "/tmp/eventsync-epochs-XXXXXX";
static es_store_t  *store;
static unsigned     published;


static void
publish(unsigned n)
{
    int           len;
    char          json[256];
    es_batch_t   *batch;
    es_problem_t  problem;

    batch = es_batch_create(es_lit("f"), NULL);

    while (n-- > 0) {
        len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                       "\"id\":\"e%u\",\"source\":\"/s\",\"type\":\"t\"}",
                       ++published);
        (void) es_batch_add(batch, json, (size_t) len, &problem);
    }

    es_publish(store, &batch, 1);
    ok(es_batch_rc(batch) == ES_OK, "events are published");
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


static es_rc_t
begin(const char *epoch)
{
    return es_feed_begin_epoch(store, es_lit("f"), epoch, NULL);
}


static es_rc_t
check(const char *epoch, uint64_t sequence)
{
    es_feed_t    feed;
    es_cursor_t  cursor = { .sequence = sequence };

    feed = feed_now();
    (void) snprintf(cursor.epoch, sizeof(cursor.epoch), "%s", epoch);

    return es_feed_check(&feed, &cursor);
}


static es_rc_t
save_txn(MDB_txn *txn, void *ctx)
{
    return es_feed_save(store, txn, ctx);
}


static void
fault(const es_feed_t *changed, const char *faults, const char *name)
{
    es_feed_t  good, bad;

    good = feed_now();
    bad = *changed;
    (void) es_env_update(store->log, save_txn, &bad);
    verifies(store, faults, name);
    (void) es_env_update(store->log, save_txn, &good);
}


static void
test_names(const char *present)
{
    is_int(begin("bbbbbbb"), ES_INVALID, "a shorter name");
    is_int(begin("bbbbbbbbb"), ES_INVALID, "a longer name");
    is_int(begin("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"), ES_INVALID,
           "a name that no epoch can have");
    is_int(begin("BBBBBBBB"), ES_INVALID, "other letters");
    is_int(begin("bbbbbb-1"), ES_INVALID, "a cursor");
    is_int(begin(""), ES_INVALID, "nothing");
    is_int(begin(present), ES_INVALID, "the present epoch");
    is_int(es_feed_begin_epoch(store, es_lit("g"), NULL, NULL), ES_NOT_FOUND,
           "no such feed");
    is_int(begin("bbbbbbbb"), ES_OK, "an epoch with a name");
    is_int(begin("bbbbbbbb"), ES_INVALID, "the same again");
    is_int(begin(present), ES_INVALID, "an earlier one");
    ok(strcmp(feed_now().epoch, "bbbbbbbb") == 0, "it is the present one");
}


static void
test_cursors(const char *first)
{
    char       text[ES_CURSOR_MAX];
    es_feed_t  feed;

    publish(2);
    is_int(begin("cccccccc"), ES_OK, "another epoch");
    is_int(begin("dddddddd"), ES_OK, "and one without events between");
    publish(1);
    feed = feed_now();

    is_int(check(first, 3), ES_OK, "the first epoch is good to its end");
    is_int(check(first, 4), ES_RESET, "and not beyond");
    is_int(check("bbbbbbbb", 0), ES_OK, "the second has the first's events");
    is_int(check("bbbbbbbb", 5), ES_OK, "and its own");
    is_int(check("bbbbbbbb", 6), ES_RESET, "and no others");
    is_int(check("cccccccc", 5), ES_OK, "one that has no event of its own");
    is_int(check("cccccccc", 6), ES_RESET, "ends where it began");
    is_int(check("dddddddd", 6), ES_OK, "the present epoch");
    is_int(check("dddddddd", 7), ES_AHEAD, "is ahead after its last event");
    is_int(check("eeeeeeee", 0), ES_RESET, "no epoch of the feed");

    (void) es_feed_cursor(&feed, 0, text);
    ok(strncmp(text, first, strlen(first)) == 0, "the beginning is of the first");
    (void) es_feed_cursor(&feed, 3, text);
    ok(strncmp(text, first, strlen(first)) == 0, "so is its last event");
    (void) es_feed_cursor(&feed, 4, text);
    is_str(es_str(text), "bbbbbbbb-4", "the next event has the next epoch");
    (void) es_feed_cursor(&feed, 6, text);
    is_str(es_str(text), "dddddddd-6", "the last one has the present epoch");

    is_int(es_feed_trim(store, es_lit("f"), 3), ES_OK, "a trim");
    is_int(check(first, 1), ES_EXPIRED, "an earlier epoch expires, too");
    is_int(check(first, 2), ES_OK, "up to the oldest event");
}


static void
test_faults(void)
{
    char       text[256];
    es_feed_t  feed;

    verifies(store, "", "epochs are no fault");

    feed = feed_now();
    feed.earlier[1].last = 2;
    fault(&feed, "feed f: the record of its epoch bbbbbbbb, up to event 2, is "
          "damaged\nfeed f: event 4 states another sequence, cursor or "
          "prevcursor\nfeed f: event 5 states another sequence, cursor or "
          "prevcursor\nfeed f: event 6 states another sequence, cursor or "
          "prevcursor", "an epoch that ended before the one before");

    feed = feed_now();
    feed.earlier[2].last = 7;
    fault(&feed, "feed f: the record of its epoch cccccccc, up to event 7, is "
          "damaged\nfeed f: event 6 states another sequence, cursor or "
          "prevcursor", "one that ended after the feed's last event");

    feed = feed_now();
    feed.earlier[2].name[4] = '\0';
    fault(&feed, "feed f: the record of its epoch cccc, up to event 5, is "
          "damaged", "a name that is cut short");

    feed = feed_now();
    feed.forgotten = 4;
    (void) snprintf(text, sizeof(text), "feed f: the record of its epoch %s, "
                    "up to event 3, is damaged", feed.earlier[0].name);
    fault(&feed, text, "epochs that were forgotten in disorder");
}


static void
test_full(const char *first)
{
    char      name[] = "mmmmmmm.";
    unsigned  i;

    for (i = feed_now().nearlier; i < ES_FEED_EARLIER_MAX; i++) {
        name[7] = (char) ('a' + i);
        is_int(begin(name), ES_OK, "an epoch for which there is room");
    }

    is_int(check(first, 3), ES_OK, "the first epoch is known");
    is_int(begin("nnnnnnnn"), ES_OK, "one more");
    is_int(check(first, 3), ES_RESET, "the first epoch is forgotten");
    is_int(check("bbbbbbbb", 3), ES_OK, "the others are not");
    is_int(feed_now().nearlier, ES_FEED_EARLIER_MAX, "the record is full");
    is_int((int64_t) feed_now().forgotten, 3, "what was forgotten is known");
    publish(1);
    verifies(store, "", "its events verify");
    is_int(begin("oooooooo"), ES_OK, "and another one");
    publish(1);
    verifies(store, "", "events of forgotten epochs verify");
}


static void
test_reset(void)
{
    char               last[ES_EPOCH_MAX + 1];
    es_txn_t          *txn;
    es_feed_t          feed;
    es_ended_epoch_t   ended;

    memcpy(last, feed_now().epoch, sizeof(last));
    is_int(es_feed_reset(store, es_lit("f"), &feed), ES_OK, "a reset");
    is_int(feed.nearlier + (int64_t) feed.forgotten, 0, "forgets all epochs");
    is_int(check(last, 0), ES_RESET, "no cursor is good");

    (void) es_txn_begin(store, &txn);
    is_int(es_ended_epoch_get(txn, feed.number, last, &ended), ES_OK,
           "the end of the last epoch is known");
    is_int((int64_t) ended.last, 8, "with its last event");
    is_int(es_ended_epoch_get(txn, feed.number, "dddddddd", &ended), ES_OK,
           "and that of an earlier one");
    is_int((int64_t) ended.last, 8, "which the last one went on from");
    es_txn_end(txn);
}


int
main(void)
{
    char          command[64], first[ES_EPOCH_MAX + 1];
    es_feed_t     feed;
    es_problem_t  problem;

    (void) mkdtemp(dir);

    if (es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_PUBLISH, &store, &problem) != ES_OK
        || es_feed_create(store, es_lit("f"), NULL, &feed) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    memcpy(first, feed.epoch, sizeof(first));
    publish(3);
    test_names(first);
    test_cursors(first);
    test_faults();
    test_full(first);
    test_reset();

    es_store_close(store);

    if (es_store_open(dir, ES_STORE_READ, &store, &problem) == ES_OK) {
        is_int(begin(NULL), ES_DENIED, "a store that is only read");
        es_store_close(store);
    }

    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
