/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compares two schemas' checks of the members of objects.
 */

#include "base/base.h"
#include "schema/schema_compat.h"
#include "schema/schema_node.h"


/* ---- what the old schema says, wherever it says it ---- */


bool
es_somewhere(es_compat_t *c, const es_node_t *old, es_says_fn says,
    void *ctx)
{
    bool               any;
    size_t             i, j, n;
    const es_check_t  *check;

    if (!es_compat_work(c)) {
        return false;
    }

    if (old->never || says(c, old, ctx)) {
        return true;
    }

    for (i = 0; i < old->n; i++) {
        check = &old->checks[i];

        if (check->kw != ES_KW_REF && check->kw != ES_KW_ALL_OF
            && check->kw != ES_KW_ANY_OF && check->kw != ES_KW_ONE_OF)
        {
            continue;
        }

        for (j = 0, n = 0; j < check->n; j++) {
            n += es_somewhere(c, check->nodes[j], says, ctx);
        }

        any = check->kw == ES_KW_REF || check->kw == ES_KW_ALL_OF;

        if (any ? n > 0 : n == check->n) {
            return true;
        }
    }

    return false;
}


static bool
es_listed_in(const json_t *names, const char *name)
{
    size_t        i;
    const json_t  *item;

    json_array_foreach(names, i, item) {
        if (strcmp(json_string_value(item), name) == 0) {
            return true;
        }
    }

    return false;
}


static bool
es_says_required(es_compat_t *c, const es_node_t *old, void *ctx)
{
    const es_check_t  *check;

    (void) c;

    check = es_node_find(old, ES_KW_REQUIRED);

    return check != NULL && es_listed_in(check->value, ctx);
}


static bool
es_requires(es_compat_t *c, const es_node_t *old, const char *name)
{
    return es_somewhere(c, old, es_says_required, (void *) (uintptr_t) name);
}


/* True if the schema mentions the member anywhere at this place. */

static bool
es_speaks_of(es_compat_t *c, const es_node_t *old, const char *name)
{
    size_t             i, j;
    const es_node_t   *node;
    const es_check_t  *check;

    if (!es_compat_work(c)) {
        return true;
    }

    for (i = 0; i < old->n; i++) {
        check = &old->checks[i];

        switch (check->kw) {

        case ES_KW_PATTERN_PROPERTIES:
        case ES_KW_ADDITIONAL_PROPERTIES:
        case ES_KW_PROPERTY_NAMES:
        case ES_KW_ENUM:
        case ES_KW_CONST:
            return true;

        case ES_KW_REQUIRED:
            if (es_listed_in(check->value, name)) {
                return true;
            }
            break;

        case ES_KW_PROPERTIES:
        case ES_KW_DEPENDENT_REQUIRED:
            if (json_object_get(check->value, name) != NULL) {
                return true;
            }
            break;

        case ES_KW_DEPENDENT_SCHEMAS:
        case ES_KW_REF:
        case ES_KW_ALL_OF:
        case ES_KW_ANY_OF:
        case ES_KW_ONE_OF:
        case ES_KW_NOT:
        case ES_KW_IF:
            for (j = 0; j < check->n; j++) {
                node = check->nodes ? check->nodes[j]
                                    : check->members[j].node;

                if (node != NULL && es_speaks_of(c, node, name)) {
                    return true;
                }
            }
            break;

        default:                   /* does not mention one member */
            break;
        }
    }

    return false;
}


/* ---- objects ---- */


/*
 * The exception: a new schema may constrain a member that the old one does not
 * mention, in an object that the old one leaves open.  Otherwise no minor
 * version of an open schema could ever name an optional member.
 */

static bool
es_member_open(es_compat_t *c, es_str_t name)
{
    return c->strict == 0 && !es_speaks_of(c, c->whole, name.data);
}


static bool
es_says_member(es_compat_t *c, const es_node_t *old, void *ctx)
{
    size_t              i;
    const es_check_t   *check;
    const es_node_t    *rest;
    const es_member_t  *wanted = ctx;

    check = es_node_find(old, ES_KW_PROPERTIES);

    for (i = 0; check != NULL && i < check->n; i++) {
        if (es_str_eq(check->members[i].name, wanted->name)) {
            return es_includes(c, check->members[i].node, wanted->node);
        }
    }

    check = es_node_find(old, ES_KW_PATTERN_PROPERTIES);

    for (i = 0; check != NULL && i < check->n; i++) {
        if (!es_includes(c, check->members[i].node, wanted->node)) {
            return false;
        }
    }

    check = es_node_find(old, ES_KW_ADDITIONAL_PROPERTIES);
    rest = check ? check->nodes[0] : &es_anything;

    return es_includes(c, rest, wanted->node);
}


bool
es_implied_properties(es_compat_t *c, const es_node_t *old,
    const es_node_t *new, const es_check_t *check)
{
    size_t        i;
    es_member_t  *member;
    es_problem_t  saved;

    for (i = 0; i < check->n; i++) {
        member = &check->members[i];
        saved = *c->problem;

        if (!es_member_open(c, member->name)
            && !es_somewhere(c, old, es_says_member, member))
        {
            return es_compat_fail(c, new, check, "is narrower for a member");
        }

        *c->problem = saved;
    }

    return true;
}


/* Each member of the keyword must include the old one's member of the same
   name. */

static bool
es_implied_each(es_compat_t *c, const es_check_t *had,
    const es_check_t *check)
{
    size_t  i, j;

    for (i = 0; i < check->n; i++) {

        for (j = 0; had != NULL && j < had->n; j++) {
            if (es_str_eq(had->members[j].name, check->members[i].name)) {
                break;
            }
        }

        if (!es_includes(c, had != NULL && j < had->n ? had->members[j].node
                                                      : &es_anything,
                         check->members[i].node))
        {
            return false;
        }
    }

    return true;
}


bool
es_implied_patterns(es_compat_t *c, const es_node_t *old,
    const es_check_t *check)
{
    return es_implied_each(c, es_node_find(old, ES_KW_PATTERN_PROPERTIES),
                           check);
}


/* Members of the old check that the new one does not name.  `check` may be
   NULL. */

static bool
es_unnamed_included(es_compat_t *c, const es_check_t *had,
    const es_check_t *now, const es_node_t *rest)
{
    size_t  i;

    for (i = 0; had != NULL && i < had->n; i++) {
        if ((now == NULL
             || json_object_get(now->value, had->members[i].name.data) == NULL)
            && !es_includes(c, had->members[i].node, rest))
        {
            return false;
        }
    }

    return true;
}


bool
es_implied_additional(es_compat_t *c, const es_node_t *old,
    const es_check_t *check)
{
    const es_check_t  *had;

    had = es_node_find(old, ES_KW_ADDITIONAL_PROPERTIES);

    return es_includes(c, had ? had->nodes[0] : &es_anything, check->nodes[0])
           && es_unnamed_included(c, es_node_find(old, ES_KW_PROPERTIES),
                                  check->properties, check->nodes[0])
           && es_unnamed_included(c,
                                  es_node_find(old, ES_KW_PATTERN_PROPERTIES),
                                  check->patterns, check->nodes[0]);
}


bool
es_implied_required(es_compat_t *c, const es_node_t *old,
    const es_node_t *new, const es_check_t *check)
{
    size_t        i;
    const json_t  *name;

    json_array_foreach(check->value, i, name) {
        if (!es_requires(c, old, json_string_value(name))) {
            return es_compat_fail(c, new, check,
                                  "has a member that was optional");
        }
    }

    return true;
}


bool
es_implied_dependent(es_compat_t *c, const es_node_t *old,
    const es_check_t *check)
{
    size_t             i;
    json_t            *names, *item;
    const char        *name;
    const json_t      *had;
    const es_check_t  *before;

    before = es_node_find(old, ES_KW_DEPENDENT_REQUIRED);

    json_object_foreach(check->value, name, names) {
        had = before ? json_object_get(before->value, name) : NULL;

        json_array_foreach(names, i, item) {
            if (!es_listed_in(had, json_string_value(item))
                && !es_requires(c, old, json_string_value(item)))
            {
                return false;
            }
        }
    }

    return true;
}


bool
es_implied_dependents(es_compat_t *c, const es_node_t *old,
    const es_check_t *check)
{
    return es_implied_each(c, es_node_find(old, ES_KW_DEPENDENT_SCHEMAS),
                           check);
}
