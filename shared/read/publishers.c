/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the publishers of a feed's events, a chunk at a time.
 */

#include "log/chunk.h"
#include "log/feed.h"
#include "read/publishers.h"
#include "store/txn.h"

#define ES_PUBLISHED_CHUNKS  1000  /* in one call */


es_rc_t
es_published_next(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    es_published_t *published)
{
    es_rc_t     rc;
    unsigned    n;
    es_chunk_t  chunk;

    if (after >= feed->last) {
        return ES_NOT_FOUND;
    }

    rc = es_chunk_seek(txn->events, feed->number, after + 1, true, &chunk);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
    }

    published->first = after + 1;
    published->time_ms = chunk.head->time_ms;
    published->publisher.partner = chunk.head->partner;
    published->publisher.key = chunk.head->key;

    for (n = 0; n < ES_PUBLISHED_CHUNKS; n++) {
        published->last = chunk.last;

        if (chunk.last >= feed->last) {
            break;
        }

        rc = es_chunk_next(txn->events, feed->number, true, &chunk);
        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
        }

        if (chunk.head->partner != published->publisher.partner
            || chunk.head->key != published->publisher.key)
        {
            break;
        }
    }

    return ES_OK;
}
