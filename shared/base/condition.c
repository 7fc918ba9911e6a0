/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Evaluates If-Match and If-None-Match.
 *
 * If-Match compares strongly, If-None-Match weakly (RFC 9110, sections 13.1.1
 * and 13.1.2).
 */

#include "base/base.h"
#include "base/condition.h"


/* True if the list has the entity tag.  With `weak` a weak tag matches,
   too. */

static bool
es_etag_listed(es_str_t list, es_str_t etag, bool weak)
{
    const char  *p, *end, *tag;

    p = list.data;
    end = p + list.len;

    while (p < end) {
        if (*p == ' ' || *p == '\t' || *p == ',') {
            p++;
            continue;
        }

        tag = p;
        if (weak && end - tag > 2 && tag[0] == 'W' && tag[1] == '/') {
            tag += 2;
        }

        /* the tags of this project have no comma */

        while (p < end && *p != ',') {
            p++;
        }

        list.data = tag;
        list.len = (size_t) (p - tag);

        while (list.len > 0 && (list.data[list.len - 1] == ' '
                                || list.data[list.len - 1] == '\t'))
        {
            list.len--;
        }

        if (es_str_eq(list, etag)) {
            return true;
        }
    }

    return false;
}


bool
es_condition_met(const es_condition_t *condition, es_str_t etag)
{
    bool      exists;
    es_str_t  match, none, any = es_lit("*");

    match = condition->if_match;
    none = condition->if_none_match;
    exists = etag.data != NULL;

    if (match.data != NULL
        && !(exists && (es_str_eq(match, any)
                        || es_etag_listed(match, etag, false))))
    {
        return false;
    }

    return none.data == NULL
           || !(exists && (es_str_eq(none, any)
                           || es_etag_listed(none, etag, true)));
}
