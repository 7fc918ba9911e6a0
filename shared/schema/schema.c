/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compiles a JSON Schema document to nodes and checks.
 *
 *   1. Every schema of the document becomes a node, indexed by its path.  A
 *      member that is no keyword of schema.h is refused.
 *   2. References get their target nodes.
 *   3. A cycle of references that does not descend into the instance is
 *      refused, because it would never end; so is a very long chain.
 */

#include <stdlib.h>

#include "base/base.h"
#include "base/json.h"
#include "base/pool.h"
#include "base/query.h"
#include "schema/schema.h"
#include "schema/schema_compile.h"
#include "schema/schema_node.h"
#include "schema/schema_regex.h"


es_rc_t
es_compile_fail(es_compile_t *c, es_rc_t rc, const char *why)
{
    (void) es_problem_set(c->problem, rc, -1, c->path.data, "%s%s%s%s",
                          c->keyword[0] ? "\"" : "", c->keyword,
                          c->keyword[0] ? "\" " : "", why);

    return es_problem_keyword(c->problem, c->keyword);
}


es_rc_t
es_compile_nomem(es_compile_t *c)
{
    return es_problem_set(c->problem, ES_NOMEM, -1, NULL, "out of memory");
}


/* Extends the path by one name.  es_path_back() shortens it to `len` again. */

es_rc_t
es_path_down(es_compile_t *c, const char *name)
{
    char     buf[2];
    es_rc_t  rc;

    rc = es_buf_append(&c->path, "/", 1);

    for ( /* void */ ; *name != '\0' && rc == ES_OK; name++) {
        buf[0] = '~';
        buf[1] = *name == '~' ? '0' : '1';

        rc = *name == '~' || *name == '/' ? es_buf_append(&c->path, buf, 2)
                                          : es_buf_append(&c->path, name, 1);
    }

    if (rc == ES_OK) {
        rc = es_buf_append(&c->path, "", 1);
    }

    if (rc != ES_OK) {
        return es_compile_nomem(c);
    }

    c->path.len--;

    return ES_OK;
}


void
es_path_back(es_compile_t *c, size_t len)
{
    c->path.len = len;
    c->path.data[len] = '\0';
}


es_rc_t
es_compile_below(es_compile_t *c, const char *name, json_t *json,
    es_node_t **node)
{
    size_t   len;
    es_rc_t  rc;

    len = c->path.len;

    rc = es_path_down(c, name);
    if (rc == ES_OK) {
        rc = es_compile_node(c, json, node);
    }

    es_path_back(c, len);

    return rc;
}


/* ---- nodes ---- */


const es_check_t *
es_node_find(const es_node_t *node, es_kw_t kw)
{
    size_t  i;

    for (i = 0; i < node->n; i++) {
        if (node->checks[i].kw == kw) {
            return &node->checks[i];
        }
    }

    return NULL;
}


static es_rc_t
es_compile_known(es_compile_t *c, const es_node_t *node)
{
    json_t      *value;
    const char  *name;

    json_object_foreach(node->json, name, value) {
        if (es_keyword_find(name) < es_keyword_count()) {
            continue;
        }

        if (es_path_down(c, name) != ES_OK) {
            return ES_NOMEM;
        }

        c->keyword = name;

        return es_compile_fail(c, ES_INVALID, "is not a keyword that "
                               "eventsync checks");
    }

    return ES_OK;
}


static es_rc_t
es_compile_checks(es_compile_t *c, es_node_t *node)
{
    size_t       i, n;
    json_t      *value;
    es_rc_t      rc;
    es_check_t  *checks;

    rc = es_compile_known(c, node);
    if (rc != ES_OK) {
        return rc;
    }

    for (i = 0, n = 0; i < ES_KW_CHECKS; i++) {
        n += json_object_get(node->json, es_keyword_text(i)) != NULL;
    }

    checks = es_pool_alloc(&c->schema->pool, n * sizeof(es_check_t));
    if (checks == NULL) {
        return es_compile_nomem(c);
    }

    node->checks = checks;

    for (i = 0; i < es_keyword_count(); i++) {
        value = json_object_get(node->json, es_keyword_text(i));

        if (value == NULL) {
            continue;
        }

        rc = es_keyword_compile(c, node, i, value,
                                i < ES_KW_CHECKS ? &checks[node->n] : NULL);
        if (rc != ES_OK) {
            return rc;
        }

        node->n += i < ES_KW_CHECKS;
    }

    return ES_OK;
}


/* Makes a node for the path and enters it in the index.  NULL, with a
   problem. */

static es_node_t *
es_compile_enter(es_compile_t *c, json_t *json)
{
    size_t       cap;
    es_str_t     path;
    es_node_t   *node, **nodes;

    if (c->n == ES_SCHEMA_NODES_MAX) {
        (void) es_compile_fail(c, ES_TOO_LARGE, "is one schema too many");
        return NULL;
    }

    if (c->n == c->cap) {
        cap = c->cap ? c->cap * 2 : 64;

        nodes = realloc(c->nodes, cap * sizeof(es_node_t *));
        if (nodes == NULL) {
            (void) es_compile_nomem(c);
            return NULL;
        }

        c->nodes = nodes;
        c->cap = cap;
    }

    node = es_pool_alloc(&c->schema->pool, sizeof(es_node_t));
    path = es_pool_str(&c->schema->pool,
                       (es_str_t) { c->path.data, c->path.len });

    if (node == NULL || path.data == NULL
        || json_object_set_new(c->index, path.data,
                               json_integer((json_int_t) c->n)) != 0)
    {
        (void) es_compile_nomem(c);
        return NULL;
    }

    node->path = path.data;
    node->json = json;
    c->nodes[c->n++] = node;

    return node;
}


es_rc_t
es_compile_node(es_compile_t *c, json_t *json, es_node_t **out)
{
    es_rc_t        rc;
    es_node_t     *node;
    const json_t  *number;

    /* `then` was compiled with its `if`, and is met again here. */

    number = json_object_get(c->index, c->path.data);
    if (number != NULL) {
        *out = c->nodes[json_integer_value(number)];
        return ES_OK;
    }

    if (!json_is_object(json) && !json_is_boolean(json)) {
        return es_compile_fail(c, ES_INVALID, "must be a schema: an object, "
                               "true or false");
    }

    if (c->nest == ES_SCHEMA_NEST_MAX) {
        return es_compile_fail(c, ES_TOO_LARGE, "is nested too deeply");
    }

    node = es_compile_enter(c, json);
    if (node == NULL) {
        return c->problem->rc;
    }

    *out = node;

    if (json_is_boolean(json)) {
        node->never = json_is_false(json);
        return ES_OK;
    }

    c->nest++;
    rc = es_compile_checks(c, node);
    c->nest--;

    return rc;
}


/* ---- references ---- */


/* Returns the target's path, percent-decoded, or by its anchor.  NULL:
   there is none. */

static es_node_t *
es_ref_target(es_compile_t *c, const json_t *ref)
{
    char         *end, path[1024];
    es_str_t      text;
    const char   *id, *hash;
    const json_t  *number;

    text = es_text(ref);
    hash = memchr(text.data, '#', text.len);
    id = json_string_value(json_object_get(c->schema->document, "$id"));

    /* Without a fragment the target is the whole document. */

    if (hash == NULL) {
        return id != NULL && es_str_eq(text, es_str(id)) ? c->nodes[0] : NULL;
    }

    if (hash > text.data
        && (id == NULL
            || !es_str_eq((es_str_t) { text.data,
                                       (size_t) (hash - text.data) },
                          es_str(id))))
    {
        return NULL;
    }

    text.len -= (size_t) (hash + 1 - text.data);
    text.data = hash + 1;

    if (text.len >= sizeof(path)) {
        return NULL;
    }

    end = es_query_decode(text, true, path);
    if (end == NULL || memchr(path, '\0', (size_t) (end - path)) != NULL) {
        return NULL;
    }

    *end = '\0';

    number = json_object_get(path[0] == '/' || path[0] == '\0' ? c->index
                                                               : c->anchors,
                             path);

    return number ? c->nodes[json_integer_value(number)] : NULL;
}


static es_rc_t
es_compile_refs(es_compile_t *c)
{
    es_node_t     *target;
    es_pending_t  *pending;

    for (pending = c->pending; pending != NULL; pending = pending->next) {
        target = es_ref_target(c, pending->check->value);

        if (target == NULL) {
            (void) es_problem_set(c->problem, ES_INVALID, -1,
                                  pending->node->path, "\"$ref\" names no "
                                  "schema of this document: %s",
                                  json_string_value(pending->check->value));
            return es_problem_keyword(c->problem, "$ref");
        }

        pending->check->nodes[0] = target;
    }

    return ES_OK;
}


/*
 * Computes the longest chain of schemas at one place of an instance.  Its
 * limit bounds the stack of a validation: the depth of the instance times
 * ES_SCHEMA_CHAIN_MAX.
 */

static es_rc_t
es_compile_height(es_compile_t *c, es_node_t *node, unsigned above)
{
    size_t            i, j;
    es_rc_t           rc;
    es_node_t        *next;
    const es_check_t  *check;

    if (node->entered) {
        return es_problem_set(c->problem, ES_INVALID, -1, node->path,
                              "the schema refers to itself at the same place "
                              "of an instance");
    }

    if (above + (node->height ? node->height : 1) > ES_SCHEMA_CHAIN_MAX) {
        return es_problem_set(c->problem, ES_TOO_LARGE, -1, node->path,
                              "a chain of more than %d schemas applies to "
                              "one place of an instance",
                              ES_SCHEMA_CHAIN_MAX);
    }

    if (node->height > 0) {
        return ES_OK;
    }

    node->entered = true;
    node->height = 1;

    for (i = 0; i < node->n; i++) {
        check = &node->checks[i];

        if (check->kw < ES_KW_DEPENDENT_SCHEMAS) {
            continue;
        }

        for (j = 0; j < check->n; j++) {
            next = check->nodes ? check->nodes[j] : check->members[j].node;

            if (next == NULL) {
                continue;
            }

            rc = es_compile_height(c, next, above + 1);
            if (rc != ES_OK) {
                return rc;
            }

            if (next->height >= node->height) {
                node->height = next->height + 1;
            }
        }
    }

    node->entered = false;

    return ES_OK;
}


static es_rc_t
es_compile_document(es_compile_t *c)
{
    size_t      i;
    es_rc_t     rc;
    es_node_t  *root = NULL;

    if (es_buf_reserve(&c->path, 64) != ES_OK || c->index == NULL
        || c->anchors == NULL)
    {
        return es_compile_nomem(c);
    }

    es_path_back(c, 0);

    rc = es_compile_node(c, c->schema->document, &root);

    if (rc == ES_OK) {
        c->schema->root = root;
        rc = es_compile_refs(c);
    }

    for (i = 0; i < c->n && rc == ES_OK; i++) {
        rc = es_compile_height(c, c->nodes[i], 0);
    }

    return rc;
}


static es_rc_t
es_compile(es_str_t text, bool is_new, es_schema_t **out,
    es_problem_t *problem)
{
    es_rc_t        rc;
    json_error_t   error;
    es_problem_t   ignored = { 0 };
    es_compile_t   c = { 0 };

    c.problem = problem ? problem : &ignored;
    c.keyword = "";
    c.is_new = is_new;

    if (text.len > ES_SCHEMA_SIZE_MAX) {
        return es_problem_set(c.problem, ES_TOO_LARGE, -1, NULL,
                              "a schema may have at most %d bytes",
                              ES_SCHEMA_SIZE_MAX);
    }

    c.schema = calloc(1, sizeof(es_schema_t));
    if (c.schema == NULL) {
        return es_compile_nomem(&c);
    }

    c.schema->document = json_loadb(text.data, text.len,
                                    JSON_DECODE_ANY | JSON_ALLOW_NUL
                                    | JSON_REJECT_DUPLICATES, &error);
    if (c.schema->document == NULL) {
        free(c.schema);
        return es_problem_set(c.problem, ES_INVALID, -1, NULL,
                              "not valid JSON at byte %d: %s", error.position,
                              error.text);
    }

    c.index = json_object();
    c.anchors = json_object();

    rc = es_compile_document(&c);

    json_decref(c.index);
    json_decref(c.anchors);
    es_buf_free(&c.path);
    free(c.nodes);

    if (rc != ES_OK) {
        es_schema_free(c.schema);
        return rc;
    }

    *out = c.schema;

    return ES_OK;
}


es_rc_t
es_schema_compile(es_str_t text, es_schema_t **out, es_problem_t *problem)
{
    return es_compile(text, false, out, problem);
}


es_rc_t
es_schema_compile_new(es_str_t text, es_schema_t **out, es_problem_t *problem)
{
    return es_compile(text, true, out, problem);
}


void
es_schema_free(es_schema_t *schema)
{
    es_regex_list_t  *item;

    if (schema == NULL) {
        return;
    }

    for (item = schema->regexes; item != NULL; item = item->next) {
        es_regex_free(item->regex);
    }

    json_decref(schema->document);
    es_pool_free(&schema->pool);
    free(schema);
}
