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
    bool pointers, es_fields_list_t *out)
{
    char         item[ES_POINTER_MAX];
    json_t      *value;
    size_t       i;
    es_str_t    *entries;
    const char  *fault;

    if (!json_is_array(array)) {
        return es_fault(r, pointer, pointers
                        ? "must be an array of JSON Pointers"
                        : "must be an array of JSON Pointers and names of "
                          "extension attributes");
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

        if (fault == NULL && pointers && json_string_length(value) > 0
            && json_string_value(value)[0] != '/')
        {
            fault = "must be a JSON Pointer, which begins with \"/\": "
                    "attributes are not encrypted";
        }

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


/* What one of the lists encrypts is encrypted. */

static es_rc_t
es_field_lists_encrypt(const es_field_list_t *const *lists, size_t n,
    es_pool_t *pool, es_fields_list_t *out)
{
    size_t     i, j;
    es_str_t  *entries;

    out->n = 0;

    for (i = 0; i < n; i++) {
        out->n += lists[i]->encrypt.n;
    }

    entries = es_pool_alloc(pool, out->n * sizeof(es_str_t));
    if (entries == NULL) {
        return ES_NOMEM;
    }

    out->entries = entries;

    for (i = 0; i < n; i++) {
        for (j = 0; j < lists[i]->encrypt.n; j++) {
            *entries++ = lists[i]->encrypt.entries[j];
        }
    }

    return ES_OK;
}


/* `key` may be NULL.  An event with a value to be encrypted is then refused. */

static es_rc_t
es_field_list_compile(const es_field_list_t *const *lists, size_t n,
    const es_jwe_key_t *key, es_pool_t *pool, const es_fields_t **out)
{
    size_t              i;
    es_rc_t             rc;
    es_fields_list_t    allow[2];
    es_fields_source_t  source = { .allow = allow };

    for (i = 0; i < n; i++) {
        if (!lists[i]->all) {
            allow[source.nallow++] = lists[i]->allow;
        }
    }

    rc = es_field_lists_encrypt(lists, n, pool, &source.encrypt);
    if (rc != ES_OK) {
        return rc;
    }

    if (key != NULL && source.encrypt.n > 0) {
        source.key.data = (const char *) key;
        source.key.len = sizeof(es_jwe_key_t);
    }

    return es_fields_compile(&source, pool, out);
}


static es_rc_t
es_field_list_members(es_record_t *r, const char *pointer, json_t *object,
    es_field_list_t *out)
{
    char               member[ES_POINTER_MAX];
    json_t            *value;
    es_rc_t            rc;
    const char        *name;
    es_fields_list_t  *list;

    out->all = true;

    json_object_foreach(object, name, value) {
        (void) strcpy(member, pointer);
        es_pointer_add(member, sizeof(member), es_str(name));

        if (strcmp(name, "allow") == 0) {
            out->all = false;
            list = &out->allow;

        } else if (strcmp(name, "encrypt") == 0) {
            list = &out->encrypt;

        } else {
            return es_fault(r, member, "is not a member of a field list");
        }

        rc = es_field_entries(r, member, value, list == &out->encrypt, list);
        if (rc != ES_OK) {
            return rc;
        }
    }

    if (json_object_size(object) == 0) {
        (void) strcpy(member, pointer);
        es_pointer_add(member, sizeof(member), es_lit("allow"));
        return es_fault(r, member, "is missing");
    }

    return ES_OK;
}


/* One pattern with its object. */

static es_rc_t
es_field_list_take(es_record_t *r, const char *name, json_t *object,
    const es_jwe_key_t *key, bool keyless, es_field_list_t *out)
{
    char                    pointer[ES_POINTER_MAX] = "/fields";
    es_rc_t                 rc;
    const es_field_list_t  *list = out;

    es_pointer_add(pointer, sizeof(pointer), es_str(name));

    if (!es_pattern_ok(es_str(name))) {
        return es_fault(r, pointer, "must be a feed's name, or its start and "
                        "'*'");
    }

    if (!json_is_object(object)) {
        return es_fault(r, pointer, "must be an object with \"allow\" or "
                        "\"encrypt\"");
    }

    out->pattern = es_pool_str(r->pool, es_str(name));
    if (out->pattern.data == NULL) {
        return es_nomem(r);
    }

    rc = es_field_list_members(r, pointer, object, out);

    if (rc == ES_OK && out->encrypt.n > 0 && key == NULL && !keyless) {
        es_pointer_add(pointer, sizeof(pointer), es_lit("encrypt"));
        return es_fault(r, pointer, "needs the member \"encryption_key\" of "
                        "the partner");
    }

    if (rc == ES_OK) {
        rc = es_field_list_compile(&list, 1, key, r->pool, &out->fields);
    }

    return rc == ES_TOO_LARGE
           ? es_fault(r, pointer, "has too many entries with \"*\" that meet")
           : rc;
}


/* The public key of a partner. */

static es_rc_t
es_field_lists_key(es_record_t *r, es_field_lists_t *out)
{
    char           pointer[ES_POINTER_MAX] = "/encryption_key";
    json_t        *jwk;
    const char    *fault, *member;
    es_jwe_key_t  *key;

    jwk = json_object_get(r->object, "encryption_key");

    if (jwk == NULL) {
        return ES_OK;
    }

    key = es_pool_alloc(r->pool, sizeof(es_jwe_key_t));
    if (key == NULL) {
        return es_nomem(r);
    }

    fault = es_jwe_key_read(jwk, key, &member);

    if (fault != NULL) {
        if (member[0] != '\0') {
            es_pointer_add(pointer, sizeof(pointer), es_str(member));
        }

        return es_fault(r, pointer, fault);
    }

    out->key = key;

    return ES_OK;
}


static es_rc_t
es_field_lists_take(es_record_t *r, bool keyless, es_field_lists_t *out)
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
        rc = es_field_list_take(r, name, value, out->key, keyless,
                                &out->lists[out->n]);
        if (rc != ES_OK) {
            return rc;
        }

        out->n++;
    }

    return ES_OK;
}


es_rc_t
es_take_field_lists(es_record_t *r, bool partner, es_field_lists_t *out)
{
    es_rc_t  rc;

    rc = partner ? es_field_lists_key(r, out) : ES_OK;

    if (rc == ES_OK) {
        rc = es_field_lists_take(r, !partner, out);
    }

    if (rc == ES_INVALID) {
        out->unreadable = true;
        return ES_OK;
    }

    return rc;
}


es_rc_t
es_take_fields(es_record_t *r, es_endpoint_t *out)
{
    return es_take_field_lists(r, false, &out->fields);
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


/* A list without a key, or one that is too intricate, refuses its events. */

static es_rc_t
es_field_lists_compile(const es_field_list_t *const *lists, size_t n,
    const es_jwe_key_t *key, es_pool_t *pool, const es_fields_t **out)
{
    size_t   i;
    es_rc_t  rc;

    rc = ES_OK;

    for (i = 0; i < n && key == NULL; i++) {
        if (lists[i]->encrypt.n > 0) {
            rc = ES_DENIED;
        }
    }

    if (rc == ES_OK) {
        rc = es_field_list_compile(lists, n, key, pool, out);
    }

    if (rc == ES_NOMEM) {
        return rc;
    }

    if (rc != ES_OK) {
        *out = es_fields_unreadable;
    }

    return ES_OK;
}


static es_rc_t
es_field_lists_pairs(es_field_lists_t *endpoint, size_t i,
    const es_field_lists_t *partner, es_pool_t *pool)
{
    size_t                  j;
    es_rc_t                 rc;
    es_field_pair_t        *pair;
    const es_field_list_t  *both[2];

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

        rc = es_field_lists_compile(both, 2, partner->key, pool,
                                    &pair->fields);
        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


es_rc_t
es_field_lists_pair(es_field_lists_t *endpoint,
    const es_field_lists_t *partner, es_pool_t *pool)
{
    size_t                  i;
    es_rc_t                 rc;
    const es_field_list_t  *own;

    if (endpoint->n == 0) {
        return ES_OK;
    }

    endpoint->pairs = es_pool_alloc(pool, endpoint->n * partner->n
                                          * sizeof(es_field_pair_t));
    if (endpoint->pairs == NULL) {
        return ES_NOMEM;
    }

    rc = ES_OK;

    for (i = 0; i < endpoint->n && rc == ES_OK; i++) {
        own = &endpoint->lists[i];

        if (own->encrypt.n > 0) {
            rc = es_field_lists_compile(&own, 1, partner->key, pool,
                                        &endpoint->lists[i].fields);
        }

        if (rc == ES_OK) {
            rc = es_field_lists_pairs(endpoint, i, partner, pool);
        }
    }

    return rc;
}


const es_field_pair_t *
es_field_lists_intricate(const es_field_lists_t *endpoint,
    const es_field_lists_t *partner)
{
    bool                    keyless;
    size_t                  i;
    const es_field_pair_t  *pair;

    for (i = 0; i < endpoint->npairs; i++) {
        pair = &endpoint->pairs[i];
        keyless = partner->key == NULL
                  && pair->partner->encrypt.n + pair->endpoint->encrypt.n > 0;

        if (pair->fields == es_fields_unreadable && !keyless) {
            return pair;
        }
    }

    return NULL;
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
