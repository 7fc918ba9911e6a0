/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keywords that descend into arrays and objects.
 */

#include <stdlib.h>

#include "base/base.h"
#include "schema/schema_eval.h"
#include "schema/schema_node.h"


/* ---- arrays ---- */


bool
es_eval_nitems(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t  n;

    n = json_array_size(instance);

    return !json_is_array(instance)
           || es_eval_says(e, check, check->kw == ES_KW_MAX_ITEMS
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


/* Compares only values with the same hash. */

bool
es_eval_unique(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    bool          unique;
    size_t        i, k, n;
    es_hashed_t  *items;

    n = json_array_size(instance);

    if (n < 2 || json_is_false(check->value)) {
        return true;
    }

    if (!es_eval_work(e, 4 * es_value_work(instance))) {
        return false;
    }

    items = malloc(n * sizeof(es_hashed_t));
    if (items == NULL) {
        e->rc = ES_NOMEM;
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
            if (!es_eval_work(e, es_value_work(items[k].value))
                || es_value_equal(items[i].value, items[k].value))
            {
                unique = false;
                break;
            }
        }
    }

    free(items);

    return es_eval_says(e, check, unique);
}


bool
es_eval_prefix(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t   i;
    json_t  *item;

    json_array_foreach(instance, i, item) {
        if (i == check->n) {
            break;
        }

        if (!es_eval_at(e, check->nodes[i], check, item, NULL, i)) {
            return false;
        }
    }

    return true;
}


bool
es_eval_items(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t  i, n;

    n = json_array_size(instance);

    for (i = check->count; i < n; i++) {
        if (!es_eval_at(e, check->nodes[0], check,
                        json_array_get(instance, i), NULL, i))
        {
            return false;
        }
    }

    return true;
}


bool
es_eval_contains(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t    i;
    json_t   *item;
    uint64_t  found;

    if (!json_is_array(instance)) {
        return true;
    }

    found = 0;

    json_array_foreach(instance, i, item) {
        found += es_eval_quietly(e, check->nodes[0], item);

        if (e->rc != ES_OK) {
            return false;
        }

        if (check->most == UINT64_MAX ? found >= check->count
                                      : found > check->most)
        {
            break;
        }
    }

    return es_eval_says(e, check, found >= check->count
                                   && found <= check->most);
}


/* ---- objects ---- */


bool
es_eval_nmembers(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t  n;

    n = json_object_size(instance);

    return !json_is_object(instance)
           || es_eval_says(e, check, check->kw == ES_KW_MAX_PROPERTIES
                                      ? n <= check->count
                                      : n >= check->count);
}


static bool
es_eval_has(es_eval_t *e, const es_check_t *check, const json_t *names,
    const json_t *instance)
{
    size_t        i;
    const json_t  *name;

    json_array_foreach(names, i, name) {
        if (!es_eval_work(e, 1)) {
            return false;
        }

        if (json_object_get(instance, json_string_value(name)) == NULL) {
            return es_eval_fail(e, check, json_string_value(name));
        }
    }

    return true;
}


bool
es_eval_required(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    return !json_is_object(instance)
           || es_eval_has(e, check, check->value, instance);
}


bool
es_eval_properties(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t              i;
    json_t             *value;
    const es_member_t  *member;

    for (i = 0; json_is_object(instance) && i < check->n; i++) {
        member = &check->members[i];
        value = json_object_get(instance, member->name.data);

        if (!es_eval_work(e, 1)) {
            return false;
        }

        if (value != NULL
            && !es_eval_at(e, member->node, check, value, member->name.data,
                           0))
        {
            return false;
        }
    }

    return true;
}


bool
es_eval_patterns(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t       i;
    json_t      *value;
    const char  *name;

    json_object_foreach(instance, name, value) {
        for (i = 0; i < check->n; i++) {
            if (es_eval_regex(e, check->members[i].regex, es_str(name))
                && !es_eval_at(e, check->members[i].node, check, value, name,
                               0))
            {
                return false;
            }

            if (e->rc != ES_OK) {
                return false;
            }
        }
    }

    return true;
}


static bool
es_eval_is_named(es_eval_t *e, const es_check_t *check, const char *name)
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
        if (es_eval_regex(e, patterns->members[i].regex, es_str(name))) {
            return true;
        }
    }

    return false;
}


bool
es_eval_additional(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    json_t      *value;
    const char  *name;

    json_object_foreach(instance, name, value) {
        if (!es_eval_work(e, 1)) {
            return false;
        }

        if (!es_eval_is_named(e, check, name)
            && !es_eval_at(e, check->nodes[0], check, value, name, 0))
        {
            return false;
        }
    }

    return true;
}


bool
es_eval_names(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    bool         holds;
    json_t      *value, *text;
    const char  *name;

    json_object_foreach(instance, name, value) {
        text = json_string(name);
        if (text == NULL) {
            e->rc = ES_NOMEM;
            return false;
        }

        holds = es_eval_at(e, check->nodes[0], check, text, name, 0);
        json_decref(text);

        if (!holds) {
            return false;
        }
    }

    return true;
}


bool
es_eval_dependent(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    json_t      *names;
    const char  *name;

    if (!json_is_object(instance)) {
        return true;
    }

    json_object_foreach(check->value, name, names) {
        if (!es_eval_work(e, 1)) {
            return false;
        }

        if (json_object_get(instance, name) != NULL
            && !es_eval_has(e, check, names, instance))
        {
            return false;
        }
    }

    return true;
}


bool
es_eval_dependents(es_eval_t *e, const es_check_t *check, json_t *instance)
{
    size_t  i;

    for (i = 0; i < check->n; i++) {
        if (json_object_get(instance, check->members[i].name.data) != NULL
            && !es_eval_node(e, check->members[i].node, check, instance))
        {
            return false;
        }
    }

    return true;
}
