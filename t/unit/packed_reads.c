/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Packed history among other work: moved times, limits of the feed, another
 * process, the bound of a poll, and the memory of a thread.
 */

#include <stdio.h>
#include <stdlib.h>

#include "event/batch.h"
#include "event/filter.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/packed.h"
#include "log/unpacked.h"
#include "pack/pack.h"
#include "pack/pack_impl.h"
#include "packed_log.h"
#include "read/range.h"
#include "read/reader.h"
#include "read/retention.h"
#include "read/retime.h"
#include "store/store.h"
#include "tap.h"
#include "verifies.h"


static int64_t
time_of_in(es_txn_t *txn, uint64_t sequence)
{
    es_event_t  event = { 0 };

    (void) es_event_get(txn, &feed, sequence, &event);

    return event.time_ms;
}


static int64_t
time_of(uint64_t sequence)
{
    int64_t    time_ms;
    es_txn_t  *txn;

    (void) es_txn_begin(store, &txn);
    time_ms = time_of_in(txn, sequence);
    es_txn_end(txn);

    return time_ms;
}


/* The time is moved to that of an event in the middle of a packed chunk. */

static void
test_retime(void)
{
    int64_t   before_ms, at_ms;
    uint64_t  count;

    at_ms = time_of(150);
    before_ms = time_of(101);

    ok(time_of(199) > at_ms, "times differ within a packed chunk");
    ok(es_feed_retime(store, es_lit("f"), at_ms, &count) == ES_OK && count > 0,
       "times are moved");
    head();
    ok(time_of(199) == at_ms && time_of(feed.last) == at_ms,
       "those in the future");
    ok(time_of(150) == at_ms && time_of(101) == before_ms, "and no others");
    verifies(store, "", "and the log is sound");
}


/* ---- two at once ---- */


/* Packs a run as pack.c does.  While the caller reads, others erase an event of
   it. */

static es_rc_t
make_and_erase(es_packer_t *packer, const es_chunk_t *chunks, es_run_t *run)
{
    es_rc_t  rc;

    rc = es_packed_encode(packer->feed.number, chunks, run->nold, 1,
                          &packer->out);

    if (rc == ES_OK) {
        rc = es_run_add(packer, run, run->last, 0);
    }

    erase(run->first + 7);

    return rc;
}


static void
test_changed(void)
{
    es_packed_runs_t  done;

    es_packer_t  packer = { .store = store, .name = es_lit("f"),
                            .make = make_and_erase, .done = &done };

    ok(es_unpack_step(store, es_lit("f"), 600, 1, &done) == ES_OK
       && done.runs == 1, "a run is plain");
    ok(es_runs_replace(&packer, 600, 1) == ES_OK && done.runs == 0,
       "a run that has changed since it was read stays");
    verifies(store, "", "with its change");
    ok(es_pack_step(store, es_lit("f"), 600, 1, 1, &done) == ES_OK
       && done.runs == 1, "and is packed the next time");
    verifies(store, "", "and sound");
}


/* ---- the work of a reader ---- */


/* Pages of large events, of which each has one of the subject "rare". */

static void
publish_rare(unsigned pages)
{
    char          json[2048], data[1200];
    size_t        len;
    unsigned      page, i, j;
    es_batch_t   *batch;
    es_problem_t  problem;

    for (page = 0; page < pages; page++) {
        batch = es_batch_create(es_lit("g"), NULL);

        for (i = 0; i < 100; i++) {
            for (j = 0; j < sizeof(data) - 1; j++) {
                data[j] = (char) ('a' + pick(26));
            }

            data[sizeof(data) - 1] = '\0';
            len = (size_t) sprintf(json, "{\"specversion\":\"1.0\",\"id\":"
                                   "\"%u\",\"source\":\"/g\",\"type\":"
                                   "\"%s\",\"subject\":\"%s\",\"data\":"
                                   "\"%s\"}", ++made, i == 50 ? "rare" : "t",
                                   i == 50 ? "rare" : "others", data);
            (void) es_batch_add(batch, json, len, &problem);
        }

        es_publish(store, &batch, 1);
        es_batch_destroy(batch);
    }
}


/* Polls until all is read.  Returns how many events it got; `*most` is the
   most bytes that a poll unpacked. */

static unsigned
poll_all(const es_feed_t *from, const es_filter_t *filter, unsigned *polls,
    uint64_t *most)
{
    unsigned   n;
    uint64_t   before;
    es_txn_t  *txn;
    es_page_t  page = { 0 };

    n = 0;
    *polls = 0;
    *most = 0;

    do {
        es_unpacked_free();
        before = es_unpacked_bytes();
        (void) es_txn_begin(store, &txn);

        if (es_page_read(txn, from, page.next, es_lit("x"), 1000, 1 << 24,
                         filter, NULL, &page) != ES_OK)
        {
            n = 0;
            page.has_more = false;
        }

        es_txn_end(txn);
        n += page.count;
        (*polls)++;
        *most = es_unpacked_bytes() - before > *most
                ? es_unpacked_bytes() - before : *most;

    } while (page.has_more);

    es_page_free(&page);

    return n;
}


static void
test_bound(void)
{
    uint64_t          after, most;
    unsigned          polls;
    es_buf_t          scratch = { 0 };
    es_txn_t         *txn;
    es_feed_t         large;
    es_filter_t       subject = { 0 }, types = { 0 };
    es_problem_t      problem;
    es_packed_runs_t  done;

    (void) es_feed_create(store, es_lit("g"), NULL, NULL);
    publish_rare(60);

    for (after = 0, done.done = false; !done.done; after = done.next) {
        (void) es_pack_step(store, es_lit("g"), after, 64, 1, &done);
    }

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_lit("g"), &large);
    es_txn_end(txn);

    (void) es_filter_subject(&subject, es_lit("rare"), &scratch, &problem);
    (void) es_filter_types(&types, es_lit("rare"), &problem);

    is_int(poll_all(&large, &subject, &polls, &most), 60,
           "polls by subject get every event");
    ok(polls > 1 && most < ES_UNPACKED_READ + ES_UNPACKED_READ / 8,
       "none unpacks much more than 4 MB");
    is_int(poll_all(&large, &types, &polls, &most), 60,
           "polls by type get every event");
    ok(polls > 1 && most < ES_UNPACKED_READ + ES_UNPACKED_READ / 8,
       "none unpacks much more than 4 MB");
    verifies(store, "", "all is sound");
    es_buf_free(&scratch);
}


/* What a thread has unpacked stays where it is within a transaction, and little
   of it is kept. */

static void
test_memory(void)
{
    bool        pass;
    es_txn_t   *txn;
    uint64_t    n;
    es_chunk_t  first, again, other;

    (void) es_txn_begin(store, &txn);
    (void) es_chunk_seek(txn->events, feed.number, 450, true, &first);

    for (n = 501, pass = true; n < 1000; n += 100) {
        pass &= es_chunk_seek(txn->events, feed.number, n, true, &other)
                == ES_OK && other.head != first.head;
    }

    (void) es_chunk_seek(txn->events, feed.number, 450, true, &again);
    ok(pass && first.commits != NULL && again.head == first.head
       && memcmp(again.body, first.body, 10) == 0,
       "a chunk is unpacked once in a transaction");
    es_txn_end(txn);

    n = es_unpacked_bytes();
    (void) es_txn_begin(store, &txn);
    (void) es_chunk_seek(txn->events, feed.number, 450, true, &again);
    es_txn_end(txn);
    ok(es_unpacked_bytes() == n, "and kept for the next one");
}


static uint64_t
unpacked_in_turns(void)
{
    uint64_t    n, before;
    es_txn_t   *txn;
    es_chunk_t  chunk;

    before = es_unpacked_bytes();

    for (n = 50; n < 1000; n += 100) {
        (void) es_txn_begin(store, &txn);
        (void) es_chunk_seek(txn->events, feed.number, n, true, &chunk);
        es_txn_end(txn);
    }

    return es_unpacked_bytes() - before;
}


static void
test_kept(void)
{
    uint64_t  first;

    es_unpacked_free();
    (void) es_unpacked_keep(0);
    first = unpacked_in_turns();
    ok(first > 0 && unpacked_in_turns() == first,
       "a thread that keeps nothing unpacks again");

    (void) es_unpacked_keep(64 * 1024 * 1024);
    (void) unpacked_in_turns();
    is_int((int64_t) unpacked_in_turns(), 0,
           "a thread that keeps enough does not");
    es_unpacked_free();
}


/* ---- limits of the feed ---- */


static uint64_t
bytes_of(es_txn_t *txn, uint64_t from, uint64_t to)
{
    uint64_t  bytes = 0;

    (void) es_range_bytes(txn, &feed, from - 1, to, &bytes);

    return bytes;
}


/* In packed history a limit ends at an event, not at a record. */

static void
test_limits(void)
{
    bool                 exact, due;
    int64_t              since_ms;
    uint64_t             oldest, first;
    es_txn_t            *txn;
    es_feed_t            limited;
    es_deletion_cause_t  why;

    head();
    exact = due = true;
    (void) es_txn_begin(store, &txn);

    for (first = feed.oldest + 7; first < feed.last - 300; first += 61) {
        limited = feed;
        limited.retain_bytes = bytes_of(txn, first, feed.last);
        (void) es_feed_retained(txn, &limited, 0, &oldest, &why);

        /* the commas between events count as well */

        exact &= oldest <= first && oldest + 5 > first;
        (void) es_feed_overdue(txn, &limited, INT64_MAX, &since_ms);

        limited.retain_bytes = 0;
        limited.retain_count = feed.last + 1 - first;
        (void) es_feed_retained(txn, &limited, 0, &oldest, &why);
        exact &= oldest == first;
        (void) es_feed_overdue(txn, &limited, INT64_MAX, &since_ms);
        due &= since_ms == time_of_in(txn, feed.oldest + limited.retain_count);

        limited.retain_count = 0;
        limited.retain_ms = 1000;
        (void) es_feed_retained(txn, &limited, time_of_in(txn, first) + 1000,
                                &oldest, &why);
        exact &= oldest <= first
                 && time_of_in(txn, oldest) == time_of_in(txn, first)
                 && (oldest == feed.oldest
                     || time_of_in(txn, oldest - 1) < time_of_in(txn, first));
        (void) es_feed_overdue(txn, &limited, INT64_MAX, &since_ms);
        due &= since_ms == time_of_in(txn, feed.oldest) + 1000;
    }

    es_txn_end(txn);
    ok(exact, "each limit keeps the right events");
    ok(due, "and says since when it is exceeded");
}


/* ---- verify beside a packer ---- */


/* Packs or unpacks between two slices of es_verify(). */

static void
say_and_pack(void *ctx, const char *text)
{
    unsigned  *n = ctx;

    if (text == NULL) {
        (void) pack_all((*n)++ % 2);
    }

    verifies_say(NULL, text);
}


static void
test_verify(void)
{
    unsigned     n = 0;
    es_verify_t  totals;

    (void) pack_all(0);
    verifies_said[0] = '\0';
    (void) es_verify(store, say_and_pack, &n, &totals);
    ok(n > 3, "a feed is packed and unpacked while it is verified");
    is_str(es_str(verifies_said), "", "that is no fault");
    is_int((int64_t) totals.events, EVENTS - 2, "each event is counted once");
    (void) pack_all(1);
}


int
main(void)
{
    if (!create()) {
        return 1;
    }

    publish_all();
    (void) pack_all(1);

    test_limits();
    test_verify();
    test_memory();
    test_kept();
    test_changed();
    test_bound();
    test_retime();
    es_unpacked_free();

    return end();
}
