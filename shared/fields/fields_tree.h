/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The entries of lists as trees of tokens, for fields_compile.c.
 *
 * The caller provides the nodes.  Node t + 1 is the root of tree t, and the
 * caller may use others before the trees grow.  Node 0 is none.
 */

#ifndef ES_FIELDS_TREE_H
#define ES_FIELDS_TREE_H

#include "base/base.h"
#include "base/pool.h"
#include "fields/fields.h"

typedef struct {
    es_str_t  token;           /* with `":` behind its end */
    uint32_t  star;            /* the child for "*"; 0: none */
    uint32_t  child;           /* the first of the others; 0: none */
    uint32_t  sibling;         /* 0: none */
    uint32_t  tree;            /* its list */
    bool      final;           /* an entry ends here */
} es_fields_node_t;

typedef struct {
    es_pool_t         *pool;   /* of the tokens */
    es_fields_node_t  *nodes;
    size_t             n;
} es_fields_trees_t;

/* Returns how many nodes the tokens of a list may take. */
size_t es_fields_tree_room(const es_fields_list_t *list);

/* Adds the pointers of a list to its tree.  ES_INVALID: an entry is bad. */
es_rc_t es_fields_tree_add(es_fields_trees_t *trees, uint32_t tree,
    const es_fields_list_t *list);

#endif /* ES_FIELDS_TREE_H */
