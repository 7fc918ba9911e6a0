/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes registry records: creates, changes and removes them, each in a
 * transaction of its own.
 *
 * The database `meta` holds under "partner", "key" and "endpoint" the last
 * number given to a record of the kind, as 8 bytes big-endian.
 */

#include <stdlib.h>

#include "base/assert.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/pool.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "registry/object.h"
#include "registry/origin.h"
#include "registry/partner_index.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/removed_endpoints.h"
#include "registry/secrets.h"
#include "registry/unchanged.h"
#include "registry/write.h"
#include "store/env.h"
#include "store/staging.h"
#include "store/store.h"
#include "store/txn.h"
#include "store/wake.h"


/* ES_CORRUPT: the stored text is not JSON. */

static es_rc_t
es_object_get(es_write_t *w, MDB_txn *txn, es_kind_t kind, es_str_t name,
    json_t **object)
{
    es_rc_t  rc;
    MDB_val  text;

    rc = es_object_text(w->store, txn, kind, name, &text);
    if (rc != ES_OK) {
        return rc;
    }

    *object = json_loadb(text.mv_data, text.mv_size, 0, NULL);

    return *object != NULL ? ES_OK : ES_CORRUPT;
}


/* A write that ends access or sending may use the page reserve, as a removal
   may, and no quota refuses it: a key must not stay valid because the store is
   full. */

static bool
es_write_ends(const es_write_t *w)
{
    size_t  i;

    static const char  *const  members[] = { "revoked", "disabled", "paused" };

    if (w->op == ES_OP_CHANGE && json_object_size(w->input) == 1) {

        for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
            if (json_object_get(w->input, members[i]) != NULL) {
                return true;
            }
        }
    }

    return w->op == ES_OP_REMOVE;
}


static es_rc_t
es_object_store(es_write_t *w, MDB_txn *txn, json_t *object, const char *text)
{
    char     buf[ES_OBJECT_KEY_MAX];
    es_rc_t  rc;
    MDB_val  key, data;

    data.mv_data = (void *) (uintptr_t) text;
    data.mv_size = strlen(text);

    if (!es_kind_owned(w->kind)) {
        rc = ES_OK;

    } else {
        rc = es_write_ends(w) ? ES_OK
                              : es_write_check_bytes(w, txn, object,
                                                     data.mv_size);
        if (rc == ES_OK) {
            rc = es_partner_index_put(w->store, txn, w->kind, object, w->name,
                                      data.mv_size);
        }
    }

    if (rc != ES_OK) {
        return rc;
    }

    key = es_object_key(w->kind, w->name, buf);

    return es_env_rc(mdb_put(txn, es_env_dbi(w->store->registry,
                                             ES_REGISTRY_OBJECTS),
                             &key, &data, 0));
}


static es_rc_t
es_object_put(es_write_t *w, MDB_txn *txn, json_t *object)
{
    char     *text;
    es_rc_t   rc;

    rc = es_secrets_admit(w->store, txn, w->kind, w->input, w->problem);

    if (rc == ES_OK && !w->keep) {
        rc = es_secrets_put(w->store, txn, w->kind, w->name, object);
    }

    if (rc != ES_OK) {
        return rc;
    }

    ES_ASSERT(w->store->ring == NULL || w->keep
              || es_secrets_count(w->kind, object, false) == 0);     /* I14 */

    text = json_dumps(object, JSON_COMPACT);
    if (text == NULL) {
        return ES_NOMEM;
    }

    rc = es_object_store(w, txn, object, text);
    free(text);

    return rc;
}


static es_rc_t
es_number_last(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    uint64_t *number)
{
    MDB_val  key, data;
    es_rc_t  rc;

    key.mv_data = (void *) (uintptr_t) es_kind_name(kind);
    key.mv_size = strlen(es_kind_name(kind));
    *number = 0;

    rc = es_env_rc(mdb_get(txn, es_env_dbi(store->registry, ES_REGISTRY_META),
                           &key, &data));
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    if (data.mv_size != sizeof(*number)) {
        return ES_CORRUPT;
    }

    *number = es_be64_get(data.mv_data);

    return ES_OK;
}


es_rc_t
es_registry_last_number(es_store_t *store, es_kind_t kind, uint64_t *number)
{
    es_rc_t   rc;
    MDB_txn  *txn;

    rc = es_env_read_begin(store->registry, &txn);

    if (rc == ES_OK) {
        rc = es_number_last(store, txn, kind, number);
        es_env_read_end(store->registry, txn);
    }

    return rc;
}


/* The next number of the kind, from 1. */

static es_rc_t
es_number_next(es_write_t *w, MDB_txn *txn, uint64_t *number)
{
    MDB_dbi   dbi;
    MDB_val   key, data;
    es_rc_t   rc;
    uint8_t   bytes[8];

    rc = es_number_last(w->store, txn, w->kind, number);
    if (rc != ES_OK) {
        return rc;
    }

    dbi = es_env_dbi(w->store->registry, ES_REGISTRY_META);
    key.mv_data = (void *) (uintptr_t) es_kind_name(w->kind);
    key.mv_size = strlen(es_kind_name(w->kind));

    es_be64(++*number, bytes);
    data.mv_data = bytes;
    data.mv_size = sizeof(bytes);

    return es_env_rc(mdb_put(txn, dbi, &key, &data, 0));
}


/* Sets the members of the input in the object; null removes a member.  Copies
   them, because the object's secrets are encrypted later and the transaction
   may run again with the same input. */

static es_rc_t
es_object_merge(es_write_t *w, json_t *object)
{
    json_t      *value;
    const char  *name;

    if (!es_secrets_known(w->kind, w->input, object)) {
        return es_problem_set(w->problem, ES_INVALID, -1, NULL, "an "
                              "encrypted secret is not one of the %s's own",
                              es_kind_name(w->kind));
    }

    json_object_foreach(w->input, name, value) {
        if (json_is_null(value)) {
            (void) json_object_del(object, name);

        } else if (json_object_set_new(object, name, json_deep_copy(value))
                   != 0)
        {
            return ES_NOMEM;
        }
    }

    return ES_OK;
}


/* An endpoint that is made again under its name gets its old number, and with
   it the state that the dispatcher still has. */

static es_rc_t
es_object_number(es_write_t *w, MDB_txn *txn, json_t *object,
    uint64_t *number, uint64_t *revision)
{
    es_rc_t       rc;
    es_removed_t  gone;

    if (w->kind == ES_KIND_ENDPOINT) {
        rc = es_removed_take(w->store, txn, w->name, object, &gone);

        if (rc == ES_OK) {
            *number = gone.number;
            *revision = gone.revision + 1;
        }

        if (rc != ES_NOT_FOUND) {
            return rc;
        }
    }

    return es_number_next(w, txn, number);
}


static es_rc_t
es_object_stamp(es_write_t *w, MDB_txn *txn, json_t *object)
{
    char      now[ES_TIME_LEN];
    es_rc_t   rc;
    uint64_t  number = 0, revision = 1;

    if (w->kind != ES_KIND_FEED && w->kind != ES_KIND_FLAG) {
        rc = es_object_number(w, txn, object, &number, &revision);
        if (rc != ES_OK) {
            return rc;
        }

        if (json_object_set_new(object, "number",
                                json_integer((json_int_t) number)) != 0)
        {
            return ES_NOMEM;
        }
    }

    if (w->kind == ES_KIND_KEY && es_staging(w->store->path)
        && json_object_set_new(object, "staging", json_true()) != 0)
    {
        return ES_NOMEM;
    }

    if (w->made_by != NULL
        && json_object_set_new(object, "made_by", json_string(w->made_by))
           != 0)
    {
        return ES_NOMEM;
    }

    es_time_print(es_store_ms(w->store), now);

    return json_object_set_new(object, "revision",
                               json_integer((json_int_t) revision)) == 0
           && json_object_set_new(object, "created",
                                  json_stringn(now, sizeof(now))) == 0
           ? ES_OK : ES_NOMEM;
}


static es_rc_t
es_write_create(es_write_t *w, MDB_txn *txn)
{
    json_t   *object;
    es_rc_t   rc;
    MDB_val   text;

    rc = es_object_text(w->store, txn, w->kind, w->name, &text);

    if (rc == ES_OK) {
        return es_problem_set(w->problem, ES_EXISTS, -1, NULL,
                              "the %s \"%.*s\" already exists",
                              es_kind_name(w->kind), (int) w->name.len,
                              w->name.data);
    }

    if (rc != ES_NOT_FOUND) {
        return rc;
    }

    rc = es_write_check_maker(w, txn);
    if (rc != ES_OK) {
        return rc;
    }

    object = json_object();
    if (object == NULL) {
        return ES_NOMEM;
    }

    rc = es_object_merge(w, object);

    if (rc == ES_OK) {
        rc = es_write_check(w, txn, object);
    }

    if (rc == ES_OK) {
        rc = es_write_check_count(w, txn, object);
    }

    if (rc == ES_OK) {
        rc = es_object_stamp(w, txn, object);
    }

    if (rc == ES_OK) {
        w->after = json_deep_copy(object);
        rc = w->after ? ES_OK : ES_NOMEM;
    }

    if (rc == ES_OK) {
        rc = es_object_put(w, txn, object);
    }

    json_decref(object);

    return rc;
}


/* Merges the change into the object and checks the result. */

static es_rc_t
es_object_change(es_write_t *w, MDB_txn *txn, json_t *object)
{
    json_t   *stored;
    es_rc_t   rc;

    rc = es_write_check_fixed(w, object);
    if (rc != ES_OK) {
        return rc;
    }

    stored = json_copy(object);
    w->before = json_deep_copy(object);

    if (stored == NULL || w->before == NULL) {
        json_decref(stored);
        return ES_NOMEM;
    }

    rc = es_object_merge(w, object);

    if (rc == ES_OK) {
        rc = es_write_check(w, txn, object);
    }

    if (rc == ES_OK && w->kind == ES_KIND_ENDPOINT) {
        rc = es_origin_check(stored, w->input, w->problem);
    }

    if (rc == ES_OK
        && w->edit != NULL
        && w->edit->key != NULL
        && es_origin_changes(stored, w->input)
        && json_object_set_new(object, "url_by", json_string(w->edit->key))
           != 0)
    {
        rc = ES_NOMEM;
    }

    if (rc == ES_OK) {
        w->after = json_deep_copy(object);
        rc = w->after ? ES_OK : ES_NOMEM;
    }

    if (rc == ES_OK) {
        rc = es_secrets_move(w->store, txn, w->kind, w->name, stored, object,
                             &w->keep, w->problem);
    }

    json_decref(stored);

    return rc;
}


static es_rc_t
es_write_change(es_write_t *w, MDB_txn *txn)
{
    json_t      *object;
    es_rc_t      rc;
    json_int_t   revision;

    rc = es_object_get(w, txn, w->kind, w->name, &object);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_object_change(w, txn, object);

    revision = json_integer_value(json_object_get(object, "revision"));

    if (rc == ES_OK
        && json_object_set_new(object, "revision",
                               json_integer(revision + 1)) != 0)
    {
        rc = ES_NOMEM;
    }

    if (rc == ES_OK) {
        rc = es_object_put(w, txn, object);
    }

    json_decref(object);

    return rc;
}


static es_rc_t
es_write_remove(es_write_t *w, MDB_txn *txn)
{
    char     buf[ES_OBJECT_KEY_MAX];
    es_rc_t  rc;
    MDB_val  key;

    if (w->kind == ES_KIND_PARTNER) {
        rc = es_write_check_unused(w, txn, ES_KIND_KEY);

        if (rc == ES_OK) {
            rc = es_write_check_unused(w, txn, ES_KIND_ENDPOINT);
        }

        if (rc != ES_OK) {
            return rc;
        }
    }

    rc = es_object_get(w, txn, w->kind, w->name, &w->before);
    if (rc == ES_NOT_FOUND) {
        return rc;
    }

    if (w->kind == ES_KIND_ENDPOINT) {
        rc = es_removed_put(w->store, txn, w->name);
        if (rc != ES_OK) {
            return rc;
        }
    }

    rc = es_partner_index_del(w->store, txn, w->kind, w->name);
    if (rc != ES_OK) {
        return rc;
    }

    key = es_object_key(w->kind, w->name, buf);

    return es_env_rc(mdb_del(txn, es_env_dbi(w->store->registry,
                                             ES_REGISTRY_OBJECTS),
                             &key, NULL));
}


static es_rc_t
es_write_edit(es_write_t *w, MDB_txn *txn)
{
    json_t   *object;
    es_rc_t   rc;

    rc = es_object_get(w, txn, w->kind, w->name, &object);
    if (rc != ES_OK) {
        return rc;
    }

    rc = w->edit->fn(w->edit->ctx, object, w->input, w->problem);

    if (rc == ES_OK && w->input != NULL) {
        rc = es_record_members(w->kind, w->input, w->problem);
    }

    json_decref(object);

    return rc;
}


es_rc_t
es_write_within(es_write_t *w, MDB_txn *txn)
{
    es_rc_t  rc;

    es_write_audit_end(w);

    rc = w->edit ? es_write_edit(w, txn) : ES_OK;
    if (rc != ES_OK) {
        return rc;
    }

    switch (w->op) {

    case ES_OP_CREATE:
        rc = es_write_create(w, txn);
        break;

    case ES_OP_CHANGE:
        rc = es_write_change(w, txn);
        break;

    case ES_OP_REMOVE:
        rc = es_write_remove(w, txn);
        break;
    }

    if (rc == ES_OK
        && (w->kind == ES_KIND_ENDPOINT || w->kind == ES_KIND_FEED))
    {
        rc = es_unchanged_mark(w->store, txn, w->kind == ES_KIND_FEED);
    }

    return rc == ES_OK ? es_write_audit(w, txn) : rc;
}


static es_rc_t
es_write_run(MDB_txn *txn, void *ctx)
{
    return es_write_within(ctx, txn);
}


static es_rc_t
es_input_parse(es_kind_t kind, const char *text, json_t **input,
    es_problem_t *problem)
{
    es_rc_t       rc;
    json_error_t  error;

    *input = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    if (*input == NULL) {
        return es_problem_set(problem, ES_INVALID, -1, NULL,
                              "not valid JSON at byte %d: %s", error.position,
                              error.text);
    }

    if (!json_is_object(*input)) {
        rc = es_problem_set(problem, ES_INVALID, -1, NULL,
                            "a record must be a JSON object");
    } else {
        rc = es_record_members(kind, *input, problem);
    }

    if (rc != ES_OK) {
        json_decref(*input);
        *input = NULL;
    }

    return rc;
}


/* Runs one write.  Every failure sets a problem.  `json` (NULL: none) is the
   text of the input. */

static es_rc_t
es_write(es_write_t *w, const char *json)
{
    json_t      *parsed = NULL;
    es_rc_t      rc;
    es_slice_t   slice = { 1, 1 };

    if (!(w->store->flags & ES_STORE_ADMIN)) {
        return es_problem_set(w->problem, ES_DENIED, -1, NULL,
                              "the store is not open for changes to the "
                              "registry");
    }

    if (!es_object_name_ok(w->kind, w->name)) {
        return es_problem_set(w->problem,
                              w->op == ES_OP_CREATE ? ES_INVALID
                                                    : ES_NOT_FOUND,
                              -1, NULL, w->kind == ES_KIND_KEY
                              ? "\"%.*s\" is not a key's id, the ten "
                                "characters after \"esk_\""
                              : "\"%.*s\" is not a name: 1 to 63 characters "
                                "of a-z, 0-9, '-' and '_', beginning with a "
                                "letter or digit",
                              (int) w->name.len, w->name.data);
    }

    if (json != NULL) {
        rc = es_input_parse(w->kind, json, &parsed, w->problem);
        if (rc != ES_OK) {
            return rc;
        }

        w->input = parsed;
    }

    /* shows afterwards whether the write has set a problem itself */

    w->problem->rc = ES_OK;

    rc = es_write_ends(w)
         ? es_env_shrink(w->store->registry, es_write_run, w, &slice)
         : es_env_update(w->store->registry, es_write_run, w);

    json_decref(parsed);
    es_write_audit_end(w);

    if (rc == ES_OK) {
        es_wake_ring(w->store);
        return ES_OK;
    }

    if (rc == w->problem->rc) {
        return rc;
    }

    if (rc == ES_NOT_FOUND) {
        return es_problem_set(w->problem, rc, -1, NULL,
                              "there is no %s \"%.*s\"",
                              es_kind_name(w->kind), (int) w->name.len,
                              w->name.data);
    }

    return es_problem_set(w->problem, rc, -1, NULL, "cannot write to the "
                          "registry: %s", es_reason(rc));
}


es_rc_t
es_registry_create(es_store_t *store, es_kind_t kind, es_str_t name,
    const char *json, es_problem_t *problem)
{
    es_problem_t  ignored;
    es_write_t    w = { store, ES_OP_CREATE, kind, name, NULL,
                        problem ? problem : &ignored, NULL, NULL, false,
                      NULL, NULL };

    return es_write(&w, json);
}


es_rc_t
es_registry_create_endpoint(es_store_t *store, es_str_t name,
    const char *json, const char *made_by, es_problem_t *problem)
{
    es_write_t  w = { store, ES_OP_CREATE, ES_KIND_ENDPOINT, name, NULL,
                      problem, NULL, made_by, false,
                      NULL, NULL };

    return es_write(&w, json);
}


es_rc_t
es_registry_change(es_store_t *store, es_kind_t kind, es_str_t name,
    const char *json, es_problem_t *problem)
{
    es_problem_t  ignored;
    es_write_t    w = { store, ES_OP_CHANGE, kind, name, NULL,
                        problem ? problem : &ignored, NULL, NULL, false,
                      NULL, NULL };

    return es_write(&w, json);
}


es_rc_t
es_registry_edit(es_store_t *store, es_kind_t kind, es_str_t name,
    json_t *change, const es_edit_t *edit, es_problem_t *problem)
{
    es_problem_t  ignored;
    es_write_t    w = { store, change ? ES_OP_CHANGE : ES_OP_REMOVE, kind,
                        name, change, problem ? problem : &ignored, edit,
                        NULL, false,
                      NULL, NULL };

    return es_write(&w, NULL);
}


es_rc_t
es_registry_remove(es_store_t *store, es_kind_t kind, es_str_t name,
    es_problem_t *problem)
{
    es_problem_t  ignored;
    es_write_t    w = { store, ES_OP_REMOVE, kind, name, NULL,
                        problem ? problem : &ignored, NULL, NULL, false,
                      NULL, NULL };

    return es_write(&w, NULL);
}
