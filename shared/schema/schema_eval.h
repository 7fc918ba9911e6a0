/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Inside of the judge: schema_eval.c has values and logic,
 * schema_eval_parts.c what goes into arrays and objects.
 */

#ifndef ES_SCHEMA_JUDGE_H
#define ES_SCHEMA_JUDGE_H

#include "schema/schema_node.h"
#include "schema/schema_regex.h"

/* Where in the instance, up to its root: a name, or with none an index. */
typedef struct es_place  es_place_t;

struct es_place {
    const es_place_t  *above;
    const char        *name;
    size_t             index;
};

struct es_judge {
    es_problem_t      *problem;
    const char        *root;
    const es_place_t  *place;
    int64_t            work;           /* steps left */
    unsigned           depth;
    unsigned           quiet;          /* failures are not told */
    es_rc_t            rc;             /* ES_OK, or why it cannot be judged */
    es_regex_room_t    room;
};

/* False when there is no work left, or something failed. */
bool es_judge_work(es_judge_t *j, size_t steps);

/* Always false.  `name` is a member that is missing, or NULL. */
bool es_judge_fail(es_judge_t *j, const es_check_t *by, const char *name);

/* `holds`, or a failure of the check. */
bool es_judge_says(es_judge_t *j, const es_check_t *check, bool holds);

/* `by` is the keyword that applies the node; NULL at the top. */
bool es_judge_node(es_judge_t *j, const es_node_t *node, const es_check_t *by,
    json_t *instance);

/* The same one step down, to a member by its name or else to an item. */
bool es_judge_at(es_judge_t *j, const es_node_t *node, const es_check_t *by,
    json_t *instance, const char *name, size_t index);

/* The same, and a failure is no problem. */
bool es_judge_quietly(es_judge_t *j, const es_node_t *node, json_t *instance);

bool es_judge_regex(es_judge_t *j, const es_regex_t *regex, es_str_t text);

/* What comparing with a value may cost at most. */
size_t es_value_work(const json_t *value);

/* Of arrays and objects; true of all else. */
bool es_judge_nitems(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_unique(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_prefix(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_items(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_contains(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_nmembers(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_required(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_properties(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_patterns(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_additional(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_names(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_dependent(es_judge_t *j, const es_check_t *check,
    json_t *instance);
bool es_judge_dependents(es_judge_t *j, const es_check_t *check,
    json_t *instance);

#endif /* ES_SCHEMA_JUDGE_H */
