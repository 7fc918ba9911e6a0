/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The inside of the comparison: schema_compat.c, and for the members of
 * objects schema_compat_object.c.
 */

#ifndef ES_SCHEMA_COMPAT_H
#define ES_SCHEMA_COMPAT_H

#include "schema/schema_node.h"

typedef struct es_pair  es_pair_t;

struct es_pair {
    const es_node_t  *old;
    const es_node_t  *new;
    const es_pair_t  *above;
};

typedef struct {
    es_problem_t     *problem;
    const es_pair_t  *pair;        /* innermost */
    const es_node_t  *whole;       /* the old schema of the pair */
    int64_t           work;
    unsigned          depth;
    unsigned          strict;      /* the exception does not apply */
} es_compat_t;

/* An empty schema. */
extern const es_node_t  es_anything;

/* Counts a step.  False: there are none left. */
bool es_compat_work(es_compat_t *c);

/* Records the first failure.  Always returns false. */
bool es_compat_fail(es_compat_t *c, const es_node_t *new,
    const es_check_t *check, const char *why);

/* True if the new schema accepts all that the old one accepts. */
bool es_includes(es_compat_t *c, const es_node_t *old, const es_node_t *new);

typedef bool (*es_says_fn)(es_compat_t *c, const es_node_t *old, void *ctx);

/* True if `says` holds for the node, or for a part of the conjunction that
   it is. */
bool es_somewhere(es_compat_t *c, const es_node_t *old, es_says_fn says,
    void *ctx);

/* True if the old schema implies the check. */
bool es_implied_properties(es_compat_t *c, const es_node_t *old,
    const es_node_t *new, const es_check_t *check);
bool es_implied_patterns(es_compat_t *c, const es_node_t *old,
    const es_check_t *check);
bool es_implied_additional(es_compat_t *c, const es_node_t *old,
    const es_check_t *check);
bool es_implied_required(es_compat_t *c, const es_node_t *old,
    const es_node_t *new, const es_check_t *check);
bool es_implied_dependent(es_compat_t *c, const es_node_t *old,
    const es_check_t *check);
bool es_implied_dependents(es_compat_t *c, const es_node_t *old,
    const es_check_t *check);

#endif /* ES_SCHEMA_COMPAT_H */
