/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decides whether a change of an endpoint is also a way to read.
 *
 * A webhook has the events in it.  So a credential that may manage but not
 * read must not choose a URL, nor widen the selection of events.  It may do all
 * else: narrow the selection, pause, rotate secrets, change the schedule.
 */

#include <jansson.h>

#include "base/base.h"
#include "base/json.h"
#include "manage/manage_internal.h"
#include "registry/member.h"


static bool
es_read_covered(const json_t *list, es_str_t pattern)
{
    size_t    i;
    json_t   *item;
    es_str_t  p;

    json_array_foreach(list, i, item) {
        p = es_text(item);

        if (es_str_eq(p, pattern)
            || (p.len > 0 && p.data[p.len - 1] == '*'
                && pattern.len >= p.len - 1
                && memcmp(p.data, pattern.data, p.len - 1) == 0))
        {
            return true;
        }
    }

    return false;
}


/* True if the new list of patterns matches more than the stored one.  A list
   that is missing or empty matches all. */

static bool
es_read_widens(const json_t *was, const json_t *is)
{
    size_t   i;
    json_t  *item;

    if (json_array_size(was) == 0) {
        return false;
    }

    json_array_foreach(is, i, item) {
        if (!es_read_covered(was, es_text(item))) {
            return true;
        }
    }

    return json_array_size(is) == 0;
}


/* The default of a member is as good as its absence. */

static bool
es_read_differs(const json_t *was, const json_t *is, const char *preset)
{
    es_str_t  before, after;

    before = json_is_string(was) ? es_text(was) : es_str(preset);
    after = json_is_string(is) ? es_text(is) : es_str(preset);

    return !es_str_eq(before, after);
}


/* The member that the change must not have; NULL: none. */

static const char *
es_read_member(const json_t *stored, const json_t *change)
{
    json_t      *was, *is;
    const char  *name;

    json_object_foreach((json_t *) (uintptr_t) change, name, is) {
        was = json_object_get(stored, name);

        if ((strcmp(name, "url") == 0 && es_read_differs(was, is, ""))
            || (strcmp(name, "start") == 0
                && es_read_differs(was, is, "latest"))
            || (strcmp(name, "body") == 0 && es_read_differs(was, is, "whole"))
            || (strcmp(name, "subject") == 0 && was != NULL
                && es_read_differs(was, is, ""))
            || ((strcmp(name, "feeds") == 0 || strcmp(name, "types") == 0)
                && es_read_widens(was, is)))
        {
            return name;
        }
    }

    return NULL;
}


es_rc_t
es_manage_reads(es_manage_ctx_t *m, const json_t *stored, const json_t *change,
    es_problem_t *problem)
{
    const char  *name;

    name = m->manage->reads ? NULL : es_read_member(stored, change);

    if (name == NULL) {
        return ES_OK;
    }

    m->managed->refusal = ES_REFUSED_READ;

    return es_problem_set(problem, ES_DENIED, -1, NULL, "This change of "
                          "\"%s\" needs the scope \"read\", too", name);
}
