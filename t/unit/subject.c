/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Links of subjects, snapshots, byte counts and the digest chain: compared with
 * a scan of every event, on random logs with retention.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect/verify.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/subject.h"
#include "open/open.h"
#include "pack/pack.h"
#include "read/range.h"
#include "read/snapshot.h"
#include "tap.h"

#define EVENTS    6000
#define SUBJECTS  40

static char      dir[] = "/tmp/eventsync-subject-XXXXXX";
static unsigned  subjects[EVENTS + 1];    /* by sequence; 0: none */
static size_t    lengths[EVENTS + 1];
static uint8_t   digests[EVENTS + 1][ES_CHAIN_LEN];
static unsigned  published;


/* Of number n: the last ones too long for a key. */

static es_str_t
subject_of(unsigned n, char text[1024])
{
    int  len;

    len = snprintf(text, 1024, "order/%u", n);

    if (n > SUBJECTS - 3) {
        memset(text, 'x', 700);
        len = 700 + snprintf(text + 700, 1024 - 700, "/%u", n);
    }

    return (es_str_t) { text, (size_t) len };
}


/* A few subjects are in most events, many in few; some events have none. */

static unsigned
subject_draw(void)
{
    unsigned  n;

    n = (unsigned) rand();

    return n % 10 == 0 ? 0 : n % 3 ? 1 + n / 10 % 3
                                   : 1 + n / 10 % (SUBJECTS - 1);
}


static void
publish(es_store_t *store, unsigned n)
{
    int           len;
    char          json[2048], subject[1024];
    unsigned      i, drawn;
    es_batch_t   *batch;
    es_problem_t  problem;

    batch = es_batch_create(es_lit("f"), NULL);

    for (i = 0; i < n && published < EVENTS; i++) {
        drawn = subject_draw();
        subjects[++published] = drawn;

        len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\",\"id\":"
                       "\"e%u\",\"source\":\"/s\",\"type\":\"t.%u\"",
                       published, published % 3);
        if (drawn) {
            len += snprintf(json + len, sizeof(json) - (size_t) len,
                            ",\"subject\":\"%.*s\"",
                            (int) subject_of(drawn, subject).len, subject);
        }

        json[len++] = '}';

        if (es_batch_add(batch, json, (size_t) len, &problem) != ES_OK) {
            printf("Bail out! %s\n", problem.detail);
            exit(1);
        }
    }

    es_publish(store, &batch, 1);

    if (es_batch_rc(batch) != ES_OK) {
        printf("Bail out! publish: %s\n", es_strerror(es_batch_rc(batch)));
        exit(1);
    }

    es_batch_destroy(batch);
}


static void
take_texts(es_txn_t *txn, const es_feed_t *feed)
{
    uint64_t    n;
    es_event_t  event;

    for (n = 1; n <= feed->last; n++) {
        if (es_event_get(txn, feed, n, &event) == ES_OK) {
            lengths[n] = event.json.len;
            memcpy(digests[n], digests[n - 1], ES_CHAIN_LEN);
            es_digest_chain(digests[n], event.json.data, event.json.len);
        }
    }
}


/* Every page of a subject's events from a random place on, as a scan finds
   them. */

static bool
pages_agree(es_txn_t *txn, const es_feed_t *whole, bool types)
{
    char               subject[1024];
    bool               good;
    uint64_t           after, n;
    unsigned           drawn, limit, count;
    es_feed_t          cut = *whole, *feed = &cut;
    es_page_t          page = { 0 };
    es_filter_t        filter = { 0 };

    /* a reader may lower where it ends */

    cut.last -= (uint64_t) rand() % (cut.last - cut.oldest + 1);

    drawn = 1 + (unsigned) rand() % (SUBJECTS - 1);
    limit = 1 + (unsigned) rand() % 250;
    after = feed->oldest - 1
            + (uint64_t) rand() % (feed->last - feed->oldest + 2);

    filter.by_subject = true;
    filter.subject = subject_of(drawn, subject);
    filter.ntypes = types;
    filter.types[0].name = es_lit("t.1");

    good = true;

    do {
        n = after;
        good &= es_page_read(txn, feed, after, es_lit("x-0"), limit, 1 << 20,
                             &filter, NULL, &page) == ES_OK;

        for (count = 0; good && n < page.next; ) {
            n++;
            count += subjects[n] == drawn && (!types || n % 3 == 1);
        }

        good &= count == page.count && (page.count == limit || !page.has_more);
        after = page.next;

    } while (good && page.has_more);

    es_page_free(&page);

    return good && after == feed->last;
}


static bool
snapshot_agrees(es_txn_t *txn, const es_feed_t *feed, uint64_t at)
{
    bool       good, seen[SUBJECTS] = { false };
    char       next[ES_SUBJECT_KEY_MAX];
    size_t     len, n, start, i;
    char      *text, *copy;
    uint64_t   last[SUBJECTS] = { 0 }, sequence, least, greatest;
    es_str_t   after = es_null_str, to;
    es_page_t  page = { 0 };

    for (n = feed->oldest; n <= at; n++) {
        last[subjects[n]] = n;
    }

    good = true;

    do {
        good = es_snapshot_page(txn, feed, at, after, NULL, 0, 7, 1 << 20,
                                NULL, &page, &to)
               == ES_OK;

        copy = malloc(page.bytes + 1);
        *es_page_copy(&page, copy) = '\0';

        least = page.count ? UINT64_MAX : 0;
        greatest = 0;

        for (i = 0, start = 0; good && i < page.count; i++) {
            text = strstr(copy + start, "\"sequence\":\"");
            sequence = text ? strtoull(text + 12, NULL, 10) : 0;
            good = sequence > 0 && sequence <= at
                   && last[subjects[sequence]] == sequence
                   && !seen[subjects[sequence]];
            seen[subjects[sequence]] = true;
            start = page.ends[i] + 1;
            least = sequence < least ? sequence : least;
            greatest = sequence > greatest ? sequence : greatest;
        }

        good &= page.first == least && page.last == greatest;

        free(copy);

        len = to.len;
        if (len > 0) {
            memcpy(next, to.data, len);
        }

        after = (es_str_t) { next, len };

    } while (good && page.has_more);

    for (n = 1; n < SUBJECTS; n++) {
        good &= seen[n] == (last[n] != 0);
    }

    es_page_free(&page);

    return good;
}


static bool
ranges_agree(es_txn_t *txn, const es_feed_t *feed)
{
    uint8_t   digest[ES_CHAIN_LEN];
    uint64_t  from, to, n, bytes, sum;

    from = feed->oldest - 1
           + (uint64_t) rand() % (feed->last - feed->oldest + 2);
    to = from + (uint64_t) rand() % (feed->last - from + 1);

    for (sum = 0, n = from + 1; n <= to; n++) {
        sum += lengths[n];
    }

    return es_range_bytes(txn, feed, from, to, &bytes) == ES_OK
           && bytes == sum
           && es_range_digest(txn, feed, to, digest) == ES_OK
           && memcmp(digest, digests[to], ES_CHAIN_LEN) == 0;
}


static void
agree(es_store_t *store, const char *what)
{
    bool       subject, typed, snapshot, range;
    unsigned   i;
    uint64_t   at;
    es_txn_t  *txn;
    es_feed_t  feed;

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_lit("f"), &feed);
    take_texts(txn, &feed);

    subject = typed = snapshot = range = true;

    for (i = 0; i < 200; i++) {
        subject &= pages_agree(txn, &feed, false);
        typed &= pages_agree(txn, &feed, true);
        range &= ranges_agree(txn, &feed);

        at = feed.oldest - 1
             + (uint64_t) rand() % (feed.last - feed.oldest + 2);
        snapshot &= snapshot_agrees(txn, &feed, i ? at : feed.last);
    }

    ok(subject, "%s: pages of a subject", what);
    ok(typed, "%s: and of some of its types", what);
    ok(snapshot, "%s: snapshots", what);
    ok(range, "%s: bytes and digests", what);
    ok(es_range_bytes(txn, &feed, feed.last + 1, feed.last + 1, &at)
       == ES_INVALID, "%s: no range ahead of the log", what);

    es_txn_end(txn);
}


static void
on_fault(void *ctx, const char *text)
{
    (void) ctx;

    if (text != NULL) {
        printf("# %s\n", text);
    }
}


static void
verified(es_store_t *store, const char *what)
{
    es_verify_t  totals;

    ok(es_verify(store, on_fault, NULL, &totals) == ES_OK, "%s verifies",
       what);
}


static size_t
heads(es_store_t *store)
{
    MDB_txn   *txn;
    MDB_stat   stat;

    (void) es_env_read_begin(store->log, &txn);
    (void) mdb_stat(txn, es_env_dbi(store->log, ES_LOG_SUBJECTS), &stat);
    es_env_read_end(store->log, txn);

    return stat.ms_entries;
}


static void
pack(es_store_t *store, const char *name)
{
    uint64_t          after;
    es_packed_runs_t  done;

    for (after = 0, done.done = false; !done.done; after = done.next) {
        if (es_pack_step(store, es_lit("f"), after, 8, 1, &done) != ES_OK) {
            printf("Bail out! not packed\n");
            exit(1);
        }
    }

    agree(store, name);
    verified(store, name);
}


int
main(void)
{
    char          command[64], position[ES_SUBJECT_KEY_MAX] = { 'x' };
    es_str_t      after, to;
    es_txn_t     *txn;
    es_feed_t     feed;
    es_page_t     page = { 0 };
    es_store_t   *store;
    es_problem_t  problem;

    srand(20261123);
    (void) mkdtemp(dir);

    if (es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_PUBLISH, &store, &problem) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    (void) es_feed_create(store, es_lit("f"), NULL, &feed);
    (void) es_feed_create(store, es_lit("g"), NULL, &feed);

    while (published < EVENTS / 2) {
        publish(store, 1 + (unsigned) rand() % 130);
    }

    agree(store, "a whole log");
    verified(store, "a whole log");
    pack(store, "a packed log");

    (void) es_feed_trim(store, es_lit("f"), 777);
    agree(store, "a trimmed log");
    verified(store, "a trimmed log");

    while (published < EVENTS) {
        publish(store, 1 + (unsigned) rand() % 300);
    }

    agree(store, "a longer log");
    pack(store, "a longer packed log");
    (void) es_feed_trim(store, es_lit("f"), EVENTS - 300);
    agree(store, "a short log");
    verified(store, "a short log");

    (void) es_feed_reset(store, es_lit("f"), &feed);
    is_int((int64_t) heads(store), 0, "nothing is left of subjects after a reset");
    published = 0;
    memset(subjects, 0, sizeof(subjects));
    publish(store, 500);
    agree(store, "another epoch");
    verified(store, "another epoch");

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_lit("g"), &feed);
    after = (es_str_t) { position, sizeof(position) };
    is_int(es_snapshot_page(txn, &feed, 0, after, NULL, 0, 1, 1, NULL, &page,
                            &to),
           ES_INVALID, "no snapshot goes on after what is longer than a key");
    es_page_free(&page);
    ok(feed.total == 0 && feed.digest[0] == 0, "another feed has nothing");
    es_txn_end(txn);

    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
