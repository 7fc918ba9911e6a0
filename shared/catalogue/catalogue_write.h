/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The steps of the catalogue's writes.  Only files of this folder include it.
 */

#ifndef ES_CATALOGUE_WRITE_H
#define ES_CATALOGUE_WRITE_H

#include "catalogue/catalogue.h"
#include "store/env.h"

/* One write.  es_env_update() may run the transaction's function again. */
typedef struct {
    es_store_t           *store;
    es_str_t              type;
    es_version_t          version;
    char                  text[ES_VERSION_TEXT_MAX];     /* `version` as text */
    es_str_t              document;
    es_schema_t          *schema;
    es_str_t              description;
    const es_lifetime_t  *lifetime;    /* of a registration: may be NULL */
    const json_t         *feeds;
    es_problem_t         *problem;
} es_publication_t;

/* Check the names, and set the version; the description; the dates.
   ES_INVALID with a problem. */
es_rc_t es_catalogue_names(es_publication_t *p, es_str_t version);
es_rc_t es_catalogue_description(es_publication_t *p);
es_rc_t es_catalogue_dates(es_publication_t *p);

/* Registers a version, whose schema is compiled.  `ctx` is an es_publication_t.
   The outcomes are those of es_catalogue_register(). */
es_rc_t es_register_txn(MDB_txn *txn, void *ctx);

/* Runs one write in a transaction of the registry.  Every failure sets a
   problem. */
es_rc_t es_catalogue_write(es_store_t *store, es_env_fn fn, void *ctx,
    es_problem_t *problem);

#endif /* ES_CATALOGUE_WRITE_H */
