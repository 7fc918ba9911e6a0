/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Validates an instance against a compiled schema.
 *
 * A table has one function for each keyword.  Validation ends at the first
 * keyword that does not hold, which the problem names.  Within anyOf, oneOf,
 * not, if and contains a failure is no problem, and sets none.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/base.h"
#include "base/json.h"
#include "schema/schema.h"
#include "schema/schema_eval.h"
#include "schema/schema_node.h"
#include "schema/schema_regex.h"

#define ES_EVAL_DEPTH     8192
#define ES_SHOWN_VALUE    80           /* bytes of a keyword's value that
                                          are quoted */

typedef bool (*es_eval_fn)(es_eval_t *e, const es_check_t *check,
    json_t *instance);


bool
es_eval_work(es_eval_t *e, size_t steps)
{
    e->work -= (int64_t) steps;

    if (e->work < 0 && e->rc == ES_OK) {
        e->rc = ES_TOO_LARGE;
    }

    return e->rc == ES_OK;
}


static void
es_location_print(const es_eval_t *e, const es_location_t *location,
    char *pointer, size_t size)
{
    char  index[24];

    if (location == NULL) {
        (void) snprintf(pointer, size, "%s", e->root);
        return;
    }

    es_location_print(e, location->above, pointer, size);

    if (location->name != NULL) {
        es_pointer_add(pointer, size, es_str(location->name));
        return;
    }

    (void) snprintf(index, sizeof(index), "%zu", location->index);
    es_pointer_add(pointer, size, es_str(index));
}


/* Always returns false.  `name` is a missing or surplus member, or NULL. */

bool
es_eval_fail(es_eval_t *e, const es_check_t *by, const char *name)
{
    char   pointer[sizeof(e->problem->pointer)];
    char  *text;

    if (e->quiet > 0 || e->problem->rc != ES_OK) {
        return false;
    }

    es_location_print(e, e->location, pointer, sizeof(pointer));

    if (by == NULL) {
        (void) es_problem_set(e->problem, ES_MISMATCH, -1, pointer,
                              "the schema allows nothing");
        return false;
    }

    if (name != NULL) {
        (void) es_problem_set(e->problem, ES_MISMATCH, -1, pointer,
                              "\"%s\" needs the member \"%s\"",
                              es_keyword_name(by->kw), name);

    } else {
        text = json_dumps(by->value, JSON_COMPACT | JSON_ENCODE_ANY
                                     | JSON_ENSURE_ASCII);

        (void) es_problem_set(e->problem, ES_MISMATCH, -1, pointer,
                              "\"%s\":%.*s%s does not allow it",
                              es_keyword_name(by->kw), ES_SHOWN_VALUE,
                              text ? text : "",
                              text && strlen(text) > ES_SHOWN_VALUE ? "..."
                                                                    : "");
        free(text);
    }

    (void) es_problem_keyword(e->problem, es_keyword_name(by->kw));

    return false;
}


bool
es_eval_says(es_eval_t *e, const es_check_t *check, bool holds)
{
    return holds || es_eval_fail(e, check, NULL);
}


bool
es_eval_at(es_eval_t *e, const es_node_t *node, const es_check_t *by,
    json_t *instance, const char *name, size_t index)
{
    bool           holds;
    es_location_t  location = { e->location, name, index };

    e->location = &location;
    holds = es_eval_node(e, node, by, instance);
    e->location = location.above;

    return holds;
}


bool
es_eval_quietly(es_eval_t *e, const es_node_t *node, json_t *instance)
{
    bool  holds;

    e->quiet++;
    holds = es_eval_node(e, node, NULL, instance);
    e->quiet--;

    return holds;
}


bool
es_eval_regex(es_eval_t *e, const es_regex_t *regex, es_str_t text)
{
    es_rc_t  rc;

    if (e->rc != ES_OK) {
        return false;
    }

    rc = es_regex_match(regex, text, &e->room, &e->work);

    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        e->rc = rc;
    }

    return rc == ES_OK;
}


size_t
es_value_work(const json_t *value)
{
    size_t       i, work;
    json_t      *item;
    const char  *name;

    work = 1;

    if (json_is_string(value)) {
        work += json_string_length(value) / 64;
    }

    json_array_foreach(value, i, item) {
        work += es_value_work(item);
    }

    json_object_foreach((json_t *) (uintptr_t) value, name, item) {
        work += 2 + es_value_work(item);
    }

    return work;
}


/* ---- any type ---- */


static bool
es_eval_type(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    return es_eval_says(e, check, es_value_types(instance) & check->types);
}


/* The smaller of the two bounds the cost of a comparison. */

static bool
es_eval_enum(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t   i;
    json_t  *value;

    json_array_foreach(check->value, i, value) {
        if (!es_eval_work(e, es_value_work(value))) {
            return false;
        }

        if (es_value_equal(value, instance)) {
            return true;
        }
    }

    return es_eval_fail(e, check, NULL);
}


static bool
es_eval_const(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    return es_eval_work(e, es_value_work(check->value))
           && es_eval_says(e, check, es_value_equal(check->value, instance));
}


/* ---- numbers ---- */


static bool
es_eval_multiple(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    return !json_is_number(instance)
           || (es_eval_work(e, 20)
               && es_eval_says(e, check,
                               es_value_multiple(instance, check->value)));
}


static bool
es_eval_bound(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    int   order;
    bool  holds;

    if (!json_is_number(instance)) {
        return true;
    }

    order = es_value_compare(instance, check->value);

    switch (check->kw) {
    case ES_KW_MAXIMUM:
        holds = order <= 0;
        break;
    case ES_KW_EXCLUSIVE_MAXIMUM:
        holds = order < 0;
        break;
    case ES_KW_MINIMUM:
        holds = order >= 0;
        break;
    default:
        ES_ASSERT(check->kw == ES_KW_EXCLUSIVE_MINIMUM);
        holds = order > 0;
    }

    return es_eval_says(e, check, holds);
}


/* ---- strings ---- */


static bool
es_eval_length(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t  n;

    if (!json_is_string(instance)) {
        return true;
    }

    if (!es_eval_work(e, json_string_length(instance) / 16)) {
        return false;
    }

    n = es_value_length(instance);

    return es_eval_says(e, check, check->kw == ES_KW_MAX_LENGTH
                                   ? n <= check->count : n >= check->count);
}


static bool
es_eval_pattern(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    return !json_is_string(instance)
           || es_eval_says(e, check, es_eval_regex(e, check->regex,
                                                   es_text(instance)));
}


/* ---- schemas at the same place ---- */


static bool
es_eval_all(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t  i;

    for (i = 0; i < check->n; i++) {
        if (!es_eval_node(e, check->nodes[i], check, instance)) {
            return false;
        }
    }

    return true;
}


static bool
es_eval_any(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t  i;

    for (i = 0; i < check->n && e->rc == ES_OK; i++) {
        if (es_eval_quietly(e, check->nodes[i], instance)) {
            return true;
        }
    }

    return es_eval_fail(e, check, NULL);
}


static bool
es_eval_one(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t    i;
    unsigned  found;

    for (i = 0, found = 0; i < check->n && found < 2; i++) {
        found += es_eval_quietly(e, check->nodes[i], instance);
    }

    return es_eval_says(e, check, found == 1);
}


static bool
es_eval_not(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    return es_eval_says(e, check,
                        !es_eval_quietly(e, check->nodes[0], instance));
}


static bool
es_eval_if(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    const es_node_t  *node;

    node = es_eval_quietly(e, check->nodes[0], instance) ? check->nodes[1]
                                                          : check->nodes[2];

    return node == NULL || es_eval_node(e, node, check, instance);
}


static const es_eval_fn  es_evaluators[ES_KW_CHECKS] = {
    [ES_KW_TYPE] = es_eval_type,
    [ES_KW_ENUM] = es_eval_enum,
    [ES_KW_CONST] = es_eval_const,
    [ES_KW_MULTIPLE_OF] = es_eval_multiple,
    [ES_KW_MAXIMUM] = es_eval_bound,
    [ES_KW_EXCLUSIVE_MAXIMUM] = es_eval_bound,
    [ES_KW_MINIMUM] = es_eval_bound,
    [ES_KW_EXCLUSIVE_MINIMUM] = es_eval_bound,
    [ES_KW_MAX_LENGTH] = es_eval_length,
    [ES_KW_MIN_LENGTH] = es_eval_length,
    [ES_KW_PATTERN] = es_eval_pattern,
    [ES_KW_MAX_ITEMS] = es_eval_nitems,
    [ES_KW_MIN_ITEMS] = es_eval_nitems,
    [ES_KW_UNIQUE_ITEMS] = es_eval_unique,
    [ES_KW_PREFIX_ITEMS] = es_eval_prefix,
    [ES_KW_ITEMS] = es_eval_items,
    [ES_KW_CONTAINS] = es_eval_contains,
    [ES_KW_MAX_PROPERTIES] = es_eval_nmembers,
    [ES_KW_MIN_PROPERTIES] = es_eval_nmembers,
    [ES_KW_REQUIRED] = es_eval_required,
    [ES_KW_PROPERTIES] = es_eval_properties,
    [ES_KW_PATTERN_PROPERTIES] = es_eval_patterns,
    [ES_KW_ADDITIONAL_PROPERTIES] = es_eval_additional,
    [ES_KW_PROPERTY_NAMES] = es_eval_names,
    [ES_KW_DEPENDENT_REQUIRED] = es_eval_dependent,
    [ES_KW_DEPENDENT_SCHEMAS] = es_eval_dependents,
    [ES_KW_REF] = es_eval_all,           /* a single one */
    [ES_KW_ALL_OF] = es_eval_all,
    [ES_KW_ANY_OF] = es_eval_any,
    [ES_KW_ONE_OF] = es_eval_one,
    [ES_KW_NOT] = es_eval_not,
    [ES_KW_IF] = es_eval_if
};


bool
es_eval_node(es_eval_t *e, const es_node_t *node, const es_check_t *by,
    json_t *instance)
{
    bool    holds;
    size_t  i;

    if (!es_eval_work(e, 1)) {
        return false;
    }

    if (node->never) {
        return es_eval_fail(e, by, NULL);
    }

    if (e->depth == ES_EVAL_DEPTH) {
        e->rc = ES_TOO_LARGE;
        return false;
    }

    e->depth++;
    holds = true;

    for (i = 0; i < node->n && holds; i++) {
        holds = es_eval_work(e, 1)
                && es_evaluators[node->checks[i].kw](e, &node->checks[i],
                                                     instance);
    }

    e->depth--;

    return holds;
}


es_rc_t
es_schema_validate_json(const es_node_t *node, json_t *instance,
    const char *root, int64_t *work, es_problem_t *problem)
{
    bool          holds;
    es_eval_t     e = { 0 };
    es_problem_t  ignored = { 0 };

    e.problem = problem ? problem : &ignored;
    e.problem->rc = ES_OK;
    e.root = root;
    e.work = *work;
    e.rc = ES_OK;

    holds = es_eval_node(&e, node, NULL, instance);

    es_regex_room_free(&e.room);
    *work = e.work;

    switch (e.rc) {

    case ES_OK:
        return holds ? ES_OK : ES_MISMATCH;

    case ES_NOMEM:
        return es_problem_set(e.problem, ES_NOMEM, -1, NULL, "out of memory");

    default:
        return es_problem_set(e.problem, ES_MISMATCH, -1, root,
                              "validation takes too long, by the steps "
                              "that all events of a request share");
    }
}


es_rc_t
es_schema_validate(const es_schema_t *schema, es_str_t text, const char *root,
    int64_t *work, es_problem_t *problem)
{
    json_t        *instance;
    es_rc_t        rc;
    json_error_t   error;

    const size_t  flags = JSON_DECODE_ANY | JSON_ALLOW_NUL
                          | JSON_REJECT_DUPLICATES;

    instance = json_loadb(text.data, text.len, flags, &error);

    if (instance == NULL
        && json_error_code(&error) == json_error_numeric_overflow)
    {
        instance = json_loadb(text.data, text.len,
                              flags | JSON_DECODE_INT_AS_REAL, &error);
    }

    if (instance == NULL) {
        if (json_error_code(&error) == json_error_out_of_memory) {
            return es_problem_set(problem, ES_NOMEM, -1, NULL,
                                  "out of memory");
        }

        return es_problem_set(problem, ES_MISMATCH, -1, root,
                              "the text cannot be validated: %s", error.text);
    }

    rc = es_schema_validate_json(schema->root, instance, root, work, problem);
    json_decref(instance);

    return rc;
}
