/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads checkpoints for the dispatcher, which stops sending an endpoint events
 * that its partner has acknowledged by polling (`ack` in docs/registry.md).
 */

#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_record.h"
#include "log/chunk.h"
#include "store/env.h"
#include "store/store.h"


uint64_t
es_checkpoint_version(es_store_t *store)
{
    return es_env_version(store->checkpoints);
}


static bool
es_checkpoint_named(const MDB_val *key, es_str_t pattern)
{
    size_t       len;
    const char  *consumer;

    consumer = (const char *) key->mv_data + ES_CHECKPOINT_PREFIX;
    len = key->mv_size - ES_CHECKPOINT_PREFIX;

    if (pattern.data[pattern.len - 1] == '*') {
        pattern.len--;
        return len >= pattern.len
               && memcmp(consumer, pattern.data, pattern.len) == 0;
    }

    return len == pattern.len && memcmp(consumer, pattern.data, len) == 0;
}


static es_rc_t
es_checkpoint_furthest(MDB_cursor *cursor, const es_checkpoint_query_t *q,
    uint64_t *sequence)
{
    int                     rc;
    size_t                  len;
    MDB_val                 k, v;
    uint8_t                 from[ES_CHECKPOINT_KEY_MAX];
    es_checkpoint_record_t  record;

    es_checkpoint_numbers_put(q->feed->number, q->partner, from);

    len = q->pattern.len - (q->pattern.data[q->pattern.len - 1] == '*');
    memcpy(from + ES_CHECKPOINT_PREFIX, q->pattern.data, len);

    k.mv_data = from;
    k.mv_size = ES_CHECKPOINT_PREFIX + len;

    for (rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
         rc == 0;
         rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))
    {
        if (k.mv_size <= ES_CHECKPOINT_PREFIX
            || memcmp(k.mv_data, from, ES_CHECKPOINT_PREFIX) != 0
            || !es_checkpoint_named(&k, q->pattern))
        {
            break;
        }

        /* a damaged record does not count */

        if (es_checkpoint_decode(&k, &v, &record) == ES_OK
            && es_feed_has(q->feed, record.epoch, record.sequence)
            && record.updated_ms >= q->since_ms
            && record.sequence > *sequence)
        {
            *sequence = record.sequence;
        }
    }

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


es_rc_t
es_checkpoint_reached(es_store_t *store, const es_checkpoint_query_t *q,
    uint64_t *sequence)
{
    int          rc;
    es_rc_t      result;
    MDB_txn     *txn;
    MDB_cursor  *cursor;

    *sequence = 0;

    result = es_env_read_begin(store->checkpoints, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, es_env_dbi(store->checkpoints,
                                         ES_CHECKPOINTS_CHECKPOINTS),
                         &cursor);

    if (rc == 0) {
        result = es_checkpoint_furthest(cursor, q, sequence);
        mdb_cursor_close(cursor);

    } else {
        result = es_env_rc(rc);
    }

    es_env_read_end(store->checkpoints, txn);

    return result;
}
