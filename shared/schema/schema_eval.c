/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An instance judged by a compiled schema.
 *
 * One function for each keyword, in a table.  A judgement is over at the first
 * keyword that does not hold, which is what the problem names; within anyOf,
 * oneOf, not, if and contains a failure is no problem, and nobody is told.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "schema/schema.h"
#include "schema/schema_eval.h"
#include "schema/schema_node.h"
#include "schema/schema_regex.h"

#define ES_JUDGE_DEPTH    8192
#define ES_REGEX_WORK     100          /* steps that a match stands for */
#define ES_SHOWN_VALUE    80           /* bytes of a keyword's value shown */

typedef bool (*es_judge_fn)(es_judge_t *j, const es_check_t *check,
    json_t *instance);


bool
es_judge_work(es_judge_t *j, size_t steps)
{
    j->work -= (int64_t) steps;

    if (j->work < 0 && j->rc == ES_OK) {
        j->rc = ES_TOO_LARGE;
    }

    return j->rc == ES_OK;
}


static void
es_place_print(const es_judge_t *j, const es_place_t *place, char *pointer,
    size_t size)
{
    char  index[24];

    if (place == NULL) {
        (void) snprintf(pointer, size, "%s", j->root);
        return;
    }

    es_place_print(j, place->above, pointer, size);

    if (place->name != NULL) {
        es_pointer_add(pointer, size, es_str(place->name));
        return;
    }

    (void) snprintf(index, sizeof(index), "%zu", place->index);
    es_pointer_add(pointer, size, es_str(index));
}


/* Always false.  `name` is a member that is missing or too many, or NULL. */

bool
es_judge_fail(es_judge_t *j, const es_check_t *by, const char *name)
{
    char   pointer[sizeof(j->problem->pointer)];
    char  *text;

    if (j->quiet > 0 || j->problem->rc != ES_OK) {
        return false;
    }

    es_place_print(j, j->place, pointer, sizeof(pointer));

    if (by == NULL) {
        (void) es_problem_set(j->problem, ES_MISMATCH, -1, pointer,
                              "the schema allows nothing");
        return false;
    }

    if (name != NULL) {
        (void) es_problem_set(j->problem, ES_MISMATCH, -1, pointer,
                              "\"%s\" needs the member \"%s\"",
                              es_keyword_name(by->kw), name);

    } else {
        text = json_dumps(by->value, JSON_COMPACT | JSON_ENCODE_ANY
                                     | JSON_ENSURE_ASCII);

        (void) es_problem_set(j->problem, ES_MISMATCH, -1, pointer,
                              "\"%s\":%.*s%s does not allow it",
                              es_keyword_name(by->kw), ES_SHOWN_VALUE,
                              text ? text : "",
                              text && strlen(text) > ES_SHOWN_VALUE ? "..."
                                                                    : "");
        free(text);
    }

    (void) es_problem_keyword(j->problem, es_keyword_name(by->kw));

    return false;
}


bool
es_judge_says(es_judge_t *j, const es_check_t *check, bool holds)
{
    return holds || es_judge_fail(j, check, NULL);
}


bool
es_judge_at(es_judge_t *j, const es_node_t *node, const es_check_t *by,
    json_t *instance, const char *name, size_t index)
{
    bool        holds;
    es_place_t  place = { j->place, name, index };

    j->place = &place;
    holds = es_judge_node(j, node, by, instance);
    j->place = place.above;

    return holds;
}


bool
es_judge_quietly(es_judge_t *j, const es_node_t *node, json_t *instance)
{
    bool  holds;

    j->quiet++;
    holds = es_judge_node(j, node, NULL, instance);
    j->quiet--;

    return holds;
}


bool
es_judge_regex(es_judge_t *j, const es_regex_t *regex, es_str_t text)
{
    es_rc_t  rc;

    if (!es_judge_work(j, ES_REGEX_WORK + text.len)) {
        return false;
    }

    rc = es_regex_match(regex, text, &j->room);

    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        j->rc = rc;
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
es_judge_type(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    return es_judge_says(j, check, es_value_types(instance) & check->types);
}


/* The smaller of the two bounds what a comparison costs. */

static bool
es_judge_enum(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t   i;
    json_t  *value;

    json_array_foreach(check->value, i, value) {
        if (!es_judge_work(j, es_value_work(value))) {
            return false;
        }

        if (es_value_equal(value, instance)) {
            return true;
        }
    }

    return es_judge_fail(j, check, NULL);
}


static bool
es_judge_const(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    return es_judge_work(j, es_value_work(check->value))
           && es_judge_says(j, check, es_value_equal(check->value, instance));
}


/* ---- numbers ---- */


static bool
es_judge_multiple(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    return !json_is_number(instance)
           || (es_judge_work(j, 20)
               && es_judge_says(j, check,
                                es_value_multiple(instance, check->value)));
}


static bool
es_judge_bound(es_judge_t *j, const es_check_t *check, json_t *instance)
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
    default: /* ES_KW_EXCLUSIVE_MINIMUM */
        holds = order > 0;
    }

    return es_judge_says(j, check, holds);
}


/* ---- strings ---- */


static bool
es_judge_length(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t  n;

    if (!json_is_string(instance)) {
        return true;
    }

    if (!es_judge_work(j, json_string_length(instance) / 16)) {
        return false;
    }

    n = es_value_length(instance);

    return es_judge_says(j, check, check->kw == ES_KW_MAX_LENGTH
                                   ? n <= check->count : n >= check->count);
}


static bool
es_judge_pattern(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    return !json_is_string(instance)
           || es_judge_says(j, check, es_judge_regex(j, check->regex,
                                                     es_value_str(instance)));
}


/* ---- schemas at the same place ---- */


static bool
es_judge_all(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t  i;

    for (i = 0; i < check->n; i++) {
        if (!es_judge_node(j, check->nodes[i], check, instance)) {
            return false;
        }
    }

    return true;
}


static bool
es_judge_any(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t  i;

    for (i = 0; i < check->n && j->rc == ES_OK; i++) {
        if (es_judge_quietly(j, check->nodes[i], instance)) {
            return true;
        }
    }

    return es_judge_fail(j, check, NULL);
}


static bool
es_judge_one(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t    i;
    unsigned  found;

    for (i = 0, found = 0; i < check->n && found < 2; i++) {
        found += es_judge_quietly(j, check->nodes[i], instance);
    }

    return es_judge_says(j, check, found == 1);
}


static bool
es_judge_not(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    return es_judge_says(j, check,
                         !es_judge_quietly(j, check->nodes[0], instance));
}


static bool
es_judge_if(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    const es_node_t  *node;

    node = es_judge_quietly(j, check->nodes[0], instance) ? check->nodes[1]
                                                          : check->nodes[2];

    return node == NULL || es_judge_node(j, node, check, instance);
}


/* In the order of es_kw_t. */

static const es_judge_fn  es_judges[ES_KW_CHECKS] = {
    es_judge_type,
    es_judge_enum,
    es_judge_const,
    es_judge_multiple,
    es_judge_bound,
    es_judge_bound,
    es_judge_bound,
    es_judge_bound,
    es_judge_length,
    es_judge_length,
    es_judge_pattern,
    es_judge_nitems,
    es_judge_nitems,
    es_judge_unique,
    es_judge_prefix,
    es_judge_items,
    es_judge_contains,
    es_judge_nmembers,
    es_judge_nmembers,
    es_judge_required,
    es_judge_properties,
    es_judge_patterns,
    es_judge_additional,
    es_judge_names,
    es_judge_dependent,
    es_judge_dependents,
    es_judge_all,                          /* $ref: of one */
    es_judge_all,
    es_judge_any,
    es_judge_one,
    es_judge_not,
    es_judge_if
};


bool
es_judge_node(es_judge_t *j, const es_node_t *node, const es_check_t *by,
    json_t *instance)
{
    bool    holds;
    size_t  i;

    if (!es_judge_work(j, 1)) {
        return false;
    }

    if (node->never) {
        return es_judge_fail(j, by, NULL);
    }

    if (j->depth == ES_JUDGE_DEPTH) {
        j->rc = ES_TOO_LARGE;
        return false;
    }

    j->depth++;
    holds = true;

    for (i = 0; i < node->n && holds; i++) {
        holds = es_judge_work(j, 1)
                && es_judges[node->checks[i].kw](j, &node->checks[i],
                                                 instance);
    }

    j->depth--;

    return holds;
}


es_rc_t
es_schema_judge_json(const es_node_t *node, json_t *instance,
    const char *root, int64_t *work, es_problem_t *problem)
{
    bool          holds;
    es_judge_t    j = { 0 };
    es_problem_t  ignored = { 0 };

    j.problem = problem ? problem : &ignored;
    j.problem->rc = ES_OK;
    j.root = root;
    j.work = *work;
    j.rc = ES_OK;

    holds = es_judge_node(&j, node, NULL, instance);

    es_regex_room_free(&j.room);
    *work = j.work;

    switch (j.rc) {

    case ES_OK:
        return holds ? ES_OK : ES_MISMATCH;

    case ES_NOMEM:
        return es_problem_set(j.problem, ES_NOMEM, -1, NULL, "out of memory");

    default:
        return es_problem_set(j.problem, ES_MISMATCH, -1, root,
                              "the schema takes too long to judge it");
    }
}


es_rc_t
es_schema_judge(const es_schema_t *schema, es_str_t text, const char *root,
    es_problem_t *problem)
{
    json_t        *instance;
    es_rc_t        rc;
    int64_t        work;
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
                              "no schema can judge it: %s", error.text);
    }

    work = ES_SCHEMA_WORK_MAX;
    rc = es_schema_judge_json(schema->root, instance, root, &work, problem);
    json_decref(instance);

    return rc;
}
