/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes the members of endpoints that select the events: feeds, types,
 * subject and start.
 */

#include <jansson.h>
#include <string.h>

#include "base/base.h"
#include "base/json.h"
#include "base/pool.h"
#include "event/attribute.h"
#include "event/filter.h"
#include "registry/endpoint_members.h"
#include "registry/member.h"
#include "registry/registry.h"

static const es_word_t  es_starts[] = {
    { "latest", false },
    { "oldest", true },
    { NULL, 0 }
};


es_rc_t
es_take_feeds(es_record_t *r, es_endpoint_t *out)
{
    return es_take_patterns(r, "/feeds", 1, ES_PATTERNS_MAX, &out->feeds);
}


/* Parses the types as the comma-separated list of a poll, so that both follow
   the same rules. */

es_rc_t
es_take_types(es_record_t *r, es_endpoint_t *out)
{
    char        item[ES_POINTER_MAX];
    char       *p;
    json_t     *array, *value;
    size_t      i, len;
    es_rc_t     rc;
    es_str_t    list;

    rc = es_take_array(r, "/types", 0, ES_FILTER_TYPES_MAX, &array);
    if (rc != ES_OK || array == NULL || json_array_size(array) == 0) {
        return rc;
    }

    len = 0;

    json_array_foreach(array, i, value) {
        if (!json_is_string(value)
            || memchr(json_string_value(value), ',',
                      json_string_length(value)) != NULL)
        {
            return es_fault(r, es_item_pointer("/types", i, item),
                            "must be a type, or a prefix such as \"order.*\"");
        }

        len += json_string_length(value) + 1;
    }

    p = es_pool_alloc(r->pool, len);
    if (p == NULL) {
        return es_nomem(r);
    }

    list.data = p;

    json_array_foreach(array, i, value) {
        memcpy(p, json_string_value(value), json_string_length(value));
        p += json_string_length(value);
        *p++ = ',';
    }

    list.len = (size_t) (p - list.data) - 1;

    if (es_filter_types(&out->filter, list, r->problem) != ES_OK) {
        return es_fault(r, "/types", "has a type that is empty, malformed or "
                        "over 255 bytes");
    }

    return ES_OK;
}


es_rc_t
es_take_subject(es_record_t *r, es_endpoint_t *out)
{
    char      *p;
    es_rc_t    rc;
    es_str_t   subject;

    subject = es_null_str;

    rc = es_take_str(r, "/subject", false, &subject);
    if (rc != ES_OK || subject.data == NULL) {
        return rc;
    }

    if (subject.len > ES_ATTR_MAX) {
        return es_fault(r, "/subject", "may have at most 1024 bytes");
    }

    p = es_pool_alloc(r->pool, subject.len * 6);
    if (p == NULL) {
        return es_nomem(r);
    }

    out->filter.by_subject = true;
    out->filter.subject.data = p;
    out->filter.subject.len = (size_t) (es_json_encode(subject, p) - p);

    return ES_OK;
}


es_rc_t
es_take_start(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t   rc;
    unsigned  oldest;

    oldest = false;

    rc = es_take_word(r, "/start", es_starts, &oldest);
    out->from_oldest = oldest;

    return rc;
}
