/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The index of keys and endpoints by partner, the database `bypartner` of the
 * registry:
 *
 *     kind's letter, partner's name, NUL, record's name
 *         -> length of the record's text, as 8 bytes big-endian
 *
 * So a list of a partner's records, and a sum over them, costs what the
 * partner has.  The transaction that writes a record writes its entry.
 */

#ifndef ES_PARTNER_INDEX_H
#define ES_PARTNER_INDEX_H

#include <jansson.h>

#include "registry/registry.h"
#include "store/store.h"

#define ES_PARTNER_INDEX_KEY_MAX  (1 + ES_FEED_MAX + 1 + ES_FEED_MAX)

/* What a partner has of one kind. */
typedef struct {
    uint64_t  records;
    uint64_t  bytes;           /* of their texts */
} es_owned_t;

/* True for the kinds whose records belong to a partner. */
bool es_kind_owned(es_kind_t kind);

/* Enters the record, whose text has `len` bytes, or changes its entry. */
es_rc_t es_partner_index_put(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    const json_t *object, es_str_t name, size_t len);

/* Deletes the entry of a record that is about to be removed.  It also finds
   the entry of a record that is damaged. */
es_rc_t es_partner_index_del(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t name);

/* The length of the record's text by its entry.  ES_NOT_FOUND. */
es_rc_t es_partner_index_get(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t partner, es_str_t name, uint64_t *len);

es_rc_t es_partner_index_sum(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t partner, es_owned_t *owned);

/* The name of the first record, which points into the map.  ES_NOT_FOUND. */
es_rc_t es_partner_index_first(es_store_t *store, MDB_txn *txn,
    es_kind_t kind, es_str_t partner, es_str_t *name);

/* Calls `fn` for each record, as es_registry_each_of(), within `txn`. */
es_rc_t es_partner_index_walk(es_store_t *store, MDB_txn *txn,
    es_kind_t kind, es_str_t partner, es_str_t after, es_object_fn fn,
    void *ctx);

/* Splits the key of an entry.  False: it is damaged. */
bool es_partner_index_key(const MDB_val *key, es_kind_t *kind,
    es_str_t *partner, es_str_t *name);

#endif /* ES_PARTNER_INDEX_H */
