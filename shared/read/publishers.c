/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the publishers of a feed's events, a chunk at a time.
 */

#include "log/chunk.h"
#include "log/feed.h"
#include "log/unpacked.h"
#include "read/publishers.h"
#include "store/txn.h"

#define ES_PUBLISHED_CHUNKS  1000  /* in one call */


/* Returns the index of the first event from `i` on of another publisher. */

static uint32_t
es_published_run(const es_chunk_t *chunk, uint32_t i,
    const es_publisher_t *publisher)
{
    es_commit_of_t  commit;

    for ( ; i < chunk->head->count; i++) {
        commit = es_chunk_commit(chunk, i);

        if (commit.partner != publisher->partner
            || commit.key != publisher->key)
        {
            break;
        }

        if (chunk->commits == NULL) {
            return chunk->head->count;
        }
    }

    return i;
}


es_rc_t
es_published_next(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    es_published_t *published)
{
    es_rc_t         rc;
    unsigned        n;
    uint32_t        i;
    es_chunk_t      chunk;
    es_commit_of_t  commit;

    if (after >= feed->last) {
        return ES_NOT_FOUND;
    }

    rc = es_chunk_seek(txn->events, feed->number, after + 1, true, &chunk);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
    }

    i = chunk.head->first > after + 1
        ? 0 : (uint32_t) (after + 1 - chunk.head->first);
    commit = es_chunk_commit(&chunk, i);

    published->first = after + 1;
    published->time_ms = commit.time_ms;
    published->publisher.partner = commit.partner;
    published->publisher.key = commit.key;

    for (n = 0; n < ES_PUBLISHED_CHUNKS; n++) {
        i = es_published_run(&chunk, i, &published->publisher);

        if (i > 0) {
            published->last = chunk.head->first + i - 1;
        }

        if (i < chunk.head->count || chunk.last >= feed->last) {
            break;
        }

        es_unpacked_forget();

        rc = es_chunk_next(txn->events, feed->number, true, &chunk);
        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
        }

        i = 0;
    }

    return ES_OK;
}
