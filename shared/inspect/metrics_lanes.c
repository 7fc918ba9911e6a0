/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads how far endpoints are behind on their feeds.
 *
 * A lane without a waiting event costs no look into the log, and the record of
 * a feed is read once for all its lanes.
 */

#include <stdlib.h>

#include "base/base.h"
#include "delivery/delivery_keys.h"
#include "inspect/metrics_lanes.h"
#include "log/feed.h"
#include "read/lag.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"


es_rc_t
es_lane_add(es_buf_t *list, const es_feed_t *feed,
    const es_progress_t *progress, bool all)
{
    es_lane_t  u;

    if ((!all && !es_feed_limited(feed))
        || strcmp(feed->epoch, progress->epoch) != 0)
    {
        return ES_OK;
    }

    memset(&u, 0, sizeof(u));
    u.endpoint = progress->endpoint;
    u.feed = progress->feed;
    memcpy(u.done.epoch, progress->epoch, sizeof(u.done.epoch));
    u.done.sequence = es_progress_done(progress);

    return es_buf_append(list, &u, sizeof(u));
}


/* The first retry of an endpoint's feed is the oldest one. */

static es_rc_t
es_lanes_retries(es_store_t *store, es_lane_t *list, size_t n)
{
    int          rc;
    size_t       i;
    es_rc_t      result;
    MDB_txn     *txn;
    MDB_val      key, value;
    es_dkey_t    first;
    MDB_cursor  *cursor;

    result = es_env_read_begin(store->delivery, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, es_env_dbi(store->delivery, ES_DELIVERY_RETRIES),
                         &cursor);
    if (rc != 0) {
        es_env_read_end(store->delivery, txn);
        return es_env_rc(rc);
    }

    for (i = 0; i < n && (rc == 0 || rc == MDB_NOTFOUND); i++) {
        first = es_delivery_key(list[i].endpoint, list[i].feed, 0);
        key.mv_data = first.data;
        key.mv_size = first.len;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

        if (rc == 0 && key.mv_size == ES_DELIVERY_KEY_LEN
            && memcmp(key.mv_data, first.data, ES_LANE_KEY_LEN) == 0
            && es_key64_get(&key, ES_LANE_KEY_LEN) <= list[i].done.sequence)
        {
            list[i].done.sequence = es_key64_get(&key, ES_LANE_KEY_LEN) - 1;
        }
    }

    mdb_cursor_close(cursor);
    es_env_read_end(store->delivery, txn);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static int
es_lane_order(const void *a, const void *b)
{
    const es_lane_t  *one = a, *two = b;

    return one->feed != two->feed ? (one->feed < two->feed ? -1 : 1)
           : one->endpoint < two->endpoint ? -1
           : one->endpoint > two->endpoint;
}


static es_rc_t
es_lane_read(es_txn_t *txn, const es_feed_t *feed, const es_lane_t *lane,
    int64_t now_ms, es_watched_t *watched, uint64_t *near)
{
    bool      shown;
    es_rc_t   rc;
    es_lag_t  lag;

    shown = watched != NULL && watched->shown;

    if (lane->done.sequence >= feed->last
        || (!shown && !es_feed_limited(feed)))
    {
        return ES_OK;
    }

    rc = es_lag_read(txn, feed, &lane->done, now_ms, &lag);

    if (rc != ES_OK || lag.state == ES_RESET || lag.state == ES_AHEAD) {
        return rc;
    }

    if (lag.warning && es_feed_limited(feed)) {
        (*near)++;
    }

    if (shown && lag.ms > watched->lag_ms) {
        watched->lag_ms = lag.ms;
    }

    return ES_OK;
}


es_rc_t
es_lanes_read(es_store_t *store, const es_report_feeds_t *feeds,
    es_buf_t *list, int64_t now_ms, const es_watched_list_t *watched,
    uint64_t *near)
{
    bool        there;
    size_t      i, n;
    es_rc_t     rc;
    es_txn_t   *txn;
    es_feed_t   feed;
    es_lane_t  *lanes;

    *near = 0;
    lanes = (es_lane_t *) (void *) list->data;
    n = list->len / sizeof(es_lane_t);

    if (n == 0) {
        return ES_OK;
    }

    rc = es_lanes_retries(store, lanes, n);

    if (rc == ES_OK) {
        rc = es_txn_begin(store, &txn);
    }

    if (rc != ES_OK) {
        return rc;
    }

    qsort(lanes, n, sizeof(es_lane_t), es_lane_order);
    there = false;

    /* a feed that was removed meanwhile, or is damaged, is left out */

    for (i = 0; i < n; i++) {
        if (i == 0 || lanes[i].feed != lanes[i - 1].feed) {
            there = es_feed_get(txn, es_str(es_report_feed(feeds,
                                                lanes[i].feed)->name), &feed)
                    == ES_OK
                    && feed.number == lanes[i].feed;
        }

        if (there) {
            (void) es_lane_read(txn, &feed, &lanes[i], now_ms,
                                es_watched_get(watched, lanes[i].endpoint),
                                near);
        }
    }

    es_txn_end(txn);

    return ES_OK;
}
