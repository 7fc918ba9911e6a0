/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Filters: the types and the subject of the events that a consumer gets.
 */

#ifndef ES_FILTER_H
#define ES_FILTER_H

#include "base/base.h"

#define ES_FILTER_TYPES_MAX  32
#define ES_ATTR_MAX          1024    /* bytes of an attribute's value */
#define ES_TYPE_MAX          255     /* bytes of a type, which is a key of
                                        the log */

typedef struct {
    es_str_t  name;        /* without a "*" at the end */
    bool      prefix;      /* "order.*": every type that begins "order." */
} es_type_pattern_t;

typedef struct {
    unsigned           ntypes;     /* 0: every type */
    es_type_pattern_t  types[ES_FILTER_TYPES_MAX];
    bool               by_subject;
    es_str_t           subject;    /* escaped, as in JSON text */
} es_filter_t;

/*
 * Parses a comma-separated list of types ("order.created,price.*"; "*" alone
 * is all).  `filter` keeps pointers into `text`.  ES_INVALID, with a problem:
 * an item is empty, malformed or over ES_TYPE_MAX, or there are more than
 * ES_FILTER_TYPES_MAX.
 */
es_rc_t es_filter_types(es_filter_t *filter, es_str_t text,
    es_problem_t *problem);

/* Sets the subject.  `scratch` receives its escaped form, up to 6 bytes for
   each byte, and must live as long as the filter. */
es_rc_t es_filter_subject(es_filter_t *filter, es_str_t subject,
    es_buf_t *scratch, es_problem_t *problem);

/*
 * The attributes as a reader names them: by a query parameter over HTTP, and by
 * an option of eventsyncctl.  `set` reads the text of one as the two functions
 * above do.
 */
typedef struct {
    const char  *name;
    es_rc_t    (*set)(es_filter_t *filter, es_str_t text, es_buf_t *scratch,
                      es_problem_t *problem);
} es_filter_param_t;

#define ES_FILTER_PARAMS  2

extern const es_filter_param_t  es_filter_params[ES_FILTER_PARAMS];

static inline bool
es_filter_is_all(const es_filter_t *filter)
{
    return filter == NULL || (filter->ntypes == 0 && !filter->by_subject);
}

/* True if the subject is all that the filter asks for.  A new attribute must
   be ruled out here and above. */
static inline bool
es_filter_is_subject(const es_filter_t *filter)
{
    return filter != NULL && filter->by_subject && filter->ntypes == 0;
}

bool es_filter_type_matches(const es_filter_t *filter, es_str_t type);

/*
 * Equality, hash and size of a filter, for caches.  All of them read every
 * attribute, and an assertion beside them fails when es_filter_t gets another.
 *
 * ETags of pages contain the hash, so it must not change between releases.  It
 * is never 0.  A filter for all events, or NULL, hashes to 1 and equals every
 * other such filter.
 */
uint64_t es_filter_hash(const es_filter_t *filter);
bool es_filter_eq(const es_filter_t *one, const es_filter_t *two);

/*
 * Copies a filter with the texts that it points to into `memory`, which has
 * es_filter_size() bytes and the alignment of a pointer.
 */
size_t es_filter_size(const es_filter_t *filter);
es_filter_t *es_filter_copy(const es_filter_t *filter, void *memory);

#endif /* ES_FILTER_H */
