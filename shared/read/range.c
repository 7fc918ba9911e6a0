/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Byte counts, event counts and digests between two sequences.
 *
 * Chunks store the running totals of their epoch, so that a range is the
 * difference of two look-ups.
 */

#include "base/base.h"
#include "event/digest.h"
#include "event/filter.h"
#include "fields/fields.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/rechain.h"
#include "log/subject.h"
#include "read/range.h"
#include "read/reader.h"
#include "store/txn.h"

#define ES_RANGE_BYTES  (1024 * 1024)  /* of events that are read at once */


static es_rc_t
es_range_seek(es_txn_t *txn, const es_feed_t *feed, uint64_t sequence,
    es_chunk_t *chunk)
{
    es_rc_t  rc;

    if (sequence + 1 < feed->oldest || sequence > feed->last) {
        return ES_INVALID;
    }

    rc = es_chunk_seek(txn->events, feed->number, sequence + 1, true, chunk);

    if (rc == ES_OK && chunk->head->first > sequence + 1) {
        return ES_CORRUPT;
    }

    return rc;
}


/* Returns the bytes of the feed's events up to the sequence.  After the
   last event there is no chunk, and the feed has the total. */

static es_rc_t
es_range_total(es_txn_t *txn, const es_feed_t *feed, uint64_t sequence,
    uint64_t *total)
{
    es_rc_t     rc;
    uint32_t    n;
    es_chunk_t  chunk;

    rc = es_range_seek(txn, feed, sequence, &chunk);

    if (rc == ES_NOT_FOUND) {
        *total = feed->total;
        return ES_OK;
    }

    if (rc != ES_OK) {
        return rc;
    }

    n = (uint32_t) (sequence + 1 - chunk.head->first);
    *total = chunk.head->total + es_chunk_bytes(&chunk, n);

    return ES_OK;
}


es_rc_t
es_range_bytes(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    uint64_t to, uint64_t *bytes)
{
    es_rc_t   rc;
    uint64_t  from, until;

    if (after > to) {
        return ES_INVALID;
    }

    rc = es_range_total(txn, feed, after, &from);

    if (rc == ES_OK) {
        rc = es_range_total(txn, feed, to, &until);
    }

    if (rc == ES_OK) {
        *bytes = until - from;
    }

    return rc;
}


es_rc_t
es_range_digest(es_txn_t *txn, const es_feed_t *feed, uint64_t sequence,
    uint8_t digest[ES_CHAIN_LEN])
{
    size_t      len;
    es_rc_t     rc;
    uint8_t     event[ES_CHAIN_LEN];
    uint32_t    i;
    es_chunk_t  chunk;

    rc = es_range_seek(txn, feed, sequence, &chunk);

    if ((rc == ES_OK || rc == ES_NOT_FOUND)
        && !es_rechain_has(feed, sequence))
    {
        return ES_BUSY;
    }

    if (rc == ES_NOT_FOUND) {
        memcpy(digest, feed->digest, ES_CHAIN_LEN);
        return ES_OK;
    }

    if (rc != ES_OK) {
        return rc;
    }

    memcpy(digest, chunk.head->digest, ES_CHAIN_LEN);

    for (i = 0; chunk.head->first + i <= sequence; i++) {
        rc = es_chunk_published(&chunk, i, &len, event);
        if (rc != ES_OK) {
            return rc;
        }

        es_digest_link(digest, event);
    }

    return ES_OK;
}


es_rc_t
es_range_count(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    uint64_t to, const es_filter_t *filter, uint64_t *count)
{
    if (es_filter_is_all(filter)) {
        *count = to - after;
        return ES_OK;
    }

    if (!es_filter_is_subject(filter)) {
        return ES_NOT_FOUND;
    }

    return es_subject_count(txn, feed, filter->subject, after, to, count);
}


es_rc_t
es_range_shown(es_txn_t *txn, const es_feed_t *feed, uint64_t *position,
    uint64_t to, const es_fields_t *fields, es_page_t *page,
    uint8_t digest[ES_CHAIN_LEN], uint64_t *bytes)
{
    size_t       start;
    es_rc_t      rc;
    unsigned     i;
    es_feed_t    end;
    const char  *text;

    end = *feed;
    end.last = to;

    rc = es_page_read(txn, &end, *position, es_null_str, ES_RANGE_SHOWN,
                      ES_RANGE_BYTES, NULL, fields, page);

    if (rc != ES_OK) {
        return rc;
    }

    if (page->count == 0) {
        return ES_CORRUPT;
    }

    text = page->slices[0].data;
    start = 0;

    for (i = 0; i < page->count; i++) {
        es_digest_chain(digest, text + start, page->ends[i] - start);
        *bytes += page->ends[i] - start;
        start = page->ends[i] + 1;
    }

    *position = page->next;

    return ES_OK;
}
