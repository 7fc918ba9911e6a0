/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Lists of feed patterns: each is the name of a feed, or the start of names
 * and '*'.  Two patterns match feeds in common only if one of them matches all
 * that the other matches, so every list of patterns can be narrowed by another.
 */

#ifndef ES_PATTERNS_H
#define ES_PATTERNS_H

#include "base/base.h"
#include "base/pool.h"

#define ES_PATTERNS_MAX  64            /* of a list in a record */

typedef struct {
    size_t     n;
    es_str_t  *list;
} es_patterns_t;

/* True if a pattern of the list matches the feed.  `feed` may be a pattern
   itself: true if one of the list matches all that it matches. */
bool es_patterns_match(const es_patterns_t *patterns, es_str_t feed);

/* Sets `out` to patterns of those feeds that both lists match; none twice.  The
   texts are those of the lists.  ES_NOMEM. */
es_rc_t es_patterns_common(const es_patterns_t *a, const es_patterns_t *b,
    es_pool_t *pool, es_patterns_t *out);

/* Sets `out` to the patterns of both lists, none twice, with copies of the
   texts.  ES_NOMEM. */
es_rc_t es_patterns_join(const es_patterns_t *a, const es_patterns_t *b,
    es_pool_t *pool, es_patterns_t *out);

#endif /* ES_PATTERNS_H */
