/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads and writes control requests in the registry's database `requests`: the
 * key is the number, the value es_control_value_t and the request's text.
 */

#include <jansson.h>

#include "audit/audit.h"
#include "base/assert.h"
#include "base/clock.h"
#include "event/cursor.h"
#include "base/json.h"
#include "limit/quota.h"
#include "log/chunk.h"
#include "log/store_clock.h"
#include "registry/control_request.h"
#include "registry/object.h"
#include "registry/registry.h"
#include "registry/unchanged.h"
#include "store/env.h"
#include "store/store.h"
#include "store/wake.h"

#define ES_REQUESTS_FULL  100      /* requests that may use the page reserve */

typedef struct __attribute__((packed)) {
    uint8_t   kind;
    uint32_t  endpoint;
    uint32_t  partner;
    uint32_t  feed;
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;
    int64_t   time_ms;
} es_control_value_t;

ES_STORED_SIZE(es_control_value_t, 45);

typedef struct {
    es_store_t            *store;
    es_control_request_t  *request;
    uint64_t               taken;
    bool                   full;   /* only the page reserve is left */
    es_problem_t          *problem;
} es_control_add_t;


/* Deletes requests that were taken, and sets the next number.  If no request
   is left, it follows the last one taken. */

static es_rc_t
es_control_number(es_control_add_t *add, MDB_cursor *cursor)
{
    int       rc;
    MDB_val   key, value;
    uint64_t  last;

    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)) == 0
           && es_be64_get(key.mv_data) <= add->taken)
    {
        rc = mdb_cursor_del(cursor, 0);
        if (rc != 0) {
            break;
        }
    }

    last = add->taken;

    if (rc == 0) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
        last = rc == 0 ? es_be64_get(key.mv_data) : last;
    }

    if (rc != 0 && rc != MDB_NOTFOUND) {
        return es_env_rc(rc);
    }

    add->request->id = last + 1;

    return ES_OK;
}


static es_rc_t
es_control_over_quota(const es_control_add_t *add)
{
    (void) es_problem_set(add->problem, ES_QUOTA, -1, NULL, "%llu requests of "
                          "the partner wait for the dispatcher already",
                          (unsigned long long) add->request->max);

    return es_quota_problem(add->problem, ES_QUOTA_REQUESTS, add->request->max);
}


/* ES_CONFLICT, ES_QUOTA: too many requests wait.  The limit of all requests
   also bounds how many are counted here. */

static es_rc_t
es_control_bound(const es_control_add_t *add, MDB_txn *txn, MDB_cursor *cursor)
{
    int                 rc;
    MDB_cursor_op       op;
    MDB_val             key, data;
    MDB_stat            stat;
    uint64_t            n, owned;
    es_control_value_t  value;

    rc = mdb_stat(txn, mdb_cursor_dbi(cursor), &stat);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (stat.ms_entries >= ES_CONTROL_MAX) {
        return es_problem_set(add->problem, ES_CONFLICT, -1, NULL, "%d "
                              "requests wait for the dispatcher already",
                              ES_CONTROL_MAX);
    }

    n = 0;
    owned = 0;
    op = MDB_FIRST;

    while ((rc = mdb_cursor_get(cursor, &key, &data, op)) == 0) {

        if (data.mv_size < sizeof(value)) {
            return ES_CORRUPT;
        }

        memcpy(&value, data.mv_data, sizeof(value));
        n += value.endpoint == add->request->endpoint;
        owned += value.partner == add->request->partner;

        if (n == ES_CONTROL_ENDPOINT_MAX) {
            return es_problem_set(add->problem, ES_CONFLICT, -1, NULL, "%d "
                                  "requests of the endpoint wait for the "
                                  "dispatcher already",
                                  ES_CONTROL_ENDPOINT_MAX);
        }

        op = MDB_NEXT;
    }

    if (rc != MDB_NOTFOUND) {
        return es_env_rc(rc);
    }

    return owned < add->request->max ? ES_OK : es_control_over_quota(add);
}


/* A request that frees space is admitted when the registry is full, unless too
   many requests already use the page reserve. */

static es_rc_t
es_control_admit(const es_control_add_t *add, MDB_txn *txn, MDB_dbi dbi)
{
    int       rc;
    MDB_stat  stat;

    if (!add->full) {
        return ES_OK;
    }

    rc = mdb_stat(txn, dbi, &stat);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    return stat.ms_entries < ES_REQUESTS_FULL ? ES_OK : ES_FULL;
}


static bool
es_control_frees_room(es_control_kind_t kind)
{
    return kind == ES_CONTROL_SKIP || kind == ES_CONTROL_CANCEL
           || kind == ES_CONTROL_DISCARD;
}


const char *
es_control_word(es_control_kind_t kind)
{
    static const char  *const  words[] = {
        [ES_CONTROL_REPLAY] = "replay",
        [ES_CONTROL_RESEND] = "resend",
        [ES_CONTROL_REDRIVE] = "redrive",
        [ES_CONTROL_TEST] = "test",
        [ES_CONTROL_SKIP] = "skip",
        [ES_CONTROL_CANCEL] = "cancel",
        [ES_CONTROL_DISCARD] = "discard",
        [ES_CONTROL_VERIFY] = "verify"
    };

    return words[kind];
}


/* The dispatcher leaves an entry of its own in delivery/ when it has taken the
   request. */

static es_rc_t
es_control_audit(es_control_add_t *add, MDB_txn *txn)
{
    char                         cursor[ES_CURSOR_MAX];
    json_t                      *owner;
    es_rc_t                      rc;
    MDB_val                      text;
    es_audit_change_t            change = { .kind = "endpoint" };
    const es_control_request_t  *request;

    request = add->request;
    change.action = es_control_word(request->kind);
    change.object = request->name;
    change.after = json_pack("{s:I}", "request", (json_int_t) request->id);

    if (change.after == NULL) {
        return ES_NOMEM;
    }

    rc = ES_OK;
    owner = NULL;

    if (request->name.len > 0
        && es_object_text(add->store, txn, ES_KIND_ENDPOINT, request->name,
                          &text) == ES_OK)
    {
        owner = json_loadb(text.mv_data, text.mv_size, 0, NULL);
        change.partner = es_text(json_object_get(owner, "partner"));
    }

    if (request->feed != 0
        && (es_cursor_print(request->epoch, request->sequence, cursor) == 0
            || json_object_set_new(change.after, "cursor",
                                   json_string(cursor)) != 0))
    {
        rc = ES_NOMEM;
    }

    if (rc == ES_OK) {
        rc = es_audit_append(add->store, txn, ES_AUDIT_REGISTRY, &change);
    }

    json_decref(change.after);
    json_decref(owner);

    return rc;
}


static es_rc_t
es_control_write(MDB_txn *txn, void *ctx)
{
    int                    rc;
    es_rc_t                result;
    MDB_val                key, data;
    uint8_t                number[8];
    MDB_cursor            *cursor;
    es_control_request_t  *request;
    es_control_add_t      *add;
    es_control_value_t     value;

    add = ctx;
    request = add->request;

    rc = mdb_cursor_open(txn, es_env_dbi(add->store->registry,
                                         ES_REGISTRY_REQUESTS), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    result = es_control_number(add, cursor);

    if (result == ES_OK) {
        result = es_control_bound(add, txn, cursor);
    }

    if (result == ES_OK) {
        result = es_control_admit(add, txn, mdb_cursor_dbi(cursor));
    }

    if (result == ES_OK) {
        value.kind = (uint8_t) request->kind;
        value.endpoint = request->endpoint;
        value.partner = request->partner;
        value.feed = request->feed;
        memcpy(value.epoch, request->epoch, sizeof(value.epoch));
        value.sequence = request->sequence;
        value.time_ms = request->time_ms;

        es_be64(request->id, number);
        key.mv_data = number;
        key.mv_size = sizeof(number);
        data.mv_size = sizeof(value) + request->event_len;
        data.mv_data = NULL;

        result = es_env_rc(mdb_cursor_put(cursor, &key, &data, MDB_RESERVE));
    }

    if (result == ES_OK) {
        memcpy(data.mv_data, &value, sizeof(value));
        memcpy((char *) data.mv_data + sizeof(value), request->event,
               request->event_len);
    }

    mdb_cursor_close(cursor);

    if (result == ES_OK) {
        result = es_control_audit(add, txn);
    }

    return result == ES_OK ? es_unchanged_mark(add->store, txn, true) : result;
}


es_rc_t
es_control_request_add(es_store_t *store, es_control_request_t *request,
    uint64_t taken, es_problem_t *problem)
{
    es_rc_t           rc;
    es_slice_t        slice = { 1, 1 };
    es_control_add_t  add = { store, request, taken, false, problem };

    if (!(store->flags & ES_STORE_ADMIN)) {
        return ES_DENIED;
    }

    request->time_ms = es_store_due_ms(store);

    rc = es_env_update(store->registry, es_control_write, &add);

    if (rc == ES_FULL && es_control_frees_room(request->kind)) {
        add.full = true;
        rc = es_env_shrink(store->registry, es_control_write, &add, &slice);
    }

    if (rc == ES_OK) {
        es_wake_ring(store);
    }

    return rc;
}


static es_rc_t
es_control_read(MDB_cursor *cursor, uint64_t id, es_control_request_t *request)
{
    int                 rc;
    MDB_val             key, data;
    uint8_t             number[8];
    es_control_value_t  value;

    es_be64(id + 1, number);
    key.mv_data = number;
    key.mv_size = sizeof(number);

    rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (key.mv_size != sizeof(number)
        || data.mv_size < sizeof(value)
        || data.mv_size - sizeof(value) > ES_CONTROL_EVENT_MAX)
    {
        return ES_CORRUPT;
    }

    memcpy(&value, data.mv_data, sizeof(value));
    request->id = es_be64_get(key.mv_data);
    request->kind = (es_control_kind_t) value.kind;
    request->endpoint = value.endpoint;
    request->partner = value.partner;
    request->feed = value.feed;
    memcpy(request->epoch, value.epoch, sizeof(request->epoch));
    request->epoch[ES_EPOCH_MAX] = '\0';
    request->sequence = value.sequence;
    request->time_ms = value.time_ms;
    request->event_len = data.mv_size - sizeof(value);
    memcpy(request->event, (const char *) data.mv_data + sizeof(value),
           request->event_len);
    request->event[request->event_len] = '\0';

    return ES_OK;
}


es_rc_t
es_control_request_next(es_store_t *store, uint64_t id,
    es_control_request_t *request)
{
    int          rc;
    es_rc_t      result;
    MDB_txn     *txn;
    MDB_cursor  *cursor;

    result = es_env_read_begin(store->registry, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, es_env_dbi(store->registry,
                                         ES_REGISTRY_REQUESTS), &cursor);
    result = es_env_rc(rc);

    if (rc == 0) {
        result = es_control_read(cursor, id, request);
        mdb_cursor_close(cursor);
    }

    es_env_read_end(store->registry, txn);

    return result;
}
