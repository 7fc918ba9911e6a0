/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keywords that go into arrays and objects.
 */

#include <stdlib.h>

#include "base/base.h"
#include "schema/schema_eval.h"
#include "schema/schema_node.h"


/* ---- arrays ---- */


bool
es_judge_nitems(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t  n;

    n = json_array_size(instance);

    return !json_is_array(instance)
           || es_judge_says(j, check, check->kw == ES_KW_MAX_ITEMS
                                      ? n <= check->count
                                      : n >= check->count);
}


typedef struct {
    uint64_t   hash;
    json_t    *value;
} es_hashed_t;


static int
es_hashed_order(const void *one, const void *two)
{
    const es_hashed_t  *a = one, *b = two;

    return (a->hash > b->hash) - (a->hash < b->hash);
}


/* By hashes: only values that share one are compared. */

bool
es_judge_unique(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    bool          unique;
    size_t        i, k, n;
    es_hashed_t  *items;

    n = json_array_size(instance);

    if (n < 2 || json_is_false(check->value)) {
        return true;
    }

    if (!es_judge_work(j, 4 * es_value_work(instance))) {
        return false;
    }

    items = malloc(n * sizeof(es_hashed_t));
    if (items == NULL) {
        j->rc = ES_NOMEM;
        return false;
    }

    for (i = 0; i < n; i++) {
        items[i].value = json_array_get(instance, i);
        items[i].hash = es_value_hash(items[i].value);
    }

    qsort(items, n, sizeof(es_hashed_t), es_hashed_order);

    unique = true;

    for (i = 0; i < n && unique; i++) {
        for (k = i + 1; k < n && items[k].hash == items[i].hash; k++) {
            if (!es_judge_work(j, es_value_work(items[k].value))
                || es_value_equal(items[i].value, items[k].value))
            {
                unique = false;
                break;
            }
        }
    }

    free(items);

    return es_judge_says(j, check, unique);
}


bool
es_judge_prefix(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t   i;
    json_t  *item;

    json_array_foreach(instance, i, item) {
        if (i == check->n) {
            break;
        }

        if (!es_judge_at(j, check->nodes[i], check, item, NULL, i)) {
            return false;
        }
    }

    return true;
}


bool
es_judge_items(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t  i, n;

    n = json_array_size(instance);

    for (i = check->count; i < n; i++) {
        if (!es_judge_at(j, check->nodes[0], check,
                         json_array_get(instance, i), NULL, i))
        {
            return false;
        }
    }

    return true;
}


bool
es_judge_contains(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t    i;
    json_t   *item;
    uint64_t  found;

    if (!json_is_array(instance)) {
        return true;
    }

    found = 0;

    json_array_foreach(instance, i, item) {
        found += es_judge_quietly(j, check->nodes[0], item);

        if (j->rc != ES_OK) {
            return false;
        }

        if (check->most == UINT64_MAX ? found >= check->count
                                      : found > check->most)
        {
            break;
        }
    }

    return es_judge_says(j, check, found >= check->count
                                   && found <= check->most);
}


/* ---- objects ---- */


bool
es_judge_nmembers(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t  n;

    n = json_object_size(instance);

    return !json_is_object(instance)
           || es_judge_says(j, check, check->kw == ES_KW_MAX_PROPERTIES
                                      ? n <= check->count
                                      : n >= check->count);
}


static bool
es_judge_has(es_judge_t *j, const es_check_t *check, const json_t *names,
    const json_t *instance)
{
    size_t        i;
    const json_t  *name;

    json_array_foreach(names, i, name) {
        if (!es_judge_work(j, 1)) {
            return false;
        }

        if (json_object_get(instance, json_string_value(name)) == NULL) {
            return es_judge_fail(j, check, json_string_value(name));
        }
    }

    return true;
}


bool
es_judge_required(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    return !json_is_object(instance)
           || es_judge_has(j, check, check->value, instance);
}


bool
es_judge_properties(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t              i;
    json_t             *value;
    const es_member_t  *member;

    for (i = 0; json_is_object(instance) && i < check->n; i++) {
        member = &check->members[i];
        value = json_object_get(instance, member->name.data);

        if (!es_judge_work(j, 1)) {
            return false;
        }

        if (value != NULL
            && !es_judge_at(j, member->node, check, value, member->name.data,
                            0))
        {
            return false;
        }
    }

    return true;
}


bool
es_judge_patterns(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t       i;
    json_t      *value;
    const char  *name;

    json_object_foreach(instance, name, value) {
        for (i = 0; i < check->n; i++) {
            if (es_judge_regex(j, check->members[i].regex, es_str(name))
                && !es_judge_at(j, check->members[i].node, check, value, name,
                                0))
            {
                return false;
            }

            if (j->rc != ES_OK) {
                return false;
            }
        }
    }

    return true;
}


static bool
es_judge_is_named(es_judge_t *j, const es_check_t *check, const char *name)
{
    size_t             i;
    const es_check_t  *patterns;

    if (check->properties != NULL
        && json_object_get(check->properties->value, name) != NULL)
    {
        return true;
    }

    patterns = check->patterns;

    for (i = 0; patterns != NULL && i < patterns->n; i++) {
        if (es_judge_regex(j, patterns->members[i].regex, es_str(name))) {
            return true;
        }
    }

    return false;
}


bool
es_judge_additional(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    json_t      *value;
    const char  *name;

    json_object_foreach(instance, name, value) {
        if (!es_judge_work(j, 1)) {
            return false;
        }

        if (!es_judge_is_named(j, check, name)
            && !es_judge_at(j, check->nodes[0], check, value, name, 0))
        {
            return false;
        }
    }

    return true;
}


bool
es_judge_names(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    bool         holds;
    json_t      *value, *text;
    const char  *name;

    json_object_foreach(instance, name, value) {
        text = json_string(name);
        if (text == NULL) {
            j->rc = ES_NOMEM;
            return false;
        }

        holds = es_judge_at(j, check->nodes[0], check, text, name, 0);
        json_decref(text);

        if (!holds) {
            return false;
        }
    }

    return true;
}


bool
es_judge_dependent(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    json_t      *names;
    const char  *name;

    if (!json_is_object(instance)) {
        return true;
    }

    json_object_foreach(check->value, name, names) {
        if (!es_judge_work(j, 1)) {
            return false;
        }

        if (json_object_get(instance, name) != NULL
            && !es_judge_has(j, check, names, instance))
        {
            return false;
        }
    }

    return true;
}


bool
es_judge_dependents(es_judge_t *j, const es_check_t *check, json_t *instance)
{
    size_t  i;

    for (i = 0; i < check->n; i++) {
        if (json_object_get(instance, check->members[i].name.data) != NULL
            && !es_judge_node(j, check->members[i].node, check, instance))
        {
            return false;
        }
    }

    return true;
}
