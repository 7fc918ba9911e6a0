/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Looks up types in the index of types.
 */

#include <stdint.h>
#include <string.h>

#include "log/chunk.h"
#include "log/feed_types.h"
#include "store/env.h"
#include "store/store.h"


es_rc_t
es_type_number(es_txn_t *txn, es_str_t type, uint32_t *number)
{
    int      rc;
    MDB_val  key, value;

    key.mv_data = (void *) (uintptr_t) type.data;
    key.mv_size = type.len;

    rc = mdb_get(txn->mdb, es_env_dbi(txn->store->log, ES_LOG_TYPES), &key,
                 &value);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (value.mv_size != sizeof(*number)) {
        return ES_CORRUPT;
    }

    memcpy(number, value.mv_data, sizeof(*number));

    return ES_OK;
}


es_rc_t
es_feed_type(es_txn_t *txn, uint32_t feed, uint32_t type)
{
    uint8_t  buf[ES_BYTYPE_KEY_LEN];
    MDB_val  key, value;

    es_bytype_key(feed, type, buf);
    key.mv_data = buf;
    key.mv_size = sizeof(buf);

    return es_env_rc(mdb_get(txn->mdb,
                             es_env_dbi(txn->store->log, ES_LOG_BYTYPE), &key,
                             &value));
}
