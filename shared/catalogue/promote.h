/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Takes over versions of event types from the catalogue of another store.
 */

#ifndef ES_PROMOTE_H
#define ES_PROMOTE_H

#include "catalogue/catalogue.h"

typedef struct {
    es_str_t        type;
    es_str_t        version;
    es_str_t        schema;        /* the document, byte for byte */
    es_str_t        description;
    const json_t   *feeds;         /* of the type, if it is new here; NULL:
                                      every feed */
    es_lifetime_t   lifetime;      /* created_ms is ignored */
    bool            present;       /* set: the store has the version */
} es_promotion_t;

/*
 * Registers the versions that the store lacks, in the order of the list, in one
 * durable transaction: all of them or none.  A type that the store has keeps
 * its feeds, and a version its description and dates.  With `dry_run` nothing
 * is written, and the outcome is the same.  It needs ES_STORE_ADMIN.
 *
 * Outcomes are those of es_catalogue_register(), and ES_CONFLICT also for a
 * version that the store has with another document; the problem's pointer is
 * the first difference.  `problem->index` is that of the version at fault, or
 * -1.
 */
es_rc_t es_catalogue_promote(es_store_t *store, es_promotion_t *list, size_t n,
    bool dry_run, es_problem_t *problem);

#endif /* ES_PROMOTE_H */
