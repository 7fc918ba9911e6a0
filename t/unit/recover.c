/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A commit whose meta page cannot be written: the library opens the environment
 * again, beside readers, and writes to it only when the disk certainly holds
 * what every process sees.
 */

#include "../preload/fault.c"

#include <pthread.h>
#include <sys/stat.h>

#include "inspect/verify.h"
#include "open/open.h"
#include "read/reader.h"
#include "store/store.h"
#include "tap.h"

static char         dir[] = "/tmp/eventsync-recover-XXXXXX";
static char         fault[64];
static es_store_t  *store;


static void
fail(const char *words)
{
    FILE  *f;

    if (words == NULL) {
        (void) unlink(fault);
        return;
    }

    f = fopen(fault, "we");
    if (f == NULL || fputs(words, f) < 0 || fclose(f) != 0) {
        printf("Bail out! cannot write %s\n", fault);
        exit(1);
    }
}


/* One event, of a type of its own. */

static es_rc_t
publish(unsigned n)
{
    int           len;
    char          json[256];
    es_rc_t       rc;
    es_batch_t   *batch;
    es_problem_t  problem;

    len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\",\"id\":\"e%u\""
                   ",\"source\":\"/s\",\"type\":\"t.%u\"}", n, n);

    batch = es_batch_create(es_lit("a"), NULL);
    rc = es_batch_add(batch, json, (size_t) len, &problem);

    if (rc == ES_OK) {
        es_publish(store, &batch, 1);
        rc = es_batch_rc(batch);
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


static void
sound(uint64_t events, const char *name)
{
    es_verify_t  totals;

    ok(es_verify(store, say, NULL, &totals) == ES_OK
       && totals.events == events, "%s", name);
}


/* The feed's last sequence in a new transaction. */

static int64_t
last(void)
{
    int64_t    n;
    es_txn_t  *txn;
    es_feed_t  feed;

    if (es_txn_begin(store, &txn) != ES_OK) {
        return -1;
    }

    n = es_feed_get(txn, es_lit("a"), &feed) == ES_OK ? (int64_t) feed.last
                                                       : -1;
    es_txn_end(txn);

    return n;
}


/* Transactions that are kept to be renewed must not outlive the handle. */

static void
keep_transactions(void)
{
    es_txn_t  *a, *b;

    if (es_txn_begin(store, &a) == ES_OK) {
        if (es_txn_begin(store, &b) == ES_OK) {
            es_txn_end(b);
        }

        es_txn_end(a);
    }
}


static void
test_at_once(void)
{
    is_int(publish(1), ES_OK, "an event is published");

    keep_transactions();
    fail("meta /log/");
    is_int(publish(2), ES_IO, "the meta page cannot be written");
    ok(!es_store_lost(store), "the log is opened again at once");
    is_int(last(), 1, "nothing was published");
    is_int(publish(2), ES_IO, "it fails each time");
    fail(NULL);

    is_int(publish(3), ES_OK, "the disk is well again: so is publishing");
    is_int(publish(2), ES_OK, "what failed is published by trying again");
    is_int(last(), 3, "once");
    sound(3, "the store is sound");
}


static void
test_later(void)
{
    keep_transactions();
    fail("meta /log/ start /log/");
    is_int(publish(4), ES_IO, "a disk that is not well");
    ok(es_store_lost(store), "the log is lost");
    is_int(last(), -1, "and cannot be read");
    is_int(publish(4), ES_IO, "nor written");

    fail("sync /log/");
    is_int(es_store_recover(store), ES_IO,
           "it is not opened while pages cannot be synced");
    ok(es_store_lost(store), "and stays lost");
    ok(es_store_version(store) != 0, "its version is the last seen");
    is_int(es_store_reap_readers(store), 0, "reaping finds nothing");

    fail(NULL);
    is_int(es_store_recover(store), ES_OK, "then it is opened again");
    ok(!es_store_lost(store), "and is not lost");
    is_int(last(), 3, "it reads as before");
    is_int(es_store_recover(store), ES_OK, "a sound one is left alone");

    fail("meta /log/ start /log/");
    is_int(publish(4), ES_IO, "lost once more");
    fail(NULL);
    is_int(publish(4), ES_OK, "publishing opens it by itself");
    is_int(last(), 4, "and goes on");
    sound(4, "the store is sound");
}


static void *
publish_in_thread(void *ctx)
{
    *(es_rc_t *) ctx = publish(5);

    return NULL;
}


static void
test_readers(void)
{
    int         tries;
    es_rc_t     rc;
    es_txn_t   *txn, *other;
    es_feed_t   feed;
    es_event_t  event;
    pthread_t   thread;

    rc = ES_OK;

    if (es_txn_begin(store, &txn) != ES_OK
        || es_feed_get(txn, es_lit("a"), &feed) != ES_OK)
    {
        ok(false, "a reader is open");
        return;
    }

    fail("meta /log/");

    if (pthread_create(&thread, NULL, publish_in_thread, &rc) != 0) {
        ok(false, "a thread");
        return;
    }

    for (tries = 0; tries < 3000 && !es_store_lost(store); tries++) {
        (void) usleep(10000);
    }

    ok(es_store_lost(store), "a commit fails beside a reader");
    is_int(es_txn_begin(store, &other), ES_BUSY, "who comes then has to wait");
    is_int(es_event_get(txn, &feed, 4, &event), ES_OK,
           "the reader goes on reading");
    es_txn_end(txn);

    (void) pthread_join(thread, NULL);
    fail(NULL);

    is_int(rc, ES_IO, "when it has ended the publish answers");
    ok(!es_store_lost(store), "and the log is open again");
    is_int(publish(5), ES_OK, "publishing goes on");
    sound(5, "the store is sound");
}


int
main(void)
{
    char          command[128];
    es_feed_t     feed;
    es_problem_t  problem;

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_PUBLISH, &store, &problem) != ES_OK
        || es_feed_create(store, es_lit("a"), NULL, &feed) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    (void) snprintf(fault, sizeof(fault), "%s/fault", dir);
    (void) setenv("ES_FAULT", fault, 1);

    test_at_once();
    test_later();
    test_readers();

    es_store_close(store);

    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
