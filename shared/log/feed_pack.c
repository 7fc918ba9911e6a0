/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The setting of packed history, in the log's `meta`.
 *
 *     "pack", feed number    the level of zstd, a byte; no record: off
 */

#include <string.h>

#include "log/chunk.h"
#include "log/feed_pack.h"
#include "log/packed.h"
#include "store/env.h"

#define ES_META_PACK  "pack"

typedef struct {
    uint8_t  data[sizeof(ES_META_PACK) - 1 + 8];
} es_pack_key_t;


static MDB_val
es_pack_key(uint32_t feed, es_pack_key_t *key)
{
    memcpy(key->data, ES_META_PACK, sizeof(ES_META_PACK) - 1);
    es_be64(feed, key->data + sizeof(ES_META_PACK) - 1);

    return (MDB_val) { .mv_size = sizeof(key->data), .mv_data = key->data };
}


es_rc_t
es_feed_pack_load(es_store_t *store, MDB_txn *txn, uint32_t feed,
    unsigned *level)
{
    int            rc;
    MDB_val        key, value;
    es_pack_key_t  name;

    *level = ES_PACK_OFF;
    key = es_pack_key(feed, &name);

    rc = mdb_get(txn, es_env_dbi(store->log, ES_LOG_META), &key, &value);

    if (rc != 0) {
        return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
    }

    if (value.mv_size != 1) {
        return ES_CORRUPT;
    }

    *level = *(const uint8_t *) value.mv_data;

    return *level == ES_PACK_OFF || *level > ES_PACK_MAX ? ES_CORRUPT : ES_OK;
}


es_rc_t
es_feed_pack_get(es_txn_t *txn, uint32_t feed, unsigned *level)
{
    return es_feed_pack_load(txn->store, txn->mdb, feed, level);
}


es_rc_t
es_feed_pack_save(es_store_t *store, MDB_txn *txn, uint32_t feed,
    unsigned level)
{
    int            rc;
    uint8_t        byte;
    MDB_val        key, value;
    es_pack_key_t  name;

    key = es_pack_key(feed, &name);
    byte = (uint8_t) level;
    value.mv_size = 1;
    value.mv_data = &byte;

    if (level != ES_PACK_OFF) {
        return es_env_rc(mdb_put(txn, es_env_dbi(store->log, ES_LOG_META),
                                 &key, &value, 0));
    }

    rc = mdb_del(txn, es_env_dbi(store->log, ES_LOG_META), &key, NULL);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


es_rc_t
es_feed_pack_again(es_store_t *store, MDB_txn *txn, uint32_t feed,
    const es_chunk_t *chunk, es_buf_t *out)
{
    es_rc_t   rc;
    unsigned  level;

    rc = es_feed_pack_load(store, txn, feed, &level);
    if (rc != ES_OK) {
        return rc;
    }

    return es_packed_encode(feed, chunk, 1,
                            level == ES_PACK_OFF ? ES_PACK_LEVEL : level, out);
}
