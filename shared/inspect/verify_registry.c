/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Verifies the registry: each record is found by its name, the partner of each
 * key and endpoint exists, and the index by partner has all keys and endpoints
 * with their lengths, and no others.  Reports partners whose operations feed is not
 * theirs alone, which a store may have from an earlier version.
 */

#include <jansson.h>
#include <stdio.h>

#include "base/base.h"
#include "base/pool.h"
#include "inspect/verify.h"
#include "registry/flags.h"
#include "registry/field_lists.h"
#include "registry/member.h"
#include "registry/object.h"
#include "registry/operations.h"
#include "registry/partner_index.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/store.h"

typedef struct {
    es_store_t    *store;
    MDB_txn       *txn;
    MDB_dbi        dbi;
    es_verify_fn   fn;
    void          *fn_ctx;
    es_verify_t   *totals;
    es_kind_t      kind;           /* of the record */
    es_str_t       name;
} es_registry_walk_t;


static void
es_registry_report(es_registry_walk_t *w, const char *says)
{
    char  text[384];

    (void) snprintf(text, sizeof(text), "%s %.*s: %s", es_kind_name(w->kind),
                    (int) w->name.len, w->name.data, says);

    w->fn(w->fn_ctx, text);
}


static void
es_registry_fault(es_registry_walk_t *w, const char *says)
{
    w->totals->faults++;
    es_registry_report(w, says);
}


/* A shared feed is no fault of the store, whose backup must not fail for it. */

static es_rc_t
es_registry_operations(es_registry_walk_t *w, json_t *object)
{
    es_rc_t        rc;
    es_pool_t      pool = { 0 };
    es_partner_t   partner = { 0 };
    es_problem_t   problem = { 0 };

    rc = es_partner_decode(object, &pool, &partner, &problem);

    if (rc == ES_INVALID) {
        es_registry_fault(w, problem.detail);
        rc = ES_OK;

    } else if (rc == ES_OK && partner.operations.data != NULL) {
        rc = es_operations_check(w->store, w->txn, w->name, &partner,
                                 &problem);
    }

    if (rc == ES_INVALID) {
        es_registry_report(w, problem.detail);
        rc = ES_OK;
    }

    es_pool_wipe(&pool);

    return rc;
}


/* Lists that cannot be read refuse the events of the record (field_lists.h). */

static es_rc_t
es_registry_fields(es_registry_walk_t *w, json_t *object)
{
    es_rc_t           rc;
    es_pool_t         pool = { 0 };
    es_problem_t      problem = { 0 };
    es_record_t       r = { object, &pool, &problem };
    es_field_lists_t  lists = { 0 };

    if (w->kind != ES_KIND_PARTNER && w->kind != ES_KIND_ENDPOINT) {
        return ES_OK;
    }

    rc = es_take_field_lists(&r, w->kind == ES_KIND_PARTNER, &lists);

    if (rc == ES_OK && lists.unreadable) {
        es_registry_fault(w, problem.detail);
    }

    es_pool_wipe(&pool);

    return rc;
}


static void
es_registry_flag(es_registry_walk_t *w, json_t *object)
{
    es_flag_t      flag;
    es_pool_t      pool = { 0 };
    es_problem_t   problem = { 0 };

    if (es_flag_decode(object, &pool, &flag, &problem) != ES_OK) {
        es_registry_fault(w, problem.detail);
    }

    es_pool_free(&pool);
}


static void
es_registry_has_partner(es_registry_walk_t *w, const json_t *object,
    size_t len)
{
    MDB_val   text;
    es_rc_t   rc;
    uint64_t  indexed;
    es_str_t  partner;

    partner = es_str(json_string_value(json_object_get(object, "partner")));

    if (partner.len == 0
        || es_object_text(w->store, w->txn, ES_KIND_PARTNER, partner, &text)
           != ES_OK)
    {
        es_registry_fault(w, "there is no such partner");
        return;
    }

    rc = es_partner_index_get(w->store, w->txn, w->kind, partner, w->name,
                              &indexed);

    if (rc != ES_OK) {
        es_registry_fault(w, "the index by partner lacks the record");

    } else if (indexed != len) {
        es_registry_fault(w, "the index by partner has another length");
    }
}


/* An entry must lead to a record of its partner.  The length was compared when
   the record was visited. */

static void
es_registry_entry(es_registry_walk_t *w, const MDB_val *key)
{
    json_t    *object;
    MDB_val    text;
    es_rc_t    rc;
    es_str_t   partner;

    if (!es_partner_index_key(key, &w->kind, &partner, &w->name)) {
        w->totals->faults++;
        w->fn(w->fn_ctx, "an entry of the index by partner is damaged");
        return;
    }

    rc = es_object_text(w->store, w->txn, w->kind, w->name, &text);
    object = rc == ES_OK ? json_loadb(text.mv_data, text.mv_size, 0, NULL)
                         : NULL;

    if (rc != ES_OK
        || (object != NULL
            && !es_str_eq(es_str(json_string_value(
                                     json_object_get(object, "partner"))),
                          partner)))
    {
        es_registry_fault(w, "the index by partner names another partner or "
                          "a record that does not exist");
    }

    json_decref(object);
}


static es_rc_t
es_registry_index(es_registry_walk_t *w)
{
    int          rc;
    MDB_val      key, value;
    MDB_cursor  *cursor;

    rc = mdb_cursor_open(w->txn, es_env_dbi(w->store->registry,
                                            ES_REGISTRY_BYPARTNER), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        es_registry_entry(w, &key);
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_registry_record(es_registry_walk_t *w, const MDB_val *key,
    const MDB_val *value)
{
    es_rc_t  rc;
    MDB_val  of, found;
    json_t  *object;

    w->name = (es_str_t) { (char *) key->mv_data + 1, key->mv_size - 1 };

    if (!es_object_kind(key, &w->kind)) {
        return ES_OK;
    }

    of = *key;

    if (mdb_get(w->txn, w->dbi, &of, &found) != 0
        || found.mv_data != value->mv_data)
    {
        es_registry_fault(w, "the record is not found by its name");
        return ES_OK;
    }

    rc = ES_OK;
    object = json_loadb(value->mv_data, value->mv_size, 0, NULL);

    if (!json_is_object(object) || !es_object_name_ok(w->kind, w->name)) {
        es_registry_fault(w, "the record is damaged");

    } else if (w->kind == ES_KIND_FLAG) {
        es_registry_flag(w, object);

    } else if (w->kind != ES_KIND_PARTNER) {
        es_registry_has_partner(w, object, value->mv_size);

    } else {
        rc = es_registry_operations(w, object);
    }

    if (rc == ES_OK && json_is_object(object)) {
        rc = es_registry_fields(w, object);
    }

    json_decref(object);

    return rc;
}


static es_rc_t
es_registry_walk(es_registry_walk_t *w)
{
    int          rc;
    size_t       n;
    es_rc_t      result;
    MDB_val      key, value;
    MDB_stat     stat;
    MDB_cursor  *cursor;

    rc = mdb_cursor_open(w->txn, w->dbi, &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    result = ES_OK;

    for (n = 0;
         result == ES_OK
         && (rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0;
         n++)
    {
        result = es_registry_record(w, &key, &value);
    }

    mdb_cursor_close(cursor);

    if (result != ES_OK) {
        return result;
    }

    if (rc != MDB_NOTFOUND) {
        return es_env_rc(rc);
    }

    rc = mdb_stat(w->txn, w->dbi, &stat);

    if (rc == 0 && stat.ms_entries != n) {
        w->totals->faults++;
        w->fn(w->fn_ctx, "the registry's record count is wrong");
    }

    return es_env_rc(rc);
}


es_rc_t
es_verify_registry(es_store_t *store, es_verify_fn fn, void *ctx,
    es_verify_t *totals)
{
    es_rc_t             rc;
    es_registry_walk_t  w = { 0 };

    w.store = store;
    w.fn = fn;
    w.fn_ctx = ctx;
    w.totals = totals;
    w.dbi = es_env_dbi(store->registry, ES_REGISTRY_OBJECTS);

    rc = es_env_read_begin(store->registry, &w.txn);

    if (rc == ES_OK) {
        rc = es_registry_walk(&w);

        if (rc == ES_OK) {
            rc = es_registry_index(&w);
        }

        es_env_read_end(store->registry, w.txn);
    }

    return rc;
}
