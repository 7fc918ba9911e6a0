/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The entries of lists: their grammar, and the trees of their tokens.
 */

#include "base/json.h"
#include "base/pool.h"
#include "event/attribute.h"
#include "fields/fields.h"
#include "fields/fields_tree.h"


/* ---- entries ---- */


/* Decodes the token at `*pos`, up to '/' or the end.  `out` has room for
   ES_FIELDS_TOKEN bytes. */

static const char *
es_fields_token(es_str_t entry, size_t *pos, char *out, size_t *len)
{
    char  c;

    *len = 0;

    for ( ; *pos < entry.len && entry.data[*pos] != '/'; (*pos)++) {
        c = entry.data[*pos];

        if (c == '~') {
            (*pos)++;

            if (*pos == entry.len
                || (entry.data[*pos] != '0' && entry.data[*pos] != '1'))
            {
                return "must have ~0 for \"~\" and ~1 for \"/\" in a name, "
                       "and no other \"~\"";
            }

            c = entry.data[*pos] == '0' ? '~' : '/';
        }

        if (*len == ES_FIELDS_TOKEN) {
            return "must have no name with more than 128 bytes";
        }

        out[(*len)++] = c;
    }

    return NULL;
}


static const char *
es_fields_pointer_fault(es_str_t entry)
{
    char         token[ES_FIELDS_TOKEN];
    size_t       pos, len;
    unsigned     depth;
    const char  *fault;

    depth = 0;

    for (pos = 0; pos < entry.len; ) {
        pos++;
        fault = es_fields_token(entry, &pos, token, &len);

        if (fault != NULL) {
            return fault;
        }

        if (++depth > ES_FIELDS_DEPTH) {
            return "must have at most 63 names: data is not nested more "
                   "deeply";
        }
    }

    return NULL;
}


const char *
es_fields_entry(es_str_t entry)
{
    if (entry.len > ES_FIELDS_ENTRY) {
        return "must have at most 512 bytes";
    }

    if (!es_utf8_ok(entry)) {
        return "must be UTF-8";
    }

    if (entry.len == 0 || entry.data[0] == '/') {
        return es_fields_pointer_fault(entry);
    }

    if (es_str_eq(entry, es_lit("data"))
        || es_str_eq(entry, es_lit("data_base64")))
    {
        return "must be the empty pointer \"\" for the whole data";
    }

    if (es_attr_find(entry) != ES_ATTR_EXTENSION || es_attr_reserved(entry)) {
        return "must not name an attribute that is always sent";
    }

    if (es_extension_fault(entry) != NULL) {
        return "must be a JSON Pointer, which begins with \"/\", or the name "
               "of an extension attribute";
    }

    return NULL;
}


/* ---- trees ---- */


static bool
es_fields_star(es_str_t token)
{
    return token.len == 1 && token.data[0] == '*';
}


/* Returns the child of a node, made if there is none.  0: out of memory. */

static uint32_t
es_fields_child(es_fields_trees_t *trees, uint32_t node, es_str_t token)
{
    char              *copy;
    uint32_t           child;
    es_fields_node_t  *n, *nodes;

    nodes = trees->nodes;
    n = &nodes[node];

    if (es_fields_star(token) && n->star != 0) {
        return n->star;
    }

    if (!es_fields_star(token)) {
        for (child = n->child; child != 0; child = nodes[child].sibling) {
            if (es_str_eq(nodes[child].token, token)) {
                return child;
            }
        }
    }

    child = (uint32_t) trees->n;
    copy = es_pool_alloc(trees->pool, token.len + 2);

    if (copy == NULL) {
        return 0;
    }

    memcpy(copy, token.data, token.len);
    memcpy(copy + token.len, "\":", 2);
    nodes[child].token = (es_str_t) { copy, token.len };
    nodes[child].tree = n->tree;
    trees->n++;

    if (es_fields_star(token)) {
        n->star = child;

    } else {
        nodes[child].sibling = n->child;
        n->child = child;
    }

    return child;
}


static es_rc_t
es_fields_plant(es_fields_trees_t *trees, uint32_t tree, es_str_t entry)
{
    char      token[ES_FIELDS_TOKEN];
    size_t    pos;
    es_str_t  text;
    uint32_t  node;

    node = tree + 1;
    text.data = token;

    for (pos = 0; pos < entry.len; ) {
        pos++;

        if (es_fields_token(entry, &pos, token, &text.len) != NULL) {
            return ES_INVALID;
        }

        node = es_fields_child(trees, node, text);
        if (node == 0) {
            return ES_NOMEM;
        }
    }

    trees->nodes[node].final = true;

    return ES_OK;
}


size_t
es_fields_tree_room(const es_fields_list_t *list)
{
    size_t  i, j, n;

    n = 0;

    for (i = 0; i < list->n; i++) {
        for (j = 0; j < list->entries[i].len; j++) {
            n += list->entries[i].data[j] == '/';
        }
    }

    return n;
}


es_rc_t
es_fields_tree_add(es_fields_trees_t *trees, uint32_t tree,
    const es_fields_list_t *list)
{
    size_t   i;
    es_rc_t  rc;

    rc = ES_OK;

    for (i = 0; i < list->n && rc == ES_OK; i++) {
        if (es_fields_entry(list->entries[i]) != NULL) {
            return ES_INVALID;
        }

        if (list->entries[i].len == 0 || list->entries[i].data[0] == '/') {
            rc = es_fields_plant(trees, tree, list->entries[i]);
        }
    }

    return rc;
}
