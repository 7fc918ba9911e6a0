/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Loads the registry into memory, and looks records up in it.
 *
 * A loaded registry never changes.  LMDB returns records in the order of their
 * names, so each kind is a sorted array.
 */

#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/pool.h"
#include "keys/apikey.h"
#include "keys/keyring.h"
#include "log/chunk.h"
#include "registry/dashboard_link.h"
#include "registry/flags.h"
#include "registry/object.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/secrets.h"
#include "registry/unchanged.h"
#include "store/env.h"
#include "store/plain_secrets.h"
#include "store/store.h"

struct es_registry {
    uint64_t        version;
    uint64_t        requests;              /* last control request; 0: none */
    int64_t         loaded_ms;             /* wall clock */
    int64_t         ends_ms;               /* the next agreement; 0: none */
    const es_keyring_t
                   *ring;                  /* while loading; or NULL */
    uint64_t        identity;              /* of the store */
    bool            plain;                 /* it allows plain secrets */
    es_pool_t       pool;
    es_flags_t      flags;
    size_t          npartners;
    es_partner_t   *partners;
    size_t          nkeys;
    es_key_t       *keys;
    size_t          nendpoints;
    es_endpoint_t  *endpoints;
};

/* Decodes the record `name` into the i-th element of its kind's array. */
typedef es_rc_t (*es_load_fn)(es_registry_t *registry, size_t i,
    es_str_t name, json_t *object);


uint64_t
es_registry_version(es_store_t *store)
{
    return es_env_version(store->registry);
}


uint64_t
es_registry_loaded_version(const es_registry_t *registry)
{
    return registry->version;
}


uint64_t
es_registry_loaded_requests(const es_registry_t *registry)
{
    return registry->requests;
}


static es_rc_t
es_load_partner(es_registry_t *registry, size_t i, es_str_t name,
    json_t *object)
{
    es_rc_t        rc;
    int64_t        ends_ms;
    es_partner_t  *partner;

    partner = &registry->partners[i];
    partner->name = es_pool_str(&registry->pool, name);

    if (partner->name.data == NULL) {
        return ES_NOMEM;
    }

    rc = es_partner_decode(object, &registry->pool, partner, NULL);

    ends_ms = partner->data_use.expires_ms;

    if (es_partner_ended(partner, registry->loaded_ms)) {
        partner->disabled = true;

    } else if (ends_ms != 0
               && (registry->ends_ms == 0 || ends_ms < registry->ends_ms))
    {
        registry->ends_ms = ends_ms;
    }

    return rc;
}


static es_rc_t
es_load_key(es_registry_t *registry, size_t i, es_str_t name, json_t *object)
{
    es_rc_t    rc;
    es_key_t  *key;
    es_str_t   partner;

    if (name.len != ES_KEYID_LEN) {
        return ES_CORRUPT;
    }

    key = &registry->keys[i];
    memcpy(key->id, name.data, name.len);

    rc = es_key_decode(object, &registry->pool, key, &partner, NULL);
    if (rc != ES_OK) {
        return rc;
    }

    key->partner = es_registry_partner(registry, partner);

    return key->partner != NULL ? ES_OK : ES_CORRUPT;
}


static es_rc_t
es_load_endpoint(es_registry_t *registry, size_t i, es_str_t name,
    json_t *object)
{
    bool            plain;
    es_rc_t         rc;
    es_str_t        partner;
    es_endpoint_t  *endpoint;

    endpoint = &registry->endpoints[i];
    endpoint->name = es_pool_str(&registry->pool, name);

    if (endpoint->name.data == NULL) {
        return ES_NOMEM;
    }

    plain = es_secrets_count(ES_KIND_ENDPOINT, object, false) > 0;
    endpoint->locked = es_secrets_open(registry->ring, registry->identity,
                                       ES_KIND_ENDPOINT, name, object);

    if (endpoint->locked == ES_OK && plain && !registry->plain) {
        endpoint->locked = ES_DENIED;
    }

    rc = es_endpoint_decode(object, &registry->pool, endpoint, &partner, NULL);
    if (rc != ES_OK) {
        return rc;
    }

    endpoint->partner = es_registry_partner(registry, partner);
    endpoint->gated = endpoint->partner != NULL && endpoint->flag.data != NULL
                      && !es_flag_on(&registry->flags, endpoint->partner,
                                     endpoint->flag);

    return endpoint->partner != NULL
           ? es_field_lists_pair(&endpoint->fields, &endpoint->partner->fields,
                                 &registry->pool)
           : ES_CORRUPT;
}


/* Counts the records of a kind.  It moves the cursor. */

static es_rc_t
es_load_count(MDB_cursor *cursor, es_kind_t kind, size_t *n)
{
    int      rc;
    char     buf[ES_OBJECT_KEY_MAX], letter;
    MDB_val  key, data;

    key = es_object_key(kind, es_null_str, buf);
    letter = buf[0];
    *n = 0;

    for (rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
         rc == 0 && *(const char *) key.mv_data == letter;
         rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT))
    {
        (*n)++;
    }

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_load_each(es_registry_t *registry, MDB_cursor *cursor, es_kind_t kind,
    size_t n, es_load_fn fn)
{
    int       rc;
    char      buf[ES_OBJECT_KEY_MAX];
    size_t    i;
    json_t   *object;
    MDB_val   key, data;
    es_rc_t   result;
    es_str_t  name;

    key = es_object_key(kind, es_null_str, buf);

    rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);

    for (i = 0; i < n && rc == 0; i++) {
        object = json_loadb(data.mv_data, data.mv_size, 0, NULL);
        if (!json_is_object(object)) {
            json_decref(object);
            return ES_CORRUPT;
        }

        name.data = (const char *) key.mv_data + 1;
        name.len = key.mv_size - 1;

        result = fn(registry, i, name, object);
        json_decref(object);

        if (result != ES_OK) {
            return result == ES_NOMEM ? ES_NOMEM : ES_CORRUPT;
        }

        rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT);
    }

    return i == n ? ES_OK : es_env_rc(rc);
}


/* Counts the records of a kind and allocates a zeroed array for them. */

static es_rc_t
es_load_room(es_registry_t *registry, MDB_cursor *cursor, es_kind_t kind,
    size_t size, size_t *n, void **room)
{
    es_rc_t  rc;

    rc = es_load_count(cursor, kind, n);
    if (rc != ES_OK) {
        return rc;
    }

    *room = es_pool_alloc(&registry->pool, *n * size);

    return *room != NULL ? ES_OK : ES_NOMEM;
}


/* Loads partners first, because keys point to them. */

static es_rc_t
es_load_access(es_registry_t *registry, MDB_cursor *cursor)
{
    void     *room;
    es_rc_t   rc;

    rc = es_load_room(registry, cursor, ES_KIND_PARTNER, sizeof(es_partner_t),
                      &registry->npartners, &room);
    if (rc != ES_OK) {
        return rc;
    }

    registry->partners = room;

    rc = es_load_room(registry, cursor, ES_KIND_KEY, sizeof(es_key_t),
                      &registry->nkeys, &room);
    if (rc != ES_OK) {
        return rc;
    }

    registry->keys = room;

    rc = es_load_each(registry, cursor, ES_KIND_PARTNER, registry->npartners,
                      es_load_partner);
    if (rc != ES_OK) {
        return rc;
    }

    return es_load_each(registry, cursor, ES_KIND_KEY, registry->nkeys,
                        es_load_key);
}


static es_rc_t
es_load_endpoints(es_registry_t *registry, MDB_cursor *cursor)
{
    void     *room;
    es_rc_t   rc;

    rc = es_load_room(registry, cursor, ES_KIND_ENDPOINT, sizeof(es_endpoint_t),
                      &registry->nendpoints, &room);
    if (rc != ES_OK) {
        return rc;
    }

    registry->endpoints = room;

    return es_load_each(registry, cursor, ES_KIND_ENDPOINT,
                        registry->nendpoints, es_load_endpoint);
}


static es_rc_t
es_load_requests(es_store_t *store, MDB_txn *txn, uint64_t *last)
{
    int          rc;
    MDB_val      key, data;
    MDB_cursor  *cursor;

    *last = 0;

    rc = mdb_cursor_open(txn, es_env_dbi(store->registry,
                                         ES_REGISTRY_REQUESTS), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    rc = mdb_cursor_get(cursor, &key, &data, MDB_LAST);

    if (rc == 0) {
        *last = key.mv_size == 8 ? es_be64_get(key.mv_data) : 0;
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_load(es_store_t *store, const es_keyring_t *ring, bool endpoints,
    es_registry_t **out)
{
    es_rc_t         rc;
    MDB_txn        *txn;
    MDB_cursor     *cursor;
    es_registry_t  *registry;

    ES_ASSERT_NO_EVENT_LOOP();

    registry = calloc(1, sizeof(es_registry_t));
    if (registry == NULL) {
        return ES_NOMEM;
    }

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        free(registry);
        return rc;
    }

    registry->version = mdb_txn_id(txn);
    registry->loaded_ms = es_clock_ms();
    registry->ring = ring;
    registry->identity = store->identity;
    registry->plain = endpoints && es_plain_secrets(store);

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(store->registry,
                                                   ES_REGISTRY_OBJECTS),
                                   &cursor));
    if (rc == ES_OK) {
        rc = es_load_access(registry, cursor);

        if (rc == ES_OK && endpoints) {
            rc = es_flags_load(store, txn, &registry->pool, &registry->flags);
        }

        if (rc == ES_OK && endpoints) {
            rc = es_load_endpoints(registry, cursor);
        }

        mdb_cursor_close(cursor);
    }

    if (rc == ES_OK) {
        rc = es_load_requests(store, txn, &registry->requests);
    }

    es_env_read_end(store->registry, txn);

    if (rc != ES_OK) {
        es_registry_free(registry);
        return rc;
    }

    *out = registry;

    return ES_OK;
}


es_rc_t
es_registry_load(es_store_t *store, es_registry_t **registry)
{
    return es_load(store, store->ring, true, registry);
}


es_rc_t
es_registry_load_closed(es_store_t *store, es_registry_t **registry)
{
    return es_load(store, NULL, true, registry);
}


es_rc_t
es_registry_load_access(es_store_t *store, es_registry_t **registry)
{
    return es_load(store, NULL, false, registry);
}


bool
es_registry_ended(const es_registry_t *registry, int64_t now_ms)
{
    return registry->ends_ms != 0 && now_ms >= registry->ends_ms;
}


bool
es_registry_unchanged(es_store_t *store, es_registry_t *registry)
{
    bool      kept;
    MDB_txn  *txn;
    uint64_t  version, requests;

    if (es_env_read_begin(store->registry, &txn) != ES_OK) {
        return false;
    }

    version = mdb_txn_id(txn);
    kept = !es_registry_ended(registry, es_clock_ms())
           && (version == registry->version
               || es_unchanged_since(store, txn, registry->version))
           && es_load_requests(store, txn, &requests) == ES_OK;

    es_env_read_end(store->registry, txn);

    if (kept) {
        registry->version = version;
        registry->requests = requests;
    }

    return kept;
}


void
es_registry_free(es_registry_t *registry)
{
    if (registry == NULL) {
        return;
    }

    es_pool_wipe(&registry->pool);
    free(registry);
}


/* The order of LMDB's keys: by bytes, then by length. */

static int
es_name_order(es_str_t a, es_str_t b)
{
    int     order;
    size_t  n;

    n = a.len < b.len ? a.len : b.len;
    order = n ? memcmp(a.data, b.data, n) : 0;

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}


static int
es_partner_order(const void *name, const void *partner)
{
    return es_name_order(*(const es_str_t *) name,
                         ((const es_partner_t *) partner)->name);
}


static int
es_endpoint_order(const void *name, const void *endpoint)
{
    return es_name_order(*(const es_str_t *) name,
                         ((const es_endpoint_t *) endpoint)->name);
}


static int
es_key_order(const void *id, const void *key)
{
    return strcmp(id, ((const es_key_t *) key)->id);
}


const es_key_t *
es_registry_key(const es_registry_t *registry, const char *id)
{
    return bsearch(id, registry->keys, registry->nkeys, sizeof(es_key_t),
                   es_key_order);
}


const es_partner_t *
es_registry_partner(const es_registry_t *registry, es_str_t name)
{
    return bsearch(&name, registry->partners, registry->npartners,
                   sizeof(es_partner_t), es_partner_order);
}


const es_endpoint_t *
es_registry_endpoint(const es_registry_t *registry, es_str_t name)
{
    if (registry->nendpoints == 0) {
        return NULL;
    }

    return bsearch(&name, registry->endpoints, registry->nendpoints,
                   sizeof(es_endpoint_t), es_endpoint_order);
}


const es_partner_t *
es_registry_partners(const es_registry_t *registry, size_t *n)
{
    *n = registry->npartners;

    return registry->partners;
}


const es_key_t *
es_registry_all_keys(const es_registry_t *registry, size_t *n)
{
    *n = registry->nkeys;

    return registry->keys;
}


const es_endpoint_t *
es_registry_endpoints(const es_registry_t *registry, size_t *n)
{
    *n = registry->nendpoints;

    return registry->endpoints;
}


bool
es_key_allows(const es_key_t *key, unsigned scope, es_str_t feed)
{
    const es_partner_t  *partner;

    partner = key->partner;

    if ((key->scopes & scope) != scope || partner->disabled) {
        return false;
    }

    if (key->feeds.n > 0 && !es_patterns_match(&key->feeds, feed)) {
        return false;
    }

    if ((scope & ES_SCOPE_PUBLISH)
        && !es_patterns_match(&partner->publish, feed))
    {
        return false;
    }

    return !(scope & ~(unsigned) ES_SCOPE_PUBLISH)
           || es_patterns_match(&partner->feeds, feed);
}


bool
es_key_moves(const es_key_t *key, es_str_t consumer)
{
    return key->consumers.n == 0 || es_patterns_match(&key->consumers, consumer);
}


bool
es_partner_ended(const es_partner_t *partner, int64_t now_ms)
{
    return partner->data_use.expires_ms != 0
           && now_ms >= partner->data_use.expires_ms;
}


bool
es_key_current(const es_key_t *key, int64_t now_ms)
{
    return !es_link_waits(key)
           && (key->expires_ms == 0 || now_ms < key->expires_ms)
           && (key->revoked_ms == 0 || now_ms < key->revoked_ms);
}


bool
es_key_valid(const es_key_t *key, int64_t now_ms)
{
    return es_key_current(key, now_ms)
           && !key->partner->disabled
           && !es_partner_ended(key->partner, now_ms);
}


bool
es_endpoint_disabled(const es_endpoint_t *endpoint)
{
    return endpoint->partner->disabled || endpoint->gated;
}


bool
es_endpoint_allows(const es_endpoint_t *endpoint, es_str_t feed)
{
    return !es_endpoint_disabled(endpoint)
           && es_endpoint_lists(endpoint, feed);
}


bool
es_endpoint_lists(const es_endpoint_t *endpoint, es_str_t feed)
{
    return es_patterns_match(&endpoint->feeds, feed)
           && es_patterns_match(&endpoint->partner->feeds, feed);
}
