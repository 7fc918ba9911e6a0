/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Registry records in the database `objects`: the key is the kind's letter and
 * the name, the value is JSON text.  catalogue_keys.h has the other records of
 * this database.
 */

#ifndef ES_OBJECT_H
#define ES_OBJECT_H

#include "registry/registry.h"
#include "store/store.h"

#define ES_OBJECT_KEY_MAX  (1 + ES_FEED_MAX)

/* The kind as a word, and the letter of the database key. */
const char *es_kind_name(es_kind_t kind);
char es_kind_letter(es_kind_t kind);

bool es_object_name_ok(es_kind_t kind, es_str_t name);

/* The kind of the record under a database key, for partners, keys, endpoints
   and flags. False: the record is of another kind, or is one of the catalogue.
   */
bool es_object_kind(const MDB_val *key, es_kind_t *kind);

/* The database key, made in `buf`.  The name must be valid or empty. */
MDB_val es_object_key(es_kind_t kind, es_str_t name,
    char buf[ES_OBJECT_KEY_MAX]);

/* The record's text, which points into the map until the transaction ends.
   ES_NOT_FOUND. */
es_rc_t es_object_text(es_store_t *store, MDB_txn *txn, es_kind_t kind,
    es_str_t name, MDB_val *text);

#endif /* ES_OBJECT_H */
