/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Packed chunks.  Every reader must get the same before and after packing and
 * unpacking, of events of all kinds.  A chunk that is cut short, or of which a
 * byte is another, is refused or has the same texts.
 */

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "erase/erase.h"
#include "event/batch.h"
#include "event/filter.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/packed.h"
#include "log/unpacked.h"
#include "open/open.h"
#include "pack/pack.h"
#include "pack/pack_impl.h"
#include "read/publishers.h"
#include "read/range.h"
#include "read/reader.h"
#include "read/retime.h"
#include "read/snapshot.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/store.h"
#include "tap.h"
#include "verifies.h"

#define DIGEST  "00112233445566778899aabbccddeeff"                             \
                "00112233445566778899aabbccddeeff"
#define EVENTS  1250

static char          dir[] = "/tmp/eventsync-packed-XXXXXX";
static es_store_t   *store;
static es_feed_t     feed;
static unsigned      seed = 7;
static unsigned      made;


static unsigned
pick(unsigned n)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 16) % n;
}


static void
head(void)
{
    es_txn_t  *txn;

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_lit("f"), &feed);
    es_txn_end(txn);
}


/* A UUID, or what almost is one. */

static const char *
uuid(char out[64])
{
    static const char  *const others[] = {
        "", "-", "0-00000000-0000-0000-0000-0000000000000-0",
        "00000000-0000-0000-0000-00000000000", "--------------------",
        "0123456789ABCDEF-0123-4567-89ab-cdef01234567",
        "01234567-89ab-cdef-0123-456789abcdeg",
        "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee-bbbb-cccc-dddd-eeeeeeeeeeee"
    };

    if (pick(3) == 0) {
        return others[pick(sizeof(others) / sizeof(others[0]))];
    }

    (void) snprintf(out, 64, "%08x-%04x-4%03x-%04x-%06x%06x", pick(1 << 16),
                    pick(1 << 16), pick(1 << 12), pick(1 << 16),
                    pick(1 << 16), pick(1 << 16));

    return out;
}


/* Events with and without subject and time, with long types and subjects,
   escapes, binary data, and some that are larger than a packed chunk. */

static size_t
compose(char *json, size_t size)
{
    char    type[256], subject[900], data[3000], first[64], second[64];
    size_t  len;

    made++;
    memset(type, 't', sizeof(type));
    type[made % 97 == 0 ? sizeof(type) - 1 : 1 + pick(4)] = '\0';
    memset(subject, 's', sizeof(subject));
    subject[made % 89 == 0 ? sizeof(subject) - 1 : 1 + pick(30)] = '\0';
    memset(data, 'd', sizeof(data));
    data[pick(8) == 0 ? sizeof(data) - 1 : pick(60)] = '\0';

    len = (size_t) snprintf(json, size, "{\"specversion\":\"1.0\",\"id\":"
                            "\"%s-%u\",\"source\":\"/%u\",\"ext\":"
                            "\"\\u00e9\\\"\",\"type\":\"%s\"",
                            uuid(first), made, made % 3, type);

    if (pick(5) != 0) {
        len += (size_t) snprintf(json + len, size - len,
                                 ",\"subject\":\"%s\"", subject);
    }

    if (pick(3) == 0) {
        len += (size_t) snprintf(json + len, size - len,
                                 ",\"time\":\"2020-01-01T00:00:00Z\"");
    }

    len += pick(4) == 0
           ? (size_t) snprintf(json + len, size - len,
                               ",\"data_base64\":\"AP8%c\"}", "AQgw"[pick(4)])
           : (size_t) snprintf(json + len, size - len,
                               ",\"data\":\"%u%s\\n\\\"%s%s\"}", made,
                               uuid(first), uuid(second), data);

    return len;
}


static void
publish(unsigned n, uint32_t partner, uint32_t key)
{
    char          json[8192];
    unsigned      i;
    es_batch_t   *batch;
    es_problem_t  problem;

    batch = es_batch_create(es_lit("f"), NULL);
    batch->publisher.partner = partner;
    batch->publisher.key = key;

    for (i = 0; i < n; i++) {
        if (es_batch_add(batch, json, compose(json, sizeof(json)), &problem)
            != ES_OK)
        {
            printf("Bail out! %s\n", problem.detail);
            exit(1);
        }
    }

    es_publish(store, &batch, 1);

    if (es_batch_rc(batch) != ES_OK) {
        printf("Bail out! %s\n", es_batch_problem(batch)->detail);
        exit(1);
    }

    es_batch_destroy(batch);
}


/* An event that has a frame of its own. */

static void
publish_large(size_t size)
{
    char         *json;
    size_t        len;
    es_batch_t   *batch;
    es_limits_t   limits = { 0 };
    es_problem_t  problem;

    limits.event_max = 2 * size;
    json = malloc(size + 200);
    len = (size_t) sprintf(json, "{\"specversion\":\"1.0\",\"id\":\"l%u\","
                           "\"source\":\"/l\",\"type\":\"t\",\"data\":\"",
                           ++made);

    for ( ; len < size; len++) {
        json[len] = (char) ('a' + pick(26));
    }

    len += (size_t) sprintf(json + len, "\"}");
    batch = es_batch_create(es_lit("f"), &limits);

    if (es_batch_add(batch, json, len, &problem) != ES_OK) {
        printf("Bail out! %s\n", problem.detail);
        exit(1);
    }

    es_publish(store, &batch, 1);
    ok(es_batch_rc(batch) == ES_OK, "a large event");
    es_batch_destroy(batch);
    free(json);
}


/* ---- what all readers get ---- */


static void
answer_page(es_txn_t *txn, uint64_t after, unsigned limit,
    const es_filter_t *filter, es_buf_t *out)
{
    es_rc_t    rc;
    unsigned   i;
    es_page_t  page = { 0 };

    do {
        rc = es_page_read(txn, &feed, after, es_lit("x"), limit, 1 << 24,
                          filter, NULL, &page);

        (void) es_buf_printf(out, "%d %u %llu %lld %llu %d", rc, page.count,
                             (unsigned long long) page.first,
                             (long long) page.first_ms,
                             (unsigned long long) page.last, page.has_more);

        for (i = 0; rc == ES_OK && i < page.nslices; i++) {
            (void) es_buf_str(out, page.slices[i]);
        }

        after = page.next;

    } while (rc == ES_OK && page.has_more);

    es_page_free(&page);
}


static void
answer_filters(es_txn_t *txn, es_buf_t *out)
{
    size_t        i;
    es_buf_t      scratch;
    es_filter_t   filter;
    es_problem_t  problem;

    static const struct {
        const char  *types;
        const char  *subject;
    } filters[] = {
        { "t", NULL }, { "tt,ttt", NULL }, { "none", NULL }, { "t*", NULL },
        { NULL, "s" }, { NULL, "ssssssssssss" }, { "ttt", "sssss" },
        { NULL, "nobody" }
    };

    for (i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        memset(&filter, 0, sizeof(filter));
        memset(&scratch, 0, sizeof(scratch));

        if (filters[i].types != NULL) {
            (void) es_filter_types(&filter, es_str(filters[i].types),
                                   &problem);
        }

        if (filters[i].subject != NULL) {
            (void) es_filter_subject(&filter, es_str(filters[i].subject),
                                     &scratch, &problem);
        }

        answer_page(txn, feed.oldest - 1, 7, &filter, out);
        answer_page(txn, feed.oldest + 333, 1000, &filter, out);
        es_buf_free(&scratch);
    }
}


static void
answer_snapshot(es_txn_t *txn, uint64_t at, es_buf_t *out)
{
    size_t     i;
    es_str_t   last;
    es_page_t  page = { 0 };

    (void) es_snapshot_page(txn, &feed, at, es_null_str, NULL, 0, 1000,
                            1 << 24, NULL, &page, &last);

    for (i = 0; i < page.nslices; i++) {
        (void) es_buf_str(out, page.slices[i]);
    }

    es_page_free(&page);
}


static void
answer_ranges(es_txn_t *txn, es_buf_t *out)
{
    uint8_t         digest[ES_CHAIN_LEN];
    uint64_t        n, bytes, after;
    es_event_t      event;
    es_published_t  published;

    for (n = feed.oldest - 1; n <= feed.last; n++) {
        (void) es_range_digest(txn, &feed, n, digest);
        (void) es_range_bytes(txn, &feed, feed.oldest - 1, n, &bytes);
        (void) es_buf_append(out, digest, sizeof(digest));
        (void) es_buf_printf(out, "%llu ", (unsigned long long) bytes);

        if (es_event_get(txn, &feed, n + 1, &event) == ES_OK) {
            (void) es_feed_seek_time(txn, &feed, event.time_ms, &after);
            (void) es_buf_printf(out, "%.*s %.*s %lld %llu ",
                                 (int) event.id.len, event.id.data,
                                 (int) event.subject.len, event.subject.data,
                                 (long long) event.time_ms,
                                 (unsigned long long) after);
        }
    }

    for (n = feed.oldest - 1;
         es_published_next(txn, &feed, n, &published) == ES_OK;
         n = published.last)
    {
        (void) es_buf_printf(out, "%llu-%llu %lld %u/%u\n",
                             (unsigned long long) published.first,
                             (unsigned long long) published.last,
                             (long long) published.time_ms,
                             published.publisher.partner,
                             published.publisher.key);
    }
}


static void
answers(es_buf_t *out)
{
    es_txn_t  *txn;

    out->len = 0;
    head();
    (void) es_txn_begin(store, &txn);

    answer_page(txn, feed.oldest - 1, 100, NULL, out);
    answer_page(txn, feed.oldest + 36, 77, NULL, out);
    answer_filters(txn, out);
    answer_snapshot(txn, feed.last, out);
    answer_snapshot(txn, feed.oldest + 500, out);
    answer_ranges(txn, out);

    es_txn_end(txn);
    (void) es_buf_append(out, "", 1);
}


static bool
same(const es_buf_t *before, const char *name)
{
    bool      pass;
    es_buf_t  after = { 0 };

    answers(&after);
    pass = ok(after.len == before->len
              && memcmp(after.data, before->data, after.len) == 0, "%s", name);
    es_buf_free(&after);

    return pass;
}


static es_packed_runs_t
pack_all(unsigned level)
{
    es_rc_t           rc;
    uint64_t          after;
    es_packed_runs_t  done, sum = { 0 };

    for (after = 0, done.done = false; !done.done; after = done.next) {
        rc = level > 0
             ? es_pack_step(store, es_lit("f"), after, 3, level, &done)
             : es_unpack_step(store, es_lit("f"), after, 3, &done);

        if (rc != ES_OK) {
            printf("Bail out! %s\n", es_strerror(rc));
            exit(1);
        }

        sum.runs += done.runs;
        sum.events += done.events;
        sum.chunks += done.chunks;
        sum.before += done.before;
        sum.after += done.after;
    }

    return sum;
}


/* ---- damage ---- */


static void
take(uint64_t last, es_buf_t *out)
{
    uint8_t    key[ES_EVENT_KEY_LEN];
    MDB_val    k, v;
    es_txn_t  *txn;

    (void) es_txn_begin(store, &txn);

    out->len = 0;

    if (es_chunk_find(txn->events, feed.number, last, &k, &v) == ES_OK) {
        es_event_key(feed.number, last, key);
        (void) es_buf_append(out, v.mv_data, v.mv_size);
    }

    es_txn_end(txn);
}


/* A chunk that is decoded has the texts and links of the right one. */

static bool
refused_or_same(uint32_t number, uint64_t last, const void *data, size_t size,
    const es_chunk_t *right, unsigned *refused)
{
    char       *copy;
    bool        pass;
    es_rc_t     rc;
    uint8_t     key[ES_EVENT_KEY_LEN];
    MDB_val     value = { size, NULL };
    es_chunk_t  chunk;

    /* exactly so many bytes, for the sanitizers */

    copy = malloc(size > 0 ? size : 1);
    memcpy(copy, data, size);
    value.mv_data = copy;

    es_unpacked_free();
    es_event_key(number, last, key);
    rc = es_chunk_decode(number, key, &value, true, &chunk);

    pass = rc == ES_CORRUPT
           || (rc == ES_OK && chunk.size == right->size
               && memcmp((const char *) chunk.head + sizeof(uint64_t),
                         (const char *) right->head + sizeof(uint64_t),
                         chunk.size - sizeof(uint64_t)) == 0
               && memcmp(chunk.commits, right->commits, chunk.head->count
                         * sizeof(es_commit_of_t)) == 0);

    *refused += rc == ES_CORRUPT;
    free(copy);

    return pass;
}


static void
test_damage(uint64_t last)
{
    char       *copy;
    bool        pass;
    size_t      i;
    uint8_t     key[ES_EVENT_KEY_LEN];
    MDB_val     value;
    unsigned    bit, refused;
    es_buf_t    good = { 0 };
    es_chunk_t  chunk, right;

    take(last, &good);
    value.mv_data = good.data;
    value.mv_size = good.len;
    es_event_key(feed.number, last, key);
    (void) es_chunk_decode(feed.number, key, &value, true, &chunk);

    /* what is decoded moves away with each call */

    right = chunk;
    copy = malloc(chunk.size + chunk.head->count * sizeof(es_commit_of_t));
    memcpy(copy, chunk.head, chunk.size);
    memcpy(copy + chunk.size, chunk.commits,
           chunk.head->count * sizeof(es_commit_of_t));
    right.head = (es_chunk_head_t *) copy;
    right.commits = (es_commit_of_t *) (copy + chunk.size);

    for (i = 0, pass = true, refused = 0; i < good.len; i++) {
        pass &= refused_or_same(feed.number, last, good.data, i, &right,
                                &refused);
    }

    ok(pass && refused == good.len, "every truncation is refused");

    for (i = 0, refused = 0; i < good.len; i++) {
        for (bit = 0; bit < 8; bit += 1 + 6 * (i > 400)) {
            good.data[i] ^= (char) (1 << bit);
            pass &= refused_or_same(feed.number, last, good.data, good.len,
                                    &right, &refused);
            good.data[i] ^= (char) (1 << bit);
        }
    }

    ok(pass, "every flipped bit is refused, or changes nothing");
    ok(refused > good.len, "most are refused");

    refused = 0;
    pass = refused_or_same(feed.number + 1, last, good.data, good.len, &right,
                           &refused);
    ok(pass && refused == 1, "a chunk of another feed is refused");

    pass = refused_or_same(feed.number, last, good.data, good.len, &right,
                           &refused);
    ok(pass && refused == 1, "the good chunk is not");

    free(copy);
    es_buf_free(&good);
}


/* ---- the tests ---- */


static void
erased(void *ctx, const es_feed_t *of, uint64_t sequence)
{
    (void) of;
    (void) sequence;
    (*(unsigned *) ctx)++;
}


static void
erase(uint64_t sequence)
{
    unsigned    n = 0;
    es_erase_t  what = { .feed = es_lit("f"), .forget = true, .each = erased,
                         .ctx = &n };

    what.event.sequence = sequence;
    memcpy(what.event.epoch, es_feed_epoch_of(&feed, sequence),
           sizeof(what.event.epoch));
    (void) es_erase(store, &what);
    ok(n == 1, "event %llu is erased", (unsigned long long) sequence);
}


static void
test_same(void)
{
    es_buf_t          before = { 0 };
    es_packed_runs_t  packed;

    answers(&before);
    verifies(store, "", "the plain log is sound");

    packed = pack_all(1);
    ok(packed.runs == 11 && packed.events == 1100, "eleven runs are packed, "
       "and the last pages are not");
    ok(packed.chunks > 4 * packed.runs && packed.after < packed.before / 2,
       "of several chunks each, and of half the size");
    same(&before, "every answer is the same when packed");
    verifies(store, "", "the packed log is sound");

    is_int((int64_t) pack_all(1).runs, 0, "nothing is packed twice");

    packed = pack_all(0);
    is_int((int64_t) packed.runs, 11, "all are unpacked");
    same(&before, "every answer is the same when unpacked");
    verifies(store, "", "the unpacked log is sound");

    (void) pack_all(9);
    same(&before, "every answer is the same when packed again");
    es_buf_free(&before);
}


static void
test_erase(void)
{
    es_buf_t  before = { 0 };

    erase(205);
    erase(206);
    erase(777);
    erase(205 + 1000);
    verifies(store, "", "a packed log with erased events is sound");

    answers(&before);
    is_int((int64_t) pack_all(0).runs, 11, "it is unpacked");
    verifies(store, "", "and sound");
    same(&before, "with the same answers");

    (void) pack_all(1);
    same(&before, "and packed again");
    verifies(store, "", "and sound again");
    es_buf_free(&before);
}


static void
test_retention(void)
{
    es_buf_t  before = { 0 };

    ok(es_feed_trim(store, es_lit("f"), 151) == ES_OK,
       "a feed is trimmed within a packed chunk");
    verifies(store, "", "and sound");
    answers(&before);
    is_int((int64_t) pack_all(0).runs, 10, "it is unpacked");
    same(&before, "with the same answers");
    verifies(store, "", "and sound");
    (void) pack_all(1);
    same(&before, "and packed again");

    ok(es_feed_trim(store, es_lit("f"), 401) == ES_OK,
       "packed chunks are deleted");
    verifies(store, "", "and nothing else");
    es_buf_free(&before);
}


static void
test_epochs(void)
{
    unsigned   i;
    es_buf_t   before = { 0 };

    (void) es_feed_begin_epoch(store, es_lit("f"), NULL, NULL);
    publish(30, 1, 1);
    (void) es_feed_begin_epoch(store, es_lit("f"), NULL, NULL);

    for (i = 0; i < 250; i++) {
        publish(1, 1, 1);
    }

    answers(&before);
    (void) pack_all(1);
    same(&before, "a chunk of several epochs has the same answers");
    verifies(store, "", "and is sound");

    es_buf_free(&before);
}


static int64_t
time_of(uint64_t sequence)
{
    es_txn_t    *txn;
    es_event_t   event = { 0 };

    (void) es_txn_begin(store, &txn);
    (void) es_event_get(txn, &feed, sequence, &event);
    es_txn_end(txn);

    return event.time_ms;
}


/* The time is moved to that of an event in the middle of a packed chunk. */

static void
test_retime(void)
{
    int64_t   before_ms, at_ms;
    uint64_t  count;

    at_ms = time_of(1350);
    before_ms = time_of(1301);

    ok(time_of(1399) > at_ms, "times differ within a packed chunk");
    ok(es_feed_retime(store, es_lit("f"), at_ms, &count) == ES_OK && count > 0,
       "times are moved");
    head();
    ok(time_of(1399) == at_ms && time_of(feed.last) == at_ms,
       "those in the future");
    ok(time_of(1350) == at_ms && time_of(1301) == before_ms, "and no others");
    verifies(store, "", "and the log is sound");
}


static void
test_epoch_of_another(void)
{
    es_txn_t  *txn;
    es_feed_t  other;
    es_page_t  page = { 0 };

    other = feed;
    other.nearlier = 0;
    other.epoch[0] ^= 1;

    (void) es_txn_begin(store, &txn);
    is_int(es_page_read(txn, &other, 500, es_null_str, 10, 1 << 20, NULL, NULL,
                        &page), ES_CORRUPT,
           "a page with a packed chunk of another epoch is refused");
    es_txn_end(txn);
    es_page_free(&page);
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


static bool
create(void)
{
    es_problem_t  problem;

    static const char  *const keys[] = { "aaaaaaaaaa", "bbbbbbbbbb" };

    (void) mkdtemp(dir);

    if (es_store_create(dir, &problem) == ES_OK
        && es_store_open(dir, ES_STORE_PUBLISH | ES_STORE_ADMIN, &store,
                         &problem) == ES_OK
        && es_feed_create(store, es_lit("f"), NULL, NULL) == ES_OK
        && es_registry_create(store, ES_KIND_PARTNER, es_lit("acme"),
                              "{\"publish\":[\"f\"]}", &problem) == ES_OK
        && es_registry_create(store, ES_KIND_KEY, es_str(keys[0]),
                              "{\"partner\":\"acme\",\"digest\":\"" DIGEST
                              "\",\"scopes\":[\"publish\"]}", &problem)
           == ES_OK
        && es_registry_create(store, ES_KIND_KEY, es_str(keys[1]),
                              "{\"partner\":\"acme\",\"digest\":\"" DIGEST
                              "\",\"scopes\":[\"publish\"]}", &problem)
           == ES_OK)
    {
        return true;
    }

    printf("Bail out! %s\n", problem.detail);

    return false;
}


/* One by one and in batches, by two keys and the operator. */

static void
publish_all(void)
{
    unsigned  n, left;

    for (left = EVENTS - 2; left > 0; left -= n) {
        n = pick(3) == 0 ? 1 + pick(120) : 1;
        n = n < left ? n : left;
        n = left > EVENTS - 200 ? 1 : n;

        switch (pick(8)) {

        case 0:
            publish(n, 0, 0);
            break;

        case 1:
            publish(n, 1, 2);
            break;

        default:
            publish(n, 1, 1);
        }
    }
}


int
main(void)
{
    char  command[64];

    if (!create()) {
        return 1;
    }

    publish_large(200000);
    publish_all();
    publish_large(1000);

    test_same();
    test_erase();
    test_damage(300);
    test_damage(100);
    test_retention();
    test_epoch_of_another();
    test_epochs();
    test_retime();
    test_memory();
    test_changed();
    test_bound();

    es_store_close(store);
    es_unpacked_free();
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
