/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The inside of a compiled schema, for the files of schema.h.
 *
 * A schema of the document is a node: a list of checks, each a keyword with
 * its compiled value.  $ref shares nodes, so they are a graph and not a tree.
 * Every cycle in the graph descends into the instance, which schema.c ensures.
 */

#ifndef ES_SCHEMA_NODE_H
#define ES_SCHEMA_NODE_H

#include <jansson.h>

#include "base/pool.h"
#include "schema/schema.h"
#include "schema/schema_regex.h"

#define ES_TYPE_NULL     0x01
#define ES_TYPE_BOOLEAN  0x02
#define ES_TYPE_OBJECT   0x04
#define ES_TYPE_ARRAY    0x08
#define ES_TYPE_NUMBER   0x10          /* any number */
#define ES_TYPE_STRING   0x20
#define ES_TYPE_INTEGER  0x40          /* whole numbers only */

typedef struct es_node   es_node_t;
typedef struct es_check  es_check_t;
typedef struct es_eval  es_eval_t;

/* A member of `properties`, `patternProperties` or `dependentSchemas`. */
typedef struct {
    es_str_t     name;
    es_node_t   *node;
    es_regex_t  *regex;        /* of a pattern */
} es_member_t;

/* In the order of validation. */
typedef enum {
    ES_KW_TYPE = 0,
    ES_KW_ENUM,
    ES_KW_CONST,
    ES_KW_MULTIPLE_OF,
    ES_KW_MAXIMUM,
    ES_KW_EXCLUSIVE_MAXIMUM,
    ES_KW_MINIMUM,
    ES_KW_EXCLUSIVE_MINIMUM,
    ES_KW_MAX_LENGTH,
    ES_KW_MIN_LENGTH,
    ES_KW_PATTERN,
    ES_KW_MAX_ITEMS,
    ES_KW_MIN_ITEMS,
    ES_KW_UNIQUE_ITEMS,
    ES_KW_PREFIX_ITEMS,
    ES_KW_ITEMS,
    ES_KW_CONTAINS,
    ES_KW_MAX_PROPERTIES,
    ES_KW_MIN_PROPERTIES,
    ES_KW_REQUIRED,
    ES_KW_PROPERTIES,
    ES_KW_PATTERN_PROPERTIES,
    ES_KW_ADDITIONAL_PROPERTIES,
    ES_KW_PROPERTY_NAMES,
    ES_KW_DEPENDENT_REQUIRED,
    ES_KW_DEPENDENT_SCHEMAS,
    ES_KW_REF,
    ES_KW_ALL_OF,
    ES_KW_ANY_OF,
    ES_KW_ONE_OF,
    ES_KW_NOT,
    ES_KW_IF,
    ES_KW_CHECKS               /* number of keywords that validate */
} es_kw_t;

struct es_check {
    es_kw_t              kw;
    json_t              *value;          /* as in the document */
    const es_check_t    *properties;     /* siblings of additionalProperties */
    const es_check_t    *patterns;
    unsigned             types;
    uint64_t             count;          /* length; items of prefixItems;
                                            minContains */
    uint64_t             most;           /* maxContains; UINT64_MAX: any */
    es_regex_t          *regex;
    size_t               n;              /* of nodes or members */
    es_node_t          **nodes;          /* one or more; for `if`: if, then,
                                            else, and the latter two may be
                                            NULL */
    es_member_t         *members;
};

struct es_node {
    const char        *path;             /* JSON Pointer in the document */
    json_t            *json;
    bool               never;            /* the schema `false` */
    size_t             n;
    const es_check_t  *checks;
    unsigned           height;           /* 0: not yet known, schema.c */
    bool               entered;
};

typedef struct es_regex_list  es_regex_list_t;

struct es_schema {
    es_pool_t          pool;
    json_t            *document;
    const es_node_t   *root;
    es_regex_list_t   *regexes;
};

const char *es_keyword_name(es_kw_t kw);

/* Returns the node's check of a keyword.  NULL: there is none. */
const es_check_t *es_node_find(const es_node_t *node, es_kw_t kw);

/* schema_eval.c: validates a decoded instance, and counts its steps in
   `work`. */
es_rc_t es_schema_validate_json(const es_node_t *node, json_t *instance,
    const char *root, int64_t *work, es_problem_t *problem);

/* schema_value.c */

/* Returns the type bits of a value. */
unsigned es_value_types(const json_t *value);

/* Returns -1, 0 or 1.  Both values are numbers. */
int es_value_compare(const json_t *a, const json_t *b);

/* True if `a` is a multiple of `b`, which is over 0. */
bool es_value_multiple(const json_t *a, const json_t *b);

bool es_value_equal(const json_t *a, const json_t *b);

/* Equal values have equal hashes. */
uint64_t es_value_hash(const json_t *value);

/* Returns the code points of a string. */
size_t es_value_length(const json_t *value);

#endif /* ES_SCHEMA_NODE_H */
