/* SPDX-License-Identifier: BSD-2-Clause */

/* Removes a partner with all that it owns, and keeps the plan of the rest. */

#include "audit/audit.h"
#include "registry/object.h"
#include "registry/offboard.h"
#include "registry/partner_index.h"
#include "registry/registry.h"
#include "registry/removed_endpoints.h"
#include "registry/write.h"
#include "store/env.h"
#include "store/store.h"
#include "store/wake.h"

#define ES_META_OFFBOARD  "offboard"

typedef struct {
    size_t  len;
    char    data[sizeof(ES_META_OFFBOARD) - 1 + ES_FEED_MAX];
} es_offboard_key_t;

typedef struct {
    es_store_t    *store;
    es_str_t       partner;
    es_str_t       plan;
    es_problem_t  *problem;
    es_slice_t     slice;
} es_offboarding_t;


static MDB_val
es_offboard_key(es_str_t partner, es_offboard_key_t *key)
{
    key->len = sizeof(ES_META_OFFBOARD) - 1;
    memcpy(key->data, ES_META_OFFBOARD, key->len);

    if (partner.len > 0 && partner.len <= ES_FEED_MAX) {
        memcpy(key->data + key->len, partner.data, partner.len);
        key->len += partner.len;
    }

    return (MDB_val) { key->len, key->data };
}


static es_rc_t
es_offboard_remove(es_offboarding_t *o, MDB_txn *txn, es_kind_t kind,
    es_str_t name)
{
    es_rc_t     rc;
    es_write_t  w = { .store = o->store, .op = ES_OP_REMOVE, .kind = kind,
                      .name = name, .problem = o->problem };

    rc = es_write_within(&w, txn);
    es_write_audit_end(&w);

    return rc;
}


static es_rc_t
es_offboard_owned(es_offboarding_t *o, MDB_txn *txn, es_kind_t kind)
{
    char      copy[ES_FEED_MAX + 1];
    es_rc_t   rc;
    es_str_t  name;

    while ((rc = es_partner_index_first(o->store, txn, kind, o->partner,
                                        &name)) == ES_OK)
    {
        if (name.len > ES_FEED_MAX) {
            return ES_CORRUPT;
        }

        memcpy(copy, name.data, name.len);

        rc = es_offboard_remove(o, txn, kind, (es_str_t) { copy, name.len });
        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
        }
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static es_rc_t
es_offboard_txn(MDB_txn *txn, void *ctx)
{
    MDB_val             key, value;
    es_rc_t             rc;
    es_offboard_key_t   buf;
    es_offboarding_t   *o = ctx;
    es_audit_change_t   change = { .action = "offboard", .kind = "partner",
                                   .object = o->partner,
                                   .partner = o->partner };

    rc = es_object_text(o->store, txn, ES_KIND_PARTNER, o->partner, &value);

    if (rc == ES_OK) {
        rc = es_audit_append(o->store, txn, ES_AUDIT_REGISTRY, &change);
    }

    if (rc == ES_OK) {
        rc = es_offboard_owned(o, txn, ES_KIND_KEY);
    }

    if (rc == ES_OK) {
        rc = es_offboard_owned(o, txn, ES_KIND_ENDPOINT);
    }

    if (rc == ES_OK) {
        rc = es_removed_forget(o->store, txn, o->partner);
    }

    if (rc == ES_OK) {
        rc = es_offboard_remove(o, txn, ES_KIND_PARTNER, o->partner);
    }

    if (rc != ES_OK) {
        return rc;
    }

    key = es_offboard_key(o->partner, &buf);
    value = (MDB_val) { o->plan.len, (void *) (uintptr_t) o->plan.data };

    return es_env_rc(mdb_put(txn, es_env_dbi(o->store->registry,
                                             ES_REGISTRY_META),
                             &key, &value, 0));
}


es_rc_t
es_registry_offboard(es_store_t *store, es_str_t partner, es_str_t plan,
    es_problem_t *problem)
{
    es_rc_t           rc;
    es_offboarding_t  o = { .store = store, .partner = partner, .plan = plan,
                            .problem = problem, .slice = { 1, 1 } };

    if (!(store->flags & ES_STORE_ADMIN)) {
        return ES_DENIED;
    }

    if (!es_object_name_ok(ES_KIND_PARTNER, partner)) {
        return ES_NOT_FOUND;
    }

    rc = es_env_shrink(store->registry, es_offboard_txn, &o, &o.slice);

    if (rc == ES_OK) {
        es_wake_ring(store);
    }

    return rc;
}


es_rc_t
es_registry_offboard_plan(es_store_t *store, es_str_t partner, es_buf_t *plan)
{
    MDB_val            key, value;
    es_rc_t            rc;
    MDB_txn           *txn;
    es_offboard_key_t  buf;

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    key = es_offboard_key(partner, &buf);
    rc = es_env_rc(mdb_get(txn, es_env_dbi(store->registry, ES_REGISTRY_META),
                           &key, &value));

    if (rc == ES_OK) {
        rc = es_buf_append(plan, value.mv_data, value.mv_size);
    }

    es_env_read_end(store->registry, txn);

    return rc;
}


es_rc_t
es_registry_offboard_first(es_store_t *store, char partner[ES_FEED_MAX + 1])
{
    int                 rc;
    size_t              prefix;
    MDB_val             key, value;
    es_rc_t             result;
    MDB_txn            *txn;
    MDB_cursor         *cursor;
    es_offboard_key_t   buf;

    result = es_env_read_begin(store->registry, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, es_env_dbi(store->registry, ES_REGISTRY_META),
                         &cursor);
    if (rc == 0) {
        key = es_offboard_key(es_null_str, &buf);
        prefix = key.mv_size;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

        if (rc == 0
            && (key.mv_size <= prefix || key.mv_size > prefix + ES_FEED_MAX
                || memcmp(key.mv_data, ES_META_OFFBOARD, prefix) != 0))
        {
            rc = MDB_NOTFOUND;
        }

        if (rc == 0) {
            memcpy(partner, (const char *) key.mv_data + prefix,
                   key.mv_size - prefix);
            partner[key.mv_size - prefix] = '\0';
        }

        mdb_cursor_close(cursor);
    }

    es_env_read_end(store->registry, txn);

    return es_env_rc(rc);
}


static es_rc_t
es_offboard_end_txn(MDB_txn *txn, void *ctx)
{
    MDB_val            key;
    es_rc_t            rc;
    es_offboarding_t  *o = ctx;
    es_offboard_key_t  buf;

    key = es_offboard_key(o->partner, &buf);
    rc = es_env_rc(mdb_del(txn, es_env_dbi(o->store->registry,
                                           ES_REGISTRY_META), &key, NULL));

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_registry_offboard_end(es_store_t *store, es_str_t partner)
{
    es_offboarding_t  o = { .store = store, .partner = partner,
                            .slice = { 1, 1 } };

    return store->flags & ES_STORE_ADMIN
           ? es_env_shrink(store->registry, es_offboard_end_txn, &o, &o.slice)
           : ES_DENIED;
}
