#include "access.h"
#include "chunk.h"

static const char  es_access_name[] = "access";


/* ES_NOT_FOUND: nothing was ever said. */

static es_rc_t
es_access_get(es_store_t *store, MDB_txn *txn, uint64_t *from, uint64_t *to)
{
    es_rc_t  rc;
    MDB_val  key, data;

    key.mv_data = (void *) (uintptr_t) es_access_name;
    key.mv_size = sizeof(es_access_name) - 1;

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


es_rc_t
es_access_keep(es_store_t *store, MDB_txn *txn)
{
    uint8_t   bytes[16];
    es_rc_t   rc;
    MDB_val   key, data;
    uint64_t  from, to, now;

    now = mdb_txn_id(txn);
    rc = es_access_get(store, txn, &from, &to);

    if (rc == ES_OK && to == now) {
        return ES_OK;
    }

    if (rc != ES_OK && rc != ES_NOT_FOUND && rc != ES_CORRUPT) {
        return rc;
    }

    /* Of the write before this one nothing is known if it said nothing. */

    if (rc != ES_OK || to + 1 != now) {
        from = now - 1;
    }

    es_be64(from, bytes);
    es_be64(now, bytes + 8);

    key.mv_data = (void *) (uintptr_t) es_access_name;
    key.mv_size = sizeof(es_access_name) - 1;
    data.mv_data = bytes;
    data.mv_size = sizeof(bytes);

    return es_env_rc(mdb_put(txn, es_env_dbi(store->registry,
                                             ES_REGISTRY_META),
                             &key, &data, 0));
}


bool
es_access_kept(es_store_t *store, MDB_txn *txn, uint64_t version)
{
    uint64_t  from, to;

    return es_access_get(store, txn, &from, &to) == ES_OK
           && from <= version && version <= to && to == mdb_txn_id(txn);
}
