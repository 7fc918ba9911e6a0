/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Type and subject filters.
 */

#include "base/base.h"
#include "base/json.h"
#include "event/filter.h"

/* One item: a type, or a prefix that ends in ".*". */
static es_rc_t
es_filter_item(es_type_pattern_t *pattern, es_str_t item,
    es_problem_t *problem)
{
    size_t         i;
    unsigned char  c;

    if (item.len > ES_TYPE_MAX) {
        return es_problem_set(problem, ES_INVALID, -1, NULL,
                              "a type in the list is over %d bytes",
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
                                  "a type in the list is malformed: '*' may "
                                  "only stand alone or as \".*\" at the end");
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
                                      "more than %d types in the list",
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
                              "a subject has 1 to %d bytes", ES_ATTR_MAX);
    }

    /* All at once: the pointer below must not move afterwards. */

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
