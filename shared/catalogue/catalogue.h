/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The catalogue of event types: their feeds, versions, schemas and dates.
 *
 * A version of a type is a JSON Schema document under "type/version".  The
 * document never changes.  An operator may set later when the version is
 * deprecated and when it ends (its sunset).  Within a major, each new version
 * accepts all that the version before it accepts (docs/catalogue.md has the
 * rules), and version numbers only go up.  Major 0 is for drafts and promises
 * nothing.
 *
 * The registry's database `objects` holds two records of each version: under
 * "t" and the name a JSON object with description and dates, and under "s" and
 * the name the document, byte for byte.
 *
 * A type may name the feeds it belongs to, by patterns.  Then only who may use
 * one of these feeds may know of the type, and the schema option of other feeds
 * treats it as a type that does not exist.
 *
 * The name of a type is part of URLs: 1 to 200 characters of A-Z, a-z, 0-9,
 * '.', '_' and '-', and the first is a letter or a digit.  A version is
 * MAJOR.MINOR.PATCH.
 *
 * catalogue.c implements the writes, promote.c those of another catalogue,
 * catalogue_read.c the reads, catalogue_keys.c names and versions, and
 * type_feeds.c the feeds of a type.  Every function blocks for the registry's
 * reads or writes, and any thread may call it.
 */

#ifndef ES_CATALOGUE_H
#define ES_CATALOGUE_H

#include <jansson.h>

#include "base/base.h"
#include "registry/patterns.h"
#include "schema/schema.h"
#include "store/store.h"

#define ES_TYPE_NAME_MAX      200
#define ES_VERSION_TEXT_MAX   24       /* with NUL */
#define ES_VERSIONS_MAX       256      /* of one type */
#define ES_TYPE_LABEL_MAX     (ES_TYPE_NAME_MAX + 1 + ES_VERSION_TEXT_MAX)

typedef struct {
    uint32_t  major;
    uint32_t  minor;
    uint32_t  patch;
} es_version_t;

bool es_type_name_ok(es_str_t type);

/* ES_INVALID: the text is not "1.2.3", three numbers without leading zeros and
   of at most 999999. */
es_rc_t es_version_parse(es_str_t text, es_version_t *version);
void es_version_print(const es_version_t *version,
    char text[ES_VERSION_TEXT_MAX]);
int es_version_order(const es_version_t *a, const es_version_t *b);

/* Milliseconds since 1970; 0: the date is not set. */
typedef struct {
    int64_t  created_ms;
    int64_t  deprecated_ms;
    int64_t  sunset_ms;
} es_lifetime_t;

/* ---- writes: one durable transaction each; they need ES_STORE_ADMIN ---- */

/*
 * Registers a version.  `description` may be empty; `problem` may be NULL.
 * `feeds`, an array of patterns, replaces the feeds of the type (NULL: they
 * stay).  ES_INVALID, ES_TOO_LARGE: the name, the version, the feeds or the
 * schema is at fault, and the problem's pointer leads into the schema.
 * ES_EXISTS.  ES_CONFLICT: the version is not above the version before it, or
 * is not compatible.
 */
es_rc_t es_catalogue_register(es_store_t *store, es_str_t type,
    es_str_t version, es_str_t schema, es_str_t description,
    const json_t *feeds, es_problem_t *problem);

/* Sets the feeds of a type: an array of patterns; if it is empty, the type
   belongs to every feed.  ES_NOT_FOUND, ES_INVALID as above. */
es_rc_t es_catalogue_change_feeds(es_store_t *store, es_str_t type,
    const json_t *feeds, es_problem_t *problem);

/* Sets both dates of a version; created_ms is ignored.  ES_NOT_FOUND.
   ES_INVALID: the sunset is before the deprecation. */
es_rc_t es_catalogue_change(es_store_t *store, es_str_t type,
    es_str_t version, const es_lifetime_t *lifetime, es_problem_t *problem);

/* ---- reads: one read transaction each ---- */

/*
 * `seen` (NULL: all) are the feeds whose types the reader may know of.  A type
 * that names none of them is not found, and the feeds of a type are shown as
 * far as they match.
 */

/* Appends the document's bytes to `schema`.  ES_NOT_FOUND. */
es_rc_t es_catalogue_get(es_store_t *store, es_str_t type, es_str_t version,
    const es_patterns_t *seen, es_buf_t *schema, es_lifetime_t *lifetime);

/* Appends a type as a JSON object, its versions ascending.  ES_NOT_FOUND. */
es_rc_t es_catalogue_type(es_store_t *store, es_str_t type,
    const es_patterns_t *seen, es_buf_t *out);

/* The position of a list of types, for the partner `who` (empty: nobody in
   particular).  ES_INVALID: `token` is no `next` of such a list. */
es_rc_t es_catalogue_after(es_str_t who, es_str_t token,
    char after[ES_TYPE_NAME_MAX + 1]);

/*
 * Appends up to `limit` types after the type `after` (empty: from the first),
 * as {"types":[...],"next":...}.  `next` is null on the last page, else a page
 * token for `who`.  A page ends early after 1 MiB.  ES_INVALID: `after` cannot
 * be the name of a type.
 */
es_rc_t es_catalogue_list(es_store_t *store, es_str_t who, es_str_t after,
    unsigned limit, const es_patterns_t *seen, es_buf_t *out);

/* ---- within the caller's read transaction of the registry ---- */

/* The highest version.  ES_NOT_FOUND: no such type. */
es_rc_t es_catalogue_latest(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_version_t *version);

/* The document, which points into the map until the transaction ends.
   ES_NOT_FOUND. */
es_rc_t es_catalogue_text(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_str_t version, es_str_t *schema);

#endif /* ES_CATALOGUE_H */
