/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Measures how far a cursor is behind, by look-ups that do not depend on the
 * distance.
 */

#include "event/cursor.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "read/lag.h"
#include "read/range.h"
#include "store/txn.h"


static bool
es_lag_near(uint64_t used, uint64_t allowance)
{
    if (used >= allowance) {
        return true;
    }

    /* in this order it does not overflow */

    return allowance - used < allowance / 100 * ES_LAG_NEAR_PERCENT
                              + allowance % 100 * ES_LAG_NEAR_PERCENT / 100;
}


/* Computes what retention still leaves to the first event that is not
   acknowledged. */

static es_rc_t
es_lag_retention(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    es_lag_t *lag)
{
    es_rc_t   rc;
    uint64_t  bytes, age;

    if (feed->retain_count != 0
        && es_lag_near(lag->events, feed->retain_count))
    {
        lag->warning = true;
    }

    if (feed->retain_ms != 0) {
        age = lag->ms > 0 ? (uint64_t) lag->ms : 0;

        if (es_lag_near(age, (uint64_t) feed->retain_ms)) {
            lag->warning = true;
        }
    }

    if (feed->retain_bytes == 0 || lag->warning) {
        return ES_OK;
    }

    rc = es_range_bytes(txn, feed, after, feed->last, &bytes);

    if (rc == ES_OK && es_lag_near(bytes, feed->retain_bytes)) {
        lag->warning = true;
    }

    return rc;
}


es_rc_t
es_lag_read(es_txn_t *txn, const es_feed_t *feed, const es_cursor_t *cursor,
    int64_t now_ms, es_lag_t *lag)
{
    int64_t     time_ms;
    es_rc_t     rc;
    es_chunk_t  chunk;

    memset(lag, 0, sizeof(es_lag_t));
    lag->ms = -1;

    lag->state = es_feed_check(feed, cursor);

    if (lag->state == ES_RESET || lag->state == ES_AHEAD) {
        lag->warning = true;
        return ES_OK;
    }

    lag->events = feed->last - cursor->sequence;

    if (lag->state == ES_EXPIRED) {
        lag->warning = true;
        lag->missed = feed->oldest - 1 - cursor->sequence;
        return ES_OK;
    }

    if (lag->events == 0) {
        lag->ms = 0;
        return ES_OK;
    }

    rc = es_chunk_seek(txn->events, feed->number, cursor->sequence + 1, true,
                       &chunk);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
    }

    /* a clock that was ahead may have dated the event */

    time_ms = es_chunk_commit(&chunk, (uint32_t) (cursor->sequence + 1
                                                  - chunk.head->first)).time_ms;
    time_ms = time_ms < now_ms ? time_ms : now_ms;
    lag->ms = now_ms - time_ms;

    if (!es_feed_limited(feed)) {
        return ES_OK;
    }

    if (feed->retain_ms != 0) {
        lag->expires_ms = time_ms + feed->retain_ms;
    }

    return es_lag_retention(txn, feed, cursor->sequence, lag);
}
