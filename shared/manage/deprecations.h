/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which deprecated versions of event types concern which feeds: a version
 * concerns a feed that keeps events of its type, if the type belongs to the
 * feed.  The versions of single events are not looked at.
 */

#ifndef ES_DEPRECATIONS_H
#define ES_DEPRECATIONS_H

#include <jansson.h>

#include "catalogue/catalogue.h"
#include "delivery/report.h"

#define ES_DEPRECATIONS_MAX  100       /* versions that are looked at */

typedef struct {
    char           type[ES_TYPE_NAME_MAX + 1];
    char           version[ES_VERSION_TEXT_MAX];
    char           successor[ES_VERSION_TEXT_MAX];     /* or empty */
    es_lifetime_t  lifetime;
    json_t        *feeds;      /* names, in order */
} es_deprecation_t;

typedef struct {
    es_deprecation_t  *list;
    size_t             n;
    bool               all;    /* false: there are more than the maximum */
} es_deprecations_t;

/* Of the feeds, those count for which `reads` is true (NULL: all). */
typedef bool (*es_deprecation_reads_fn)(void *ctx, es_str_t feed);

/* Loads the versions into zeroed `out`, which the caller frees, also after a
   failure.  It costs a look-up for each version and feed that counts. */
es_rc_t es_deprecations_load(es_store_t *store,
    const es_report_feeds_t *feeds, es_deprecation_reads_fn reads, void *ctx,
    es_deprecations_t *out);
void es_deprecations_free(es_deprecations_t *deprecations);

/* A new object with `type`, `version`, `deprecated`, `sunset`, `successor` (the
   last three are null where there is none) and `feeds`.  NULL: no memory. */
json_t *es_deprecation_report(const es_deprecation_t *deprecation,
    json_t *feeds);

#endif /* ES_DEPRECATIONS_H */
