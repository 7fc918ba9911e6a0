/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Remembers removed endpoints.  An endpoint that its partner makes again under
 * the same name gets its old number, so the dispatcher takes it for the same
 * one.
 */

#ifndef ES_REMOVED_ENDPOINTS_H
#define ES_REMOVED_ENDPOINTS_H

#include <jansson.h>

#include "store/store.h"

/* How many are remembered; the oldest are forgotten first. */
#define ES_REMOVED_ENDPOINTS_MAX  1000

typedef struct {
    uint64_t  number;
    uint64_t  revision;            /* last revision of the record */
} es_removed_t;

/* Remembers an endpoint in the write transaction that removes it.
   ES_NOT_FOUND: no such endpoint. */
es_rc_t es_removed_put(es_store_t *store, MDB_txn *txn, es_str_t name);

/* Finds and forgets the removed endpoint of this name, if it belonged to the
   partner of the new `object`.  ES_NOT_FOUND. */
es_rc_t es_removed_take(es_store_t *store, MDB_txn *txn, es_str_t name,
    const json_t *object, es_removed_t *gone);

/* Forgets those of a partner, in a write transaction. */
es_rc_t es_removed_forget(es_store_t *store, MDB_txn *txn, es_str_t partner);

/* Calls `fn` with the name and number of each removed endpoint of the partner,
   in one read transaction. */
typedef void (*es_removed_fn)(void *ctx, es_str_t name, uint64_t number);

es_rc_t es_removed_each(es_store_t *store, es_str_t partner, es_removed_fn fn,
    void *ctx);

#endif /* ES_REMOVED_ENDPOINTS_H */
