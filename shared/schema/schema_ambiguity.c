/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decides whether a pattern is exponentially ambiguous.
 *
 *   1. schema_pattern.c parses the pattern to a tree, whose leaves are
 *      positions: places that match one character.
 *   2. es_build() finds which position can follow which.  A repetition that
 *      leads to a position to which its inside leads already is ambiguous, as
 *      in (a+)+.
 *   3. es_search() walks pairs of positions that match the same text.  If two
 *      ways part and meet again inside one loop, as in (a|aa)+, each round
 *      doubles the ways.
 */

#include <stdlib.h>

#include "base/base.h"
#include "schema/schema_ambiguity.h"
#include "schema/schema_pattern.h"

#define ES_AMBIGUITY_WORK  50000000

/* Fewer rounds than this multiply the work by a constant that is bearable,
   unless they are inside a longer loop. */
#define ES_ROUNDS_MANY     10

/* A set of positions. */
typedef struct {
    uint64_t  bits[ES_POSITIONS_MAX / 64];
} es_places_t;

/* Glushkov's sets of a part of the pattern. */
typedef struct {
    es_places_t  first;
    es_places_t  last;
    bool         nullable;
} es_part_t;

typedef struct {
    const es_pattern_t  *pattern;
    size_t               n;            /* positions */
    es_places_t         *follow;       /* of each position */
    es_places_t         *reach;        /* in any number of steps */
    es_places_t         *seen;         /* pairs that were pushed */
    uint32_t            *stack;        /* pairs to visit */
    size_t               depth;
    int64_t              work;
    bool                 found;
} es_ambiguity_t;


static inline bool
es_place_has(const es_places_t *set, size_t i)
{
    return set->bits[i / 64] >> (i % 64) & 1;
}


static inline void
es_place_add(es_places_t *set, size_t i)
{
    set->bits[i / 64] |= UINT64_C(1) << (i % 64);
}


static void
es_place_join(es_places_t *set, const es_places_t *other)
{
    size_t  i;

    for (i = 0; i < ES_POSITIONS_MAX / 64; i++) {
        set->bits[i] |= other->bits[i];
    }
}


/* Returns the next member from `i` on, or `n`. */

static size_t
es_place_next(const es_places_t *set, size_t i, size_t n)
{
    uint64_t  rest;

    while (i < n) {
        rest = set->bits[i / 64] >> (i % 64);

        if (rest != 0) {
            i += (size_t) __builtin_ctzll(rest);
            return i < n ? i : n;
        }

        i = (i / 64 + 1) * 64;
    }

    return n;
}


/* ---- which position follows which ---- */


static es_part_t es_build(es_ambiguity_t *a, unsigned node, bool looped);


/* With `loop`, the edges close a repetition. */

static void
es_connect(es_ambiguity_t *a, const es_places_t *from, const es_places_t *to,
    bool loop)
{
    size_t  p, i;

    for (p = es_place_next(from, 0, a->n); p < a->n;
         p = es_place_next(from, p + 1, a->n))
    {
        for (i = 0; loop && i < ES_POSITIONS_MAX / 64; i++) {
            if (a->follow[p].bits[i] & to->bits[i]) {
                a->found = true;
            }
        }

        es_place_join(&a->follow[p], to);
    }
}


static es_part_t
es_build_sequence(es_ambiguity_t *a, unsigned node, bool looped)
{
    unsigned   child;
    es_part_t  part = { .nullable = true }, next;

    for (child = a->pattern->nodes[node].child; child != 0;
         child = a->pattern->nodes[child].next)
    {
        next = es_build(a, child, looped);
        es_connect(a, &part.last, &next.first, false);

        if (part.nullable) {
            es_place_join(&part.first, &next.first);
        }

        if (next.nullable) {
            es_place_join(&part.last, &next.last);
        } else {
            part.last = next.last;
        }

        part.nullable = part.nullable && next.nullable;
    }

    return part;
}


static es_part_t
es_build_choice(es_ambiguity_t *a, unsigned node, bool looped)
{
    unsigned   child;
    es_part_t  part = { .nullable = false }, next;

    for (child = a->pattern->nodes[node].child; child != 0;
         child = a->pattern->nodes[child].next)
    {
        next = es_build(a, child, looped);
        es_place_join(&part.first, &next.first);
        es_place_join(&part.last, &next.last);
        part.nullable = part.nullable || next.nullable;
    }

    return part;
}


/* Exactly n times a text of one length is no choice: ([0-9]{4})* is not
   ambiguous, and ([0-9]{3,4})* is. */

static es_part_t
es_build_repeat(es_ambiguity_t *a, unsigned node, bool looped)
{
    bool                    exact, many;
    es_part_t               part;
    const es_pattern_node_t  *repeat, *child;

    repeat = &a->pattern->nodes[node];
    child = &a->pattern->nodes[repeat->child];

    exact = repeat->min == repeat->max && child->shortest == child->longest;
    many = !exact && repeat->max >= ES_ROUNDS_MANY;

    part = es_build(a, repeat->child, looped || many);

    if (many || (looped && !exact && repeat->max > 1)) {
        es_connect(a, &part.last, &part.first, true);
    }

    part.nullable = part.nullable || repeat->min == 0;

    return part;
}


static es_part_t
es_build(es_ambiguity_t *a, unsigned node, bool looped)
{
    es_part_t                 part = { .nullable = false };
    const es_pattern_node_t  *n;

    n = &a->pattern->nodes[node];

    switch (n->kind) {

    case ES_PATTERN_POSITION:
        es_place_add(&part.first, n->position);
        es_place_add(&part.last, n->position);
        return part;

    case ES_PATTERN_SEQUENCE:
        return es_build_sequence(a, node, looped);

    case ES_PATTERN_CHOICE:
        return es_build_choice(a, node, looped);

    case ES_PATTERN_REPEAT:
        return es_build_repeat(a, node, looped);

    case ES_PATTERN_LOOK:

        /* It matches text of its own, apart from that around it. */

        (void) es_build(a, n->child, false);
        part.nullable = true;
        return part;
    }

    return part;
}


/* ---- pairs of positions ---- */


static bool
es_share(const es_symbols_t *one, const es_symbols_t *two)
{
    return (one->bits[0] & two->bits[0]) | (one->bits[1] & two->bits[1])
           | (one->bits[2] & two->bits[2]) | (one->bits[3] & two->bits[3]);
}


/* Warshall's algorithm, a row at a time. */

static void
es_close(es_ambiguity_t *a)
{
    size_t  i, k;

    memcpy(a->reach, a->follow, a->n * sizeof(es_places_t));

    for (k = 0; k < a->n; k++) {

        /* no text leads through what matches nothing */

        if (!es_share(&a->pattern->symbols[k], &a->pattern->symbols[k])) {
            continue;
        }

        for (i = 0; i < a->n; i++) {
            if (es_place_has(&a->reach[i], k)) {
                es_place_join(&a->reach[i], &a->reach[k]);
            }
        }
    }
}


static inline bool
es_same_loop(const es_ambiguity_t *a, size_t p, size_t q)
{
    return es_place_has(&a->reach[p], q) && es_place_has(&a->reach[q], p);
}


/* Pushes the pairs that follow p and q within their loop.  If p and q differ
   and one position follows both, the two ways have met. */

static void
es_search_from(es_ambiguity_t *a, size_t p, size_t q)
{
    size_t               i, k;
    const es_symbols_t  *symbols;

    symbols = a->pattern->symbols;

    for (i = es_place_next(&a->follow[p], 0, a->n); i < a->n;
         i = es_place_next(&a->follow[p], i + 1, a->n))
    {
        if (!es_same_loop(a, p, i)) {
            continue;
        }

        for (k = es_place_next(&a->follow[q], 0, a->n); k < a->n;
             k = es_place_next(&a->follow[q], k + 1, a->n))
        {
            a->work--;

            if (!es_share(&symbols[i], &symbols[k])
                || !es_same_loop(a, p, k))
            {
                continue;
            }

            if (i == k) {
                a->found = a->found || p != q;

            } else if (i < k && !es_place_has(&a->seen[i], k)) {
                es_place_add(&a->seen[i], k);
                a->stack[a->depth++] = (uint32_t) (i << 16 | k);

            } else if (i > k && !es_place_has(&a->seen[k], i)) {
                es_place_add(&a->seen[k], i);
                a->stack[a->depth++] = (uint32_t) (k << 16 | i);
            }
        }
    }
}


static void
es_search(es_ambiguity_t *a)
{
    size_t    p;
    uint32_t  pair;

    for (p = 0; p < a->n && !a->found && a->work > 0; p++) {
        es_search_from(a, p, p);

        while (a->depth > 0 && !a->found && a->work > 0) {
            pair = a->stack[--a->depth];
            es_search_from(a, pair >> 16, pair & 0xffff);
        }
    }
}


static es_rc_t
es_decide(es_ambiguity_t *a)
{
    a->follow = calloc(a->n, sizeof(es_places_t));
    a->reach = calloc(a->n, sizeof(es_places_t));
    a->seen = calloc(a->n, sizeof(es_places_t));
    a->stack = malloc(a->n * a->n * sizeof(uint32_t));

    if (a->follow == NULL || a->reach == NULL || a->seen == NULL
        || a->stack == NULL)
    {
        return ES_NOMEM;
    }

    (void) es_build(a, a->pattern->root, false);

    if (!a->found) {
        es_close(a);
        es_search(a);
    }

    return ES_OK;
}


es_rc_t
es_regex_ambiguous(es_str_t text, bool *ambiguous)
{
    es_rc_t         rc;
    es_pattern_t    pattern;
    es_ambiguity_t  a = { .work = ES_AMBIGUITY_WORK };

    rc = es_pattern_parse(text, &pattern);

    if (rc == ES_OK && pattern.npositions > 0) {
        a.pattern = &pattern;
        a.n = pattern.npositions;
        rc = es_decide(&a);
    }

    *ambiguous = a.found;

    free(a.follow);
    free(a.reach);
    free(a.seen);
    free(a.stack);
    es_pattern_free(&pattern);

    return rc;
}
