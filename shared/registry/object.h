/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Inside of the registry: where a record is.
 *
 * Database `objects`: the kind's letter and the name -> JSON text.
 */

#ifndef ES_OBJECT_H
#define ES_OBJECT_H

#include "registry/registry.h"
#include "store/store.h"

#define ES_OBJECT_KEY_MAX  (1 + ES_FEED_MAX)

/* The kind's word; its first letter begins the database key. */
const char *es_kind_name(es_kind_t kind);

bool es_object_name_ok(es_kind_t kind, es_str_t name);

/* The kind of a database key's record.  False: it is none, but what is kept
   beside them, see catalogue.c. */
bool es_object_kind(const MDB_val *key, es_kind_t *kind);

/* The database key, made in `buf`; the name is a good one or empty. */
MDB_val es_object_key(es_kind_t kind, es_str_t name,
    char buf[ES_OBJECT_KEY_MAX]);

/* The record's text in the map.  ES_NOT_FOUND. */
es_rc_t es_object_text(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t name, MDB_val *text);

#endif /* ES_OBJECT_H */
