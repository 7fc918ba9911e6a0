/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compiles lists to an automaton.
 *
 * The entries of each list become a tree of tokens.  A state stands for a set
 * of nodes of all trees: those that the way to a value may have reached, by
 * names and by "*".  So one look-up for each member follows all entries of all
 * lists at once (the subset construction).  Bounds on states and work end it,
 * because some lists with many "*" have very many sets.
 */

#include <stdlib.h>

#include "base/hash.h"
#include "base/pool.h"
#include "event/digest.h"
#include "fields/fields.h"
#include "fields/fields_impl.h"
#include "fields/fields_tree.h"

#define ES_FIELDS_WORK   (1024 * 1024)
#define ES_FIELDS_EDGES  (8 * ES_FIELDS_STATES)
#define ES_FIELDS_TREES  (ES_FIELDS_LISTS + 1)

/* A set of nodes, sorted: compile.members[at, at + n). */
typedef struct {
    size_t    at;
    size_t    n;
    uint64_t  hash;
} es_fields_set_t;

typedef struct {
    uint32_t            ntrees;        /* the last one is `encrypt` */
    es_pool_t          *pool;          /* of the result */
    es_pool_t           scratch;
    es_fields_trees_t   trees;
    es_buf_t            members;       /* of all sets: uint32_t */
    es_fields_set_t    *sets;          /* by state */
    es_fields_state_t  *states;
    uint32_t            nstates;
    es_fields_edge_t   *edges;
    uint32_t            nedges;
    es_str_t           *tokens;        /* of one state */
    uint32_t           *set;           /* under construction */
    size_t              nset;
    size_t              work;
} es_fields_compile_t;


/* ---- sets ---- */


/* Puts a node into the set. */

static void
es_fields_join(es_fields_compile_t *c, uint32_t node)
{
    size_t  i;

    if (node == 0) {
        return;
    }

    for (i = c->nset; i > 0 && c->set[i - 1] >= node; i--) {
        c->work++;

        if (c->set[i - 1] == node) {
            return;
        }
    }

    memmove(c->set + i + 1, c->set + i, (c->nset - i) * sizeof(uint32_t));
    c->set[i] = node;
    c->nset++;
}


/* Removes the nodes of the trees that are marked. */

static void
es_fields_drop(es_fields_compile_t *c, const bool tree[ES_FIELDS_TREES])
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < c->nset; i++) {
        if (!tree[c->trees.nodes[c->set[i]].tree]) {
            c->set[n++] = c->set[i];
        }
    }

    c->nset = n;
}


/*
 * Reduces the set: a node where an entry ends stands for all others of its
 * list, as the node that is in every set below.  Returns ES_FIELDS_NOTHING if
 * some list shows nothing of the value, ES_FIELDS_ALL if all is shown, and
 * another number otherwise.
 */

static uint32_t
es_fields_reduce(es_fields_compile_t *c, es_fields_state_t *state)
{
    bool      some[ES_FIELDS_TREES] = { false };
    bool      ends[ES_FIELDS_TREES] = { false };
    size_t    i;
    uint32_t  tree, last;

    last = c->ntrees - 1;
    memset(state, 0, sizeof(*state));

    for (i = 0; i < c->nset; i++) {
        tree = c->trees.nodes[c->set[i]].tree;
        some[tree] = true;
        ends[tree] = ends[tree] || c->trees.nodes[c->set[i]].final;
    }

    es_fields_drop(c, ends);
    state->whole = true;

    for (tree = 0; tree < c->ntrees; tree++) {
        if (ends[tree]) {
            es_fields_join(c, 1 + c->ntrees + tree);
        }

        if (tree < last && !some[tree]) {
            return ES_FIELDS_NOTHING;
        }

        state->whole = state->whole && (tree == last || ends[tree]);
    }

    state->inner = ends[last];

    return state->whole && !some[last] ? ES_FIELDS_ALL : ES_FIELDS_ALL + 1;
}


/* Returns the state of the set, which may change.  ES_TOO_LARGE. */

static es_rc_t
es_fields_intern(es_fields_compile_t *c, uint32_t *number)
{
    size_t             size;
    es_rc_t            rc;
    uint32_t           i;
    bool               encrypt[ES_FIELDS_TREES] = { false };
    es_fields_set_t    set;
    es_fields_state_t  state;

    *number = es_fields_reduce(c, &state);
    if (*number <= ES_FIELDS_ALL) {
        return ES_OK;
    }

    size = c->nset * sizeof(uint32_t);
    set.at = c->members.len;
    set.n = c->nset;
    set.hash = es_hash_long(c->set, size, 0);

    for (i = ES_FIELDS_ALL + 1; i < c->nstates; i++) {
        if (c->sets[i].hash == set.hash && c->sets[i].n == set.n
            && memcmp(c->members.data + c->sets[i].at, c->set, size) == 0)
        {
            *number = i;
            return ES_OK;
        }
    }

    c->work += c->nstates + c->nset;

    if (c->nstates == ES_FIELDS_STATES || c->work > ES_FIELDS_WORK) {
        return ES_TOO_LARGE;
    }

    rc = es_buf_append(&c->members, c->set, size);
    if (rc != ES_OK) {
        return rc;
    }

    *number = c->nstates++;
    c->sets[*number] = set;

    if (state.inner != 0) {
        encrypt[c->ntrees - 1] = true;
        es_fields_drop(c, encrypt);
        rc = es_fields_intern(c, &state.inner);
    }

    c->states[*number] = state;

    return rc;
}


/* ---- states ---- */


static uint32_t
es_fields_index(es_str_t token)
{
    size_t    i;
    uint32_t  n;

    if (token.len == 0 || token.len > 9
        || (token.data[0] == '0' && token.len > 1))
    {
        return ES_FIELDS_NO_INDEX;
    }

    n = 0;

    for (i = 0; i < token.len; i++) {
        if (token.data[i] < '0' || token.data[i] > '9') {
            return ES_FIELDS_NO_INDEX;
        }

        n = n * 10 + (uint32_t) (token.data[i] - '0');
    }

    return n;
}


static int
es_fields_compare(const void *a, const void *b)
{
    return es_fields_order(*(const es_str_t *) a, *(const es_str_t *) b);
}


/* Collects the tokens that leave the state, each once and in order. */

static size_t
es_fields_tokens(es_fields_compile_t *c, const es_fields_set_t *set)
{
    size_t           i, n, all;
    uint32_t         child;
    const uint32_t  *members;

    members = (const uint32_t *) (void *) (c->members.data + set->at);
    all = 0;

    for (i = 0; i < set->n; i++) {
        child = c->trees.nodes[members[i]].child;

        for ( ; child != 0; child = c->trees.nodes[child].sibling) {
            c->tokens[all++] = c->trees.nodes[child].token;
        }
    }

    qsort(c->tokens, all, sizeof(es_str_t), es_fields_compare);

    n = 0;

    for (i = 0; i < all; i++) {
        if (n == 0 || !es_str_eq(c->tokens[n - 1], c->tokens[i])) {
            c->tokens[n++] = c->tokens[i];
        }
    }

    return n;
}


/* Finds the state that a token leads to; NULL: any token that no entry
   names. */

static es_rc_t
es_fields_follow(es_fields_compile_t *c, const es_fields_set_t *set,
    const es_str_t *token, uint32_t *to)
{
    size_t           i;
    uint32_t         child;
    const uint32_t  *members;

    c->nset = 0;

    for (i = 0; i < set->n; i++) {
        members = (const uint32_t *) (void *) (c->members.data + set->at);
        es_fields_join(c, c->trees.nodes[members[i]].star);

        child = token != NULL ? c->trees.nodes[members[i]].child : 0;

        for ( ; child != 0; child = c->trees.nodes[child].sibling) {
            c->work++;

            if (es_str_eq(c->trees.nodes[child].token, *token)) {
                es_fields_join(c, child);
            }
        }
    }

    return es_fields_intern(c, to);
}


static bool
es_fields_escaped(es_str_t token)
{
    size_t  i;

    for (i = 0; i < token.len; i++) {
        if (token.data[i] == '"' || token.data[i] == '\\'
            || (unsigned char) token.data[i] < 0x20)
        {
            return true;
        }
    }

    return false;
}


/* A token that no member has as it stands, because JSON has an escape in it,
   gets words that match nothing. */

static void
es_fields_edge(es_fields_edge_t *edge, es_str_t token, uint32_t to)
{
    size_t  len;

    len = token.len + 2 < sizeof(edge->word) ? token.len + 2
                                             : sizeof(edge->word);

    edge->token = token;
    edge->index = es_fields_index(token);
    edge->to = to;

    memset(edge->word, 0, sizeof(edge->word));
    memset(edge->mask, 0, sizeof(edge->mask));

    if (es_fields_escaped(token)) {
        edge->word[0] = 1;
        return;
    }

    memcpy(edge->word, token.data, len);
    memset(edge->mask, 0xff, len);
}


static es_rc_t
es_fields_leave(es_fields_compile_t *c, uint32_t number)
{
    size_t              i, n;
    es_rc_t             rc;
    uint32_t            to;
    es_fields_set_t     set;
    es_fields_state_t  *state;

    state = &c->states[number];
    state->first = c->nedges;

    if (state->inner != 0) {
        return ES_OK;
    }

    set = c->sets[number];
    n = es_fields_tokens(c, &set);

    rc = es_fields_follow(c, &set, NULL, &state->rest);

    for (i = 0; i < n && rc == ES_OK; i++) {
        rc = es_fields_follow(c, &set, &c->tokens[i], &to);

        if (rc == ES_OK && to != state->rest) {
            if (c->nedges == ES_FIELDS_EDGES) {
                return ES_TOO_LARGE;
            }

            es_fields_edge(&c->edges[c->nedges++], c->tokens[i], to);
            state->n++;
        }
    }

    return rc;
}


static es_rc_t
es_fields_automaton(es_fields_compile_t *c, const es_fields_source_t *source,
    uint32_t *root)
{
    size_t             i;
    es_rc_t            rc;
    uint32_t           tree;
    es_fields_node_t  *nodes;

    rc = ES_OK;
    nodes = c->trees.nodes;
    c->trees.n = 1 + 2 * (size_t) c->ntrees;

    for (tree = 0; tree < c->ntrees; tree++) {
        nodes[1 + tree].tree = tree;
        nodes[1 + c->ntrees + tree].tree = tree;
        nodes[1 + c->ntrees + tree].final = true;
        nodes[1 + c->ntrees + tree].star = 1 + c->ntrees + tree;
    }

    for (tree = 0; tree < c->ntrees && rc == ES_OK; tree++) {
        rc = es_fields_tree_add(&c->trees, tree,
                                tree < source->nallow ? &source->allow[tree]
                                                      : &source->encrypt);
        if (tree < source->nallow
            || nodes[1 + tree].child != 0 || nodes[1 + tree].star != 0
            || nodes[1 + tree].final)
        {
            c->set[c->nset++] = 1 + tree;
        }
    }

    c->states[ES_FIELDS_ALL].whole = true;
    c->states[ES_FIELDS_ALL].rest = ES_FIELDS_ALL;
    c->nstates = ES_FIELDS_ALL + 1;

    if (rc == ES_OK) {
        rc = es_fields_intern(c, root);
    }

    for (i = ES_FIELDS_ALL + 1; i < c->nstates && rc == ES_OK; i++) {
        rc = es_fields_leave(c, (uint32_t) i);
    }

    return rc;
}


/* ---- the result ---- */


static bool
es_fields_names(const es_fields_list_t *list, es_str_t name)
{
    size_t  i;

    for (i = 0; i < list->n; i++) {
        if (es_str_eq(list->entries[i], name)) {
            return true;
        }
    }

    return false;
}


/* Copies the extension attributes that each list names. */

static es_rc_t
es_fields_attributes(const es_fields_source_t *source, es_pool_t *pool,
    es_fields_t *out)
{
    size_t                   i, j;
    es_str_t                 name, *names;
    const es_fields_list_t  *list;

    out->names_all = source->nallow == 0;

    if (out->names_all) {
        return ES_OK;
    }

    list = &source->allow[0];

    names = es_pool_alloc(pool, list->n * sizeof(es_str_t));
    if (names == NULL) {
        return ES_NOMEM;
    }

    for (i = 0; i < list->n; i++) {
        name = list->entries[i];
        j = 0;

        if (name.len > 0 && name.data[0] != '/') {
            while (j < source->nallow
                   && es_fields_names(&source->allow[j], name))
            {
                j++;
            }
        }

        if (j == source->nallow) {
            names[out->nnames] = es_pool_str(pool, name);

            if (names[out->nnames++].data == NULL) {
                return ES_NOMEM;
            }
        }
    }

    out->names = names;

    return ES_OK;
}


/* Each part of the text has its length, so that no two sources have the same
   text. */

static es_rc_t
es_fields_identify(const es_fields_source_t *source, uint8_t *id)
{
    size_t                   i, j;
    es_rc_t                  rc;
    es_buf_t                 text = { NULL, 0, 0 };
    const es_fields_list_t  *list;

    rc = es_buf_printf(&text, "%zu:", source->key.len);

    if (rc == ES_OK) {
        rc = es_buf_str(&text, source->key);
    }

    for (i = 0; i <= source->nallow && rc == ES_OK; i++) {
        list = i < source->nallow ? &source->allow[i] : &source->encrypt;
        rc = es_buf_printf(&text, "%zu;", list->n);

        for (j = 0; j < list->n && rc == ES_OK; j++) {
            rc = es_buf_printf(&text, "%zu:", list->entries[j].len);

            if (rc == ES_OK) {
                rc = es_buf_str(&text, list->entries[j]);
            }
        }
    }

    es_digest_event(text.data, text.len, id);
    es_buf_free(&text);

    return rc;
}


static es_rc_t
es_fields_result(es_fields_compile_t *c, const es_fields_source_t *source,
    uint32_t root, const es_fields_t **out)
{
    void         *states, *edges;
    es_rc_t       rc;
    es_fields_t  *fields;

    fields = es_pool_alloc(c->pool, sizeof(*fields));
    states = es_pool_alloc(c->pool, c->nstates * sizeof(es_fields_state_t));
    edges = es_pool_alloc(c->pool, c->nedges * sizeof(es_fields_edge_t));

    if (fields == NULL || states == NULL || edges == NULL) {
        return ES_NOMEM;
    }

    memcpy(states, c->states, c->nstates * sizeof(es_fields_state_t));
    memcpy(edges, c->edges, c->nedges * sizeof(es_fields_edge_t));

    fields->root = root;
    fields->states = states;
    fields->edges = edges;
    fields->key = es_pool_str(c->pool, source->key);

    if (fields->key.data == NULL) {
        return ES_NOMEM;
    }

    rc = es_fields_attributes(source, c->pool, fields);

    if (rc == ES_OK) {
        rc = es_fields_identify(source, fields->id);
    }

    *out = fields;

    return rc;
}


es_rc_t
es_fields_compile(const es_fields_source_t *source, es_pool_t *pool,
    const es_fields_t **out)
{
    size_t               i, room;
    es_rc_t              rc;
    uint32_t             root;
    es_fields_compile_t  c = { .ntrees = (uint32_t) source->nallow + 1,
                               .pool = pool, .trees.pool = pool };

    if (source->nallow > ES_FIELDS_LISTS) {
        return ES_TOO_LARGE;
    }

    room = 1 + 2 * (size_t) c.ntrees + es_fields_tree_room(&source->encrypt);

    for (i = 0; i < source->nallow; i++) {
        room += es_fields_tree_room(&source->allow[i]);
    }

    c.trees.nodes = es_pool_alloc(&c.scratch, room * sizeof(es_fields_node_t));
    c.set = es_pool_alloc(&c.scratch, room * sizeof(uint32_t));
    c.tokens = es_pool_alloc(&c.scratch, room * sizeof(es_str_t));
    c.sets = es_pool_alloc(&c.scratch,
                           ES_FIELDS_STATES * sizeof(es_fields_set_t));
    c.states = es_pool_alloc(&c.scratch,
                             ES_FIELDS_STATES * sizeof(es_fields_state_t));
    c.edges = es_pool_alloc(&c.scratch,
                            ES_FIELDS_EDGES * sizeof(es_fields_edge_t));

    rc = ES_NOMEM;

    if (c.trees.nodes != NULL && c.set != NULL && c.tokens != NULL
        && c.sets != NULL && c.states != NULL && c.edges != NULL)
    {
        rc = es_fields_automaton(&c, source, &root);
    }

    if (rc == ES_OK) {
        rc = es_fields_result(&c, source, root, out);
    }

    es_buf_free(&c.members);
    es_pool_free(&c.scratch);

    return rc;
}
