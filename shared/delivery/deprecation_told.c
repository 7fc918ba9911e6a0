/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What partners were told of deprecated versions.  The key of a record has the
 * partner's number and a hash of the version's name.
 */

#include <string.h>

#include "base/assert.h"
#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/outbox.h"

#define ES_META_DEPRECATED  "deprecated"

typedef struct __attribute__((packed)) {
    int64_t  deprecated_ms;
    int64_t  sunset_ms;
} es_told_value_t;

ES_STORED_SIZE(es_told_value_t, 16);

typedef struct {
    es_deprecation_told_fn   fn;
    void                    *ctx;
} es_told_walk_t;


static es_dkey_t
es_told_key(uint32_t partner, uint64_t version)
{
    es_dkey_t  key;

    key = es_meta_key(ES_META_DEPRECATED);
    es_key32(&key, partner);
    es_key64(&key, version);

    return key;
}


es_rc_t
es_changeset_deprecation_told(es_changeset_t *c, uint32_t partner,
    uint64_t version, int64_t deprecated_ms, int64_t sunset_ms)
{
    es_dkey_t        key;
    es_told_value_t  value = { deprecated_ms, sunset_ms };

    key = es_told_key(partner, version);

    return es_changeset_meta_put(c, &key, &value, sizeof(value));
}


es_rc_t
es_changeset_deprecation_forget(es_changeset_t *c, uint32_t partner,
    uint64_t version)
{
    es_dkey_t  key;

    key = es_told_key(partner, version);

    return es_changeset_meta_delete(c, &key, false);
}


static es_rc_t
es_told_decode(void *ctx, const MDB_val *key, const MDB_val *record)
{
    (void) key;

    if (record->mv_size != sizeof(es_told_value_t)) {
        return ES_CORRUPT;
    }

    memcpy(ctx, record->mv_data, sizeof(es_told_value_t));

    return ES_OK;
}


es_rc_t
es_delivery_deprecation_told(es_store_t *store, uint32_t partner,
    uint64_t version, int64_t deprecated_ms, int64_t sunset_ms, bool *told)
{
    es_rc_t          rc;
    es_told_value_t  value = { 0, 0 };

    rc = es_delivery_get_meta(store, es_told_key(partner, version),
                              es_told_decode, &value);

    *told = rc == ES_OK && value.deprecated_ms == deprecated_ms
            && value.sunset_ms == sunset_ms;

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static es_rc_t
es_told_each(void *ctx, const MDB_val *key, const MDB_val *record)
{
    size_t                 prefix;
    uint32_t               partner;
    uint64_t               version;
    const es_told_walk_t  *walk = ctx;

    (void) record;

    prefix = sizeof(ES_META_DEPRECATED) - 1;

    if (key->mv_size != prefix + sizeof(partner) + sizeof(version)) {
        return ES_CORRUPT;
    }

    memcpy(&partner, (const char *) key->mv_data + prefix, sizeof(partner));
    memcpy(&version, (const char *) key->mv_data + prefix + sizeof(partner),
           sizeof(version));

    return walk->fn(walk->ctx, __builtin_bswap32(partner),
                    __builtin_bswap64(version));
}


es_rc_t
es_delivery_each_deprecation(es_store_t *store, es_deprecation_told_fn fn,
    void *ctx)
{
    es_told_walk_t  walk = { fn, ctx };

    return es_delivery_each_meta(store, es_meta_key(ES_META_DEPRECATED),
                                 es_told_each, &walk);
}
