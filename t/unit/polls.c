/* SPDX-License-Identifier: BSD-2-Clause */

/* Figures of polls by partner and feed: what counts, a full table, and
   processes that count at once. */

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limit/polls.h"
#include "tap.h"

#define WORKERS  4
#define TIMES    20000


static es_polls_t *
make(size_t sets)
{
    es_polls_t  *polls;

    polls = mmap(NULL, es_polls_size(sets), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (polls == MAP_FAILED) {
        exit(1);
    }

    es_polls_init(polls, sets);

    return polls;
}


static void
test_counts(void)
{
    es_poll_t           poll = { .partner = 3, .feed = 7, .status = 200 };
    es_polls_t         *polls;
    es_poll_figures_t   f;

    polls = make(4);
    ok(!es_polls_get(polls, 3, 7, &f), "nothing is known at first");

    poll.now_ms = 1000;
    poll.events = 10;
    poll.epoch = "abcd";
    poll.position = 10;
    es_polls_count(polls, &poll);

    poll.now_ms = 2000;
    poll.channel = ES_POLL_LONG;
    poll.events = 0;
    es_polls_count(polls, &poll);

    poll.epoch = NULL;
    poll.status = 429;
    es_polls_count(polls, &poll);
    poll.status = 503;
    es_polls_count(polls, &poll);
    poll.status = 304;
    es_polls_count(polls, &poll);
    poll.status = 499;
    es_polls_count(polls, &poll);
    poll.now_ms = 3000;
    poll.status = 0;
    es_polls_count(polls, &poll);

    ok(es_polls_get(polls, 3, 7, &f), "the pair has figures");
    is_int(f.since_ms, 1000, "since its first request");
    is_int(f.last_ms, 3000, "up to its last");
    is_int((int64_t) f.requests[ES_POLL_POLL], 1, "a poll");
    is_int((int64_t) f.requests[ES_POLL_LONG], 6, "and six long polls");
    is_int((int64_t) f.events[ES_POLL_POLL], 10, "its events");
    is_int((int64_t) f.empty[ES_POLL_LONG], 1, "an answer without events");
    is_int((int64_t) f.batches, 1, "and one with events");
    is_int((int64_t) f.refused, 1, "a refusal");
    is_int((int64_t) f.classes[ES_POLL_2XX], 2, "answers 2xx");
    is_int((int64_t) f.classes[ES_POLL_3XX], 1, "3xx");
    is_int((int64_t) f.classes[ES_POLL_4XX], 1, "4xx");
    is_int((int64_t) f.classes[ES_POLL_5XX], 1, "5xx");
    is_int((int64_t) f.classes[ES_POLL_NONE], 2, "clients that left");
    ok(!es_polls_get(polls, 7, 3, &f) && !es_polls_get(polls, 3, 8, &f),
       "other pairs have none");
}


static void
test_stream(void)
{
    es_poll_t           poll = { .partner = 1, .feed = 1, .status = 200,
                                 .channel = ES_POLL_STREAM };
    es_polls_t         *polls;
    es_poll_figures_t   f;

    polls = make(1);
    es_polls_count(polls, &poll);
    poll.piece = true;
    poll.events = 4;
    es_polls_count(polls, &poll);
    poll.events = 2;
    es_polls_count(polls, &poll);

    ok(es_polls_get(polls, 1, 1, &f), "a stream has figures");
    is_int((int64_t) f.requests[ES_POLL_STREAM], 1, "it is one request");
    is_int((int64_t) f.classes[ES_POLL_2XX], 1, "with one answer");
    is_int((int64_t) f.empty[ES_POLL_STREAM], 0, "that is not empty");
    is_int((int64_t) f.events[ES_POLL_STREAM], 6, "the events of its pieces");
    is_int((int64_t) f.batches, 2, "which are batches");
}


static void
test_position(void)
{
    es_poll_t           poll = { .feed = 1, .status = 200, .epoch = "abcd" };
    es_polls_t         *polls;
    es_poll_figures_t   f;

    polls = make(1);
    poll.position = 40;
    es_polls_count(polls, &poll);
    poll.position = 20;
    es_polls_count(polls, &poll);
    (void) es_polls_get(polls, 0, 1, &f);
    is_int((int64_t) f.position, 40, "the furthest position stays");
    is_str(es_str(f.epoch), "abcd", "with its epoch");

    poll.epoch = "abcdefghijklmno";
    poll.position = 5;
    es_polls_count(polls, &poll);
    (void) es_polls_get(polls, 0, 1, &f);
    is_int((int64_t) f.position, 5, "another epoch begins anew");
    is_str(es_str(f.epoch), "abcdefghijklmno", "however long its name is");
}


/* One answer to a reader that asked at `asked`, with an event of `first` that
   was committed at 10,000, against a promise of 100 ms. */

static void
judge(es_polls_t *polls, uint32_t partner, uint64_t first, int64_t asked,
    int64_t answered)
{
    es_poll_t  poll = { .partner = partner, .feed = 1, .status = 200,
                        .events = 1, .epoch = "abcd", .position = first,
                        .within_ms = 100, .first = first, .first_ms = 10000,
                        .asked_ms = asked, .answered_ms = answered };

    es_polls_count(polls, &poll);
}


static void
listed(void *ctx, const es_poll_figures_t *f)
{
    *(unsigned *) ctx += f->partner;
}


static void
test_fresh(void)
{
    unsigned            sum = 0;
    es_poll_t           poll = { .partner = 1, .feed = 1, .status = 200,
                                 .events = 1, .epoch = "abcd",
                                 .position = 50, .first = 50 };
    es_fresh_t          all;
    es_polls_t         *polls;
    es_poll_figures_t   f;

    polls = make(1);

    judge(polls, 1, 1, 9000, 10100);
    judge(polls, 1, 2, 10090, 10100);
    judge(polls, 1, 3, 9000, 9990);
    judge(polls, 1, 4, 9000, 10101);
    judge(polls, 1, 5, 10400, 10501);
    judge(polls, 1, 6, 10400, 10500);
    (void) es_polls_get(polls, 1, 1, &f);
    is_int((int64_t) f.fresh.counts[ES_FRESH_KEPT], 3,
           "within the promise, even by a clock that is behind");
    is_int((int64_t) f.fresh.counts[ES_FRESH_MISSED], 2,
           "too late for who waited, and for who had to wait");
    is_int((int64_t) f.fresh.counts[ES_FRESH_EXCUSED], 1,
           "too late for who came late");
    is_int((int64_t) f.fresh.worst_ms, 501, "the worst of the first two");

    judge(polls, 1, 6, 9000, 10050);
    judge(polls, 1, 2, 9000, 99000);
    es_polls_count(polls, &poll);
    (void) es_polls_get(polls, 1, 1, &f);
    is_int((int64_t) (f.fresh.counts[ES_FRESH_KEPT]
                      + f.fresh.counts[ES_FRESH_MISSED]), 5,
           "only events beyond all before, and of a feed with a promise");

    judge(polls, 2, 1, 9000, 10100);
    es_polls_fresh(polls, 1, &all);
    is_int((int64_t) all.counts[ES_FRESH_KEPT], 4, "the feed has the sum");
    is_int((int64_t) all.worst_ms, 501, "and the worst of all partners");
    es_polls_fresh(polls, 2, &all);
    is_int((int64_t) all.counts[ES_FRESH_KEPT], 0, "another has none");

    es_polls_each(polls, listed, &sum);
    is_int(sum, 3, "the sum is not listed as a partner");
}


static void
count(void *ctx, const es_poll_figures_t *f)
{
    *(unsigned *) ctx += f->partner == 2 ? 1000 : 1;
}


/* One set of eight records. */

static void
test_full(void)
{
    unsigned            n = 0;
    uint32_t            i;
    es_poll_t           poll = { .feed = 1, .status = 200 };
    es_polls_t         *polls;
    es_poll_figures_t   f;

    polls = make(1);

    for (i = 1; i <= 8; i++) {
        poll.partner = i;
        poll.now_ms = i;
        es_polls_count(polls, &poll);
    }

    is_int((int64_t) es_polls_evicted(polls), 0, "eight pairs have room");
    es_polls_each(polls, count, &n);
    is_int(n, 1007, "and are listed");

    poll.partner = 1;
    poll.now_ms = 9;
    es_polls_count(polls, &poll);
    poll.partner = 9;
    poll.now_ms = 10;
    es_polls_count(polls, &poll);

    ok(es_polls_get(polls, 9, 1, &f), "a ninth one has room");
    is_int(f.since_ms, 10, "since now");
    is_int((int64_t) f.requests[ES_POLL_POLL], 1, "with its own requests only");
    ok(!es_polls_get(polls, 2, 1, &f), "the one that was quiet the longest goes");
    ok(es_polls_get(polls, 1, 1, &f) && f.requests[ES_POLL_POLL] == 2,
       "the oldest one that is still active stays");
    is_int((int64_t) es_polls_evicted(polls), 1, "which is counted");
}


static void
test_processes(void)
{
    int                 i, n, status, bad;
    es_poll_t           poll = { .partner = 5, .feed = 6, .status = 200,
                                 .events = 2, .epoch = "abcd", .now_ms = 1 };
    es_polls_t         *polls;
    es_poll_figures_t   f;

    polls = make(2);
    es_polls_count(polls, &poll);

    for (n = 0; n < WORKERS; n++) {
        if (fork() == 0) {
            for (i = 1; i <= TIMES; i++) {
                poll.position = (uint64_t) i;
                es_polls_count(polls, &poll);
            }

            _exit(0);
        }
    }

    for (bad = 0, n = 0; n < WORKERS; n++) {
        bad += wait(&status) <= 0 || status != 0;
    }

    is_int(bad, 0, "four processes count");
    (void) es_polls_get(polls, 5, 6, &f);
    is_int((int64_t) f.requests[ES_POLL_POLL], WORKERS * TIMES + 1,
           "no request is lost");
    is_int((int64_t) f.position, TIMES, "nor the furthest position");
}


int
main(void)
{
    test_counts();
    test_stream();
    test_position();
    test_fresh();
    test_full();
    test_processes();

    return done();
}
