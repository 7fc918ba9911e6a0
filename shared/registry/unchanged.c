/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads and writes the notes of unchanged.h.
 */

#include "log/chunk.h"
#include "registry/unchanged.h"
#include "store/env.h"
#include "store/store.h"


static MDB_val
es_unchanged_key(bool endpoints)
{
    MDB_val  key;

    key.mv_data = (void *) (uintptr_t) (endpoints ? "endpoints" : "access");
    key.mv_size = strlen(key.mv_data);

    return key;
}


/* ES_NOT_FOUND: no write has left a note. */

static es_rc_t
es_unchanged_get(es_store_t *store, MDB_txn *txn, bool endpoints,
    uint64_t *from, uint64_t *to)
{
    es_rc_t  rc;
    MDB_val  key, data;

    key = es_unchanged_key(endpoints);

    rc = es_env_rc(mdb_get(txn, es_env_dbi(store->registry, ES_REGISTRY_META),
                           &key, &data));
    if (rc != ES_OK) {
        return rc;
    }

    if (data.mv_size != 16) {
        return ES_CORRUPT;
    }

    *from = es_be64_get(data.mv_data);
    *to = es_be64_get((const uint8_t *) data.mv_data + 8);

    return ES_OK;
}


static es_rc_t
es_unchanged_say(es_store_t *store, MDB_txn *txn, bool endpoints)
{
    uint8_t   bytes[16];
    es_rc_t   rc;
    MDB_val   key, data;
    uint64_t  from, to, now;

    now = mdb_txn_id(txn);
    rc = es_unchanged_get(store, txn, endpoints, &from, &to);

    if (rc == ES_OK && to == now) {
        return ES_OK;
    }

    if (rc != ES_OK && rc != ES_NOT_FOUND && rc != ES_CORRUPT) {
        return rc;
    }

    /* a write before this one without a note may have changed anything */

    if (rc != ES_OK || to + 1 != now) {
        from = now - 1;
    }

    es_be64(from, bytes);
    es_be64(now, bytes + 8);

    key = es_unchanged_key(endpoints);
    data.mv_data = bytes;
    data.mv_size = sizeof(bytes);

    return es_env_rc(mdb_put(txn, es_env_dbi(store->registry,
                                             ES_REGISTRY_META),
                             &key, &data, 0));
}


es_rc_t
es_unchanged_mark(es_store_t *store, MDB_txn *txn, bool endpoints)
{
    es_rc_t  rc;

    rc = es_unchanged_say(store, txn, false);

    return rc == ES_OK && endpoints ? es_unchanged_say(store, txn, true) : rc;
}


bool
es_unchanged_since(es_store_t *store, MDB_txn *txn, uint64_t version)
{
    uint64_t  from, to;

    return es_unchanged_get(store, txn, true, &from, &to) == ES_OK
           && from <= version && version <= to && to == mdb_txn_id(txn);
}


es_rc_t
es_unchanged_from(es_store_t *store, MDB_txn *txn, uint64_t *from)
{
    es_rc_t   rc;
    uint64_t  to, now;

    now = mdb_txn_id(txn);
    rc = es_unchanged_get(store, txn, false, from, &to);

    if (rc == ES_OK && to == now) {
        return ES_OK;
    }

    *from = now;

    return rc == ES_NOT_FOUND || rc == ES_CORRUPT ? ES_OK : rc;
}
