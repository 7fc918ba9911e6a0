/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which events a consumer is sent: by type and by subject.
 */

#ifndef ES_FILTER_H
#define ES_FILTER_H

#include "base/base.h"

#define ES_FILTER_TYPES_MAX  32
#define ES_ATTR_MAX          1024    /* bytes of one attribute's value */
#define ES_TYPE_MAX          255     /* and of a type, a key of the log */

typedef struct {
    es_str_t  name;        /* without a "*" at the end */
    bool      prefix;      /* "order.*": every type that begins "order." */
} es_type_pattern_t;

typedef struct {
    unsigned           ntypes;     /* 0: every type */
    es_type_pattern_t  types[ES_FILTER_TYPES_MAX];
    bool               by_subject;
    es_str_t           subject;    /* as in JSON text, that is escaped */
} es_filter_t;

/*
 * Parses a comma list of types ("order.created,price.*"; "*" alone is all).
 * `filter` keeps pointers into `text`.  ES_INVALID with a problem for an
 * empty or malformed item, one over ES_TYPE_MAX, or more than
 * ES_FILTER_TYPES_MAX.
 */
es_rc_t es_filter_types(es_filter_t *filter, es_str_t text,
    es_problem_t *problem);

/* Sets the subject; `scratch` holds its escaped form (6 bytes a byte). */
es_rc_t es_filter_subject(es_filter_t *filter, es_str_t subject,
    es_buf_t *scratch, es_problem_t *problem);

static inline bool
es_filter_is_all(const es_filter_t *filter)
{
    return filter == NULL || (filter->ntypes == 0 && !filter->by_subject);
}

bool es_filter_type_matches(const es_filter_t *filter, es_str_t type);

/*
 * What a cache needs of a filter.  The three below read every attribute, and
 * an assertion beside them fails when es_filter_t gets another one.
 *
 * ETags of pages are made of the hash, so it must not change between
 * releases.  It is never 0.  A filter that is all events, or NULL, hashes as
 * 1 and equals every other of that kind.
 */
uint64_t es_filter_hash(const es_filter_t *filter);
bool es_filter_eq(const es_filter_t *one, const es_filter_t *two);

/*
 * Copies a filter together with the texts that it points to into `memory`,
 * which is aligned as for a pointer and has es_filter_size() bytes.
 */
size_t es_filter_size(const es_filter_t *filter);
es_filter_t *es_filter_copy(const es_filter_t *filter, void *memory);

#endif /* ES_FILTER_H */
