/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads and writes removed endpoints, which are records of the registry's
 * `meta`:
 *
 *     "gone", name    es_removed_value_t, the partner's name
 */

#include "base/assert.h"
#include "base/base.h"
#include "base/clock.h"
#include "log/store_clock.h"
#include "registry/object.h"
#include "registry/registry.h"
#include "registry/removed_endpoints.h"
#include "store/env.h"
#include "store/store.h"

#define ES_META_REMOVED  "gone"

typedef struct __attribute__((packed)) {
    uint64_t  number;
    uint64_t  revision;
    int64_t   time_ms;
} es_removed_value_t;

ES_STORED_SIZE(es_removed_value_t, 24);

typedef struct {
    size_t  len;
    char    data[sizeof(ES_META_REMOVED) - 1 + ES_FEED_MAX];
} es_removed_key_t;


static MDB_val
es_removed_key(es_str_t name, es_removed_key_t *key)
{
    MDB_val  val;

    key->len = sizeof(ES_META_REMOVED) - 1;
    memcpy(key->data, ES_META_REMOVED, key->len);

    if (name.len > 0) {
        memcpy(key->data + key->len, name.data, name.len);
        key->len += name.len;
    }

    val.mv_data = key->data;
    val.mv_size = key->len;

    return val;
}


static bool
es_removed_is(const MDB_val *key, const MDB_val *val)
{
    return key->mv_size > sizeof(ES_META_REMOVED) - 1
           && key->mv_size <= sizeof(ES_META_REMOVED) - 1 + ES_FEED_MAX
           && memcmp(key->mv_data, ES_META_REMOVED,
                     sizeof(ES_META_REMOVED) - 1) == 0
           && val->mv_size >= sizeof(es_removed_value_t);
}


/* Forgets the oldest when there are ES_REMOVED_ENDPOINTS_MAX. */

static es_rc_t
es_removed_prune(MDB_cursor *cursor)
{
    int                 rc;
    size_t              n;
    int64_t             first_ms;
    MDB_val             key, val;
    es_removed_key_t    from, first;
    es_removed_value_t  value;

    n = 0;
    first_ms = INT64_MAX;
    first.len = 0;
    key = es_removed_key(es_null_str, &from);

    for (rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
         rc == 0 && es_removed_is(&key, &val);
         rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT))
    {
        n++;
        memcpy(&value, val.mv_data, sizeof(value));

        if (value.time_ms < first_ms) {
            first_ms = value.time_ms;
            first.len = key.mv_size;
            memcpy(first.data, key.mv_data, key.mv_size);
        }
    }

    if ((rc == 0 || rc == MDB_NOTFOUND) && n >= ES_REMOVED_ENDPOINTS_MAX) {
        key.mv_data = first.data;
        key.mv_size = first.len;

        rc = mdb_cursor_get(cursor, &key, &val, MDB_SET);
        rc = rc == 0 ? mdb_cursor_del(cursor, 0) : rc;
    }

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_removed_write(es_store_t *store, MDB_txn *txn, es_str_t name,
    const json_t *object)
{
    char                text[sizeof(es_removed_value_t) + ES_FEED_MAX];
    MDB_val             key, val;
    es_rc_t             rc;
    es_str_t            partner;
    MDB_cursor         *cursor;
    es_removed_key_t    buf;
    es_removed_value_t  value;

    partner = es_str(json_string_value(json_object_get(object, "partner")));

    if (partner.len == 0 || partner.len > ES_FEED_MAX) {
        return ES_OK;
    }

    value.number = (uint64_t) json_integer_value(json_object_get(object,
                                                                 "number"));
    value.revision = (uint64_t) json_integer_value(json_object_get(object,
                                                                 "revision"));
    value.time_ms = es_store_due_ms(store);
    memcpy(text, &value, sizeof(value));
    memcpy(text + sizeof(value), partner.data, partner.len);

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(store->registry,
                                                   ES_REGISTRY_META),
                                   &cursor));
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_removed_prune(cursor);

    if (rc == ES_OK) {
        key = es_removed_key(name, &buf);
        val.mv_data = text;
        val.mv_size = sizeof(value) + partner.len;
        rc = es_env_rc(mdb_cursor_put(cursor, &key, &val, 0));
    }

    mdb_cursor_close(cursor);

    return rc;
}


es_rc_t
es_removed_put(es_store_t *store, MDB_txn *txn, es_str_t name)
{
    json_t   *object;
    MDB_val   text;
    es_rc_t   rc;

    rc = es_object_text(store, txn, ES_KIND_ENDPOINT, name, &text);
    if (rc != ES_OK) {
        return rc;
    }

    /* a damaged record can be removed, but not remembered */

    object = json_loadb(text.mv_data, text.mv_size, 0, NULL);
    rc = object != NULL ? es_removed_write(store, txn, name, object) : ES_OK;
    json_decref(object);

    return rc;
}


es_rc_t
es_removed_take(es_store_t *store, MDB_txn *txn, es_str_t name,
    const json_t *object, es_removed_t *gone)
{
    MDB_dbi             dbi;
    MDB_val             key, val;
    es_rc_t             rc;
    es_str_t            partner, owner;
    es_removed_key_t    buf;
    es_removed_value_t  value;

    dbi = es_env_dbi(store->registry, ES_REGISTRY_META);
    key = es_removed_key(name, &buf);
    partner = es_str(json_string_value(json_object_get(object, "partner")));

    rc = es_env_rc(mdb_get(txn, dbi, &key, &val));
    if (rc != ES_OK) {
        return rc;
    }

    if (!es_removed_is(&key, &val)) {
        return ES_CORRUPT;
    }

    memcpy(&value, val.mv_data, sizeof(value));
    owner.data = (const char *) val.mv_data + sizeof(value);
    owner.len = val.mv_size - sizeof(value);

    if (!es_str_eq(owner, partner)) {
        return ES_NOT_FOUND;
    }

    gone->number = value.number;
    gone->revision = value.revision;

    return es_env_rc(mdb_del(txn, dbi, &key, NULL));
}


static es_rc_t
es_removed_find(MDB_cursor *cursor, uint32_t number, char name[ES_FEED_MAX + 1])
{
    int                 rc;
    size_t              len;
    MDB_val             key, val;
    es_removed_key_t    from;
    es_removed_value_t  value;

    key = es_removed_key(es_null_str, &from);

    for (rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
         rc == 0 && es_removed_is(&key, &val);
         rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT))
    {
        memcpy(&value, val.mv_data, sizeof(value));

        if (value.number == number) {
            len = key.mv_size - (sizeof(ES_META_REMOVED) - 1);
            memcpy(name,
                   (const char *) key.mv_data + sizeof(ES_META_REMOVED) - 1,
                   len);
            name[len] = '\0';
            return ES_OK;
        }
    }

    return rc == 0 ? ES_NOT_FOUND : es_env_rc(rc);
}


es_rc_t
es_registry_removed_name(es_store_t *store, uint32_t number,
    char name[ES_FEED_MAX + 1])
{
    es_rc_t      rc;
    MDB_txn     *txn;
    MDB_cursor  *cursor;

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(store->registry,
                                                   ES_REGISTRY_META),
                                   &cursor));
    if (rc == ES_OK) {
        rc = es_removed_find(cursor, number, name);
        mdb_cursor_close(cursor);
    }

    es_env_read_end(store->registry, txn);

    return rc;
}


/* Walks those of the partner, and with `fn` NULL deletes them. */

static es_rc_t
es_removed_walk(es_store_t *store, MDB_txn *txn, es_str_t partner,
    es_removed_fn fn, void *ctx)
{
    int                 rc;
    MDB_val             key, val;
    es_str_t            owner, name;
    MDB_cursor         *cursor;
    es_removed_key_t    from;
    es_removed_value_t  value;

    rc = mdb_cursor_open(txn, es_env_dbi(store->registry, ES_REGISTRY_META),
                         &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key = es_removed_key(es_null_str, &from);

    for (rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
         rc == 0 && es_removed_is(&key, &val);
         rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT))
    {
        memcpy(&value, val.mv_data, sizeof(value));
        owner.data = (const char *) val.mv_data + sizeof(value);
        owner.len = val.mv_size - sizeof(value);

        if (!es_str_eq(owner, partner)) {
            continue;
        }

        name.data = (const char *) key.mv_data + sizeof(ES_META_REMOVED) - 1;
        name.len = key.mv_size - (sizeof(ES_META_REMOVED) - 1);

        if (fn != NULL) {
            fn(ctx, name, value.number);

        } else if ((rc = mdb_cursor_del(cursor, 0)) != 0) {
            break;
        }
    }

    mdb_cursor_close(cursor);

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


es_rc_t
es_removed_forget(es_store_t *store, MDB_txn *txn, es_str_t partner)
{
    return es_removed_walk(store, txn, partner, NULL, NULL);
}


es_rc_t
es_removed_each(es_store_t *store, es_str_t partner, es_removed_fn fn,
    void *ctx)
{
    es_rc_t   rc;
    MDB_txn  *txn;

    rc = es_env_read_begin(store->registry, &txn);

    if (rc == ES_OK) {
        rc = es_removed_walk(store, txn, partner, fn, ctx);
        es_env_read_end(store->registry, txn);
    }

    return rc;
}
