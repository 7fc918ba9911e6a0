/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The inside of validation: schema_eval.c has values and logic, and
 * schema_eval_parts.c descends into arrays and objects.
 */

#ifndef ES_SCHEMA_EVAL_H
#define ES_SCHEMA_EVAL_H

#include "schema/schema_node.h"
#include "schema/schema_regex.h"

/* A place in the instance, linked up to its root: a name, or without one an
   index. */
typedef struct es_location  es_location_t;

struct es_location {
    const es_location_t  *above;
    const char           *name;
    size_t                index;
};

struct es_eval {
    es_problem_t         *problem;
    const char           *root;
    const es_location_t  *location;
    int64_t               work;        /* steps left */
    unsigned              depth;
    unsigned              quiet;       /* failures set no problem */
    es_rc_t               rc;          /* ES_OK, or why validation is
                                          impossible */
    es_regex_room_t       room;
};

/* Counts steps.  False: there are none left, or validation has failed. */
bool es_eval_work(es_eval_t *e, size_t steps);

/* Always returns false.  `name` is a missing member, or NULL. */
bool es_eval_fail(es_eval_t *e, const es_check_t *by, const char *name);

/* Returns `holds`; if it is false, the check has failed. */
bool es_eval_says(es_eval_t *e, const es_check_t *check, bool holds);

/* `by` is the keyword that applies the node; NULL at the top. */
bool es_eval_node(es_eval_t *e, const es_node_t *node, const es_check_t *by,
    json_t *instance);

/* The same one level down, for a member by its name or an item by its
   index. */
bool es_eval_at(es_eval_t *e, const es_node_t *node, const es_check_t *by,
    json_t *instance, const char *name, size_t index);

/* The same, but a failure sets no problem. */
bool es_eval_quietly(es_eval_t *e, const es_node_t *node, json_t *instance);

bool es_eval_regex(es_eval_t *e, const es_regex_t *regex, es_str_t text);

/* Returns the most that a comparison with the value may cost. */
size_t es_value_work(const json_t *value);

/* Keywords of arrays and objects.  They hold for everything else. */
bool es_eval_nitems(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_unique(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_prefix(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_items(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_contains(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_nmembers(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_required(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_properties(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_patterns(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_additional(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_names(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_dependent(es_eval_t *e, const es_check_t *check,
    json_t *instance);
bool es_eval_dependents(es_eval_t *e, const es_check_t *check,
    json_t *instance);

#endif /* ES_SCHEMA_EVAL_H */
