/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Remembers keys with their partners, and looks up those that it does not
 * remember.
 *
 * `same` numbers the states of partners and keys: it is the transaction since
 * which they are unchanged.  A key that was compared with its record in this
 * state is current.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/pool.h"
#include "keys/apikey.h"
#include "registry/access.h"
#include "registry/flags.h"
#include "registry/object.h"
#include "registry/record.h"
#include "registry/unchanged.h"
#include "registry/used_keys.h"
#include "store/env.h"
#include "store/staging.h"
#include "store/store.h"

#define ES_ACCESS_SLOTS  4096
#define ES_ACCESS_BLOCK  1024      /* bytes; few keys need another block */

/* `key` comes first, so that a key leads to its entry. */
typedef struct {
    es_key_t      key;
    es_partner_t  partner;
    es_str_t      key_text;        /* both as they are stored */
    es_str_t      partner_text;
    uint64_t      same;
    int64_t       used_ms;         /* last recorded use; only of the thread
                                      that has the object */
    unsigned      refs;
    es_pool_t     pool;
} es_access_entry_t;

struct es_access {
    es_store_t         *store;
    uint64_t            version;   /* of the registry, when `same` was read;
                                      0: never */
    uint64_t            same;
    uint64_t            changes;
    bool                staging;   /* the store is for trials */
    bool                records;   /* `used` is open */
    es_used_keys_t      used;
    es_pool_t           flags_pool;
    es_flags_t          flags;
    uint64_t            flags_same;    /* when they were read; 0: never */
    es_access_entry_t  *slots[ES_ACCESS_SLOTS];
};


es_access_t *
es_access_create(es_store_t *store)
{
    es_access_t  *access;

    access = calloc(1, sizeof(es_access_t));

    if (access != NULL) {
        access->store = store;
    }

    return access;
}


static void
es_access_unref(es_access_entry_t *entry)
{
    if (entry != NULL && --entry->refs == 0) {
        es_pool_free(&entry->pool);
        free(entry);
    }
}


void
es_access_free(es_access_t *access)
{
    size_t  i;

    if (access == NULL) {
        return;
    }

    for (i = 0; i < ES_ACCESS_SLOTS; i++) {
        es_access_unref(access->slots[i]);
    }

    if (access->records) {
        es_used_keys_close(&access->used);
    }

    es_pool_free(&access->flags_pool);
    free(access);
}


es_rc_t
es_access_record(es_access_t *access)
{
    es_rc_t  rc;

    rc = es_used_keys_open(access->store->path, true, &access->used);
    access->records = rc == ES_OK;

    return rc;
}


void
es_access_use(es_access_t *access, const es_key_t *key, int64_t now_ms)
{
    es_access_entry_t  *entry = (es_access_entry_t *) (uintptr_t) key;

    if (now_ms - entry->used_ms < ES_ACCESS_USE_MS || !access->records) {
        return;
    }

    /* a partner without a key, whose token another server issued, has no
       number */

    if (key->number != 0) {
        es_used_keys_set(&access->used, key->number, now_ms);
    }

    entry->used_ms = now_ms;
}


void
es_access_release(const es_key_t *key)
{
    es_access_unref((es_access_entry_t *) (uintptr_t) key);
}


uint64_t
es_access_changes(const es_access_t *access)
{
    return access->changes;
}


static es_rc_t
es_access_look(es_access_t *access, MDB_txn *txn)
{
    es_rc_t   rc;
    uint64_t  same;

    rc = es_unchanged_from(access->store, txn, &same);
    if (rc != ES_OK) {
        return rc;
    }

    if (access->version == 0 || same != access->same) {
        access->same = same;
        access->staging = es_staging(access->store->path);
        access->changes++;
    }

    access->version = mdb_txn_id(txn);

    return ES_OK;
}


es_rc_t
es_access_refresh(es_access_t *access)
{
    es_rc_t   rc;
    MDB_txn  *txn;

    if (access->version != 0
        && access->version == es_registry_version(access->store))
    {
        return ES_OK;
    }

    rc = es_env_read_begin(access->store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_access_look(access, txn);
    es_env_read_end(access->store->registry, txn);

    return rc;
}


/* A pool's copy of a text of the map; NULL data: no memory. */

static es_str_t
es_access_copy(es_pool_t *pool, const MDB_val *text)
{
    return es_pool_str(pool, (es_str_t) { text->mv_data, text->mv_size });
}


static bool
es_access_same(es_str_t copy, const MDB_val *text)
{
    return es_str_eq(copy, (es_str_t) { text->mv_data, text->mv_size });
}


static es_rc_t
es_access_decode_partner(es_access_entry_t *entry, es_str_t name,
    const MDB_val *text)
{
    json_t   *object;
    es_rc_t   rc;

    entry->partner.name = name;
    entry->partner_text = es_access_copy(&entry->pool, text);

    if (entry->partner_text.data == NULL) {
        return ES_NOMEM;
    }

    object = json_loadb(text->mv_data, text->mv_size, 0, NULL);

    rc = json_is_object(object)
         ? es_partner_decode(object, &entry->pool, &entry->partner, NULL)
         : ES_CORRUPT;

    json_decref(object);

    /* the operator's, which no record has */

    return rc == ES_OK && entry->partner.number == 0 ? ES_CORRUPT : rc;
}


/* Decodes the key's record, then looks up and decodes its partner's. */

static es_rc_t
es_access_decode(es_store_t *store, MDB_txn *txn, const char *id,
    const MDB_val *text, es_access_entry_t *entry)
{
    json_t   *object;
    es_rc_t   rc;
    MDB_val   partner;
    es_str_t  name;

    memcpy(entry->key.id, id, ES_KEYID_LEN);
    entry->key.partner = &entry->partner;
    entry->key_text = es_access_copy(&entry->pool, text);

    if (entry->key_text.data == NULL) {
        return ES_NOMEM;
    }

    object = json_loadb(text->mv_data, text->mv_size, 0, NULL);

    rc = json_is_object(object)
         ? es_key_decode(object, &entry->pool, &entry->key, &name, NULL)
         : ES_CORRUPT;

    json_decref(object);

    if (rc == ES_OK) {
        rc = es_object_text(store, txn, ES_KIND_PARTNER, name, &partner);
    }

    if (rc == ES_OK) {
        rc = es_access_decode_partner(entry, name, &partner);
    }

    return rc == ES_INVALID || rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
}


/* True if both records are still those that the entry was made from. */

static bool
es_access_current(es_store_t *store, MDB_txn *txn,
    const es_access_entry_t *entry, const MDB_val *text)
{
    MDB_val  partner;

    return es_access_same(entry->key_text, text)
           && es_object_text(store, txn, ES_KIND_PARTNER, entry->partner.name,
                             &partner) == ES_OK
           && es_access_same(entry->partner_text, &partner);
}


/* A new entry of the present state.  NULL: no memory. */

static es_access_entry_t *
es_access_entry(const es_access_t *access)
{
    es_access_entry_t  *entry;

    entry = calloc(1, sizeof(es_access_entry_t));

    if (entry != NULL) {
        entry->refs = 1;
        entry->same = access->same;
        entry->pool.block = ES_ACCESS_BLOCK;
    }

    return entry;
}


/* Reads a record into a slot.  The text of the name ends with a NUL. */
typedef es_rc_t (*es_access_read_fn)(es_access_t *access, MDB_txn *txn,
    es_str_t name, es_access_entry_t **slot);


/* Reads the key with this id into the slot, unless the slot has it already. */

static es_rc_t
es_access_read(es_access_t *access, MDB_txn *txn, es_str_t name,
    es_access_entry_t **slot)
{
    es_rc_t             rc;
    MDB_val             text;
    const char         *id;
    es_access_entry_t  *entry;

    id = name.data;

    rc = es_object_text(access->store, txn, ES_KIND_KEY, name, &text);
    if (rc != ES_OK) {
        return rc;
    }

    entry = *slot;

    if (entry != NULL && strcmp(entry->key.id, id) == 0
        && es_access_current(access->store, txn, entry, &text))
    {
        entry->same = access->same;
        return ES_OK;
    }

    entry = es_access_entry(access);
    if (entry == NULL) {
        return ES_NOMEM;
    }

    rc = es_access_decode(access->store, txn, id, &text, entry);

    if (rc != ES_OK) {
        es_access_unref(entry);
        return rc;
    }

    es_access_unref(*slot);
    *slot = entry;

    return ES_OK;
}


/* The same for a partner by name, without a key. */

static es_rc_t
es_access_read_partner(es_access_t *access, MDB_txn *txn, es_str_t name,
    es_access_entry_t **slot)
{
    es_rc_t             rc;
    MDB_val             text;
    es_str_t            copy;
    es_access_entry_t  *entry;

    rc = es_object_text(access->store, txn, ES_KIND_PARTNER, name, &text);
    if (rc != ES_OK) {
        return rc;
    }

    entry = es_access_entry(access);
    if (entry == NULL) {
        return ES_NOMEM;
    }
    entry->key.partner = &entry->partner;
    entry->key.scopes = ES_SCOPE_READ | ES_SCOPE_PUBLISH | ES_SCOPE_ACK
                        | ES_SCOPE_MANAGE | ES_SCOPE_ADMIN;

    copy = es_pool_str(&entry->pool, name);

    rc = copy.data ? es_access_decode_partner(entry, copy, &text) : ES_NOMEM;

    if (rc != ES_OK) {
        es_access_unref(entry);
        return rc == ES_INVALID ? ES_CORRUPT : rc;
    }

    (void) snprintf(entry->key.id, sizeof(entry->key.id), "%c%09" PRIx32,
                    ES_ACCESS_NO_KEY, entry->partner.number);

    es_access_unref(*slot);
    *slot = entry;

    return ES_OK;
}


/* FNV-1a.  An id is random, and a worker's memory is not worth an attack. */

static es_access_entry_t **
es_access_slot(es_access_t *access, es_str_t id)
{
    size_t    i;
    uint32_t  hash;

    hash = 2166136261u;

    for (i = 0; i < id.len; i++) {
        hash = (hash ^ (unsigned char) id.data[i]) * 16777619u;
    }

    return &access->slots[hash % ES_ACCESS_SLOTS];
}


/* Reads the record into the slot, and lends the key. */

static es_rc_t
es_access_lend(es_access_t *access, es_access_read_fn read, es_str_t name,
    es_access_entry_t **slot, const es_key_t **key)
{
    es_rc_t   rc;
    MDB_txn  *txn;

    if (read != NULL) {
        rc = es_env_read_begin(access->store->registry, &txn);
        if (rc != ES_OK) {
            return rc;
        }

        rc = es_access_look(access, txn);

        if (rc == ES_OK) {
            rc = read(access, txn, name, slot);
        }

        es_env_read_end(access->store->registry, txn);

        if (rc != ES_OK) {
            return rc;
        }
    }

    /* that of a partner without a key has no number */

    if ((*slot)->key.number != 0 && (*slot)->key.staging != access->staging) {
        return ES_NOT_FOUND;
    }

    (*slot)->refs++;
    *key = &(*slot)->key;

    return ES_OK;
}


es_rc_t
es_access_find(es_access_t *access, const char *id, const es_key_t **key)
{
    bool                 known;
    es_rc_t              rc;
    es_access_entry_t  **slot;

    rc = es_access_refresh(access);
    if (rc != ES_OK) {
        return rc;
    }

    slot = es_access_slot(access, es_str(id));

    known = *slot != NULL && (*slot)->same == access->same
            && strcmp((*slot)->key.id, id) == 0;

    return es_access_lend(access, known ? NULL : es_access_read, es_str(id),
                          slot, key);
}


es_rc_t
es_access_find_partner(es_access_t *access, es_str_t name,
    const es_key_t **key)
{
    bool                 known;
    es_rc_t              rc;
    es_access_entry_t  **slot;

    rc = es_access_refresh(access);
    if (rc != ES_OK) {
        return rc;
    }

    slot = es_access_slot(access, name);

    known = *slot != NULL && (*slot)->same == access->same
            && (*slot)->key.number == 0
            && es_str_eq((*slot)->partner.name, name);

    return es_access_lend(access, known ? NULL : es_access_read_partner, name,
                          slot, key);
}


/* Reads the flags once for each state of the records that are no endpoints. */

static es_rc_t
es_access_read_flags(es_access_t *access)
{
    es_rc_t   rc;
    MDB_txn  *txn;

    rc = es_env_read_begin(access->store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_access_look(access, txn);

    if (rc == ES_OK && access->same != access->flags_same) {
        es_pool_free(&access->flags_pool);
        memset(&access->flags_pool, 0, sizeof(access->flags_pool));
        access->flags_same = 0;

        rc = es_flags_load(access->store, txn, &access->flags_pool,
                           &access->flags);
    }

    es_env_read_end(access->store->registry, txn);

    if (rc == ES_OK) {
        access->flags_same = access->same;
    }

    return rc;
}


es_rc_t
es_access_flag(es_access_t *access, const es_key_t *key, es_str_t flag,
    bool *on)
{
    es_rc_t  rc;

    if (access->flags_same == 0 || access->flags_same != access->same) {
        rc = es_access_read_flags(access);

        if (rc != ES_OK) {
            return rc;
        }
    }

    *on = es_flag_on(&access->flags, key->partner, flag);

    return ES_OK;
}
