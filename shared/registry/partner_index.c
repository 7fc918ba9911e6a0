/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes and reads the index of partner_index.h, and walks the records of a
 * partner by it.
 */

#include <string.h>

#include "base/base.h"
#include "log/chunk.h"
#include "registry/object.h"
#include "registry/partner_index.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/store.h"


bool
es_kind_owned(es_kind_t kind)
{
    switch (kind) {
    case ES_KIND_KEY:
    case ES_KIND_ENDPOINT:
        return true;
    case ES_KIND_PARTNER:
    case ES_KIND_FEED:
    case ES_KIND_FLAG:
        return false;
    }

    return false;
}


static MDB_dbi
es_partner_index_dbi(es_store_t *store)
{
    return es_env_dbi(store->registry, ES_REGISTRY_BYPARTNER);
}


/* Names that are too long belong to no record, so they are cut. */

static MDB_val
es_partner_index_make(es_kind_t kind, es_str_t partner, es_str_t name,
    char buf[ES_PARTNER_INDEX_KEY_MAX])
{
    char     *p;
    MDB_val   key;

    p = buf;
    *p++ = es_kind_letter(kind);

    if (partner.len > 0 && partner.len <= ES_FEED_MAX) {
        memcpy(p, partner.data, partner.len);
        p += partner.len;
    }

    *p++ = '\0';

    if (name.len > 0 && name.len <= ES_FEED_MAX) {
        memcpy(p, name.data, name.len);
        p += name.len;
    }

    key.mv_data = buf;
    key.mv_size = (size_t) (p - buf);

    return key;
}


bool
es_partner_index_key(const MDB_val *key, es_kind_t *kind, es_str_t *partner,
    es_str_t *name)
{
    const char  *text, *end;

    text = key->mv_data;
    end = key->mv_size > 1 ? memchr(text + 1, '\0', key->mv_size - 1) : NULL;

    if (end == NULL || !es_object_kind(key, kind) || !es_kind_owned(*kind)) {
        return false;
    }

    partner->data = text + 1;
    partner->len = (size_t) (end - text) - 1;
    name->data = end + 1;
    name->len = key->mv_size - partner->len - 2;

    return true;
}


es_rc_t
es_partner_index_put(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    const json_t *object, es_str_t name, size_t len)
{
    char      buf[ES_PARTNER_INDEX_KEY_MAX];
    MDB_val   key, data;
    uint8_t   bytes[8];
    es_str_t  partner;

    if (!es_kind_owned(kind)) {
        return ES_OK;
    }

    partner = es_str(json_string_value(json_object_get(object, "partner")));
    key = es_partner_index_make(kind, partner, name, buf);

    es_be64(len, bytes);
    data.mv_data = bytes;
    data.mv_size = sizeof(bytes);

    return es_env_rc(mdb_put(txn, es_partner_index_dbi(store), &key, &data,
                             0));
}


/* Nobody knows whose a damaged record was, so all entries of the kind are
   examined. */

static es_rc_t
es_partner_index_del_named(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t name)
{
    int          rc;
    MDB_val      key, data;
    es_str_t     partner, found;
    es_kind_t    of;
    MDB_cursor  *cursor;

    rc = mdb_cursor_open(txn, es_partner_index_dbi(store), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    while ((rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {

        if (es_partner_index_key(&key, &of, &partner, &found)
            && of == kind
            && es_str_eq(found, name))
        {
            rc = mdb_cursor_del(cursor, 0);
            break;
        }
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


es_rc_t
es_partner_index_del(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t name)
{
    int       rc;
    char      buf[ES_PARTNER_INDEX_KEY_MAX];
    json_t   *object;
    MDB_val   key, text;
    es_rc_t   result;
    es_str_t  partner;

    if (!es_kind_owned(kind)) {
        return ES_OK;
    }

    result = es_object_text(store, txn, kind, name, &text);
    if (result != ES_OK) {
        return result;
    }

    object = json_loadb(text.mv_data, text.mv_size, 0, NULL);
    partner = es_str(json_string_value(json_object_get(object, "partner")));
    key = es_partner_index_make(kind, partner, name, buf);

    rc = mdb_del(txn, es_partner_index_dbi(store), &key, NULL);
    json_decref(object);

    return rc == MDB_NOTFOUND
           ? es_partner_index_del_named(store, txn, kind, name)
           : es_env_rc(rc);
}


static es_rc_t
es_partner_index_len(const MDB_val *data, uint64_t *len)
{
    if (data->mv_size != 8) {
        return ES_CORRUPT;
    }

    *len = es_be64_get(data->mv_data);

    return ES_OK;
}


es_rc_t
es_partner_index_get(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t partner, es_str_t name, uint64_t *len)
{
    char     buf[ES_PARTNER_INDEX_KEY_MAX];
    es_rc_t  rc;
    MDB_val  key, data;

    key = es_partner_index_make(kind, partner, name, buf);
    rc = es_env_rc(mdb_get(txn, es_partner_index_dbi(store), &key, &data));

    return rc == ES_OK ? es_partner_index_len(&data, len) : rc;
}


/* Moves to the first entry of the partner after `after` (empty: the first of
   all), or, with MDB_NEXT, to the next.  ES_NOT_FOUND: there is none. */

static es_rc_t
es_partner_index_step(MDB_cursor *cursor, MDB_cursor_op op, es_kind_t kind,
    es_str_t partner, es_str_t after, es_str_t *name, MDB_val *data)
{
    int        rc;
    char       buf[ES_PARTNER_INDEX_KEY_MAX];
    MDB_val    key;
    es_str_t   owner;
    es_kind_t  of;

    *name = es_null_str;

    key = es_partner_index_make(kind, partner, after, buf);

    rc = mdb_cursor_get(cursor, &key, data, op);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (!es_partner_index_key(&key, &of, &owner, name)) {
        return ES_CORRUPT;
    }

    if (of != kind || !es_str_eq(owner, partner)) {
        return ES_NOT_FOUND;
    }

    return op == MDB_SET_RANGE && after.len > 0 && es_str_eq(*name, after)
           ? es_partner_index_step(cursor, MDB_NEXT, kind, partner,
                                   es_null_str, name, data)
           : ES_OK;
}


es_rc_t
es_partner_index_sum(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t partner, es_owned_t *owned)
{
    es_rc_t         rc;
    MDB_val         data;
    uint64_t        len;
    es_str_t        name;
    MDB_cursor     *cursor;
    MDB_cursor_op   op;

    memset(owned, 0, sizeof(es_owned_t));

    rc = es_env_rc(mdb_cursor_open(txn, es_partner_index_dbi(store),
                                   &cursor));
    if (rc != ES_OK) {
        return rc;
    }

    for (op = MDB_SET_RANGE;
         (rc = es_partner_index_step(cursor, op, kind, partner, es_null_str,
                                     &name, &data)) == ES_OK;
         op = MDB_NEXT)
    {
        rc = es_partner_index_len(&data, &len);
        if (rc != ES_OK) {
            break;
        }

        owned->records++;
        owned->bytes += len;
    }

    mdb_cursor_close(cursor);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_partner_index_first(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t partner, es_str_t *name)
{
    es_rc_t      rc;
    MDB_val      data;
    MDB_cursor  *cursor;

    rc = es_env_rc(mdb_cursor_open(txn, es_partner_index_dbi(store),
                                   &cursor));
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_partner_index_step(cursor, MDB_SET_RANGE, kind, partner,
                               es_null_str, name, &data);
    mdb_cursor_close(cursor);

    return rc;
}


static es_rc_t
es_partner_index_each(es_store_t *store, MDB_txn *txn, MDB_cursor *cursor,
    es_kind_t kind, es_str_t partner, es_str_t after, es_object_fn fn,
    void *ctx)
{
    es_rc_t        rc;
    MDB_val        data, text;
    es_str_t       name;
    MDB_cursor_op  op;

    for (op = MDB_SET_RANGE;
         (rc = es_partner_index_step(cursor, op, kind, partner, after, &name,
                                     &data)) == ES_OK;
         op = MDB_NEXT)
    {
        rc = es_object_text(store, txn, kind, name, &text);

        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
        }

        rc = fn(ctx, name, (es_str_t) { text.mv_data, text.mv_size });

        if (rc != ES_OK) {
            return rc;
        }
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_partner_index_walk(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t partner, es_str_t after, es_object_fn fn, void *ctx)
{
    es_rc_t      rc;
    MDB_cursor  *cursor;

    rc = es_env_rc(mdb_cursor_open(txn, es_partner_index_dbi(store),
                                   &cursor));
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_partner_index_each(store, txn, cursor, kind, partner, after, fn,
                               ctx);
    mdb_cursor_close(cursor);

    return rc;
}


es_rc_t
es_registry_each_of(es_store_t *store, es_kind_t kind, es_str_t partner,
    es_str_t after, es_object_fn fn, void *ctx)
{
    es_rc_t   rc;
    MDB_txn  *txn;

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_partner_index_walk(store, txn, kind, partner, after, fn, ctx);
    es_env_read_end(store->registry, txn);

    return rc;
}
