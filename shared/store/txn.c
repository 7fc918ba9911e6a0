/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Read transactions of the log.
 *
 * A transaction that ends is reset and kept with its cursor, so that the next
 * one only renews it: that takes no memory and no slot of the reader table.
 * The list of kept transactions and the count of open ones have one mutex.
 */

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"


static void
es_txn_free(es_txn_t *txn)
{
    if (txn->events != NULL) {
        mdb_cursor_close(txn->events);
    }

    if (txn->mdb != NULL) {
        mdb_txn_abort(txn->mdb);
    }

    free(txn);
}


void
es_txn_drop(void *ctx)
{
    es_txn_t    *txn;
    es_store_t  *store = ctx;

    ES_ASSERT(store->reading == 0);            /* I8 */

    while (store->txns != NULL) {
        txn = store->txns;
        store->txns = txn->next;

        es_txn_free(txn);
    }
}


static es_txn_t *
es_txn_unpark(es_store_t *store)
{
    es_txn_t  *txn;

    (void) pthread_mutex_lock(&store->txns_lock);

    store->reading++;

    txn = store->txns;
    if (txn != NULL) {
        store->txns = txn->next;
    }

    (void) pthread_mutex_unlock(&store->txns_lock);

    return txn;
}


/* Keeps a transaction that has been reset.  NULL: the begin has failed. */

static void
es_txn_park(es_store_t *store, es_txn_t *txn)
{
    (void) pthread_mutex_lock(&store->txns_lock);

    ES_ASSERT(store->reading > 0);             /* I8 */
    store->reading--;

    if (txn != NULL) {
        txn->next = store->txns;
        store->txns = txn;
    }

    (void) pthread_mutex_unlock(&store->txns_lock);
}


/* Renews a transaction that is kept, or begins a new one.  The caller has
   entered the environment.  Returns LMDB's result. */

static int
es_txn_take(es_store_t *store, es_txn_t **out)
{
    int        rc;
    es_txn_t  *txn;

    txn = es_txn_unpark(store);

    if (txn != NULL) {
        rc = mdb_txn_renew(txn->mdb);
        if (rc == 0) {
            rc = mdb_cursor_renew(txn->mdb, txn->events);
        }

    } else {
        txn = calloc(1, sizeof(es_txn_t));
        if (txn == NULL) {
            es_txn_park(store, NULL);
            return ENOMEM;
        }

        txn->store = store;

        rc = mdb_txn_begin(es_env_handle(store->log), NULL, MDB_RDONLY,
                           &txn->mdb);
        if (rc == 0) {
            rc = mdb_cursor_open(txn->mdb,
                                 es_env_dbi(store->log, ES_LOG_EVENTS),
                                 &txn->events);
        }
    }

    if (rc != 0) {
        es_txn_free(txn);
        es_txn_park(store, NULL);
        return rc;
    }

    txn->open = true;
    *out = txn;

    return 0;
}


es_rc_t
es_txn_begin(es_store_t *store, es_txn_t **out)
{
    int      mdb_rc;
    es_rc_t  rc;

    do {
        rc = es_env_enter(store->log);
        if (rc != ES_OK) {
            return rc;
        }

        mdb_rc = es_txn_take(store, out);
        if (mdb_rc == 0) {
            return ES_OK;
        }

    } while (es_env_again(store->log, mdb_rc, &rc));

    return rc;
}


uint64_t
es_txn_version(const es_txn_t *txn)
{
    return mdb_txn_id(txn->mdb);
}


void
es_txn_end(es_txn_t *txn)
{
    es_store_t  *store;

    store = txn->store;

    ES_ASSERT(txn->open);                      /* I8 */
    txn->open = false;

    mdb_txn_reset(txn->mdb);
    es_txn_park(store, txn);

    es_env_leave(store->log);
}
