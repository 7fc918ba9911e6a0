/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Erases subjects and single events in random order, from chunks of one event
 * and of many and from packed ones, among retention and new events of the same subjects.  After each
 * step the store must be sound, each reader by subject must get what a model
 * says, and no byte of an erased event may be in the files.  Some erasures drop
 * the digests; then a reader of all events must compute the new digest chain.
 *
 * ES_ERASE_SEED repeats a run.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "erase/erase.h"
#include "event/batch.h"
#include "event/digest.h"
#include "event/filter.h"
#include "log/erased.h"
#include "log/feed.h"
#include "log/subject.h"
#include "open/open.h"
#include "pack/pack.h"
#include "read/range.h"
#include "read/reader.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/store.h"
#include "tap.h"
#include "verifies.h"

#define SUBJECTS  7
#define EVENTS    8000
#define ROUNDS    8

typedef enum { LIVE, CHAINED, GONE } state_t;

static char          dir[] = "/tmp/eventsync-erase-XXXXXX";
static es_store_t   *store;
static es_feed_t     feed;

static unsigned      subject_of[EVENTS + 1];
static state_t       state[EVENTS + 1];
static uint64_t      last;
static uint64_t      first;        /* stored: the oldest chunk has events
                                      before the oldest one */
static unsigned      generation[SUBJECTS];     /* of the subject's name */

static unsigned      seed = 20;
static bool          drops;


static unsigned
pick(unsigned n)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 16) % n;
}


/* Each event has a canary of its own in each member. */

static size_t
compose(uint64_t sequence, char *json, size_t size)
{
    int       n;
    char      pad[3000];
    unsigned  s;

    s = subject_of[sequence];
    memset(pad, 'p', sizeof(pad));
    pad[pick(4) == 0 ? pick(sizeof(pad) - 1) : pick(40)] = '\0';
    pad[sizeof(pad) - 1] = '\0';

    n = snprintf(json, size, "{\"specversion\":\"1.0\",\"id\":\"ID-%llu-\","
                 "\"source\":\"/SOURCE-%llu-\",\"type\":\"t%u\",\"subject\":"
                 "\"SUBJECT-%u-%u-\",\"extension\":\"EXTENSION-%llu-\","
                 "\"data\":\"DATA-%llu-%s\"}", (unsigned long long) sequence,
                 (unsigned long long) sequence, pick(3), s, generation[s],
                 (unsigned long long) sequence, (unsigned long long) sequence,
                 pad);

    return (size_t) n;
}


static void
publish(unsigned n)
{
    char          json[4096];
    unsigned      i;
    es_batch_t   *batch;
    es_problem_t  problem;

    batch = es_batch_create(es_lit("f"), NULL);

    for (i = 0; i < n; i++) {
        last++;
        subject_of[last] = pick(SUBJECTS);
        state[last] = LIVE;
        (void) es_batch_add(batch, json, compose(last, json, sizeof(json)),
                            &problem);
    }

    es_publish(store, &batch, 1);

    if (es_batch_rc(batch) != ES_OK) {
        printf("Bail out! %s\n", es_batch_problem(batch)->detail);
        exit(1);
    }

    es_batch_destroy(batch);
}


static void
head(void)
{
    es_txn_t    *txn;
    es_chunk_t   chunk;

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_lit("f"), &feed);

    first = es_chunk_seek(txn->events, feed.number, feed.oldest, false, &chunk)
            == ES_OK ? chunk.head->first : feed.oldest;
    es_txn_end(txn);
}


/* A tombstone stays in its subject's chain while a later event does. */

static void
settle(unsigned subject)
{
    uint64_t  i;

    for (i = last; i >= first; i--) {
        if (subject_of[i] == subject && state[i] == LIVE) {
            return;
        }

        if (subject_of[i] == subject) {
            state[i] = GONE;
        }
    }
}


static void
check_subject(unsigned s, unsigned *wrong)
{
    char           name[64];
    uint64_t       i, after, scanned, count, expected;
    es_rc_t        rc;
    es_txn_t      *txn;
    es_event_t     event;
    es_filter_t    filter = { 0 };

    (void) snprintf(name, sizeof(name), "SUBJECT-%u-%u-", s, generation[s]);
    filter.by_subject = true;
    filter.subject = es_str(name);
    after = feed.oldest - 1;
    expected = 0;

    (void) es_txn_begin(store, &txn);

    for (i = feed.oldest; i <= last; i++) {
        if (subject_of[i] != s || state[i] == GONE) {
            continue;
        }

        expected++;

        do {
            rc = es_event_next(txn, &feed, after, &filter, &event, &scanned);
            after = rc == ES_OK ? event.sequence : scanned;
        } while (rc == ES_NOT_FOUND && after < feed.last);

        if (rc != ES_OK || event.sequence != i
            || (strncmp(event.id.data, "erased-", 7) == 0)
               != (state[i] == CHAINED))
        {
            (*wrong)++;
            break;
        }
    }

    if (es_event_next(txn, &feed, last, &filter, &event, &scanned)
        != ES_NOT_FOUND
        || es_subject_count(txn, &feed, es_str(name), 0, feed.last, &count)
           != ES_OK
        || count != expected)
    {
        (*wrong)++;
    }

    es_txn_end(txn);
}


static bool
found(const char *data, size_t size, const char *word, uint64_t sequence)
{
    char  text[64];

    (void) snprintf(text, sizeof(text), "%s-%llu-", word,
                    (unsigned long long) sequence);

    return memmem(data, size, text, strlen(text)) != NULL;
}


/* The whole file, as it is on disk. */

static unsigned
check_bytes(uint64_t erased[], unsigned n)
{
    int          fd;
    char         path[128];
    char        *data;
    unsigned     i, bad;
    struct stat  sb;

    (void) snprintf(path, sizeof(path), "%s/copy", dir);
    (void) snprintf(path, sizeof(path), "cp %s/log/data.mdb %s/copy", dir,
                    dir);

    if (system(path) != 0) {
        return 1;
    }

    (void) snprintf(path, sizeof(path), "%s/copy", dir);
    fd = open(path, O_RDONLY);
    (void) fstat(fd, &sb);
    data = mmap(NULL, (size_t) sb.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void) close(fd);

    for (i = 0, bad = 0; i < n; i++) {
        bad += found(data, (size_t) sb.st_size, "ID", erased[i])
               || found(data, (size_t) sb.st_size, "SOURCE", erased[i])
               || found(data, (size_t) sb.st_size, "EXTENSION", erased[i])
               || found(data, (size_t) sb.st_size, "DATA", erased[i]);
    }

    (void) munmap(data, (size_t) sb.st_size);

    return bad;
}


typedef struct {
    uint64_t  sequences[EVENTS];
    unsigned  n;
} list_t;

static list_t  gone;


static void
each(void *ctx, const es_feed_t *of, uint64_t sequence)
{
    list_t  *list = ctx;

    (void) of;
    list->sequences[list->n++] = sequence;
}


static void
ignore(void *ctx, const es_feed_t *of, uint64_t sequence)
{
    (void) of;
    (void) sequence;
    ++*(unsigned *) ctx;
}


/* What a reader computes of the texts is what the feed says. */

static bool
check_chain(void)
{
    es_rc_t      rc;
    uint8_t      chain[ES_CHAIN_LEN], digest[ES_CHAIN_LEN];
    uint64_t     after, scanned;
    es_txn_t    *txn;
    es_event_t   event;
    es_filter_t  filter = { 0 };

    (void) es_txn_begin(store, &txn);

    rc = es_range_digest(txn, &feed, feed.oldest - 1, chain);

    for (after = feed.oldest - 1; rc == ES_OK && after < last; after++) {
        rc = es_event_next(txn, &feed, after, &filter, &event, &scanned);

        if (rc == ES_OK) {
            es_digest_sent(event.json.data, event.json.len, digest);
            es_digest_link(chain, digest);
        }
    }

    if (rc == ES_OK) {
        rc = es_range_digest(txn, &feed, last, digest);
    }

    es_txn_end(txn);

    return rc == ES_OK && memcmp(chain, digest, sizeof(chain)) == 0;
}


/* Between two transactions of an erasure the chain proves nothing. */

static unsigned
check_between(void)
{
    es_rc_t    rc;
    uint8_t    digest[ES_CHAIN_LEN];
    es_txn_t  *txn;

    head();
    (void) es_txn_begin(store, &txn);
    rc = es_range_digest(txn, &feed, last, digest);
    es_txn_end(txn);

    return rc != (feed.rechained ? ES_BUSY : ES_OK);
}


static unsigned
erase_subject(unsigned s)
{
    char        name[64];
    uint64_t    i;
    es_rc_t     rc;
    unsigned    n, before, count;
    es_erase_t  what = { .feed = es_lit("f"), .forget = true,
                         .drop = drops && pick(2) == 0 };

    (void) snprintf(name, sizeof(name), "SUBJECT-%u-%u-", s, generation[s]);
    what.subject = es_str(name);

    for (i = first, n = 0; i <= last; i++) {
        if (subject_of[i] == s) {
            n += state[i] == LIVE;
            state[i] = GONE;
        }
    }

    what.each = ignore;
    what.ctx = &count;
    count = 0;
    rc = es_erase_find(store, &what);

    before = gone.n;
    what.each = each;
    what.ctx = &gone;

    if (rc == ES_OK) {
        rc = es_erase(store, &what);
    }

    if (rc == ES_OK) {
        rc = es_erase_bounds(store, es_lit("f"), what.subject);
    }

    generation[s]++;

    return rc == ES_OK && gone.n - before == n && count == n ? 0 : 1;
}


static unsigned
erase_event(uint64_t sequence)
{
    es_rc_t     rc;
    es_erase_t  what = { .feed = es_lit("f"), .forget = true, .each = each,
                         .drop = drops && pick(2) == 0, .ctx = &gone };

    memcpy(what.event.epoch, feed.epoch, sizeof(what.event.epoch));
    what.event.sequence = sequence;
    rc = es_erase(store, &what);

    if (state[sequence] == LIVE) {
        state[sequence] = CHAINED;
        settle(subject_of[sequence]);
    }

    return rc != ES_OK;
}


static void
test_random(void)
{
    es_rc_t     rc;
    unsigned    i, n, round, wrong, bad, failed, runs, unproven, between;
    es_scrub_t  scrub;

    es_packed_runs_t  packed;

    wrong = bad = failed = runs = unproven = between = 0;

    for (round = 0; round < ROUNDS; round++) {
        for (i = pick(20); i > 0; i--) {
            publish(pick(3) == 0 ? 30 + pick(40) : 1);
        }

        head();

        if (round % 2 == 1) {
            failed += es_pack_step(store, es_lit("f"), 0, 64, 1, &packed)
                      != ES_OK;
            runs += (unsigned) packed.runs;
        }

        if (round % 4 == 3) {
            (void) es_feed_trim(store, es_lit("f"),
                                feed.oldest + (last - feed.oldest) / 3);
            head();
        }

        for (n = pick(12); n > 0 && last > feed.oldest; n--) {
            failed += erase_event(feed.oldest
                                  + pick((unsigned) (last + 1
                                                     - feed.oldest)));
        }

        if (round % 2 == 0) {
            failed += erase_subject(pick(SUBJECTS));
        }

        failed += check_between();
        between += feed.rechained;

        if (pick(2) == 0) {
            publish(pick(30));
            (void) es_feed_trim(store, es_lit("f"), feed.oldest + pick(60));
            verifies(store, "", "the store is sound meanwhile");
        }

        rc = es_erase_finish(store, 1000, &scrub);
        failed += rc != ES_OK;
        head();
        unproven += !check_chain();

        for (i = 0; i < SUBJECTS; i++) {
            check_subject(i, &wrong);
        }

        if (round % 2 == 1) {
            bad += check_bytes(gone.sequences, gone.n);
        }
    }

    ok(runs > 0, "some of the log is packed");
    is_int(failed, 0, "each erasure erases what it should");
    is_int(wrong, 0, "readers by subject get the events that are left");
    is_int(bad, 0, "no byte of an erased event is in the file");
    is_int(unproven, 0, "readers can compute the digest chain");
    ok(!drops || between > 0, "some of the chains were made anew");
    verifies(store, "", "the store is sound");
}


static void
test_chain(void)
{
    unsigned    i;
    uint8_t     before[ES_CHAIN_LEN], after[ES_CHAIN_LEN];
    uint64_t    kept, again;
    es_txn_t   *txn;
    es_scrub_t  scrub;

    (void) es_txn_begin(store, &txn);
    (void) es_range_digest(txn, &feed, last, before);
    (void) es_range_bytes(txn, &feed, feed.oldest - 1, last, &kept);
    es_txn_end(txn);

    for (i = 0; i < SUBJECTS; i++) {
        (void) erase_subject(i);
    }

    (void) es_erase_finish(store, 1000, &scrub);
    head();

    (void) es_txn_begin(store, &txn);
    (void) es_range_digest(txn, &feed, last, after);
    (void) es_range_bytes(txn, &feed, feed.oldest - 1, last, &again);
    es_txn_end(txn);

    ok(memcmp(before, after, sizeof(before)) == 0 && kept == again,
       "the digest chain and the byte counts stay as they were");
    verifies(store, "", "a feed of tombstones is sound");
    is_int(check_bytes(gone.sequences, gone.n), 0,
           "no byte of any event is in the file");
}


int
main(void)
{
    char          command[64];
    es_problem_t  problem;

    if (getenv("ES_ERASE_SEED") != NULL) {
        seed = (unsigned) atoi(getenv("ES_ERASE_SEED"));
    }

    (void) mkdtemp(dir);

    if (es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_PUBLISH, &store, &problem) != ES_OK
        || es_feed_create(store, es_lit("f"), NULL, NULL) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    test_random();
    drops = true;
    test_random();
    drops = false;
    test_chain();

    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
