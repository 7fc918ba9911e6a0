/* SPDX-License-Identifier: BSD-2-Clause */

/* Deletes what delivery/ has of a partner that is offboarded. */

#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/outbox.h"
#include "delivery/removal.h"
#include "store/env.h"
#include "store/store.h"

#define ES_REMOVAL_SLICE  1000     /* attempts in one transaction */

typedef struct {
    es_store_t      *store;
    uint32_t         number;       /* of the endpoint or the partner */
    es_slice_t       slice;
    bool             more;
    es_changeset_t  *changes;
} es_removal_t;


static es_rc_t
es_removal_progress(void *ctx, const es_progress_t *progress)
{
    (void) progress;
    ((es_removal_counts_t *) ctx)->positions++;

    return ES_OK;
}


static es_rc_t
es_removal_retry(void *ctx, const es_retry_t *retry)
{
    (void) retry;
    ((es_removal_counts_t *) ctx)->retries++;

    return ES_OK;
}


static es_rc_t
es_removal_attempt(void *ctx, const es_attempt_t *attempt)
{
    (void) attempt;
    ((es_removal_counts_t *) ctx)->attempts++;

    return ES_OK;
}


static es_rc_t
es_removal_dead(void *ctx, const es_dead_t *dead)
{
    (void) dead;
    ((es_removal_counts_t *) ctx)->dead_letters++;

    return ES_OK;
}


es_rc_t
es_removal_count(es_store_t *store, uint32_t endpoint,
    es_removal_counts_t *counts)
{
    es_rc_t  rc;

    memset(counts, 0, sizeof(es_removal_counts_t));

    rc = es_delivery_each_progress(store, endpoint, es_removal_progress,
                                   counts);

    if (rc == ES_OK) {
        rc = es_delivery_each_retry(store, endpoint, es_removal_retry, counts);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_attempt(store, endpoint, es_removal_attempt,
                                      counts);
    }

    return rc == ES_OK ? es_delivery_each_dead(store, endpoint,
                                               es_removal_dead, counts) : rc;
}


static es_rc_t
es_removal_attempts(MDB_txn *txn, void *ctx)
{
    int            rc;
    MDB_val        key, value;
    unsigned       n;
    es_dkey_t      prefix;
    MDB_cursor    *cursor;
    es_removal_t  *r = ctx;

    rc = mdb_cursor_open(txn, es_env_dbi(r->store->delivery,
                                         ES_DELIVERY_ATTEMPTS), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    prefix = es_endpoint_key(r->number);
    key = (MDB_val) { prefix.len, prefix.data };
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

    for (n = 0; rc == 0 && n < r->slice.max
         && key.mv_size >= prefix.len
         && memcmp(key.mv_data, prefix.data, prefix.len) == 0; n++)
    {
        rc = mdb_cursor_del(cursor, 0);

        if (rc == 0) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }

    r->more = rc == 0 && n == r->slice.max;
    mdb_cursor_close(cursor);

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


es_rc_t
es_removal_endpoint(es_store_t *store, uint32_t endpoint)
{
    es_rc_t       rc;
    es_removal_t  r = { .store = store, .number = endpoint,
                        .slice = { ES_REMOVAL_SLICE, ES_REMOVAL_SLICE } };

    r.changes = es_changeset_create();
    rc = r.changes == NULL ? ES_NOMEM
                           : es_changeset_forget(r.changes, endpoint);

    if (rc == ES_OK) {
        rc = es_delivery_commit(store, r.changes);
    }

    es_changeset_destroy(r.changes);

    do {
        rc = rc == ES_OK ? es_env_shrink(store->delivery, es_removal_attempts,
                                         &r, &r.slice) : rc;
    } while (rc == ES_OK && r.more);

    return rc;
}


static es_rc_t
es_removal_told(void *ctx, uint32_t partner, uint64_t version)
{
    es_removal_t  *r = ctx;

    return partner == r->number
           ? es_changeset_deprecation_forget(r->changes, partner, version)
           : ES_OK;
}


static es_rc_t
es_removal_outbox(es_removal_t *r, es_str_t operations)
{
    es_rc_t    rc;
    uint64_t   number;
    es_buf_t   feed = { 0 }, event = { 0 };

    number = 0;

    while ((rc = es_delivery_outbox_next(r->store, &number, &feed, &event))
           == ES_OK)
    {
        if (es_str_eq((es_str_t) { feed.data, feed.len }, operations)
            && (rc = es_changeset_outbox_done(r->changes, number)) != ES_OK)
        {
            break;
        }
    }

    es_buf_free(&feed);
    es_buf_free(&event);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_removal_partner(es_store_t *store, uint32_t partner, es_str_t operations)
{
    es_rc_t       rc;
    es_removal_t  r = { .store = store, .number = partner };

    r.changes = es_changeset_create();
    rc = r.changes == NULL ? ES_NOMEM
         : es_delivery_each_deprecation(store, es_removal_told, &r);

    if (rc == ES_OK && operations.len > 0) {
        rc = es_removal_outbox(&r, operations);
    }

    if (rc == ES_OK) {
        rc = es_delivery_commit(store, r.changes);
    }

    es_changeset_destroy(r.changes);

    return rc;
}
