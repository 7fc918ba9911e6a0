/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The keys of a store's secrets: gives them to a store handle, encrypts all
 * secrets under a new key, and verifies the secrets.
 *
 * The registry's database `meta` holds under "sealed" the id of the key that
 * encrypted last, the mark.  A process without that key may not write plain
 * secrets.
 */

#include <stdlib.h>

#include "audit/audit.h"
#include "base/base.h"
#include "keys/keyring.h"
#include "registry/object.h"
#include "registry/partner_index.h"
#include "registry/registry.h"
#include "registry/secrets.h"
#include "registry/unchanged.h"
#include "store/env.h"
#include "store/plain_secrets.h"
#include "store/store.h"
#include "store/wake.h"

typedef struct {
    es_store_t    *store;
    bool           plain;          /* the store allows plain secrets */
    unsigned       changed;
    es_problem_t  *problem;
} es_rekey_t;


static MDB_val
es_mark_key(void)
{
    static const char  name[] = "sealed";

    return (MDB_val) { sizeof(name) - 1, (void *) (uintptr_t) name };
}


/* ES_NOT_FOUND: no secret was ever encrypted. */

static es_rc_t
es_mark_get(es_store_t *store, MDB_txn *txn, es_str_t *kid)
{
    es_rc_t  rc;
    MDB_val  key, data;

    key = es_mark_key();
    rc = es_env_rc(mdb_get(txn, es_env_dbi(store->registry, ES_REGISTRY_META),
                           &key, &data));

    if (rc == ES_OK) {
        *kid = (es_str_t) { data.mv_data, data.mv_size };
    }

    return rc;
}


static es_rc_t
es_mark_put(es_store_t *store, MDB_txn *txn)
{
    es_str_t     kid;
    MDB_val      key, data;
    const char  *current;

    current = es_keyring_current(store->ring);

    if (es_mark_get(store, txn, &kid) == ES_OK
        && es_str_eq(kid, es_str(current)))
    {
        return ES_OK;
    }

    key = es_mark_key();
    data.mv_data = (void *) (uintptr_t) current;
    data.mv_size = ES_KID_LEN;

    return es_env_rc(mdb_put(txn, es_env_dbi(store->registry,
                                             ES_REGISTRY_META),
                             &key, &data, 0));
}


/* ES_DENIED with a problem: `ring` lacks the key of the mark. */

static es_rc_t
es_mark_check(es_store_t *store, MDB_txn *txn, const es_keyring_t *ring,
    es_problem_t *problem)
{
    es_rc_t   rc;
    es_str_t  kid;

    rc = es_mark_get(store, txn, &kid);

    if (rc == ES_NOT_FOUND) {
        return ES_OK;
    }

    if (rc != ES_OK) {
        return es_problem_set(problem, rc, -1, NULL, "cannot read the "
                              "registry: %s", es_reason(rc));
    }

    if (ring == NULL) {
        return es_problem_set(problem, ES_DENIED, -1, NULL, "the secrets of "
                              "the store are encrypted under the key %.*s: "
                              "a key file is needed", (int) kid.len, kid.data);
    }

    if (!es_keyring_has(ring, kid)) {
        return es_problem_set(problem, ES_DENIED, -1, NULL, "the secrets of "
                              "the store are encrypted under the key %.*s; "
                              "the key file does not contain "
                              "it", (int) kid.len,
                              kid.data);
    }

    return ES_OK;
}


/* The same, and ES_DENIED if there is no keyring and the store does not allow
   secrets in plain text. */

static es_rc_t
es_keys_check(es_store_t *store, MDB_txn *txn, const es_keyring_t *ring,
    es_problem_t *problem)
{
    es_rc_t  rc;

    rc = es_mark_check(store, txn, ring, problem);

    if (rc != ES_OK || ring != NULL || es_plain_secrets(store)) {
        return rc;
    }

    return es_problem_set(problem, ES_DENIED, -1, NULL, "a key file is needed "
                          "for secrets: make one with \"(umask 027; openssl "
                          "rand -base64 32 > FILE)\", and name it with "
                          "--key-file (nginx: eventsync_key_file)");
}


es_rc_t
es_secrets_admit(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    json_t *input, es_problem_t *problem)
{
    if (es_secrets_count(kind, input, false) == 0) {
        return ES_OK;
    }

    return es_keys_check(store, txn, store->ring, problem);
}


es_rc_t
es_secrets_put(es_store_t *store, MDB_txn *txn, es_kind_t kind, es_str_t name,
    json_t *object)
{
    es_rc_t  rc;

    if (store->ring == NULL || es_secrets_count(kind, object, false) == 0) {
        return ES_OK;
    }

    rc = es_secrets_seal(store->ring, store->identity, kind, name, object);

    return rc == ES_OK ? es_mark_put(store, txn) : rc;
}


/* Sets the problem of a plain secret in a store that does not allow it. */

static es_rc_t
es_secrets_plain(es_kind_t kind, es_str_t name, es_problem_t *problem)
{
    return es_problem_set(problem, ES_DENIED, -1, NULL, "the %s \"%.*s\": %s",
                          es_kind_name(kind), (int) name.len, name.data,
                          es_secrets_reason(ES_DENIED));
}


es_rc_t
es_secrets_move(es_store_t *store, MDB_txn *txn, es_kind_t kind, es_str_t name,
    json_t *before, json_t *object, bool *keep, es_problem_t *problem)
{
    es_rc_t   rc;
    unsigned  left;

    left = es_secrets_left(kind, before, object);
    *keep = left > 0 && !es_plain_secrets(store);

    if (*keep) {
        return es_secrets_count(kind, object, false) == left
               ? ES_OK : es_secrets_plain(kind, name, problem);
    }

    rc = es_secrets_rebind(store->ring, store->identity, kind, name, before,
                           object);

    if (rc == ES_OK || rc == ES_NOMEM) {
        return rc;
    }

    if (rc == ES_NOT_FOUND) {
        rc = es_mark_check(store, txn, store->ring, problem);
        if (rc != ES_OK) {
            return rc;
        }

        rc = ES_NOT_FOUND;
    }

    return es_problem_set(problem, ES_DENIED, -1, NULL, "the URL of the %s "
                          "\"%.*s\" cannot get another origin: %s",
                          es_kind_name(kind), (int) name.len, name.data,
                          es_secrets_reason(rc));
}


const char *
es_secrets_reason(es_rc_t rc)
{
    switch (rc) {

    case ES_NOT_FOUND:
        return "a secret cannot be decrypted, because the key file does not "
               "contain its key";

    case ES_DENIED:
        return "a secret is stored in plain text, which the store does not "
               "allow: set it again";

    default:
        return "a secret cannot be decrypted, because it is damaged or was "
               "encrypted for another record or another origin";
    }
}


es_rc_t
es_registry_keys(es_store_t *store, es_keyring_t *ring, es_problem_t *problem)
{
    es_rc_t   rc;
    MDB_txn  *txn;

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return es_problem_set(problem, rc, -1, NULL, "cannot read the "
                              "registry: %s", es_reason(rc));
    }

    rc = es_keys_check(store, txn, ring, problem);
    es_env_read_end(store->registry, txn);

    if (rc == ES_OK) {
        es_keyring_free(store->ring);
        store->ring = ring;
    }

    return rc;
}


/* Encrypts secrets that are not under the current key.  ES_NOT_FOUND: all are,
   and the record stays as it is. */

static es_rc_t
es_rekey_object(es_rekey_t *r, MDB_txn *txn, es_kind_t kind, es_str_t name,
    json_t *object)
{
    es_rc_t   rc;
    unsigned  n;

    n = es_secrets_stale(r->store->ring, kind, object);
    if (n == 0) {
        return ES_NOT_FOUND;
    }

    if (!r->plain && es_secrets_count(kind, object, false) > 0) {
        return es_secrets_plain(kind, name, r->problem);
    }

    rc = es_secrets_open(r->store->ring, r->store->identity, kind, name,
                         object);
    if (rc != ES_OK) {
        return es_problem_set(r->problem, ES_CORRUPT, -1, NULL, "the %s "
                              "\"%.*s\": %s", es_kind_name(kind),
                              (int) name.len, name.data,
                              es_secrets_reason(rc));
    }

    r->changed += n;

    return es_secrets_put(r->store, txn, kind, name, object);
}


static es_rc_t
es_rekey_record(es_rekey_t *r, MDB_txn *txn, MDB_cursor *cursor,
    const MDB_val *key, const MDB_val *data)
{
    char       *text, copy[ES_OBJECT_KEY_MAX];
    json_t     *object;
    es_rc_t     rc;
    MDB_val     value, of;
    es_str_t    name;
    es_kind_t   kind;

    if (!es_object_kind(key, &kind)) {
        return ES_OK;
    }

    if (key->mv_size > sizeof(copy)) {
        return ES_CORRUPT;
    }

    /* LMDB moves the key within its page when the value grows */

    memcpy(copy, key->mv_data, key->mv_size);
    of.mv_data = copy;
    of.mv_size = key->mv_size;

    name.data = copy + 1;
    name.len = of.mv_size - 1;

    object = json_loadb(data->mv_data, data->mv_size, 0, NULL);
    if (object == NULL) {
        return ES_CORRUPT;
    }

    rc = es_rekey_object(r, txn, kind, name, object);

    if (rc == ES_OK) {
        text = json_dumps(object, JSON_COMPACT);
        value.mv_data = text;
        value.mv_size = text ? strlen(text) : 0;

        rc = text ? es_env_rc(mdb_cursor_put(cursor, &of, &value,
                                             MDB_CURRENT)) : ES_NOMEM;

        if (rc == ES_OK) {
            rc = es_partner_index_put(r->store, txn, kind, object, name,
                                      value.mv_size);
        }

        free(text);
    }

    json_decref(object);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static es_rc_t
es_rekey_run(MDB_txn *txn, void *ctx)
{
    int          rc;
    es_rc_t      result;
    MDB_val      key, data;
    MDB_cursor  *cursor;
    es_rekey_t  *r = ctx;

    es_audit_change_t  change = { .action = "rekey", .kind = "store" };

    r->changed = 0;

    result = es_mark_check(r->store, txn, r->store->ring, r->problem);

    if (result == ES_OK) {
        result = es_env_rc(mdb_cursor_open(txn, es_env_dbi(r->store->registry,
                                                      ES_REGISTRY_OBJECTS),
                                           &cursor));
    }

    if (result != ES_OK) {
        return result;
    }

    for (rc = mdb_cursor_get(cursor, &key, &data, MDB_FIRST);
         rc == 0 && result == ES_OK;
         rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT))
    {
        result = es_rekey_record(r, txn, cursor, &key, &data);
    }

    mdb_cursor_close(cursor);

    if (result == ES_OK && rc != MDB_NOTFOUND) {
        result = es_env_rc(rc);
    }

    if (result == ES_OK) {
        result = es_mark_put(r->store, txn);
    }

    if (result == ES_OK) {
        change.after = json_pack("{s:i}", "secrets", (int) r->changed);
        result = change.after ? es_audit_append(r->store, txn,
                                                ES_AUDIT_REGISTRY, &change)
                              : ES_NOMEM;
        json_decref(change.after);
    }

    return result == ES_OK ? es_unchanged_mark(r->store, txn, false) : result;
}


es_rc_t
es_registry_rekey(es_store_t *store, unsigned *changed,
    es_problem_t *problem)
{
    es_rc_t     rc;
    es_rekey_t  r = { .store = store, .problem = problem };

    *changed = 0;

    if (!(store->flags & ES_STORE_ADMIN) || store->ring == NULL) {
        return es_problem_set(problem, ES_DENIED, -1, NULL,
                              "a key file is needed");
    }

    problem->rc = ES_OK;
    r.plain = es_plain_secrets(store);

    rc = es_env_update(store->registry, es_rekey_run, &r);

    if (rc == ES_OK) {
        *changed = r.changed;
        rc = es_plain_secrets_end(store->path);
        es_wake_ring(store);

        return rc == ES_OK ? rc
               : es_problem_set(problem, rc, -1, NULL, "all secrets are "
                                "encrypted, but the store still allows plain "
                                "ones: %s", es_reason(rc));
    }

    return rc == problem->rc ? rc
           : es_problem_set(problem, rc, -1, NULL, "cannot write to the "
                            "registry: %s", es_reason(rc));
}


/* Verifies one record and returns the number of faults. */

static unsigned
es_verify_record(es_store_t *store, es_str_t name, const es_buf_t *text,
    es_secrets_fault_fn fn, void *ctx)
{
    json_t    *object;
    es_rc_t    rc;
    unsigned   faults;

    object = json_loadb(text->data, text->len, 0, NULL);
    faults = 0;

    if (es_secrets_count(ES_KIND_ENDPOINT, object, false) > 0) {
        fn(ctx, name, es_secrets_reason(ES_DENIED));
        faults++;
    }

    if (store->ring != NULL) {
        rc = es_secrets_open(store->ring, store->identity, ES_KIND_ENDPOINT,
                             name, object);

        if (rc != ES_OK) {
            fn(ctx, name, es_secrets_reason(rc));
            faults++;
        }
    }

    json_decref(object);

    return faults;
}


es_rc_t
es_verify_secrets(es_store_t *store, es_secrets_fault_fn fn, void *ctx,
    uint64_t *faults)
{
    char      name[64] = "", next[64];
    bool      sealed;
    es_rc_t   rc;
    MDB_txn  *txn;
    es_str_t  kid;
    es_buf_t  text = { 0 };

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    sealed = es_mark_get(store, txn, &kid) == ES_OK
             || !es_plain_secrets(store);
    es_env_read_end(store->registry, txn);

    while (sealed
           && (rc = es_registry_next(store, ES_KIND_ENDPOINT, es_str(name),
                                     next)) == ES_OK)
    {
        memcpy(name, next, sizeof(name));
        text.len = 0;

        if (es_registry_get(store, ES_KIND_ENDPOINT, es_str(name), &text)
            == ES_OK)
        {
            *faults += es_verify_record(store, es_str(name), &text, fn, ctx);
        }
    }

    es_buf_free(&text);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_registry_kids(es_store_t *store, es_buf_t *kids)
{
    char       name[64] = "", next[64];
    json_t    *object;
    es_rc_t    rc;
    es_buf_t   text = { 0 };

    while ((rc = es_registry_next(store, ES_KIND_ENDPOINT, es_str(name),
                                  next)) == ES_OK)
    {
        memcpy(name, next, sizeof(name));
        text.len = 0;

        /* it may have been removed in between */

        rc = es_registry_get(store, ES_KIND_ENDPOINT, es_str(name), &text);
        if (rc == ES_NOT_FOUND) {
            continue;
        }

        object = rc == ES_OK ? json_loadb(text.data, text.len, 0, NULL) : NULL;

        if (rc == ES_OK) {
            rc = object ? es_secrets_kids(ES_KIND_ENDPOINT, object, kids)
                        : ES_CORRUPT;
        }

        json_decref(object);

        if (rc != ES_OK) {
            break;
        }
    }

    es_buf_free(&text);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}
