/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes and compiles field lists, and finds those of a feed.
 */

#include <jansson.h>

#include "base/base.h"
#include "base/json.h"
#include "base/pool.h"
#include "registry/values.h"
#include "fields/fields.h"
#include "registry/endpoint_members.h"
#include "registry/field_lists.h"
#include "registry/member.h"
#include "registry/patterns.h"
#include "registry/record.h"
#include "registry/registry.h"


/* ---- decoding ---- */


static es_rc_t
es_field_entries(es_record_t *r, const char *pointer, json_t *array,
    es_fields_list_t *out)
{
    char         item[ES_POINTER_MAX];
    json_t      *value;
    size_t       i;
    es_str_t    *entries;
    const char  *fault;

    if (!json_is_array(array)) {
        return es_fault(r, pointer, "must be an array of JSON Pointers and "
                        "names of extension attributes");
    }

    if (json_array_size(array) > ES_FIELDS_ENTRIES) {
        return es_fault(r, pointer, "must have at most 256 entries");
    }

    out->n = json_array_size(array);
    entries = es_pool_alloc(r->pool, out->n * sizeof(es_str_t));
    out->entries = entries;

    if (entries == NULL) {
        return es_nomem(r);
    }

    json_array_foreach(array, i, value) {
        fault = json_is_string(value) ? es_fields_entry(es_text(value))
                                      : "must be a string";
        if (fault != NULL) {
            return es_fault(r, es_item_pointer(pointer, i, item), fault);
        }

        entries[i] = es_pool_str(r->pool, es_text(value));
        if (entries[i].data == NULL) {
            return es_nomem(r);
        }
    }

    return ES_OK;
}


static es_rc_t
es_field_list_compile(const es_field_list_t *const *lists, size_t n,
    es_pool_t *pool, const es_fields_t **out)
{
    size_t              i;
    es_fields_list_t    allow[2];
    es_fields_source_t  source = { .allow = allow };

    for (i = 0; i < n; i++) {
        allow[i] = lists[i]->allow;
    }

    source.nallow = n;

    return es_fields_compile(&source, pool, out);
}


/* One pattern with its object. */

static es_rc_t
es_field_list_take(es_record_t *r, const char *name, json_t *object,
    es_field_list_t *out)
{
    char                    pointer[ES_POINTER_MAX] = "/fields";
    json_t                 *value;
    es_rc_t                 rc;
    const char             *member;
    const es_field_list_t  *list = out;

    es_pointer_add(pointer, sizeof(pointer), es_str(name));

    if (!es_pattern_ok(es_str(name))) {
        return es_fault(r, pointer, "must be a feed's name, or its start and "
                        "'*'");
    }

    if (!json_is_object(object)) {
        return es_fault(r, pointer, "must be an object with \"allow\"");
    }

    json_object_foreach(object, member, value) {
        if (strcmp(member, "allow") != 0) {
            es_pointer_add(pointer, sizeof(pointer), es_str(member));
            return es_fault(r, pointer, "is not a member of a field list");
        }
    }

    es_pointer_add(pointer, sizeof(pointer), es_lit("allow"));
    value = json_object_get(object, "allow");

    if (value == NULL) {
        return es_fault(r, pointer, "is missing");
    }

    out->pattern = es_pool_str(r->pool, es_str(name));
    if (out->pattern.data == NULL) {
        return es_nomem(r);
    }

    rc = es_field_entries(r, pointer, value, &out->allow);

    if (rc == ES_OK) {
        rc = es_field_list_compile(&list, 1, r->pool, &out->fields);
    }

    return rc == ES_TOO_LARGE
           ? es_fault(r, pointer, "has too many entries with \"*\" that meet")
           : rc;
}


static es_rc_t
es_field_lists_take(es_record_t *r, es_field_lists_t *out)
{
    json_t      *object, *value;
    es_rc_t      rc;
    const char  *name;

    object = json_object_get(r->object, "fields");

    if (object == NULL) {
        return ES_OK;
    }

    if (!json_is_object(object)) {
        return es_fault(r, "/fields", "must be an object");
    }

    if (json_object_size(object) > ES_FIELD_LISTS_MAX) {
        return es_fault(r, "/fields", "must have at most 64 patterns");
    }

    out->lists = es_pool_alloc(r->pool, json_object_size(object)
                                        * sizeof(es_field_list_t));
    if (out->lists == NULL) {
        return es_nomem(r);
    }

    json_object_foreach(object, name, value) {
        rc = es_field_list_take(r, name, value, &out->lists[out->n]);
        if (rc != ES_OK) {
            return rc;
        }

        out->n++;
    }

    return ES_OK;
}


es_rc_t
es_take_field_lists(es_record_t *r, es_field_lists_t *out)
{
    es_rc_t  rc;

    rc = es_field_lists_take(r, out);

    if (rc == ES_INVALID) {
        out->unreadable = true;
        return ES_OK;
    }

    return rc;
}


es_rc_t
es_take_fields(es_record_t *r, es_endpoint_t *out)
{
    return es_take_field_lists(r, &out->fields);
}


/* ---- finding ---- */


static bool
es_field_list_matches(es_str_t pattern, es_str_t feed)
{
    const es_patterns_t  one = { 1, &pattern };

    return es_patterns_match(&one, feed);
}


/* Of two patterns that match the same feed, the name or the longer start is
   the more exact one.  "a*" and "a" match the feed "a". */

static bool
es_field_list_longer(const es_field_list_t *list, const es_field_list_t *other)
{
    es_str_t  a = list->pattern, b = other->pattern;

    if (b.data[b.len - 1] != '*') {
        return false;
    }

    return a.data[a.len - 1] != '*' || a.len > b.len;
}


const es_field_list_t *
es_field_lists_find(const es_field_lists_t *lists, es_str_t feed)
{
    size_t                  i;
    const es_field_list_t  *list, *found;

    found = NULL;

    for (i = 0; i < lists->n; i++) {
        list = &lists->lists[i];

        if ((found == NULL || es_field_list_longer(list, found))
            && es_field_list_matches(list->pattern, feed))
        {
            found = list;
        }
    }

    return found;
}


es_rc_t
es_field_lists_pair(es_field_lists_t *endpoint,
    const es_field_lists_t *partner, es_pool_t *pool)
{
    size_t                  i, j;
    es_rc_t                 rc;
    es_field_pair_t        *pair;
    const es_field_list_t  *both[2];

    if (endpoint->n == 0 || partner->n == 0) {
        return ES_OK;
    }

    endpoint->pairs = es_pool_alloc(pool, endpoint->n * partner->n
                                          * sizeof(es_field_pair_t));
    if (endpoint->pairs == NULL) {
        return ES_NOMEM;
    }

    for (i = 0; i < endpoint->n; i++) {
        for (j = 0; j < partner->n; j++) {
            both[0] = &partner->lists[j];
            both[1] = &endpoint->lists[i];

            if (!es_field_list_matches(both[0]->pattern, both[1]->pattern)
                && !es_field_list_matches(both[1]->pattern, both[0]->pattern))
            {
                continue;
            }

            pair = &endpoint->pairs[endpoint->npairs++];
            pair->partner = both[0];
            pair->endpoint = both[1];

            rc = es_field_list_compile(both, 2, pool, &pair->fields);

            if (rc == ES_NOMEM) {
                return rc;
            }

            if (rc != ES_OK) {
                pair->fields = es_fields_unreadable;
            }
        }
    }

    return ES_OK;
}


const es_fields_t *
es_field_lists_fields(const es_field_lists_t *partner,
    const es_field_lists_t *endpoint, es_str_t feed)
{
    size_t                  i;
    const es_field_list_t  *all, *own;

    if (partner->unreadable || (endpoint != NULL && endpoint->unreadable)) {
        return es_fields_unreadable;
    }

    all = es_field_lists_find(partner, feed);
    own = endpoint != NULL ? es_field_lists_find(endpoint, feed) : NULL;

    if (own == NULL || all == NULL) {
        return own != NULL ? own->fields : all != NULL ? all->fields : NULL;
    }

    for (i = 0; i < endpoint->npairs; i++) {
        if (endpoint->pairs[i].partner == all
            && endpoint->pairs[i].endpoint == own)
        {
            return endpoint->pairs[i].fields;
        }
    }

    return es_fields_unreadable;
}


const es_fields_t *
es_partner_fields(const es_partner_t *partner, es_str_t feed)
{
    return partner->fields.n == 0 && !partner->fields.unreadable
           ? NULL : es_field_lists_fields(&partner->fields, NULL, feed);
}


const es_fields_t *
es_endpoint_fields(const es_endpoint_t *endpoint, es_str_t feed)
{
    return endpoint->fields.n == 0 && !endpoint->fields.unreadable
           ? es_partner_fields(endpoint->partner, feed)
           : es_field_lists_fields(&endpoint->partner->fields,
                                   &endpoint->fields, feed);
}
