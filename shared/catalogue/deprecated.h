/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The versions of event types that are deprecated, or will be.
 */

#ifndef ES_DEPRECATED_H
#define ES_DEPRECATED_H

#include "catalogue/catalogue.h"
#include "registry/patterns.h"

typedef struct {
    es_str_t              type;        /* all are valid within the call */
    es_str_t              version;
    char                  successor[ES_VERSION_TEXT_MAX];  /* the next version
                                          without such a date, or empty */
    es_lifetime_t         lifetime;
    const es_patterns_t  *feeds;       /* of the type; none: all */
} es_deprecated_t;

typedef es_rc_t (*es_deprecated_fn)(void *ctx, const es_deprecated_t *found);

/*
 * Calls `fn` for each version that has a date of deprecation or sunset, in the
 * order of types and of the versions' texts, in one read transaction of the
 * registry.  It looks at the text of each version, and leaves out what is
 * damaged.  A result other than ES_OK and ES_CORRUPT ends the walk and is
 * returned.
 */
es_rc_t es_catalogue_each_deprecated(es_store_t *store, es_deprecated_fn fn,
    void *ctx);

#endif /* ES_DEPRECATED_H */
