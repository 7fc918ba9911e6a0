/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The inside of fields.h: compiled lists as a deterministic automaton.
 *
 * A state says what is shown of a value.  Its edges lead from the tokens that
 * the lists name to the states of the members and items below.
 */

#ifndef ES_FIELDS_IMPL_H
#define ES_FIELDS_IMPL_H

#include "fields/fields.h"

#define ES_FIELDS_NOTHING  0           /* the state of what is not shown */
#define ES_FIELDS_ALL      1           /* and of what is shown as it is */
#define ES_FIELDS_NO_INDEX  UINT32_MAX

#define ES_FIELDS_WORDS  2

/* Edges of a state are in the order of their tokens: by length, then by
   bytes. */
typedef struct {
    es_str_t  token;           /* with `":` behind its end */
    uint64_t  word[ES_FIELDS_WORDS];   /* the token and `":`, as far as they
                                          fit; zeros behind that */
    uint64_t  mask[ES_FIELDS_WORDS];   /* ones where `word` has bytes of them */
    uint32_t  index;           /* of an item; ES_FIELDS_NO_INDEX: of none */
    uint32_t  to;
} es_fields_edge_t;

typedef struct {
    bool      whole;           /* a value that is no object or array is shown */
    uint32_t  inner;           /* the value is encrypted, and this state says
                                  what is shown in it; 0: it is not */
    uint32_t  rest;            /* of members and items without an edge */
    uint32_t  first;           /* edges [first, first + n) */
    uint32_t  n;
} es_fields_state_t;

struct es_fields {
    bool                      unreadable;
    uint32_t                  root;    /* the state of data */
    uint32_t                  nnames;
    const es_str_t           *names;   /* of extension attributes that are
                                          shown */
    bool                      names_all;
    const es_fields_state_t  *states;
    const es_fields_edge_t   *edges;
    es_str_t                  key;
    uint8_t                   id[ES_FIELDS_ID];
};

/* The order of tokens. */
static inline int
es_fields_order(es_str_t a, es_str_t b)
{
    if (a.len != b.len) {
        return a.len < b.len ? -1 : 1;
    }

    return a.len > 0 ? memcmp(a.data, b.data, a.len) : 0;
}

#endif /* ES_FIELDS_IMPL_H */
