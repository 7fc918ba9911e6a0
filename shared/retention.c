#include "chunk.h"
#include "reader.h"


/* The first sequence after dropping `excess` bytes from the oldest end. */

static es_rc_t
es_retained_bytes(es_txn_t *txn, const es_feed_t *feed, uint64_t excess,
    uint64_t *oldest)
{
    es_rc_t     rc;
    uint64_t    size;
    es_chunk_t  chunk;

    *oldest = feed->oldest;

    rc = es_chunk_seek(txn->events, feed->number, feed->oldest, false, &chunk);

    while (rc == ES_OK && excess > 0) {
        size = chunk.size - chunk.head->body;
        excess -= size < excess ? size : excess;
        *oldest = chunk.last + 1;

        rc = es_chunk_next(txn->events, feed->number, false, &chunk);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_feed_retained(es_txn_t *txn, const es_feed_t *feed, int64_t now_ms,
    uint64_t *oldest)
{
    es_rc_t   rc;
    uint64_t  limit;

    *oldest = feed->oldest;

    if (feed->retain_count != 0
        && feed->last + 1 - feed->oldest > feed->retain_count)
    {
        *oldest = feed->last + 1 - feed->retain_count;
    }

    if (feed->retain_ms != 0) {
        rc = es_feed_seek_time(txn, feed, now_ms - feed->retain_ms, &limit);
        if (rc != ES_OK) {
            return rc;
        }

        *oldest = limit + 1 > *oldest ? limit + 1 : *oldest;
    }

    if (feed->retain_bytes != 0 && feed->bytes > feed->retain_bytes) {
        rc = es_retained_bytes(txn, feed, feed->bytes - feed->retain_bytes,
                               &limit);
        if (rc != ES_OK) {
            return rc;
        }

        *oldest = limit > *oldest ? limit : *oldest;
    }

    return ES_OK;
}
