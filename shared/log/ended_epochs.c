/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Records of ended epochs, in the log's `meta`.
 *
 *     "ended", feed number, epoch    es_ended_epoch_value_t, the feed's name
 */

#include "base/assert.h"
#include "base/clock.h"
#include "log/chunk.h"
#include "log/ended_epochs.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_META_ENDED  "ended"

typedef struct __attribute__((packed)) {
    uint64_t  last;
    int64_t   time_ms;
    uint8_t   over;
} es_ended_epoch_value_t;

ES_STORED_SIZE(es_ended_epoch_value_t, 17);
ES_STORED_AT(es_ended_epoch_value_t, time_ms, 8);
ES_STORED_AT(es_ended_epoch_value_t, over, 16);

typedef struct {
    size_t   len;
    uint8_t  data[sizeof(ES_META_ENDED) - 1 + 8 + ES_EPOCH_MAX];
} es_ended_epoch_key_t;


static void
es_ended_epoch_key(uint32_t feed, const char *epoch, es_ended_epoch_key_t *key)
{
    key->len = sizeof(ES_META_ENDED) - 1;
    memcpy(key->data, ES_META_ENDED, key->len);
    es_be64(feed, key->data + key->len);
    key->len += 8;
    memcpy(key->data + key->len, epoch, strlen(epoch));
    key->len += strlen(epoch);
}


static bool
es_ended_epoch_is(const MDB_val *key)
{
    return key->mv_size > sizeof(ES_META_ENDED) - 1 + 8
           && memcmp(key->mv_data, ES_META_ENDED,
                     sizeof(ES_META_ENDED) - 1) == 0;
}


static es_rc_t
es_ended_epoch_decode(const MDB_val *val, es_ended_epoch_t *ended)
{
    size_t                  len;
    es_ended_epoch_value_t  value;

    if (val->mv_size < sizeof(value)
        || val->mv_size - sizeof(value) > ES_FEED_MAX)
    {
        return ES_CORRUPT;
    }

    memcpy(&value, val->mv_data, sizeof(value));
    len = val->mv_size - sizeof(value);

    ended->over = value.over;
    ended->last = value.last;
    ended->time_ms = value.time_ms;
    memcpy(ended->name, (const char *) val->mv_data + sizeof(value), len);
    ended->name[len] = '\0';

    return ES_OK;
}


/* Makes room for one more: the oldest record goes. */

static es_rc_t
es_ended_epoch_prune(MDB_cursor *cursor)
{
    int                   rc;
    size_t                n;
    int64_t               first_ms;
    MDB_val               key, val;
    es_ended_epoch_t      ended;
    es_ended_epoch_key_t  first;

    n = 0;
    first_ms = INT64_MAX;
    first.len = 0;
    key.mv_data = (void *) (uintptr_t) ES_META_ENDED;
    key.mv_size = sizeof(ES_META_ENDED) - 1;

    for (rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
         rc == 0 && es_ended_epoch_is(&key);
         rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT))
    {
        if (es_ended_epoch_decode(&val, &ended) != ES_OK
            || key.mv_size > sizeof(first.data))
        {
            return ES_CORRUPT;
        }

        n++;

        if (ended.time_ms < first_ms) {
            first_ms = ended.time_ms;
            first.len = key.mv_size;
            memcpy(first.data, key.mv_data, key.mv_size);
        }
    }

    if ((rc == 0 || rc == MDB_NOTFOUND) && n >= ES_ENDED_EPOCHS_MAX) {
        key.mv_data = first.data;
        key.mv_size = first.len;

        rc = mdb_cursor_get(cursor, &key, &val, MDB_SET);
        rc = rc == 0 ? mdb_cursor_del(cursor, 0) : rc;
    }

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_ended_epoch_put_one(es_store_t *store, MDB_txn *txn, const es_feed_t *feed,
    const char *epoch, bool over)
{
    char               text[sizeof(es_ended_epoch_value_t) + ES_FEED_MAX];
    size_t             len;
    MDB_val            key, val;
    es_rc_t            rc;
    MDB_cursor        *cursor;
    es_ended_epoch_key_t     name;
    es_ended_epoch_value_t   value;
    es_clock_verdict_t  clock;

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(store->log, ES_LOG_META),
                                   &cursor));
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_ended_epoch_prune(cursor);

    if (rc == ES_OK) {
        rc = es_clock_commit(store, txn, &clock);
    }

    if (rc == ES_OK) {
        value.last = feed->last;
        value.time_ms = clock.time_ms;
        value.over = over;
        len = strlen(feed->name);
        memcpy(text, &value, sizeof(value));
        memcpy(text + sizeof(value), feed->name, len);

        es_ended_epoch_key(feed->number, epoch, &name);
        key.mv_data = name.data;
        key.mv_size = name.len;
        val.mv_data = text;
        val.mv_size = sizeof(value) + len;

        rc = es_env_rc(mdb_cursor_put(cursor, &key, &val, 0));
    }

    mdb_cursor_close(cursor);

    return rc;
}


es_rc_t
es_ended_epoch_put(es_store_t *store, MDB_txn *txn, const es_feed_t *feed,
    bool over)
{
    es_rc_t   rc;
    uint32_t  i;

    rc = es_ended_epoch_put_one(store, txn, feed, feed->epoch, over);

    for (i = 0; rc == ES_OK && i < feed->nearlier; i++) {
        rc = es_ended_epoch_put_one(store, txn, feed, feed->earlier[i].name,
                                    over);
    }

    return rc;
}


es_rc_t
es_ended_epoch_get(es_txn_t *txn, uint32_t feed, const char *epoch,
    es_ended_epoch_t *ended)
{
    MDB_val               key, val;
    es_rc_t               rc;
    es_ended_epoch_key_t  name;

    es_ended_epoch_key(feed, epoch, &name);
    key.mv_data = name.data;
    key.mv_size = name.len;

    rc = es_env_rc(mdb_get(txn->mdb, es_env_dbi(txn->store->log, ES_LOG_META),
                           &key, &val));

    return rc == ES_OK ? es_ended_epoch_decode(&val, ended) : rc;
}
