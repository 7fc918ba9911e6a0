/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Deletes attempts and dead letters by age.
 *
 * An endpoint's attempts are in the order of time, so the walk visits only
 * those that it deletes and one more of each endpoint.  Dead letters are in
 * the order of sequences, so the walk visits all of them, a slice at each
 * call.
 */

#include "audit/audit.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "store/deletions.h"
#include "store/env.h"
#include "store/store.h"

typedef struct {
    es_store_t  *store;
    int64_t      before_ms;
    es_slice_t   slice;
    bool         deleted;
    bool         more;
} es_expire_t;

typedef struct {
    es_store_t          *store;
    int64_t              before_ms;
    es_slice_t           slice;
    es_dead_position_t  *position;
    es_dead_position_t   next;
    unsigned             dropped;
} es_expire_dead_t;

enum { ES_EXPIRE_ATTEMPTS, ES_EXPIRE_DEAD };


static bool
es_expire_audit_due(es_store_t *store, unsigned what)
{
    int64_t  last_us;

    last_us = atomic_load(&store->expired_us[what]);

    return last_us == 0
           || es_clock_mono_us() - last_us >= ES_DELETIONS_AUDIT_US;
}


static void
es_expire_audited(es_store_t *store, unsigned what)
{
    if (es_expire_audit_due(store, what)) {
        atomic_store(&store->expired_us[what], es_clock_mono_us());
    }
}


/* The entry of a retention: records from before that time are deleted. */

static es_rc_t
es_expire_audit(es_store_t *store, MDB_txn *txn, unsigned what,
    int64_t before_ms)
{
    char               time[ES_TIME_LEN];
    es_rc_t            rc;
    es_audit_change_t  change = { .action = "retention" };

    if (!es_expire_audit_due(store, what)) {
        return ES_OK;
    }

    change.kind = what == ES_EXPIRE_ATTEMPTS ? "attempts" : "dead letters";
    es_time_print(before_ms, time);
    change.after = json_pack("{s:s%}", "oldest", time, sizeof(time));

    rc = change.after ? es_audit_append(store, txn, ES_AUDIT_DELIVERY, &change)
                      : ES_NOMEM;
    json_decref(change.after);

    return rc;
}


static es_rc_t
es_expire_run(MDB_txn *txn, void *ctx)
{
    int           rc;
    MDB_val       key, value;
    unsigned      left;
    uint32_t      endpoint;
    es_dkey_t     next;
    MDB_cursor   *cursor;
    es_expire_t  *expire;

    expire = ctx;
    left = expire->slice.max;

    rc = mdb_cursor_open(txn, es_env_dbi(expire->store->delivery,
                                         ES_DELIVERY_ATTEMPTS), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);

    while (rc == 0 && left > 0) {
        if (key.mv_size != ES_ATTEMPT_KEY_LEN) {
            rc = MDB_CORRUPTED;
            break;
        }

        endpoint = es_key32_get(&key, 0);

        if ((int64_t) es_key64_get(&key, 4) < expire->before_ms) {
            next.len = key.mv_size;
            memcpy(next.data, key.mv_data, key.mv_size);
            left--;

            rc = mdb_cursor_del(cursor, 0);
            if (rc != 0) {
                break;
            }

        } else {
            if (endpoint == UINT32_MAX) {
                break;
            }

            next = es_endpoint_key(endpoint + 1);
        }

        key.mv_data = next.data;
        key.mv_size = next.len;
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    }

    mdb_cursor_close(cursor);
    expire->more = left == 0;

    if (rc != 0 && rc != MDB_NOTFOUND) {
        return es_env_rc(rc);
    }

    expire->deleted = left < expire->slice.max;

    return expire->deleted ? es_expire_audit(expire->store, txn,
                                             ES_EXPIRE_ATTEMPTS,
                                             expire->before_ms) : ES_OK;
}


es_rc_t
es_delivery_expire(es_store_t *store, int64_t before_ms, unsigned max,
    bool *more)
{
    es_rc_t      rc;
    es_expire_t  expire;

    expire.store = store;
    expire.before_ms = before_ms;
    expire.slice.most = max;
    expire.slice.max = max;
    expire.more = false;

    rc = es_env_shrink(store->delivery, es_expire_run, &expire,
                       &expire.slice);

    if (rc == ES_OK && expire.deleted) {
        es_expire_audited(store, ES_EXPIRE_ATTEMPTS);
    }

    *more = rc == ES_OK && expire.more;

    return rc;
}


static es_rc_t
es_expire_dead_run(MDB_txn *txn, void *ctx)
{
    int                rc;
    MDB_val            key, value;
    unsigned           left;
    es_dkey_t          from;
    MDB_cursor        *cursor;
    es_dead_value_t    dead;
    es_expire_dead_t  *expire;

    expire = ctx;
    from = es_dead_key(expire->position->endpoint, expire->position->feed,
                       expire->position->epoch, expire->position->sequence);

    rc = mdb_cursor_open(txn, es_env_dbi(expire->store->delivery,
                                         ES_DELIVERY_DEAD), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key.mv_data = from.data;
    key.mv_size = from.len;
    memset(&expire->next, 0, sizeof(expire->next));
    expire->dropped = 0;

    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

    for (left = expire->slice.max; rc == 0; left--) {

        if (key.mv_size != ES_DEAD_KEY_LEN || value.mv_size < sizeof(dead))
        {
            rc = MDB_CORRUPTED;
            break;
        }

        if (left == 0) {
            expire->next.endpoint = es_key32_get(&key, 0);
            expire->next.feed = es_key32_get(&key, 4);
            memcpy(expire->next.epoch,
                   (const char *) key.mv_data + ES_DEAD_KEY_EPOCH,
                   sizeof(expire->next.epoch) - 1);
            expire->next.sequence = es_key64_get(&key, ES_DEAD_KEY_SEQUENCE);
            break;
        }

        memcpy(&dead, value.mv_data, sizeof(dead));

        if (dead.time_ms < expire->before_ms) {
            rc = mdb_cursor_del(cursor, 0);
            expire->dropped++;
        }

        if (rc == 0) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }

    mdb_cursor_close(cursor);

    if (rc != 0 && rc != MDB_NOTFOUND) {
        return es_env_rc(rc);
    }

    return expire->dropped > 0 ? es_expire_audit(expire->store, txn,
                                                 ES_EXPIRE_DEAD,
                                                 expire->before_ms) : ES_OK;
}


es_rc_t
es_delivery_expire_dead(es_store_t *store, int64_t before_ms, unsigned max,
    es_dead_position_t *position, unsigned *dropped)
{
    es_rc_t           rc;
    es_expire_dead_t  expire;

    expire.store = store;
    expire.before_ms = before_ms;
    expire.slice.most = max;
    expire.slice.max = max;
    expire.position = position;

    rc = es_env_shrink(store->delivery, es_expire_dead_run, &expire,
                       &expire.slice);

    *dropped = 0;

    if (rc == ES_OK) {
        *position = expire.next;
        *dropped = expire.dropped;

        if (expire.dropped > 0) {
            es_expire_audited(store, ES_EXPIRE_DEAD);
        }
    }

    return rc;
}
