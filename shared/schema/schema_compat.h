/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Inside of the comparison: schema_compat.c has most of it,
 * schema_compat_object.c what the schemas say of an object's members.
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
    unsigned          strict;      /* without the exception */
} es_compat_t;

/* An empty schema. */
extern const es_node_t  es_anything;

/* False when there is no work left. */
bool es_compat_work(es_compat_t *c);

/* Always false.  The first failure is the one that is told. */
bool es_compat_fail(es_compat_t *c, const es_node_t *new,
    const es_check_t *check, const char *why);

/* Whether the new schema accepts all that the old one does. */
bool es_includes(es_compat_t *c, const es_node_t *old, const es_node_t *new);

typedef bool (*es_says_fn)(es_compat_t *c, const es_node_t *old, void *ctx);

/* True if `says` is true of the node or of what it is a conjunction of. */
bool es_somewhere(es_compat_t *c, const es_node_t *old, es_says_fn says,
    void *ctx);

/* The check is implied by the old schema. */
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
