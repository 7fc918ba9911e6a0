/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A pattern as a tree, for schema_ambiguity.c.  PCRE2 compiles and matches
 * patterns, but shows nothing of their structure.
 */

#ifndef ES_SCHEMA_PATTERN_H
#define ES_SCHEMA_PATTERN_H

#include "base/base.h"

#define ES_POSITIONS_MAX  1024
#define ES_PATTERN_MANY   UINT32_MAX   /* no upper bound */

/* The characters that a position matches, as far as they are told apart: 128
   of ASCII, and some others. */
typedef struct {
    uint64_t  bits[4];
} es_symbols_t;

typedef enum {
    ES_PATTERN_POSITION,
    ES_PATTERN_SEQUENCE,
    ES_PATTERN_CHOICE,
    ES_PATTERN_REPEAT,
    ES_PATTERN_LOOK            /* lookahead or lookbehind */
} es_pattern_kind_t;

/* `child` and `next` are indices of nodes; 0: none. */
typedef struct {
    es_pattern_kind_t  kind;
    unsigned           child;
    unsigned           next;
    unsigned           position;
    uint32_t           min;            /* of a repetition */
    uint32_t           max;
    uint32_t           shortest;       /* characters that it matches */
    uint32_t           longest;
} es_pattern_node_t;

typedef struct {
    es_pattern_node_t  *nodes;         /* from 1 on */
    size_t              nnodes;
    unsigned            root;
    es_symbols_t       *symbols;       /* of each position */
    size_t              npositions;
} es_pattern_t;

/* Parses a pattern that PCRE2 has compiled, of at most ES_POSITIONS_MAX bytes.
   ES_NOMEM.  Free it in any case. */
es_rc_t es_pattern_parse(es_str_t text, es_pattern_t *pattern);
void es_pattern_free(es_pattern_t *pattern);

#endif /* ES_SCHEMA_PATTERN_H */
