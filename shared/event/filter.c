/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Parses, compares and hashes filters.
 */

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/base.h"
#include "base/json.h"
#include "event/filter.h"

/* Parses one item: a type, or a prefix that ends in ".*". */
static es_rc_t
es_filter_item(es_type_pattern_t *pattern, es_str_t item,
    es_problem_t *problem)
{
    size_t         i;
    unsigned char  c;

    if (item.len > ES_TYPE_MAX) {
        return es_problem_set(problem, ES_INVALID, -1, NULL,
                              "a type in the list has more than %d bytes",
                              ES_TYPE_MAX);
    }

    pattern->prefix = item.len > 2 && memcmp(item.data + item.len - 2,
                                             ".*", 2) == 0;
    if (pattern->prefix) {
        item.len--;
    }

    if (item.len == 0) {
        return es_problem_set(problem, ES_INVALID, -1, NULL,
                              "a type in the list is empty");
    }

    for (i = 0; i < item.len; i++) {
        c = (unsigned char) item.data[i];

        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\' || c == '*') {
            return es_problem_set(problem, ES_INVALID, -1, NULL,
                                  "a type in the list is malformed: '*' must "
                                  "stand alone or as \".*\" at the end");
        }
    }

    pattern->name = item;

    return ES_OK;
}


es_rc_t
es_filter_types(es_filter_t *filter, es_str_t text, es_problem_t *problem)
{
    bool         all;
    es_rc_t      rc;
    es_str_t     item;
    unsigned     n;
    const char  *p, *end, *comma;

    p = text.data;
    end = p + text.len;
    all = false;
    n = 0;

    for ( ;; ) {
        comma = p < end ? memchr(p, ',', (size_t) (end - p)) : NULL;
        item.data = p;
        item.len = (size_t) ((comma ? comma : end) - p);

        if (item.len == 1 && *p == '*') {
            all = true;

        } else {
            if (n == ES_FILTER_TYPES_MAX) {
                return es_problem_set(problem, ES_INVALID, -1, NULL,
                                      "the list has more than %d types",
                                      ES_FILTER_TYPES_MAX);
            }

            rc = es_filter_item(&filter->types[n], item, problem);
            if (rc != ES_OK) {
                return rc;
            }

            n++;
        }

        if (comma == NULL) {
            break;
        }

        p = comma + 1;
    }

    filter->ntypes = all ? 0 : n;

    return ES_OK;
}


es_rc_t
es_filter_subject(es_filter_t *filter, es_str_t subject, es_buf_t *scratch,
    es_problem_t *problem)
{
    size_t   start;
    es_rc_t  rc;

    if (subject.len == 0 || subject.len > ES_ATTR_MAX) {
        return es_problem_set(problem, ES_INVALID, -1, NULL,
                              "a subject must have 1 to %d "
                              "bytes", ES_ATTR_MAX);
    }

    /* One reservation, because the pointer below must stay valid. */

    start = scratch->len;

    if (es_buf_reserve(scratch, subject.len * 6) != ES_OK) {
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    rc = es_json_escape(subject, scratch);
    if (rc != ES_OK) {
        return es_problem_set(problem, rc, -1, NULL,
                              "the subject is not valid UTF-8");
    }

    filter->by_subject = true;
    filter->subject.data = scratch->data + start;
    filter->subject.len = scratch->len - start;

    return ES_OK;
}


static es_rc_t
es_filter_types_set(es_filter_t *filter, es_str_t text, es_buf_t *scratch,
    es_problem_t *problem)
{
    (void) scratch;

    return es_filter_types(filter, text, problem);
}


const es_filter_param_t  es_filter_params[ES_FILTER_PARAMS] = {
    { "types", es_filter_types_set },
    { "subject", es_filter_subject }
};


bool
es_filter_type_matches(const es_filter_t *filter, es_str_t type)
{
    unsigned                  i;
    const es_type_pattern_t  *p;

    if (filter->ntypes == 0) {
        return true;
    }

    for (i = 0; i < filter->ntypes; i++) {
        p = &filter->types[i];

        if (type.len >= p->name.len
            && (p->prefix || type.len == p->name.len)
            && memcmp(type.data, p->name.data, p->name.len) == 0)
        {
            return true;
        }
    }

    return false;
}


/*
 * A cache that ignored an attribute would send one client the events of
 * another client's filter.  A new attribute must be added to the four
 * functions below and then to this assertion.  The assertion compares sizes, so
 * it misses a small attribute, such as a bool, that fits into padding.
 */
_Static_assert(sizeof(es_type_pattern_t) == sizeof(es_str_t) + sizeof(void *)
               && offsetof(es_filter_t, subject) + sizeof(es_str_t)
                  == sizeof(es_filter_t)
               && sizeof(es_filter_t)
                  == ES_FILTER_TYPES_MAX * sizeof(es_type_pattern_t)
                     + sizeof(es_str_t) + 2 * sizeof(void *),
               "es_filter_t has an attribute that these functions ignore");


uint64_t
es_filter_hash(const es_filter_t *filter)
{
    unsigned                  i;
    uint64_t                  hash;
    const es_type_pattern_t  *p;

    hash = 1;

    if (filter == NULL) {
        return hash;
    }

    for (i = 0; i < filter->ntypes; i++) {
        p = &filter->types[i];
        hash = XXH3_64bits_withSeed(p->name.data, p->name.len,
                                    hash + p->prefix);
    }

    if (filter->by_subject) {
        hash = XXH3_64bits_withSeed(filter->subject.data, filter->subject.len,
                                    ~hash);
    }

    return hash ? hash : 1;
}


bool
es_filter_eq(const es_filter_t *one, const es_filter_t *two)
{
    unsigned  i;

    if (es_filter_is_all(one) || es_filter_is_all(two)) {
        return es_filter_is_all(one) && es_filter_is_all(two);
    }

    if (one->ntypes != two->ntypes || one->by_subject != two->by_subject) {
        return false;
    }

    for (i = 0; i < one->ntypes; i++) {
        if (one->types[i].prefix != two->types[i].prefix
            || !es_str_eq(one->types[i].name, two->types[i].name))
        {
            return false;
        }
    }

    return !one->by_subject || es_str_eq(one->subject, two->subject);
}


size_t
es_filter_size(const es_filter_t *filter)
{
    size_t    size;
    unsigned  i;

    size = sizeof(es_filter_t);

    for (i = 0; i < filter->ntypes; i++) {
        size += filter->types[i].name.len;
    }

    return filter->by_subject ? size + filter->subject.len : size;
}


static char *
es_filter_copy_text(es_str_t *text, char *p)
{
    memcpy(p, text->data, text->len);
    text->data = p;

    return p + text->len;
}


es_filter_t *
es_filter_copy(const es_filter_t *filter, void *memory)
{
    char         *p;
    unsigned      i;
    es_filter_t  *copy;

    copy = memory;
    *copy = *filter;
    p = (char *) (copy + 1);

    for (i = 0; i < copy->ntypes; i++) {
        p = es_filter_copy_text(&copy->types[i].name, p);
    }

    if (copy->by_subject) {
        (void) es_filter_copy_text(&copy->subject, p);
    }

    return copy;
}
