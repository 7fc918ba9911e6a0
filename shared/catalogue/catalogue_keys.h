/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Inside of the catalogue: where versions are.
 */

#ifndef ES_CATALOGUE_KEYS_H
#define ES_CATALOGUE_KEYS_H

#include "catalogue/catalogue.h"

#define ES_TYPE_KEY_MAX    (1 + ES_TYPE_LABEL_MAX)
#define ES_VERSION_NUMBER  999999

MDB_dbi es_type_dbi(const es_store_t *store);

/* "t" or "s", the type, '/', the version or nothing; the names are good
   ones. */
MDB_val es_type_key(char letter, es_str_t type, es_str_t version,
    char buf[ES_TYPE_KEY_MAX]);

es_rc_t es_type_get(es_store_t *store, MDB_txn *txn, char letter,
    es_str_t type, es_str_t version, es_str_t *out);
es_rc_t es_type_put(es_store_t *store, MDB_txn *txn, char letter,
    es_str_t type, es_str_t version, es_str_t value);

/* Called for each version of a type, in the order of their texts.
   ES_NOT_FOUND: the type has none. */
typedef es_rc_t (*es_version_fn)(void *ctx, const es_version_t *version,
    es_str_t record);

es_rc_t es_versions_each(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_version_fn fn, void *ctx);

/* The highest version, of one major or of all. */
typedef struct {
    int64_t       major;           /* -1: of all */
    es_version_t  version;
    unsigned      found;
    unsigned      count;           /* of all majors */
} es_highest_t;

/* An es_version_fn that finds it; `ctx` is an es_highest_t. */
es_rc_t es_version_highest(void *ctx, const es_version_t *version,
    es_str_t record);

#endif /* ES_CATALOGUE_KEYS_H */
