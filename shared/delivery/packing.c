/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads and writes the counters of packed history.
 */

#include <string.h>

#include "delivery/delivery_keys.h"
#include "delivery/packing.h"
#include "store/store.h"

#define ES_META_PACKING  "packing"


es_rc_t
es_changeset_packing(es_changeset_t *c, const es_packing_counts_t *counts)
{
    es_dkey_t  key;

    key = es_meta_key(ES_META_PACKING);

    return es_changeset_meta_put(c, &key, counts, sizeof(*counts));
}


static es_rc_t
es_packing_decode(void *ctx, const MDB_val *key, const MDB_val *record)
{
    es_packing_counts_t  *counts = ctx;

    (void) key;

    if (record->mv_size == sizeof(*counts)) {
        memcpy(counts, record->mv_data, sizeof(*counts));
    }

    return ES_OK;
}


es_rc_t
es_delivery_packing(es_store_t *store, es_packing_counts_t *counts)
{
    es_rc_t  rc;

    memset(counts, 0, sizeof(*counts));

    rc = es_delivery_get_meta(store, es_meta_key(ES_META_PACKING),
                              es_packing_decode, counts);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}
