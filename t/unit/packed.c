/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Packed chunks.  Every reader must get the same before and after packing and
 * unpacking, of events of all kinds.  A chunk that is cut short, or of which a
 * byte is another, is refused or has the same texts.
 */

#include <stdio.h>
#include <stdlib.h>

#include "event/filter.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/unpacked.h"
#include "pack/pack.h"
#include "packed_log.h"
#include "read/lag.h"
#include "read/publishers.h"
#include "read/range.h"
#include "read/reader.h"
#include "read/snapshot.h"
#include "store/store.h"
#include "tap.h"
#include "verifies.h"


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
    es_lag_t        lag;
    es_event_t      event;
    es_cursor_t     cursor;
    es_published_t  published;

    for (n = feed.oldest - 1; n <= feed.last; n++) {
        (void) es_range_digest(txn, &feed, n, digest);
        (void) es_range_bytes(txn, &feed, feed.oldest - 1, n, &bytes);
        (void) es_buf_append(out, digest, sizeof(digest));

        cursor.sequence = n;
        memcpy(cursor.epoch, es_feed_epoch_of(&feed, n), sizeof(cursor.epoch));
        (void) es_lag_read(txn, &feed, &cursor, feed.last_ms, &lag);
        (void) es_buf_printf(out, "%lld ", (long long) lag.ms);
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


/* Returns an event in the middle of the second page whose commit also has the
   event before it. */

static uint64_t
within_commit(void)
{
    int64_t      before_ms;
    uint64_t     n;
    es_txn_t    *txn;
    es_event_t   event = { 0 };

    (void) es_txn_begin(store, &txn);

    for (n = 110, before_ms = -1; n < 190; n++) {
        (void) es_event_get(txn, &feed, n, &event);

        if (event.time_ms == before_ms) {
            break;
        }

        before_ms = event.time_ms;
    }

    es_txn_end(txn);

    return n;
}


static void
test_retention(void)
{
    es_buf_t  before = { 0 };

    ok(es_feed_trim(store, es_lit("f"), within_commit()) == ES_OK,
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
    is_int((int64_t) pack_all(1).runs, 3, "a run of several epochs is packed");
    same(&before, "with the same answers");
    verifies(store, "", "and is sound");

    es_buf_free(&before);
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


int
main(void)
{
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
    es_unpacked_free();

    return end();
}
