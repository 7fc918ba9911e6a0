/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A changeset: changes to delivery state in one buffer, and their commit.
 *
 * A change is encoded when it is made.  The commit, on another thread, then
 * only decodes heads and calls LMDB.
 */

#include <stdlib.h>

#include <jansson.h>

#include "audit/audit.h"
#include "base/base.h"
#include "delivery/away_feeds.h"
#include "delivery/certificates.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/erased_answers.h"
#include "delivery/figures.h"
#include "delivery/outbox.h"
#include "delivery/verification.h"
#include "store/env.h"
#include "store/store.h"

typedef enum {
    ES_CHANGE_PUT,
    ES_CHANGE_DELETE,
    ES_CHANGE_DELETE_PREFIX,
    ES_CHANGE_DELETE_AFTER,        /* this record and those after it in the
                                      lane */
    ES_CHANGE_AUDIT                /* the key is the action, the value what
                                      es_changeset_audit() writes */
} es_change_op_t;

/* The head of a change; key and value follow.  A deletion removes a record
   only if the record's value begins with the change's value. */
typedef struct {
    uint8_t   op;
    uint8_t   db;
    uint16_t  key_len;
    uint32_t  value_len;
} es_change_t;

struct es_changeset {
    es_buf_t  buf;
};

typedef struct {
    es_store_t            *store;
    const es_changeset_t  *changes;
} es_changeset_commit_t;


es_changeset_t *
es_changeset_create(void)
{
    return calloc(1, sizeof(es_changeset_t));
}


void
es_changeset_destroy(es_changeset_t *changes)
{
    if (changes != NULL) {
        es_buf_free(&changes->buf);
        free(changes);
    }
}


void
es_changeset_clear(es_changeset_t *changes)
{
    changes->buf.len = 0;
}


bool
es_changeset_empty(const es_changeset_t *changes)
{
    return changes->buf.len == 0;
}


es_rc_t
es_changeset_join(es_changeset_t *c, es_changeset_t *later)
{
    es_rc_t  rc;

    if (es_changeset_empty(later)) {
        return ES_OK;
    }

    rc = es_buf_append(&c->buf, later->buf.data, later->buf.len);

    if (rc == ES_OK) {
        es_changeset_clear(later);
    }

    return rc;
}


/* Appends a change and returns the place for its value.  NULL: no memory. */

static char *
es_change(es_changeset_t *c, es_change_op_t op, unsigned db, const void *key,
    size_t key_len, size_t value_len)
{
    char         *p;
    es_change_t   change;

    if (es_buf_reserve(&c->buf, sizeof(change) + key_len + value_len)
        != ES_OK)
    {
        return NULL;
    }

    change.op = (uint8_t) op;
    change.db = (uint8_t) db;
    change.key_len = (uint16_t) key_len;
    change.value_len = (uint32_t) value_len;

    p = c->buf.data + c->buf.len;
    memcpy(p, &change, sizeof(change));
    memcpy(p + sizeof(change), key, key_len);
    c->buf.len += sizeof(change) + key_len + value_len;

    return p + sizeof(change) + key_len;
}


static es_rc_t
es_change_put(es_changeset_t *c, unsigned db, const es_dkey_t *key,
    const void *value, size_t value_len)
{
    char  *p;

    p = es_change(c, ES_CHANGE_PUT, db, key->data, key->len, value_len);
    if (p == NULL) {
        return ES_NOMEM;
    }

    memcpy(p, value, value_len);

    return ES_OK;
}


static es_rc_t
es_change_delete(es_changeset_t *c, es_change_op_t op, unsigned db,
    const es_dkey_t *key)
{
    return es_change(c, op, db, key->data, key->len, 0) ? ES_OK : ES_NOMEM;
}


es_rc_t
es_changeset_progress(es_changeset_t *c, const es_progress_t *progress)
{
    char                 *p;
    size_t                size;
    unsigned              i;
    es_dkey_t             key;
    es_pending_value_t    pending;
    es_progress_value_t   value;

    if (progress->npending > ES_INFLIGHT_MAX) {
        return ES_INVALID;
    }

    key = es_lane_key(progress->endpoint, progress->feed);
    size = sizeof(value) + progress->npending * sizeof(pending);

    p = es_change(c, ES_CHANGE_PUT, ES_DELIVERY_PROGRESS, key.data, key.len,
                  size);
    if (p == NULL) {
        return ES_NOMEM;
    }

    memcpy(value.epoch, progress->epoch, sizeof(value.epoch));
    value.sequence = progress->sequence;
    value.matched = progress->matched;
    memcpy(p, &value, sizeof(value));
    p += sizeof(value);

    for (i = 0; i < progress->npending; i++) {
        pending.sequence = progress->pending[i];
        pending.prevcursor = progress->pending_prev[i];
        pending.batch = es_batch_back(pending.sequence,
                                      progress->pending_batch[i]);
        memcpy(p, &pending, sizeof(pending));
        p += sizeof(pending);
    }

    return ES_OK;
}


es_rc_t
es_changeset_retry(es_changeset_t *c, const es_retry_t *retry)
{
    es_dkey_t         key;
    es_retry_value_t  value;

    key = es_delivery_key(retry->endpoint, retry->feed, retry->sequence);

    value.next_ms = retry->next_ms;
    value.first_ms = retry->first_ms;
    value.prevcursor = retry->prevcursor;
    value.attempts = retry->attempts;
    value.status = retry->status;
    value.deferred_ms = retry->deferred_ms;
    value.batch = es_batch_back(retry->sequence, retry->batch);

    return es_change_put(c, ES_DELIVERY_RETRIES, &key, &value, sizeof(value));
}


es_rc_t
es_changeset_retry_done(es_changeset_t *c, uint32_t endpoint, uint32_t feed,
    uint64_t sequence)
{
    es_dkey_t  key;

    key = es_delivery_key(endpoint, feed, sequence);

    return es_change_delete(c, ES_CHANGE_DELETE, ES_DELIVERY_RETRIES, &key);
}


es_rc_t
es_changeset_attempt(es_changeset_t *c, const es_attempt_t *attempt)
{
    char                *p;
    es_dkey_t            key;
    es_attempt_value_t   value;

    if (attempt->body_len > sizeof(attempt->body)) {
        return ES_INVALID;
    }

    key = es_endpoint_key(attempt->endpoint);
    es_key64(&key, (uint64_t) attempt->time_ms);
    es_key32(&key, attempt->feed);
    es_key64(&key, attempt->sequence);
    es_key32(&key, attempt->attempt);

    p = es_change(c, ES_CHANGE_PUT, ES_DELIVERY_ATTEMPTS, key.data, key.len,
                  sizeof(value) + attempt->body_len);
    if (p == NULL) {
        return ES_NOMEM;
    }

    value.latency_us = attempt->latency_us;
    value.status = attempt->status;
    value.class = attempt->class;
    value.flags = attempt->flags;
    memcpy(p, &value, sizeof(value));
    memcpy(p + sizeof(value), attempt->body, attempt->body_len);

    return ES_OK;
}


es_rc_t
es_changeset_dead(es_changeset_t *c, const es_dead_t *dead)
{
    char            *p;
    size_t           len;
    es_dkey_t        key;
    es_dead_value_t  value;

    key = es_dead_key(dead->endpoint, dead->feed, dead->epoch,
                      dead->sequence);
    len = strnlen(dead->reason, sizeof(dead->reason) - 1);

    value.prevcursor = dead->prevcursor;
    value.time_ms = dead->time_ms;
    value.attempts = dead->attempts;
    value.status = dead->status;
    value.class = dead->class;

    p = es_change(c, ES_CHANGE_PUT, ES_DELIVERY_DEAD, key.data, key.len,
                  sizeof(value) + len);
    if (p == NULL) {
        return ES_NOMEM;
    }

    memcpy(p, &value, sizeof(value));
    memcpy(p + sizeof(value), dead->reason, len);

    return ES_OK;
}


es_rc_t
es_changeset_dead_done(es_changeset_t *c, uint32_t endpoint, uint32_t feed,
    const char *epoch, uint64_t sequence)
{
    es_dkey_t  key;

    key = es_dead_key(endpoint, feed, epoch, sequence);

    return es_change_delete(c, ES_CHANGE_DELETE, ES_DELIVERY_DEAD, &key);
}


es_rc_t
es_changeset_dead_after(es_changeset_t *c, uint32_t endpoint, uint32_t feed,
    const char *epoch, uint64_t sequence)
{
    es_dkey_t  key;

    key = es_dead_key(endpoint, feed, epoch, sequence + 1);

    return es_change_delete(c, ES_CHANGE_DELETE_AFTER, ES_DELIVERY_DEAD, &key);
}


es_rc_t
es_changeset_stop(es_changeset_t *c, const es_stop_t *stop)
{
    es_dkey_t        key;
    es_stop_value_t  value;

    key = es_endpoint_key(stop->endpoint);

    value.revision = stop->revision;
    value.time_ms = stop->time_ms;
    memcpy(value.reason, stop->reason, sizeof(value.reason));

    return es_change_put(c, ES_DELIVERY_STOPS, &key, &value, sizeof(value));
}


es_rc_t
es_changeset_audit(es_changeset_t *c, const char *action,
    const char *partner, const char *endpoint, uint64_t request,
    const char *reason)
{
    char    *p, *text;
    json_t  *entry;

    entry = json_pack("{s:s, s:s, s:I, s:s*}", "partner", partner, "endpoint",
                      endpoint, "request", (json_int_t) request, "reason",
                      reason);
    text = entry ? json_dumps(entry, JSON_COMPACT) : NULL;
    json_decref(entry);

    if (text == NULL) {
        return ES_NOMEM;
    }

    p = es_change(c, ES_CHANGE_AUDIT, 0, action, strlen(action) + 1,
                  strlen(text));

    if (p != NULL) {
        memcpy(p, text, strlen(text));
    }

    free(text);

    return p ? ES_OK : ES_NOMEM;
}


static es_rc_t
es_commit_audit(es_store_t *store, MDB_txn *txn, const MDB_val *action,
    const MDB_val *value)
{
    json_t             *entry, *name, *partner;
    es_rc_t             rc;
    es_audit_change_t   change = { .kind = "endpoint" };

    entry = json_loadb(value->mv_data, value->mv_size, 0, NULL);
    if (entry == NULL) {
        return ES_NOMEM;
    }

    name = json_incref(json_object_get(entry, "endpoint"));
    partner = json_incref(json_object_get(entry, "partner"));
    (void) json_object_del(entry, "endpoint");
    (void) json_object_del(entry, "partner");

    if (json_integer_value(json_object_get(entry, "request")) == 0) {
        (void) json_object_del(entry, "request");
    }

    change.action = action->mv_data;
    change.object = (es_str_t) { json_string_value(name),
                                 json_string_length(name) };
    change.partner = (es_str_t) { json_string_value(partner),
                                  json_string_length(partner) };
    change.after = entry;

    rc = es_audit_append(store, txn, ES_AUDIT_DELIVERY, &change);

    json_decref(name);
    json_decref(partner);
    json_decref(entry);

    return rc;
}


es_rc_t
es_changeset_circuit(es_changeset_t *c, const es_circuit_t *circuit)
{
    es_dkey_t           key;
    es_circuit_value_t  value;

    key = es_endpoint_key(circuit->endpoint);

    value.trips = circuit->trips;
    value.failures = circuit->failures;
    value.since_ms = circuit->since_ms;
    value.next_ms = circuit->next_ms;

    return es_change_put(c, ES_DELIVERY_CIRCUITS, &key, &value,
                         sizeof(value));
}


es_rc_t
es_changeset_circuit_closed(es_changeset_t *c, uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_endpoint_key(endpoint);

    return es_change_delete(c, ES_CHANGE_DELETE, ES_DELIVERY_CIRCUITS, &key);
}


es_rc_t
es_changeset_meta_put(es_changeset_t *c, const es_dkey_t *key,
    const void *value, size_t len)
{
    return es_change_put(c, ES_DELIVERY_META, key, value, len);
}


es_rc_t
es_changeset_meta_delete(es_changeset_t *c, const es_dkey_t *key, bool prefix)
{
    return es_change_delete(c, prefix ? ES_CHANGE_DELETE_PREFIX
                                      : ES_CHANGE_DELETE,
                            ES_DELIVERY_META, key);
}


static es_rc_t
es_changeset_meta(es_changeset_t *c, const void *name, size_t len,
    int64_t number)
{
    char  *p;

    p = es_change(c, ES_CHANGE_PUT, ES_DELIVERY_META, name, len,
                  sizeof(number));
    if (p == NULL) {
        return ES_NOMEM;
    }

    memcpy(p, &number, sizeof(number));

    return ES_OK;
}


es_rc_t
es_changeset_heartbeat(es_changeset_t *c, int64_t now_ms)
{
    return es_changeset_meta(c, ES_META_HEARTBEAT,
                             sizeof(ES_META_HEARTBEAT) - 1, now_ms);
}


es_rc_t
es_changeset_control_taken(es_changeset_t *c, uint64_t id)
{
    return es_changeset_meta(c, ES_META_TAKEN, sizeof(ES_META_TAKEN) - 1,
                             (int64_t) id);
}


es_rc_t
es_changeset_redrive(es_changeset_t *c, uint32_t endpoint, int64_t until_ms)
{
    es_dkey_t  key;

    key = es_redrive_key(endpoint);

    return until_ms != 0 ? es_changeset_meta(c, key.data, key.len, until_ms)
                         : es_change_delete(c, ES_CHANGE_DELETE,
                                            ES_DELIVERY_META, &key);
}


/* Attempts stay: they may be many, and they expire by themselves. */

es_rc_t
es_changeset_forget(es_changeset_t *c, uint32_t endpoint)
{
    es_rc_t    rc;
    unsigned   i;
    es_dkey_t  key;

    static const unsigned  dbs[] = {
        ES_DELIVERY_PROGRESS, ES_DELIVERY_RETRIES, ES_DELIVERY_DEAD,
        ES_DELIVERY_STOPS, ES_DELIVERY_CIRCUITS
    };

    rc = ES_OK;
    key = es_endpoint_key(endpoint);

    for (i = 0; rc == ES_OK && i < sizeof(dbs) / sizeof(dbs[0]); i++) {
        rc = es_change_delete(c, ES_CHANGE_DELETE_PREFIX, dbs[i], &key);
    }

    if (rc == ES_OK) {
        rc = es_changeset_announced_done(c, endpoint, 0);
    }

    if (rc == ES_OK) {
        rc = es_changeset_clearing_done(c, endpoint);
    }

    if (rc == ES_OK) {
        rc = es_changeset_away_done(c, endpoint, 0);
    }

    if (rc == ES_OK) {
        rc = es_changeset_loss_done(c, endpoint, 0);
    }

    if (rc == ES_OK) {
        rc = es_changeset_verification_done(c, endpoint);
    }

    if (rc == ES_OK) {
        rc = es_changeset_figures_done(c, endpoint);
    }

    if (rc == ES_OK) {
        rc = es_changeset_certificates_done(c, endpoint);
    }

    return rc == ES_OK ? es_changeset_redrive(c, endpoint, 0) : rc;
}


es_rc_t
es_changeset_forget_feed(es_changeset_t *c, uint32_t endpoint, uint32_t feed)
{
    es_rc_t    rc;
    es_dkey_t  key;

    key = es_lane_key(endpoint, feed);

    rc = es_change_delete(c, ES_CHANGE_DELETE_PREFIX, ES_DELIVERY_PROGRESS,
                          &key);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_change_delete(c, ES_CHANGE_DELETE_PREFIX, ES_DELIVERY_RETRIES,
                          &key);

    if (rc == ES_OK) {
        rc = es_changeset_away_done(c, endpoint, feed);
    }

    return rc == ES_OK ? es_changeset_announced_done(c, endpoint, feed) : rc;
}


/* Deletes from the key `from` on, while the first `prefix` bytes of the key
   are the same. */

static es_rc_t
es_delete_from(MDB_txn *txn, MDB_dbi dbi, const MDB_val *from, size_t prefix)
{
    int          rc;
    MDB_val      key, value;
    MDB_cursor  *cursor;

    rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key = *from;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

    while (rc == 0
           && key.mv_size >= prefix
           && memcmp(key.mv_data, from->mv_data, prefix) == 0)
    {
        rc = mdb_cursor_del(cursor, 0);

        if (rc == 0) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_commit_change(es_store_t *store, MDB_txn *txn, const es_change_t *change,
    MDB_val *key, MDB_val *value)
{
    int      rc;
    MDB_dbi  dbi;

    dbi = es_env_dbi(store->delivery, change->db);

    switch ((es_change_op_t) change->op) {

    case ES_CHANGE_PUT:
        return es_env_rc(mdb_put(txn, dbi, key, value, 0));

    case ES_CHANGE_DELETE:
        rc = mdb_del(txn, dbi, key, NULL);
        return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);

    case ES_CHANGE_DELETE_AFTER:
        return es_delete_from(txn, dbi, key,
                              key->mv_size - sizeof(uint64_t));

    case ES_CHANGE_DELETE_PREFIX:
        return es_delete_from(txn, dbi, key, key->mv_size);

    case ES_CHANGE_AUDIT:
        return es_commit_audit(store, txn, key, value);
    }

    return ES_CORRUPT;
}


static es_rc_t
es_changeset_run(MDB_txn *txn, void *ctx)
{
    size_t                        at;
    MDB_val                       key, value;
    int64_t                       erased_ms;
    es_rc_t                       rc;
    es_change_t                   change;
    const es_buf_t               *buf;
    const es_changeset_commit_t  *commit;

    commit = ctx;
    buf = &commit->changes->buf;

    erased_ms = es_answers_erased(commit->store);

    for (at = 0; at < buf->len; /* void */ ) {
        memcpy(&change, buf->data + at, sizeof(change));
        at += sizeof(change);

        key.mv_data = buf->data + at;
        key.mv_size = change.key_len;
        at += change.key_len;

        value.mv_data = buf->data + at;
        value.mv_size = change.value_len;
        at += change.value_len;

        if (erased_ms != 0 && change.op == ES_CHANGE_PUT
            && change.db == ES_DELIVERY_ATTEMPTS)
        {
            es_answer_forget(commit->store, erased_ms, &key, &value);
        }

        rc = es_commit_change(commit->store, txn, &change, &key, &value);
        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


es_rc_t
es_delivery_commit(es_store_t *store, es_changeset_t *changes)
{
    es_rc_t                rc;
    es_changeset_commit_t  commit;

    if (es_changeset_empty(changes)) {
        return ES_OK;
    }

    commit.store = store;
    commit.changes = changes;

    rc = es_env_update(store->delivery, es_changeset_run, &commit);
    if (rc == ES_OK) {
        es_changeset_clear(changes);
    }

    return rc;
}


es_rc_t
es_changeset_clearing_done(es_changeset_t *c, uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_clearing_progress_key(endpoint);

    return es_changeset_meta_delete(c, &key, false);
}
