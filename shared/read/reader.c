/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Look-ups of single events: by cursor, by sequence and by time.
 */

#include "event/filter.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "read/reader.h"
#include "read/walk.h"
#include "store/txn.h"


static es_rc_t
es_event_find(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    const es_filter_t *filter, es_event_t *event, uint64_t *scanned)
{
    es_rc_t    rc;
    uint32_t   i;
    es_str_t   text;
    es_walk_t  walk;

    rc = es_walk_open(&walk, txn, feed, after, filter, 1);

    if (rc == ES_OK) {
        rc = es_walk_next(&walk, &i, &text);
    }

    if (rc == ES_OK) {
        rc = es_event_parts(feed, &walk.chunk, i, text, event);
    }

    *scanned = walk.position;
    es_walk_close(&walk);

    return rc;
}


/* A reader that takes one event after the other mostly finds the next one
   in the same place, so this look comes before the index. */

es_rc_t
es_event_next(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    const es_filter_t *filter, es_event_t *event, uint64_t *scanned)
{
    es_rc_t    rc;
    es_feed_t  close;

    if (!es_filter_is_all(filter) && feed->last > after + ES_WALK_CLOSE) {
        close = *feed;
        close.last = after + ES_WALK_CLOSE;

        rc = es_event_find(txn, &close, after, filter, event, scanned);
        if (rc != ES_NOT_FOUND) {
            return rc;
        }

        after = *scanned;
    }

    return es_event_find(txn, feed, after, filter, event, scanned);
}


es_rc_t
es_event_get(es_txn_t *txn, const es_feed_t *feed, uint64_t sequence,
    es_event_t *event)
{
    uint64_t  scanned;

    if (sequence < feed->oldest || sequence > feed->last) {
        return ES_NOT_FOUND;
    }

    return es_event_next(txn, feed, sequence - 1, NULL, event, &scanned);
}


es_rc_t
es_feed_seek_time(es_txn_t *txn, const es_feed_t *feed, int64_t time_ms,
    uint64_t *after)
{
    es_rc_t     rc;
    uint32_t    since;
    uint64_t    low, high, middle;
    es_chunk_t  chunk;

    /* Every event before `low` is older than the time; the one at `high` is
       not. */

    low = feed->oldest;
    high = feed->last + 1;

    while (low < high) {
        middle = low + (high - low) / 2;

        rc = es_chunk_seek(txn->events, feed->number, middle, false, &chunk);
        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
        }

        since = es_chunk_since(&chunk, time_ms);

        if (since == chunk.head->count) {
            low = chunk.last + 1;

        } else if (since > 0 || chunk.head->first <= low) {
            /* the oldest chunk may begin before the oldest event */

            if (chunk.head->first + since > low) {
                low = chunk.head->first + since;
            }

            high = low;

        } else {
            high = chunk.head->first;
        }
    }

    *after = low - 1;

    return ES_OK;
}


es_rc_t
es_feed_since(es_txn_t *txn, const es_feed_t *feed, int64_t time_ms,
    uint64_t *count)
{
    es_rc_t   rc;
    uint64_t  after;

    *count = 0;

    if (feed->last_ms < time_ms) {
        return ES_OK;
    }

    rc = es_feed_seek_time(txn, feed, time_ms, &after);

    if (rc == ES_OK) {
        *count = feed->last - after;
    }

    return rc;
}
