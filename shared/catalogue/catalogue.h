/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Event types: versions, schemas, and when they end.
 *
 * A version of a type is a JSON Schema document under "type/version" that
 * never changes once it is there; what may be set later is when it is
 * deprecated and when it ends.  Within a major version each new one accepts
 * all that the one before accepted (docs/catalogue.md has the rules), and
 * versions only go up.  Major 0 is for drafts and promises nothing.
 *
 * In the registry's database `objects`: "t" and the name -> the version as a
 * JSON object; "s" and the name -> the document, byte for byte.
 *
 * Names of types here are 1 to 200 of A-Z, a-z, 0-9, '.', '_' and '-', first a
 * letter or digit: they are part of URLs.  Versions are MAJOR.MINOR.PATCH.
 */

#ifndef ES_CATALOGUE_H
#define ES_CATALOGUE_H

#include "base/base.h"
#include "schema/schema.h"
#include "store/store.h"

#define ES_TYPE_NAME_MAX      200
#define ES_VERSION_TEXT_MAX   24       /* NUL included */
#define ES_VERSIONS_MAX       256      /* of one type */
#define ES_TYPE_LABEL_MAX     (ES_TYPE_NAME_MAX + 1 + ES_VERSION_TEXT_MAX)

typedef struct {
    uint32_t  major;
    uint32_t  minor;
    uint32_t  patch;
} es_version_t;

bool es_type_name_ok(es_str_t type);

/* ES_INVALID unless it is "1.2.3": numbers without leading zeros, at most
   999999 each. */
es_rc_t es_version_parse(es_str_t text, es_version_t *version);
void es_version_print(const es_version_t *version,
    char text[ES_VERSION_TEXT_MAX]);
int es_version_order(const es_version_t *a, const es_version_t *b);

/* Milliseconds since the epoch; 0: not so. */
typedef struct {
    int64_t  created_ms;
    int64_t  deprecated_ms;
    int64_t  sunset_ms;
} es_lifetime_t;

/*
 * Writing: one durable transaction; needs ES_STORE_ADMIN.
 *
 * Registers a version; `description` may be empty.  ES_INVALID, ES_TOO_LARGE:
 * the name, the version or the schema (the pointer is into it).  ES_EXISTS.
 * ES_CONFLICT: not compatible with the version before, or not above it.
 */
es_rc_t es_catalogue_register(es_store_t *store, es_str_t type,
    es_str_t version, es_str_t schema, es_str_t description,
    es_problem_t *problem);

/* Sets when it is deprecated and when it ends (created_ms is ignored).
   ES_NOT_FOUND; ES_INVALID: it ends before it is deprecated. */
es_rc_t es_catalogue_change(es_store_t *store, es_str_t type,
    es_str_t version, const es_lifetime_t *lifetime, es_problem_t *problem);

/* The document's bytes, appended to `schema`.  ES_NOT_FOUND. */
es_rc_t es_catalogue_get(es_store_t *store, es_str_t type, es_str_t version,
    es_buf_t *schema, es_lifetime_t *lifetime);

/* A type as a JSON object, its versions ascending.  ES_NOT_FOUND. */
es_rc_t es_catalogue_type(es_store_t *store, es_str_t type, es_buf_t *out);

/*
 * Up to `limit` types after the one named (empty: from the first), as
 * {"types":[...],"next":...}: `next` is null, or what to name next.
 */
es_rc_t es_catalogue_list(es_store_t *store, es_str_t after, unsigned limit,
    es_buf_t *out);

/* ---- within a read transaction of the registry, for validate.c ---- */

/* The highest version.  ES_NOT_FOUND: the type is not there. */
es_rc_t es_catalogue_latest(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_version_t *version);

/* The document in the map.  ES_NOT_FOUND. */
es_rc_t es_catalogue_text(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_str_t version, es_str_t *schema);

#endif /* ES_CATALOGUE_H */
