/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads delivery state.
 *
 * One walk serves all kinds of records: each kind has a function that decodes
 * a record and one that hands it to the caller's.
 */

#include <inttypes.h>
#include <stdlib.h>

#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "store/env.h"
#include "store/store.h"

/* One decoded record, of the database that is walked. */
typedef union {
    es_progress_t  progress;
    es_retry_t     retry;
    es_attempt_t   attempt;
    es_dead_t      dead;
    es_stop_t      stop;
    es_circuit_t   circuit;
} es_delivery_record_t;

typedef es_rc_t (*es_decode_fn)(const MDB_val *key, const MDB_val *value,
    es_delivery_record_t *record);
typedef es_rc_t (*es_visit_fn)(void *ctx, const es_delivery_record_t *record);

/* The time of signed heads. */
typedef struct {
    es_store_t  *store;
    int64_t      ms;
} es_signed_t;

typedef struct {
    union {
        es_progress_fn  progress;
        es_retry_fn     retry;
        es_attempt_fn   attempt;
        es_dead_fn      dead;
        es_stop_fn      stop;
        es_circuit_fn   circuit;
    } fn;
    void  *ctx;
} es_visitor_t;


const char *
es_attempt_class_name(es_attempt_class_t c)
{
    static const char  *const  names[ES_ATTEMPT_CLASSES] = {
        [ES_ATTEMPT_OK] = "ok",
        [ES_ATTEMPT_STATUS] = "status",
        [ES_ATTEMPT_REDIRECT] = "redirect",
        [ES_ATTEMPT_DNS] = "dns",
        [ES_ATTEMPT_CONNECT] = "connect",
        [ES_ATTEMPT_ADDRESS] = "address",
        [ES_ATTEMPT_TLS] = "tls",
        [ES_ATTEMPT_TIMEOUT] = "timeout",
        [ES_ATTEMPT_RESET] = "reset",
        [ES_ATTEMPT_PROTOCOL] = "protocol",
        [ES_ATTEMPT_INTERNAL] = "internal",
        [ES_ATTEMPT_SIMULATED] = "simulated",
        [ES_ATTEMPT_PROXY] = "proxy",
        [ES_ATTEMPT_TOKEN] = "token",
        [ES_ATTEMPT_SKIPPED] = "skipped",
        [ES_ATTEMPT_UNVERIFIED] = "unverified"
    };

    /* a later version may have stored a class that this one does not know */

    return names[(unsigned) c < ES_ATTEMPT_CLASSES ? c : ES_ATTEMPT_INTERNAL];
}


/* Moves the cursor to the endpoint's first record (`back`: its last), or to
   the first one after (`back`: before) the key `after`, which need not exist.
   */

static int
es_walk_begin(MDB_cursor *cursor, uint32_t endpoint, bool back,
    const es_dkey_t *after, MDB_val *key, MDB_val *value)
{
    int        rc;
    es_dkey_t  start;

    start = after ? *after : es_endpoint_key(back ? endpoint + 1 : endpoint);
    key->mv_data = start.data;
    key->mv_size = start.len;

    rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);

    if (back) {
        return mdb_cursor_get(cursor, key, value, rc == 0 ? MDB_PREV
                                                          : MDB_LAST);
    }

    if (rc == 0 && after != NULL && key->mv_size == after->len
        && memcmp(key->mv_data, after->data, after->len) == 0)
    {
        rc = mdb_cursor_get(cursor, key, value, MDB_NEXT);
    }

    return rc;
}


/* Walks the records of an endpoint (0: of all) from where es_walk_begin() puts
   the cursor. */

static es_rc_t
es_walk(es_store_t *store, unsigned db, uint32_t endpoint, bool back,
    const es_dkey_t *after, es_decode_fn decode, es_visit_fn visit, void *ctx)
{
    int                   rc;
    es_rc_t               result;
    MDB_txn              *txn;
    MDB_val               key, value;
    MDB_cursor           *cursor;
    es_delivery_record_t  record;

    result = es_env_read_begin(store->delivery, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, es_env_dbi(store->delivery, db), &cursor);
    if (rc != 0) {
        es_env_read_end(store->delivery, txn);
        return es_env_rc(rc);
    }

    rc = es_walk_begin(cursor, endpoint, back, after, &key, &value);

    while (rc == 0 && result == ES_OK) {
        if (key.mv_size < sizeof(endpoint)) {
            result = ES_CORRUPT;
            break;
        }

        if (endpoint != 0 && es_key32_get(&key, 0) != endpoint) {
            break;
        }

        result = decode(&key, &value, &record);
        if (result == ES_OK) {
            result = visit(ctx, &record);
        }

        rc = mdb_cursor_get(cursor, &key, &value, back ? MDB_PREV : MDB_NEXT);
    }

    mdb_cursor_close(cursor);
    es_env_read_end(store->delivery, txn);

    if (result != ES_OK) {
        return result;
    }

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_walk_records(es_store_t *store, unsigned db, uint32_t endpoint,
    es_decode_fn decode, es_visit_fn visit, void *ctx)
{
    return es_walk(store, db, endpoint, false, NULL, decode, visit, ctx);
}


static es_rc_t
es_decode_progress(const MDB_val *key, const MDB_val *value,
    es_delivery_record_t *record)
{
    size_t                size;
    unsigned              i;
    const char           *p;
    es_progress_t        *progress;
    es_pending_value_t    pending;
    es_progress_value_t   v;

    if (key->mv_size != ES_LANE_KEY_LEN || value->mv_size < sizeof(v)) {
        return ES_CORRUPT;
    }

    size = value->mv_size - sizeof(v);
    if (size % sizeof(pending) != 0
        || size / sizeof(pending) > ES_INFLIGHT_MAX)
    {
        return ES_CORRUPT;
    }

    p = value->mv_data;
    memcpy(&v, p, sizeof(v));
    p += sizeof(v);

    progress = &record->progress;
    progress->endpoint = es_key32_get(key, 0);
    progress->feed = es_key32_get(key, 4);
    memcpy(progress->epoch, v.epoch, sizeof(v.epoch));
    progress->epoch[ES_EPOCH_MAX] = '\0';
    progress->sequence = v.sequence;
    progress->matched = v.matched;
    progress->npending = (unsigned) (size / sizeof(pending));

    for (i = 0; i < progress->npending; i++) {
        memcpy(&pending, p, sizeof(pending));
        p += sizeof(pending);
        progress->pending[i] = pending.sequence;
        progress->pending_prev[i] = pending.prevcursor;
        progress->pending_batch[i] = es_batch_first(pending.sequence,
                                                    pending.batch);
    }

    return ES_OK;
}


static es_rc_t
es_decode_retry(const MDB_val *key, const MDB_val *value,
    es_delivery_record_t *record)
{
    es_retry_t        *retry;
    es_retry_value_t   v;

    if (key->mv_size != ES_DELIVERY_KEY_LEN || value->mv_size != sizeof(v)) {
        return ES_CORRUPT;
    }

    memcpy(&v, value->mv_data, sizeof(v));

    retry = &record->retry;
    retry->endpoint = es_key32_get(key, 0);
    retry->feed = es_key32_get(key, 4);
    retry->sequence = es_key64_get(key, 8);
    retry->attempts = v.attempts;
    retry->status = v.status;
    retry->next_ms = v.next_ms;
    retry->first_ms = v.first_ms;
    retry->deferred_ms = v.deferred_ms;
    retry->batch = es_batch_first(retry->sequence, v.batch);
    retry->prevcursor = v.prevcursor;

    return ES_OK;
}


static es_rc_t
es_decode_attempt(const MDB_val *key, const MDB_val *value,
    es_delivery_record_t *record)
{
    size_t               size;
    es_attempt_t        *attempt;
    es_attempt_value_t   v;

    attempt = &record->attempt;

    if (key->mv_size != ES_ATTEMPT_KEY_LEN
        || value->mv_size < sizeof(v)
        || value->mv_size - sizeof(v) > sizeof(attempt->body))
    {
        return ES_CORRUPT;
    }

    size = value->mv_size - sizeof(v);
    memcpy(&v, value->mv_data, sizeof(v));

    attempt->endpoint = es_key32_get(key, 0);
    attempt->time_ms = (int64_t) es_key64_get(key, 4);
    attempt->feed = es_key32_get(key, 12);
    attempt->sequence = es_key64_get(key, 16);
    attempt->attempt = es_key32_get(key, 24);
    attempt->latency_us = v.latency_us;
    attempt->status = v.status;
    attempt->class = v.class;
    attempt->flags = v.flags;
    attempt->body_len = (uint16_t) size;
    memcpy(attempt->body, (const char *) value->mv_data + sizeof(v), size);

    return ES_OK;
}


static es_rc_t
es_decode_dead(const MDB_val *key, const MDB_val *value,
    es_delivery_record_t *record)
{
    size_t            len;
    es_dead_t        *dead;
    es_dead_value_t   v;

    if (key->mv_size != ES_DEAD_KEY_LEN
        || value->mv_size < sizeof(v)
        || value->mv_size - sizeof(v) >= sizeof(dead->reason))
    {
        return ES_CORRUPT;
    }

    memcpy(&v, value->mv_data, sizeof(v));

    dead = &record->dead;
    dead->endpoint = es_key32_get(key, 0);
    dead->feed = es_key32_get(key, 4);
    dead->sequence = es_key64_get(key, ES_DEAD_KEY_SEQUENCE);
    memcpy(dead->epoch, (const char *) key->mv_data + ES_DEAD_KEY_EPOCH,
           sizeof(dead->epoch));
    dead->epoch[ES_EPOCH_MAX] = '\0';
    dead->prevcursor = v.prevcursor;
    dead->time_ms = v.time_ms;
    dead->attempts = v.attempts;
    dead->status = v.status;
    dead->class = v.class;

    len = value->mv_size - sizeof(v);
    memcpy(dead->reason, (const char *) value->mv_data + sizeof(v), len);
    dead->reason[len] = '\0';

    return ES_OK;
}


static es_rc_t
es_decode_stop(const MDB_val *key, const MDB_val *value,
    es_delivery_record_t *record)
{
    es_stop_t        *stop;
    es_stop_value_t   v;

    if (key->mv_size != sizeof(uint32_t) || value->mv_size != sizeof(v)) {
        return ES_CORRUPT;
    }

    memcpy(&v, value->mv_data, sizeof(v));

    stop = &record->stop;
    stop->endpoint = es_key32_get(key, 0);
    stop->revision = v.revision;
    stop->time_ms = v.time_ms;
    memcpy(stop->reason, v.reason, sizeof(v.reason));
    stop->reason[sizeof(stop->reason) - 1] = '\0';

    return ES_OK;
}


static es_rc_t
es_decode_circuit(const MDB_val *key, const MDB_val *value,
    es_delivery_record_t *record)
{
    es_circuit_t        *circuit;
    es_circuit_value_t   v;

    if (key->mv_size != sizeof(uint32_t) || value->mv_size != sizeof(v)) {
        return ES_CORRUPT;
    }

    memcpy(&v, value->mv_data, sizeof(v));

    circuit = &record->circuit;
    circuit->endpoint = es_key32_get(key, 0);
    circuit->trips = v.trips;
    circuit->failures = v.failures;
    circuit->since_ms = v.since_ms;
    circuit->next_ms = v.next_ms;

    return ES_OK;
}


static es_rc_t
es_visit_progress(void *ctx, const es_delivery_record_t *record)
{
    const es_visitor_t  *visitor = ctx;

    return visitor->fn.progress(visitor->ctx, &record->progress);
}


static es_rc_t
es_visit_retry(void *ctx, const es_delivery_record_t *record)
{
    const es_visitor_t  *visitor = ctx;

    return visitor->fn.retry(visitor->ctx, &record->retry);
}


static es_rc_t
es_visit_attempt(void *ctx, const es_delivery_record_t *record)
{
    const es_visitor_t  *visitor = ctx;

    return visitor->fn.attempt(visitor->ctx, &record->attempt);
}


static es_rc_t
es_visit_dead(void *ctx, const es_delivery_record_t *record)
{
    const es_visitor_t  *visitor = ctx;

    return visitor->fn.dead(visitor->ctx, &record->dead);
}


static es_rc_t
es_visit_stop(void *ctx, const es_delivery_record_t *record)
{
    const es_visitor_t  *visitor = ctx;

    return visitor->fn.stop(visitor->ctx, &record->stop);
}


static es_rc_t
es_visit_circuit(void *ctx, const es_delivery_record_t *record)
{
    const es_visitor_t  *visitor = ctx;

    return visitor->fn.circuit(visitor->ctx, &record->circuit);
}


uint64_t
es_progress_done(const es_progress_t *progress)
{
    unsigned  i;
    uint64_t  done;

    done = progress->sequence;

    for (i = 0; i < progress->npending; i++) {
        if (progress->pending[i] <= done) {
            done = progress->pending[i] - 1;
        }
    }

    return done;
}


es_rc_t
es_delivery_each_progress(es_store_t *store, uint32_t endpoint,
    es_progress_fn fn, void *ctx)
{
    es_visitor_t  visitor = { .fn.progress = fn, .ctx = ctx };

    return es_walk_records(store, ES_DELIVERY_PROGRESS, endpoint,
                           es_decode_progress, es_visit_progress, &visitor);
}


es_rc_t
es_delivery_each_retry(es_store_t *store, uint32_t endpoint, es_retry_fn fn,
    void *ctx)
{
    es_visitor_t  visitor = { .fn.retry = fn, .ctx = ctx };

    return es_walk_records(store, ES_DELIVERY_RETRIES, endpoint,
                           es_decode_retry, es_visit_retry, &visitor);
}


es_rc_t
es_delivery_each_attempt(es_store_t *store, uint32_t endpoint,
    es_attempt_fn fn, void *ctx)
{
    es_visitor_t  visitor = { .fn.attempt = fn, .ctx = ctx };

    return es_walk_records(store, ES_DELIVERY_ATTEMPTS, endpoint,
                           es_decode_attempt, es_visit_attempt, &visitor);
}


es_rc_t
es_delivery_last_attempts(es_store_t *store, uint32_t endpoint,
    const es_attempt_position_t *after, es_attempt_fn fn, void *ctx)
{
    es_dkey_t     key;
    es_visitor_t  visitor = { .fn.attempt = fn, .ctx = ctx };

    if (after != NULL) {
        key = es_attempt_key(endpoint, after);
    }

    return es_walk(store, ES_DELIVERY_ATTEMPTS, endpoint, true,
                   after ? &key : NULL, es_decode_attempt, es_visit_attempt,
                   &visitor);
}


es_rc_t
es_delivery_each_dead(es_store_t *store, uint32_t endpoint, es_dead_fn fn,
    void *ctx)
{
    es_visitor_t  visitor = { .fn.dead = fn, .ctx = ctx };

    return es_walk_records(store, ES_DELIVERY_DEAD, endpoint, es_decode_dead,
                           es_visit_dead, &visitor);
}


es_rc_t
es_delivery_dead_after(es_store_t *store, const es_dead_position_t *after,
    es_dead_fn fn, void *ctx)
{
    es_dkey_t     key;
    es_visitor_t  visitor = { .fn.dead = fn, .ctx = ctx };

    key = es_dead_key(after->endpoint, after->feed, after->epoch,
                      after->sequence);

    return es_walk(store, ES_DELIVERY_DEAD, after->endpoint, false, &key,
                   es_decode_dead, es_visit_dead, &visitor);
}


es_rc_t
es_delivery_each_stop(es_store_t *store, es_stop_fn fn, void *ctx)
{
    es_visitor_t  visitor = { .fn.stop = fn, .ctx = ctx };

    return es_walk_records(store, ES_DELIVERY_STOPS, 0, es_decode_stop,
                           es_visit_stop, &visitor);
}


static es_rc_t
es_stop_take(void *ctx, const es_delivery_record_t *record)
{
    *(es_stop_t *) ctx = record->stop;

    return ES_OK;
}


es_rc_t
es_delivery_stop(es_store_t *store, uint32_t endpoint, es_stop_t *stop)
{
    es_rc_t  rc;

    stop->endpoint = 0;

    rc = es_walk_records(store, ES_DELIVERY_STOPS, endpoint, es_decode_stop,
                         es_stop_take, stop);

    return rc == ES_OK && stop->endpoint == 0 ? ES_NOT_FOUND : rc;
}


es_rc_t
es_delivery_each_circuit(es_store_t *store, uint32_t endpoint,
    es_circuit_fn fn, void *ctx)
{
    es_visitor_t  visitor = { .fn.circuit = fn, .ctx = ctx };

    return es_walk_records(store, ES_DELIVERY_CIRCUITS, endpoint,
                           es_decode_circuit, es_visit_circuit, &visitor);
}


static es_rc_t
es_circuit_take(void *ctx, const es_circuit_t *circuit)
{
    *(es_circuit_t *) ctx = *circuit;

    return ES_OK;
}


es_rc_t
es_delivery_circuit(es_store_t *store, uint32_t endpoint,
    es_circuit_t *circuit)
{
    es_rc_t  rc;

    circuit->trips = 0;

    rc = es_delivery_each_circuit(store, endpoint, es_circuit_take, circuit);

    return rc == ES_OK && circuit->trips == 0 ? ES_NOT_FOUND : rc;
}


static es_rc_t
es_number_take(void *ctx, const MDB_val *key, const MDB_val *value)
{
    (void) key;

    if (value->mv_size != sizeof(int64_t)) {
        return ES_CORRUPT;
    }

    memcpy(ctx, value->mv_data, sizeof(int64_t));

    return ES_OK;
}


es_rc_t
es_delivery_heartbeat(es_store_t *store, int64_t *ms)
{
    return es_delivery_get_meta(store, es_meta_key(ES_META_HEARTBEAT),
                                es_number_take, ms);
}


es_rc_t
es_delivery_signed(es_store_t *store, int64_t *ms)
{
    return es_delivery_get_meta(store, es_meta_key(ES_META_SIGNED),
                                es_number_take, ms);
}


static es_rc_t
es_delivery_signed_run(MDB_txn *txn, void *ctx)
{
    MDB_val       key, value;
    es_dkey_t     name;
    es_signed_t  *s = ctx;

    name = es_meta_key(ES_META_SIGNED);
    key.mv_data = name.data;
    key.mv_size = name.len;
    value.mv_data = &s->ms;
    value.mv_size = sizeof(s->ms);

    if (s->ms < 0) {
        return es_env_rc(mdb_del(txn, es_env_dbi(s->store->delivery,
                                                 ES_DELIVERY_META),
                                 &key, NULL));
    }

    return es_env_rc(mdb_put(txn, es_env_dbi(s->store->delivery,
                                             ES_DELIVERY_META),
                             &key, &value, 0));
}


es_rc_t
es_delivery_signed_put(es_store_t *store, int64_t ms)
{
    es_signed_t  s = { store, ms };

    return es_env_update(store->delivery, es_delivery_signed_run, &s);
}


es_rc_t
es_delivery_control_taken(es_store_t *store, uint64_t *id)
{
    es_rc_t  rc;
    int64_t  number = 0;

    rc = es_delivery_get_meta(store, es_meta_key(ES_META_TAKEN),
                              es_number_take, &number);
    *id = (uint64_t) number;

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_delivery_redrive(es_store_t *store, uint32_t endpoint, int64_t *until_ms)
{
    es_rc_t  rc;

    *until_ms = 0;

    rc = es_delivery_get_meta(store, es_redrive_key(endpoint), es_number_take,
                              until_ms);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_delivery_get_meta(es_store_t *store, es_dkey_t name, es_meta_fn fn,
    void *ctx)
{
    es_rc_t   rc;
    MDB_txn  *txn;
    MDB_val   key, value;

    rc = es_env_read_begin(store->delivery, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    key.mv_data = name.data;
    key.mv_size = name.len;

    rc = es_env_rc(mdb_get(txn, es_env_dbi(store->delivery, ES_DELIVERY_META),
                           &key, &value));

    if (rc == ES_OK) {
        rc = fn(ctx, &key, &value);
    }

    es_env_read_end(store->delivery, txn);

    return rc;
}


es_rc_t
es_delivery_each_meta(es_store_t *store, es_dkey_t prefix, es_meta_fn fn,
    void *ctx)
{
    int          rc;
    es_rc_t      result;
    MDB_txn     *txn;
    MDB_val      key, value;
    MDB_cursor  *cursor;

    result = es_env_read_begin(store->delivery, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, es_env_dbi(store->delivery, ES_DELIVERY_META),
                         &cursor);
    if (rc != 0) {
        es_env_read_end(store->delivery, txn);
        return es_env_rc(rc);
    }

    key.mv_data = prefix.data;
    key.mv_size = prefix.len;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

    while (rc == 0 && result == ES_OK
           && key.mv_size >= prefix.len
           && memcmp(key.mv_data, prefix.data, prefix.len) == 0)
    {
        result = fn(ctx, &key, &value);
        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }

    mdb_cursor_close(cursor);
    es_env_read_end(store->delivery, txn);

    return result != ES_OK || rc == MDB_NOTFOUND ? result : es_env_rc(rc);
}
