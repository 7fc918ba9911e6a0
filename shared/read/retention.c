/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the events that retention by count, bytes and age keeps of a feed, and
 * the time since when a feed exceeds its limits.  It deletes nothing: that is
 * es_feed_drop() in log/feed.c, in a publish or in a pass of the dispatcher.
 */

#include "log/chunk.h"
#include "log/feed.h"
#include "log/unpacked.h"
#include "read/reader.h"
#include "read/retention.h"
#include "store/deletions.h"
#include "store/txn.h"

#define ES_OVERDUE_MS  10000    /* the dispatcher applies retention every
                                   two seconds */


/* Returns the index of the first event of a packed chunk that stays.  A plain
   chunk goes as a whole: it is one commit's. */

static uint32_t
es_retained_event(const es_chunk_t *chunk, uint64_t oldest, uint64_t *excess)
{
    uint32_t  i;
    uint64_t  size;

    i = oldest > chunk->head->first
        ? (uint32_t) (oldest - chunk->head->first) : 0;

    for ( ; i < chunk->head->count && *excess > 0; i++) {
        size = chunk->entries[i].end
               - (i == 0 ? 0 : chunk->entries[i - 1].end);
        *excess -= size < *excess ? size : *excess;
    }

    return i;
}


/* Finds the first sequence that stays when `excess` bytes of the oldest
   events are dropped. */

static es_rc_t
es_retained_bytes(es_txn_t *txn, const es_feed_t *feed, uint64_t excess,
    uint64_t *oldest)
{
    es_rc_t     rc;
    uint32_t    i;
    uint64_t    size;
    es_chunk_t  chunk;

    *oldest = feed->oldest;

    rc = es_chunk_seek(txn->events, feed->number, feed->oldest, false, &chunk);

    while (rc == ES_OK && excess > 0) {
        if (chunk.commits != NULL) {
            i = es_retained_event(&chunk, *oldest, &excess);
            *oldest = chunk.head->first + i;
            es_unpacked_forget();

        } else {
            size = chunk.size - chunk.head->body;
            excess -= size < excess ? size : excess;
            *oldest = chunk.last + 1;
        }

        rc = es_chunk_next(txn->events, feed->number, false, &chunk);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* Returns when an event of the chunk was committed. */

static int64_t
es_retained_time(const es_chunk_t *chunk, uint64_t sequence)
{
    uint32_t  i;

    i = sequence > chunk->head->first
        ? (uint32_t) (sequence - chunk->head->first) : 0;

    return es_chunk_commit(chunk, i).time_ms;
}


/* Checks the age of the feed's oldest chunk.  That is one look-up, and
   mostly the only one. */

static es_rc_t
es_retained_old(es_txn_t *txn, const es_feed_t *feed, int64_t before_ms,
    bool *old)
{
    es_rc_t     rc;
    es_chunk_t  chunk;

    *old = false;

    if (feed->oldest > feed->last) {
        return ES_OK;
    }

    rc = es_chunk_seek(txn->events, feed->number, feed->oldest, false, &chunk);

    if (rc == ES_OK) {
        *old = es_retained_time(&chunk, feed->oldest) < before_ms;
    }

    return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
}


static void
es_retained_more(uint64_t limit, es_deletion_cause_t why, uint64_t *oldest,
    es_deletion_cause_t *most)
{
    if (limit > *oldest) {
        *oldest = limit;
        *most = why;
    }
}


es_rc_t
es_feed_retained(es_txn_t *txn, const es_feed_t *feed, int64_t now_ms,
    uint64_t *oldest, es_deletion_cause_t *why)
{
    bool      old;
    es_rc_t   rc;
    uint64_t  limit;

    *oldest = feed->oldest;
    *why = ES_DELETION_COUNT;

    if (feed->retain_count != 0
        && feed->last + 1 - feed->oldest > feed->retain_count)
    {
        *oldest = feed->last + 1 - feed->retain_count;
    }

    if (feed->retain_ms != 0) {
        rc = es_retained_old(txn, feed, now_ms - feed->retain_ms, &old);

        if (rc == ES_OK && old) {
            rc = es_feed_seek_time(txn, feed, now_ms - feed->retain_ms,
                                   &limit);
            es_retained_more(limit + 1, ES_DELETION_AGE, oldest, why);
        }

        if (rc != ES_OK) {
            return rc;
        }
    }

    if (feed->retain_bytes != 0 && feed->bytes > feed->retain_bytes) {
        rc = es_retained_bytes(txn, feed, feed->bytes - feed->retain_bytes,
                               &limit);
        if (rc != ES_OK) {
            return rc;
        }

        es_retained_more(limit, ES_DELETION_BYTES, oldest, why);
    }

    return ES_OK;
}


/* Finds the time of the commit that made the feed exceed `retain_bytes`.
   Each chunk knows the bytes before it, so a search is enough. */

static es_rc_t
es_overdue_bytes(es_txn_t *txn, const es_feed_t *feed, int64_t *since_ms)
{
    es_rc_t     rc;
    uint32_t    i;
    uint64_t    low, high, middle, limit;
    es_chunk_t  chunk;

    rc = es_chunk_seek(txn->events, feed->number, feed->oldest, false, &chunk);
    if (rc != ES_OK) {
        return rc;
    }

    limit = feed->total - feed->bytes + feed->retain_bytes;
    low = feed->oldest + 1;
    high = feed->last + 1;
    *since_ms = es_retained_time(&chunk, feed->oldest);

    while (low < high) {
        middle = low + (high - low) / 2;

        rc = es_chunk_seek(txn->events, feed->number, middle, false, &chunk);
        if (rc != ES_OK) {
            return rc;
        }

        /* `total` counts the bytes before this chunk, so the event before
           exceeded */

        if (chunk.head->total > limit) {
            high = chunk.head->first <= low ? low : chunk.head->first;
            continue;
        }

        for (i = 1; i < chunk.head->count
             && chunk.head->total + es_chunk_bytes(&chunk, i) <= limit; i++)
        {
            /* void */
        }

        *since_ms = es_chunk_commit(&chunk, i - 1).time_ms;

        if (i < chunk.head->count) {
            break;
        }

        low = chunk.last + 1;
    }

    return ES_OK;
}


static es_rc_t
es_overdue_count(es_txn_t *txn, const es_feed_t *feed, int64_t *since_ms)
{
    es_rc_t     rc;
    es_chunk_t  chunk;

    rc = es_chunk_seek(txn->events, feed->number,
                       feed->oldest + feed->retain_count, false, &chunk);

    if (rc == ES_OK) {
        *since_ms = es_retained_time(&chunk,
                                     feed->oldest + feed->retain_count);
    }

    return rc;
}


static es_rc_t
es_overdue_age(es_txn_t *txn, const es_feed_t *feed, int64_t *since_ms)
{
    es_rc_t     rc;
    es_chunk_t  chunk;

    rc = es_chunk_seek(txn->events, feed->number, feed->oldest, false, &chunk);

    if (rc == ES_OK) {
        *since_ms = es_retained_time(&chunk, feed->oldest) + feed->retain_ms;
    }

    return rc;
}


es_rc_t
es_feed_overdue(es_txn_t *txn, const es_feed_t *feed, int64_t now_ms,
    int64_t *since_ms)
{
    size_t   i;
    int64_t  ms;
    es_rc_t  rc;

    const struct {
        bool      over;
        es_rc_t (*since)(es_txn_t *, const es_feed_t *, int64_t *);
    } limits[] = {
        { feed->retain_count != 0
          && feed->last + 1 - feed->oldest > feed->retain_count,
          es_overdue_count },
        { feed->retain_bytes != 0 && feed->bytes > feed->retain_bytes,
          es_overdue_bytes },
        { feed->retain_ms != 0 && feed->oldest <= feed->last,
          es_overdue_age }
    };

    *since_ms = 0;

    for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (!limits[i].over) {
            continue;
        }

        rc = limits[i].since(txn, feed, &ms);
        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
        }

        if (*since_ms == 0 || ms < *since_ms) {
            *since_ms = ms;
        }
    }

    /* the dispatcher is about to apply retention to this feed */

    if (*since_ms > now_ms - ES_OVERDUE_MS) {
        *since_ms = 0;
    }

    return ES_OK;
}
