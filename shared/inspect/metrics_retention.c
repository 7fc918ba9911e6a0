/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts the feeds of endpoints whose next event retention will soon delete.
 */

#include "base/base.h"
#include "delivery/delivery_keys.h"
#include "inspect/metrics_retention.h"
#include "log/feed.h"
#include "read/lag.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"


es_rc_t
es_near_add(es_buf_t *list, const es_feed_t *feed,
    const es_progress_t *progress)
{
    es_near_lane_t  u;

    if (!es_feed_limited(feed) || strcmp(feed->epoch, progress->epoch) != 0) {
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
es_near_retries(es_store_t *store, es_near_lane_t *list, size_t n)
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


es_rc_t
es_near_count(es_store_t *store, const es_report_feeds_t *feeds,
    es_buf_t *list, int64_t now_ms, uint64_t *near)
{
    size_t           i, n;
    es_rc_t          rc;
    es_lag_t         lag;
    es_txn_t        *txn;
    es_feed_t        feed;
    es_near_lane_t  *u;

    *near = 0;
    u = (es_near_lane_t *) (void *) list->data;
    n = list->len / sizeof(es_near_lane_t);

    if (n == 0) {
        return ES_OK;
    }

    rc = es_near_retries(store, u, n);

    if (rc == ES_OK) {
        rc = es_txn_begin(store, &txn);
    }

    if (rc != ES_OK) {
        return rc;
    }

    /* a feed that was removed meanwhile, or is damaged, is left out */

    for (i = 0; i < n; i++) {
        if (es_feed_get(txn, es_str(es_report_feed(feeds, u[i].feed)->name),
                        &feed) == ES_OK
            && feed.number == u[i].feed
            && es_lag_read(txn, &feed, &u[i].done, now_ms, &lag) == ES_OK
            && lag.state != ES_RESET && lag.state != ES_AHEAD && lag.warning)
        {
            (*near)++;
        }
    }

    es_txn_end(txn);

    return ES_OK;
}
