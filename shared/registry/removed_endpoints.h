/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Endpoints that were removed, so that one that is made again under
 * its name is the same one to the dispatcher.
 */

#ifndef ES_REMOVED_ENDPOINTS_H
#define ES_REMOVED_ENDPOINTS_H

#include <jansson.h>

#include "store/store.h"

/* How many are remembered; the oldest are forgotten first. */
#define ES_REMOVED_ENDPOINTS_MAX  1000

typedef struct {
    uint64_t  number;
    uint64_t  revision;            /* the last one of its record */
} es_removed_t;

/* Remembers an endpoint that is about to be removed, in a write of the
   registry.  ES_NOT_FOUND: there is none. */
es_rc_t es_removed_put(es_store_t *store, MDB_txn *txn, es_str_t name);

/* The one of this name, which is forgotten, if it was of the same partner as
   the new `object`.  ES_NOT_FOUND. */
es_rc_t es_removed_take(es_store_t *store, MDB_txn *txn, es_str_t name,
    const json_t *object, es_removed_t *gone);

#endif /* ES_REMOVED_ENDPOINTS_H */
