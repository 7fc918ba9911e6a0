/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Byte counts, event counts and digests between two sequences.
 *
 * Chunks store the running totals of their epoch, so that a range is the
 * difference of two look-ups.
 */

#include "event/digest.h"
#include "event/filter.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/subject.h"
#include "read/range.h"
#include "store/txn.h"


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
