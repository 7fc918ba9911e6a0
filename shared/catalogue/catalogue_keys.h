/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The catalogue's records: their keys, and a walk over a type's versions.
 * Only files of this folder include it.
 */

#ifndef ES_CATALOGUE_KEYS_H
#define ES_CATALOGUE_KEYS_H

#include <jansson.h>

#include "catalogue/catalogue.h"
#include "registry/patterns.h"

#define ES_TYPE_KEY_MAX    (1 + ES_TYPE_LABEL_MAX)
#define ES_VERSION_NUMBER  999999

/* The registry's database `objects`. */
MDB_dbi es_type_dbi(const es_store_t *store);

/* "t" or "s", the type, '/', and the version, which may be empty.  The caller
   has checked both names. */
MDB_val es_type_key(char letter, es_str_t type, es_str_t version,
    char buf[ES_TYPE_KEY_MAX]);

/* `out` points into the map until the transaction ends.  ES_NOT_FOUND. */
es_rc_t es_type_get(es_store_t *store, MDB_txn *txn, char letter,
    es_str_t type, es_str_t version, es_str_t *out);
es_rc_t es_type_put(es_store_t *store, MDB_txn *txn, char letter,
    es_str_t type, es_str_t version, es_str_t value);

/* The dates in the record of a version.  ES_CORRUPT. */
es_rc_t es_lifetime_decode(es_str_t text, es_lifetime_t *lifetime);

/* The feeds of a type, from its record under an empty version. */
typedef struct {
    es_patterns_t  feeds;          /* none: the type belongs to every feed */
    json_t        *record;         /* which the texts point into; may be NULL */
} es_type_feeds_t;

/* Reads them; a type without a record names no feeds.  After ES_OK the caller
   frees them.  ES_CORRUPT, ES_NOMEM. */
es_rc_t es_type_feeds_read(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_type_feeds_t *out);
void es_type_feeds_free(es_type_feeds_t *feeds);

/* Writes an array of feed patterns as the feeds of a type.  ES_INVALID with a
   problem whose detail names the item. */
es_rc_t es_type_feeds_write(es_store_t *store, MDB_txn *txn, es_str_t type,
    const json_t *feeds, es_problem_t *problem);

/*
 * Sets `shown` to the patterns of those feeds of a type that also match `seen`
 * (NULL: all), as an array.  NULL: the type names no feeds.  ES_NOT_FOUND: it
 * does, and none matches, so the type must not be shown.
 */
es_rc_t es_type_feeds_shown(es_store_t *store, MDB_txn *txn, es_str_t type,
    const es_patterns_t *seen, json_t **shown);

/* `record` is the version's JSON object and points into the map.  A result
   other than ES_OK ends the walk. */
typedef es_rc_t (*es_version_fn)(void *ctx, const es_version_t *version,
    es_str_t record);

/* Calls `fn` for each version of a type, in the order of the versions' texts,
   and returns its last result.  ES_NOT_FOUND: the type has no version. */
es_rc_t es_versions_each(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_version_fn fn, void *ctx);

/* The highest version of one major or of all majors.  Zero it and set `major`
   before the walk. */
typedef struct {
    int64_t       major;           /* -1: all majors */
    es_version_t  version;
    unsigned      found;           /* versions of `major` */
    unsigned      count;           /* versions of all majors */
} es_highest_t;

/* The es_version_fn that finds it; `ctx` is an es_highest_t. */
es_rc_t es_version_highest(void *ctx, const es_version_t *version,
    es_str_t record);

#endif /* ES_CATALOGUE_KEYS_H */
