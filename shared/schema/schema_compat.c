/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decides whether a new schema accepts all that an old one accepts.
 *
 * The old schema is a conjunction of checks: its own, those of its $ref and of
 * each of its allOf, and what all of its anyOf have in common.  The new one
 * accepts all of it if each of its checks is implied by one of those.
 * Anything that this does not prove is incompatible: false may mean "cannot
 * tell", true never does.  The only exception is es_member_open(), in
 * schema_compat_object.c.
 *
 * A pair whose comparison is under way further up is assumed to hold.  Schemas
 * have no cycle that does not descend into the instance (schema.c), so this is
 * an induction over the depth of the instance.
 */

#include "base/assert.h"
#include "base/base.h"
#include "schema/schema.h"
#include "schema/schema_compat.h"
#include "schema/schema_node.h"

#define ES_COMPAT_WORK   4000000
#define ES_COMPAT_DEPTH  500

const es_node_t  es_anything = { .path = "" };

static bool es_implied_node(es_compat_t *c, const es_node_t *old,
    const es_node_t *new);


bool
es_compat_fail(es_compat_t *c, const es_node_t *new, const es_check_t *check,
    const char *why)
{
    if (c->problem->rc != ES_OK) {
        return false;
    }

    if (check == NULL) {
        (void) es_problem_set(c->problem, ES_CONFLICT, -1, new->path, "%s",
                              why);
        return false;
    }

    (void) es_problem_set(c->problem, ES_CONFLICT, -1, new->path, "\"%s\" %s",
                          es_keyword_name(check->kw), why);
    (void) es_problem_keyword(c->problem, es_keyword_name(check->kw));

    return false;
}


bool
es_compat_work(es_compat_t *c)
{
    return c->work-- > 0
           || es_compat_fail(c, &es_anything, NULL,
                             "the schemas take too long to compare");
}


/* True if each of the two accepts what the other accepts. */

static bool
es_same(es_compat_t *c, const es_node_t *old, const es_node_t *new)
{
    bool  same;

    c->strict++;
    same = es_includes(c, old, new) && es_includes(c, new, old);
    c->strict--;

    return same;
}


/* ---- arrays ---- */


/* Returns the old schema of the i-th item; NULL: there is none. */

static const es_node_t *
es_item(const es_node_t *old, size_t i)
{
    const es_check_t  *check;

    check = es_node_find(old, ES_KW_MAX_ITEMS);
    if (check != NULL && i >= check->count) {
        return NULL;
    }

    check = es_node_find(old, ES_KW_PREFIX_ITEMS);
    if (check != NULL && i < check->n) {
        return check->nodes[i];
    }

    check = es_node_find(old, ES_KW_ITEMS);

    return check ? check->nodes[0] : &es_anything;
}


static bool
es_implied_item(es_compat_t *c, const es_node_t *old, size_t i,
    const es_node_t *new)
{
    const es_node_t  *item;

    item = es_item(old, i);

    return item == NULL || es_includes(c, item, new);
}


static bool
es_implied_items(es_compat_t *c, const es_node_t *old,
    const es_check_t *check)
{
    size_t             i, n;
    const es_check_t  *prefix;

    if (check->kw == ES_KW_PREFIX_ITEMS) {
        for (i = 0; i < check->n; i++) {
            if (!es_implied_item(c, old, i, check->nodes[i])) {
                return false;
            }
        }

        return true;
    }

    prefix = es_node_find(old, ES_KW_PREFIX_ITEMS);
    n = prefix && prefix->n > check->count ? prefix->n : check->count;

    for (i = check->count; i <= n; i++) {
        if (!es_implied_item(c, old, i, check->nodes[0])) {
            return false;
        }
    }

    return true;
}


static bool
es_implied_contains(es_compat_t *c, const es_check_t *had,
    const es_check_t *check)
{
    if (check->count == 0 && check->most == UINT64_MAX) {
        return true;
    }

    if (had == NULL || had->count < check->count || had->most > check->most) {
        return false;
    }

    return check->most == UINT64_MAX
           ? es_includes(c, had->nodes[0], check->nodes[0])
           : es_same(c, had->nodes[0], check->nodes[0]);
}


/* ---- schemas at the same place ---- */


static bool
es_implied_choice(es_compat_t *c, const es_node_t *old,
    const es_check_t *check)
{
    size_t        i;
    es_problem_t  saved;

    saved = *c->problem;

    for (i = 0; i < check->n; i++) {
        if (es_implied_node(c, old, check->nodes[i])) {
            *c->problem = saved;
            return true;
        }
    }

    return false;
}


/* Only if nothing has changed is it known that no two of them hold. */

static bool
es_implied_one(es_compat_t *c, const es_check_t *had, const es_check_t *check)
{
    size_t  i;

    if (had == NULL || had->n != check->n) {
        return false;
    }

    for (i = 0; i < check->n; i++) {
        if (!es_same(c, had->nodes[i], check->nodes[i])) {
            return false;
        }
    }

    return true;
}


static bool
es_implied_not(es_compat_t *c, const es_check_t *had, const es_check_t *check)
{
    bool  implied;

    if (had == NULL) {
        return false;
    }

    c->strict++;
    implied = es_includes(c, check->nodes[0], had->nodes[0]);
    c->strict--;

    return implied;
}


static bool
es_implied_if(es_compat_t *c, const es_check_t *had, const es_check_t *check)
{
    size_t  i;

    if (had == NULL || !es_same(c, had->nodes[0], check->nodes[0])) {
        return false;
    }

    for (i = 1; i < 3; i++) {
        if (check->nodes[i] != NULL
            && !es_includes(c, had->nodes[i] ? had->nodes[i] : &es_anything,
                            check->nodes[i]))
        {
            return false;
        }
    }

    return true;
}


/* ---- values ---- */


/* Returns the types that a check is about; 0: all. */

static unsigned
es_check_types(es_kw_t kw)
{
    if (kw >= ES_KW_MULTIPLE_OF && kw <= ES_KW_EXCLUSIVE_MINIMUM) {
        return ES_TYPE_NUMBER | ES_TYPE_INTEGER;
    }

    if (kw >= ES_KW_MAX_LENGTH && kw <= ES_KW_PATTERN) {
        return ES_TYPE_STRING;
    }

    if (kw >= ES_KW_MAX_ITEMS && kw <= ES_KW_CONTAINS) {
        return ES_TYPE_ARRAY;
    }

    if (kw >= ES_KW_MAX_PROPERTIES && kw <= ES_KW_DEPENDENT_SCHEMAS) {
        return ES_TYPE_OBJECT;
    }

    return 0;
}


static bool
es_implied_type(unsigned had, unsigned now)
{
    if (now & ES_TYPE_NUMBER) {
        now |= ES_TYPE_INTEGER;
    }

    return had != 0 && (had & ~now) == 0;
}


/* `side` is 1 for a maximum and -1 for a minimum; `open` excludes the
   bound. */

static bool
es_implied_bound(const es_node_t *old, const es_check_t *check, es_kw_t closed,
    es_kw_t open, int side)
{
    const es_check_t  *had;

    had = es_node_find(old, open);
    if (had != NULL
        && side * es_value_compare(had->value, check->value) <= 0)
    {
        return true;
    }

    had = es_node_find(old, closed);

    return had != NULL
           && side * es_value_compare(had->value, check->value)
              < (check->kw == closed);
}


static bool
es_implied_multiple(const es_check_t *had, const es_check_t *type,
    const es_check_t *check)
{
    bool     whole;
    json_t  *one;

    if (had != NULL && es_value_multiple(had->value, check->value)) {
        return true;
    }

    if (type == NULL || (type->types & ES_TYPE_NUMBER)) {
        return false;
    }

    one = json_integer(1);
    whole = one != NULL && es_value_multiple(one, check->value);
    json_decref(one);

    return whole;
}


/* True if all values that the old schema lists pass the check. */

static bool
es_implied_values(es_compat_t *c, const es_node_t *old,
    const es_check_t *check)
{
    size_t             i;
    json_t            *value;
    es_node_t          only = { .path = "", .n = 1, .checks = check };
    const es_check_t  *had;

    had = es_node_find(old, ES_KW_CONST);
    if (had != NULL
        && es_schema_validate_json(&only, had->value, "", &c->work, NULL)
           == ES_OK)
    {
        return true;
    }

    had = es_node_find(old, ES_KW_ENUM);
    if (had == NULL) {
        return false;
    }

    json_array_foreach(had->value, i, value) {
        if (es_schema_validate_json(&only, value, "", &c->work, NULL)
            != ES_OK)
        {
            return false;
        }
    }

    return true;
}


/* ---- all keywords ---- */


/* A keyword with a number, a text or a flag, which is compared with the old
   check of the same keyword. */

static bool
es_implied_plain(const es_node_t *old, const es_check_t *had,
    const es_check_t *check)
{
    switch (check->kw) {

    case ES_KW_TYPE:
        return had != NULL && es_implied_type(had->types, check->types);

    case ES_KW_MULTIPLE_OF:
        return es_implied_multiple(had, es_node_find(old, ES_KW_TYPE), check);

    case ES_KW_MAXIMUM:
    case ES_KW_EXCLUSIVE_MAXIMUM:
        return es_implied_bound(old, check, ES_KW_MAXIMUM,
                                ES_KW_EXCLUSIVE_MAXIMUM, 1);

    case ES_KW_MINIMUM:
    case ES_KW_EXCLUSIVE_MINIMUM:
        return es_implied_bound(old, check, ES_KW_MINIMUM,
                                ES_KW_EXCLUSIVE_MINIMUM, -1);

    case ES_KW_MAX_LENGTH:
    case ES_KW_MAX_ITEMS:
    case ES_KW_MAX_PROPERTIES:
        return had != NULL && had->count <= check->count;

    case ES_KW_MIN_LENGTH:
    case ES_KW_MIN_ITEMS:
    case ES_KW_MIN_PROPERTIES:
        return check->count == 0
               || (had != NULL && had->count >= check->count);

    case ES_KW_PATTERN:
        return had != NULL && es_value_equal(had->value, check->value);

    default:
        ES_ASSERT(check->kw == ES_KW_UNIQUE_ITEMS);

        return json_is_false(check->value)
               || (had != NULL && json_is_true(had->value));
    }
}


/* A keyword about the members of an object. */

static bool
es_implied_members(es_compat_t *c, const es_node_t *old, const es_node_t *new,
    const es_check_t *check)
{
    const es_check_t  *had;

    switch (check->kw) {

    case ES_KW_REQUIRED:
        return es_implied_required(c, old, new, check);

    case ES_KW_PROPERTIES:
        return es_implied_properties(c, old, new, check);

    case ES_KW_PATTERN_PROPERTIES:
        return es_implied_patterns(c, old, check);

    case ES_KW_ADDITIONAL_PROPERTIES:
        return es_implied_additional(c, old, check);

    case ES_KW_PROPERTY_NAMES:
        had = es_node_find(old, ES_KW_PROPERTY_NAMES);

        return es_includes(c, had ? had->nodes[0] : &es_anything,
                           check->nodes[0]);

    case ES_KW_DEPENDENT_REQUIRED:
        return es_implied_dependent(c, old, check);

    default:
        ES_ASSERT(check->kw == ES_KW_DEPENDENT_SCHEMAS);

        return es_implied_dependents(c, old, check);
    }
}


static bool
es_implied_by(es_compat_t *c, const es_node_t *old, const es_node_t *new,
    const es_check_t *check)
{
    const es_check_t  *had;

    had = es_node_find(old, check->kw);

    switch (check->kw) {

    case ES_KW_TYPE:
    case ES_KW_MULTIPLE_OF:
    case ES_KW_MAXIMUM:
    case ES_KW_EXCLUSIVE_MAXIMUM:
    case ES_KW_MINIMUM:
    case ES_KW_EXCLUSIVE_MINIMUM:
    case ES_KW_MAX_LENGTH:
    case ES_KW_MIN_LENGTH:
    case ES_KW_PATTERN:
    case ES_KW_MAX_ITEMS:
    case ES_KW_MIN_ITEMS:
    case ES_KW_UNIQUE_ITEMS:
    case ES_KW_MAX_PROPERTIES:
    case ES_KW_MIN_PROPERTIES:
        return es_implied_plain(old, had, check);

    case ES_KW_PREFIX_ITEMS:
    case ES_KW_ITEMS:
        return es_implied_items(c, old, check);

    case ES_KW_CONTAINS:
        return es_implied_contains(c, had, check);

    case ES_KW_REQUIRED:
    case ES_KW_PROPERTIES:
    case ES_KW_PATTERN_PROPERTIES:
    case ES_KW_ADDITIONAL_PROPERTIES:
    case ES_KW_PROPERTY_NAMES:
    case ES_KW_DEPENDENT_REQUIRED:
    case ES_KW_DEPENDENT_SCHEMAS:
        return es_implied_members(c, old, new, check);

    case ES_KW_ANY_OF:
        return es_implied_choice(c, old, check);

    case ES_KW_ONE_OF:
        return es_implied_one(c, had, check);

    case ES_KW_NOT:
        return es_implied_not(c, had, check);

    case ES_KW_IF:
        return es_implied_if(c, had, check);

    case ES_KW_ENUM:           /* es_says_check() compares values */
    case ES_KW_CONST:
    case ES_KW_REF:
    case ES_KW_ALL_OF:
    case ES_KW_CHECKS:
        break;
    }

    return false;
}


typedef struct {
    const es_node_t   *new;
    const es_check_t  *check;
} es_claim_t;


static bool
es_says_check(es_compat_t *c, const es_node_t *old, void *ctx)
{
    unsigned           types;
    const es_claim_t  *claim = ctx;
    const es_check_t  *type;

    /* A check of strings holds wherever there are no strings. */

    types = es_check_types(claim->check->kw);
    type = es_node_find(old, ES_KW_TYPE);

    return (types != 0 && type != NULL && !(type->types & types))
           || es_implied_values(c, old, claim->check)
           || es_implied_by(c, old, claim->new, claim->check);
}


static bool
es_implied(es_compat_t *c, const es_node_t *old, const es_node_t *new,
    const es_check_t *check)
{
    size_t        i;
    es_claim_t    claim = { new, check };
    es_problem_t  saved;

    /* These hold if all of their parts hold. */

    if (check->kw == ES_KW_REF || check->kw == ES_KW_ALL_OF) {
        for (i = 0; i < check->n; i++) {
            if (!es_implied_node(c, old, check->nodes[i])) {
                return false;
            }
        }

        return true;
    }

    saved = *c->problem;

    /* These examine every place where the old schema mentions members. */

    if (check->kw == ES_KW_PROPERTIES || check->kw == ES_KW_REQUIRED
        ? es_says_check(c, old, &claim)
        : es_somewhere(c, old, es_says_check, &claim))
    {
        *c->problem = saved;
        return true;
    }

    return es_compat_fail(c, new, check,
                          es_node_find(old, check->kw) != NULL
                          ? "does not allow all that it did"
                          : "is new, and so narrower");
}


static bool
es_implied_node(es_compat_t *c, const es_node_t *old, const es_node_t *new)
{
    size_t  i;

    if (old->never) {
        return true;
    }

    if (new->never) {
        return es_compat_fail(c, new, NULL, "nothing is allowed any more");
    }

    for (i = 0; i < new->n; i++) {
        if (!es_compat_work(c)
            || !es_implied(c, old, new, &new->checks[i]))
        {
            return false;
        }
    }

    return true;
}


bool
es_includes(es_compat_t *c, const es_node_t *old, const es_node_t *new)
{
    bool              holds;
    es_pair_t         pair = { old, new, c->pair };
    const es_node_t  *whole;
    const es_pair_t  *p;

    if (!es_compat_work(c)) {
        return false;
    }

    for (p = c->pair; p != NULL; p = p->above) {
        if (p->old == old && p->new == new) {
            return true;
        }
    }

    if (c->depth == ES_COMPAT_DEPTH) {
        return es_compat_fail(c, new, NULL,
                              "the schemas go too deep to compare");
    }

    whole = c->whole;

    c->depth++;
    c->pair = &pair;
    c->whole = old;

    holds = es_implied_node(c, old, new);

    c->whole = whole;
    c->pair = pair.above;
    c->depth--;

    return holds;
}


es_rc_t
es_schema_compatible(const es_schema_t *previous, const es_schema_t *next,
    es_problem_t *problem)
{
    es_compat_t   c = { 0 };
    es_problem_t  ignored = { 0 };

    c.problem = problem ? problem : &ignored;
    c.problem->rc = ES_OK;
    c.work = ES_COMPAT_WORK;

    return es_includes(&c, previous->root, next->root) ? ES_OK : ES_CONFLICT;
}
