/* SPDX-License-Identifier: BSD-2-Clause */

/* The entry that a changed configuration of nginx leaves in the audit. */

#include "audit/audit.h"
#include "registry/configured.h"
#include "registry/unchanged.h"
#include "store/env.h"
#include "store/store.h"

typedef struct {
    es_store_t  *store;
    const char  *digest;
    bool         same;
} es_configured_t;


static es_rc_t
es_configured_read(es_configured_t *c, MDB_txn *txn, MDB_val *value)
{
    es_rc_t  rc;
    MDB_val  key;

    static const char  name[] = "config";

    key.mv_data = (void *) (uintptr_t) name;
    key.mv_size = sizeof(name) - 1;

    rc = es_env_rc(mdb_get(txn, es_env_dbi(c->store->registry,
                                           ES_REGISTRY_META), &key, value));

    c->same = rc == ES_OK && value->mv_size == strlen(c->digest)
              && memcmp(value->mv_data, c->digest, value->mv_size) == 0;

    if (rc == ES_NOT_FOUND) {
        value->mv_size = 0;
        return ES_OK;
    }

    return rc;
}


static es_rc_t
es_configured_put(es_configured_t *c, MDB_txn *txn)
{
    MDB_val  key, value;

    static const char  name[] = "config";

    key.mv_data = (void *) (uintptr_t) name;
    key.mv_size = sizeof(name) - 1;
    value.mv_data = (void *) (uintptr_t) c->digest;
    value.mv_size = strlen(c->digest);

    return es_env_rc(mdb_put(txn, es_env_dbi(c->store->registry,
                                             ES_REGISTRY_META),
                             &key, &value, 0));
}


static es_rc_t
es_configured_run(MDB_txn *txn, void *ctx)
{
    es_rc_t             rc;
    MDB_val             value;
    es_configured_t    *c = ctx;
    es_audit_change_t   change = { .action = "configure", .kind = "nginx" };

    rc = es_configured_read(c, txn, &value);
    if (rc != ES_OK || c->same) {
        return rc;
    }

    if (value.mv_size > 0) {
        change.before = json_pack("{s:s%}", "digest", value.mv_data,
                                  value.mv_size);
    }

    change.after = json_pack("{s:s}", "digest", c->digest);

    rc = es_audit_append(c->store, txn, ES_AUDIT_REGISTRY, &change);

    json_decref(change.before);
    json_decref(change.after);

    if (rc == ES_OK) {
        rc = es_configured_put(c, txn);
    }

    return rc == ES_OK ? es_unchanged_mark(c->store, txn, true) : rc;
}


es_rc_t
es_configured(es_store_t *store, const char *digest)
{
    es_rc_t          rc;
    MDB_txn         *txn;
    MDB_val          value;
    es_configured_t  c = { store, digest, false };

    if (!(store->flags & ES_STORE_ADMIN)) {
        return ES_DENIED;
    }

    rc = es_env_read_begin(store->registry, &txn);

    if (rc == ES_OK) {
        rc = es_configured_read(&c, txn, &value);
        es_env_read_end(store->registry, txn);
    }

    return rc == ES_OK && !c.same
           ? es_env_update(store->registry, es_configured_run, &c) : rc;
}
