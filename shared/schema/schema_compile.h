/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The inside of the compiler: schema.c walks the document, and
 * schema_keyword.c knows the value that each keyword may have.
 */

#ifndef ES_SCHEMA_COMPILE_H
#define ES_SCHEMA_COMPILE_H

#include "base/base.h"
#include "schema/schema.h"
#include "schema/schema_node.h"
#include "schema/schema_regex.h"

struct es_regex_list {
    es_regex_t       *regex;
    es_regex_list_t  *next;
};

/* A $ref that waits for its target. */
typedef struct es_pending  es_pending_t;

struct es_pending {
    es_node_t      *node;
    es_check_t     *check;
    es_pending_t   *next;
};

typedef struct {
    es_schema_t    *schema;
    es_problem_t   *problem;
    json_t         *index;         /* path -> a number in `nodes` */
    json_t         *anchors;       /* name -> the same */
    es_node_t     **nodes;
    size_t          n;
    size_t          cap;
    es_pending_t   *pending;
    es_buf_t        path;          /* NUL-terminated */
    unsigned        nest;
    bool            is_new;        /* the schema is not in the catalogue */
    const char     *keyword;       /* the keyword under compilation, or "" */
} es_compile_t;

/* An outcome other than ES_OK has set the problem. */

/* Sets the problem, with the path and the keyword under compilation. */
es_rc_t es_compile_fail(es_compile_t *c, es_rc_t rc, const char *why);
es_rc_t es_compile_nomem(es_compile_t *c);

/* Extends the path by one name.  es_path_back() shortens it to `len` again. */
es_rc_t es_path_down(es_compile_t *c, const char *name);
void es_path_back(es_compile_t *c, size_t len);

/* Returns the node of the schema at the path, or one name below it.  A node
   that exists is found again. */
es_rc_t es_compile_node(es_compile_t *c, json_t *json, es_node_t **node);
es_rc_t es_compile_below(es_compile_t *c, const char *name, json_t *json,
    es_node_t **node);

/*
 * Keywords have numbers below es_keyword_count().  Those of es_kw_t come
 * first; the rest leave no check.  es_keyword_find() returns the count for a
 * name that is no keyword.
 */
size_t es_keyword_count(void);
size_t es_keyword_find(const char *name);
const char *es_keyword_text(size_t i);
es_rc_t es_keyword_compile(es_compile_t *c, es_node_t *node, size_t i,
    json_t *value, es_check_t *check);

#endif /* ES_SCHEMA_COMPILE_H */
