/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the pages of LMDB's B+trees, as mdb.c of LMDB 0.9 lays them out.
 *
 * A page begins with its number (8 bytes), 2 bytes that are the length of the
 * records on a page of fixed ones, flags, and the bounds of the unused part.
 * Then come the offsets of the nodes.  A node has the length of its data or the
 * number of its child, flags, and the length of its key.
 */

#include "base/assert.h"
#include "store/env.h"
#include "store/scrub_pages.h"

#define ES_PAGE_HEAD      16
#define ES_PAGE_BRANCH    0x01
#define ES_PAGE_LEAF      0x02
#define ES_PAGE_OVERFLOW  0x04
#define ES_PAGE_FIXED     0x20

#define ES_NODE_BIG       0x01     /* the data are on overflow pages */
#define ES_NODE_TREE      0x02     /* the data are an es_tree_t */

#define ES_MAIN_DBI       1
#define ES_TREE_EMPTY     UINT64_MAX
#define ES_TREE_DEPTH     32
#define ES_PAGES_MAX      100000   /* pages that one walk looks at */

typedef struct __attribute__((packed)) {
    uint64_t  number;
    uint16_t  fixed;
    uint16_t  flags;
    uint16_t  lower;               /* of an overflow page: its pages, with
                                      `upper` */
    uint16_t  upper;
} es_raw_page_t;

typedef struct __attribute__((packed)) {
    uint16_t  low, high, flags, key_len;
} es_raw_node_t;

typedef struct __attribute__((packed)) {
    uint32_t  fixed;
    uint16_t  flags, depth;
    uint64_t  branches, leaves, overflows, entries, root;
} es_raw_tree_t;

ES_STORED_SIZE(es_raw_page_t, ES_PAGE_HEAD);
ES_STORED_SIZE(es_raw_node_t, 8);
ES_STORED_SIZE(es_raw_tree_t, 48);

typedef struct {
    MDB_txn           *txn;
    MDB_dbi            dbi;
    const uint8_t     *map;
    uint64_t           pages;      /* in the file */
    size_t             size;       /* of a page */
    bool               dups;       /* in a tree of duplicates */
    MDB_val            key;        /* whose duplicates they are */
    es_scrub_place_t  *place;
    es_scrub_item_t   *items;
    unsigned           max;
    unsigned           n;
    unsigned           looked;     /* at pages */
} es_scrub_walk_t;

static es_rc_t es_scrub_page(es_scrub_walk_t *w, uint64_t number,
    unsigned depth);


static bool
es_scrub_zero(const uint8_t *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}


static const es_raw_page_t *
es_scrub_at(const es_scrub_walk_t *w, uint64_t number)
{
    const es_raw_page_t  *page;

    if (number < 2 || number >= w->pages) {
        return NULL;
    }

    page = (const es_raw_page_t *) (w->map + number * w->size);

    return page->number == number ? page : NULL;
}


static unsigned
es_scrub_count(const es_raw_page_t *page)
{
    return (unsigned) (page->lower - ES_PAGE_HEAD) / 2;
}


/* NULL: the page is not what it should be. */

static const es_raw_node_t *
es_scrub_node(const es_scrub_walk_t *w, const es_raw_page_t *page, unsigned i)
{
    uint16_t              offset;
    const es_raw_node_t  *node;

    memcpy(&offset, (const uint8_t *) page + ES_PAGE_HEAD + 2 * i,
           sizeof(offset));

    if (offset < page->upper || offset + sizeof(*node) > w->size) {
        return NULL;
    }

    node = (const es_raw_node_t *) ((const uint8_t *) page + offset);

    return offset + sizeof(*node) + node->key_len <= w->size ? node : NULL;
}


static MDB_val
es_scrub_key(const es_raw_node_t *node)
{
    return (MDB_val) { node->key_len, (void *) (uintptr_t) (node + 1) };
}


static uint64_t
es_scrub_child(const es_raw_node_t *node)
{
    return node->low | (uint64_t) node->high << 16
           | (uint64_t) node->flags << 32;
}


static int
es_scrub_cmp(const es_scrub_walk_t *w, const MDB_val *a, const MDB_val *b)
{
    return w->dups ? mdb_dcmp(w->txn, w->dbi, a, b)
                   : mdb_cmp(w->txn, w->dbi, a, b);
}


/* The place in the tree that is walked. */

static bool
es_scrub_passed(const es_scrub_walk_t *w, const MDB_val *key)
{
    MDB_val                 last;
    const es_scrub_item_t  *at;

    at = &w->place->last;

    if (!w->place->begun
        || (w->dups
            && (at->value_len == 0 || at->key_len != w->key.mv_size
                || memcmp(at->key, w->key.mv_data, at->key_len) != 0)))
    {
        return false;
    }

    last.mv_data = (void *) (uintptr_t) (w->dups ? at->value : at->key);
    last.mv_size = w->dups ? at->value_len : at->key_len;

    return es_scrub_cmp(w, key, &last) <= 0;
}


/* Notes a record as the place, and if its page is `old` as an item. */

static es_rc_t
es_scrub_note(es_scrub_walk_t *w, const MDB_val *record, bool old)
{
    MDB_val           key;
    es_scrub_item_t  *at;

    key = w->dups ? w->key : *record;
    at = &w->place->last;

    if (key.mv_size > ES_SCRUB_KEY_MAX
        || (w->dups && record->mv_size > sizeof(at->value)))
    {
        return ES_FORMAT;
    }

    w->place->begun = true;
    at->key_len = key.mv_size;
    memcpy(at->key, key.mv_data, key.mv_size);
    at->value_len = w->dups ? record->mv_size : 0;

    if (w->dups) {
        memcpy(at->value, record->mv_data, record->mv_size);
    }

    if (!old) {
        return ES_OK;
    }

    w->items[w->n++] = *at;

    return w->n == w->max ? ES_STOP : ES_OK;
}


/* A page of duplicates, which all have the same length. */

static es_rc_t
es_scrub_fixed(es_scrub_walk_t *w, const es_raw_page_t *page)
{
    size_t         used;
    unsigned       count;
    MDB_val        last;
    const uint8_t  *bytes;

    bytes = (const uint8_t *) page;
    count = es_scrub_count(page);
    used = ES_PAGE_HEAD + (size_t) count * page->fixed;

    if (count == 0 || used > w->size) {
        return count == 0 ? ES_OK : ES_FORMAT;
    }

    last.mv_size = page->fixed;
    last.mv_data = (void *) (uintptr_t) (bytes + used - page->fixed);

    if (es_scrub_passed(w, &last)) {
        return ES_OK;
    }

    return es_scrub_note(w, &last, !es_scrub_zero(bytes + used,
                                                  w->size - used));
}


/* The value is alone on its page: what comes after it. */

static es_rc_t
es_scrub_big(es_scrub_walk_t *w, const es_raw_node_t *node, bool *old)
{
    size_t                len;
    uint64_t              number;
    const es_raw_page_t  *page;

    memcpy(&number, (const uint8_t *) (node + 1) + node->key_len,
           sizeof(number));
    len = node->low | (size_t) node->high << 16;

    if (len > w->size - ES_PAGE_HEAD) {
        return ES_OK;                  /* LMDB clears the last page */
    }

    page = es_scrub_at(w, number);
    if (page == NULL || !(page->flags & ES_PAGE_OVERFLOW)) {
        return ES_FORMAT;
    }

    *old = !es_scrub_zero((const uint8_t *) page + ES_PAGE_HEAD + len,
                          w->size - ES_PAGE_HEAD - len);

    return ES_OK;
}


static es_rc_t
es_scrub_dups(es_scrub_walk_t *w, const es_raw_node_t *node)
{
    es_rc_t        rc;
    MDB_val        last;
    es_raw_tree_t  tree;

    w->key = es_scrub_key(node);
    last.mv_data = w->place->last.key;
    last.mv_size = w->place->last.key_len;

    if (mdb_cmp(w->txn, w->dbi, &w->key, &last) < 0) {
        return ES_OK;                  /* all were passed */
    }

    memcpy(&tree, (const uint8_t *) (node + 1) + node->key_len, sizeof(tree));

    w->dups = true;
    rc = tree.root == ES_TREE_EMPTY ? ES_OK : es_scrub_page(w, tree.root, 0);
    w->dups = false;

    return rc;
}


static es_rc_t
es_scrub_leaf(es_scrub_walk_t *w, const es_raw_page_t *page)
{
    bool                  old, big;
    es_rc_t               rc;
    MDB_val               key;
    unsigned              i, count;
    const es_raw_node_t  *node;

    count = es_scrub_count(page);

    /* The first record that is not passed stands for the page. */

    old = !es_scrub_zero((const uint8_t *) page + page->lower,
                         (size_t) (page->upper - page->lower));

    for (i = 0; i < count; i++) {
        node = es_scrub_node(w, page, i);
        if (node == NULL) {
            return ES_FORMAT;
        }

        key = es_scrub_key(node);

        if (es_scrub_passed(w, &key)) {
            old = old && i + 1 < count;

        } else {
            big = false;
            rc = node->flags & ES_NODE_BIG ? es_scrub_big(w, node, &big)
                                           : ES_OK;

            if (rc == ES_OK) {
                rc = es_scrub_note(w, &key, old || big);
            }

            if (rc != ES_OK) {
                return rc;
            }

            old = false;
        }

        rc = node->flags & ES_NODE_TREE ? es_scrub_dups(w, node) : ES_OK;
        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


/* A put below a branch page rewrites it, too. */

static es_rc_t
es_scrub_branch(es_scrub_walk_t *w, const es_raw_page_t *page, unsigned depth)
{
    bool                  old;
    es_rc_t               rc;
    MDB_val               key;
    unsigned              i, n, count;
    const es_raw_node_t  *node, *next;

    count = es_scrub_count(page);
    old = !es_scrub_zero((const uint8_t *) page + page->lower,
                         (size_t) (page->upper - page->lower));

    for (i = 0; i < count; i++) {
        node = es_scrub_node(w, page, i);
        next = i + 1 < count ? es_scrub_node(w, page, i + 1) : NULL;

        if (node == NULL || (i + 1 < count && next == NULL)) {
            return ES_FORMAT;
        }

        if (next != NULL) {
            key = es_scrub_key(next);

            if (es_scrub_passed(w, &key)) {
                continue;
            }
        }

        n = w->n;
        rc = es_scrub_page(w, es_scrub_child(node), depth + 1);
        if (rc != ES_OK) {
            return rc;
        }

        if (old && w->n == n && w->place->begun) {
            w->items[w->n++] = w->place->last;
        }

        old = old && w->n == n;

        if (w->n == w->max) {
            return ES_STOP;
        }
    }

    return ES_OK;
}


static es_rc_t
es_scrub_page(es_scrub_walk_t *w, uint64_t number, unsigned depth)
{
    const es_raw_page_t  *page;

    page = es_scrub_at(w, number);

    if (page == NULL || depth == ES_TREE_DEPTH
        || (!(page->flags & ES_PAGE_FIXED)
            && (page->lower < ES_PAGE_HEAD || page->upper < page->lower
                || page->upper > w->size)))
    {
        return ES_FORMAT;
    }

    if (page->flags & ES_PAGE_BRANCH) {
        return es_scrub_branch(w, page, depth);
    }

    if (w->looked++ == ES_PAGES_MAX) {
        return ES_STOP;
    }

    return page->flags & ES_PAGE_FIXED ? es_scrub_fixed(w, page)
                                       : es_scrub_leaf(w, page);
}


/* Finds the map and the root of the database.  Its record is in LMDB's main
   database. */

static es_rc_t
es_scrub_open(es_scrub_walk_t *w, MDB_txn *txn, MDB_dbi dbi, const char *name,
    uint64_t *root)
{
    int                   rc;
    MDB_val               key, value;
    MDB_stat              stat;
    MDB_envinfo           info;
    es_raw_tree_t         tree;
    const es_raw_page_t  *page;

    (void) mdb_env_info(mdb_txn_env(txn), &info);
    (void) mdb_env_stat(mdb_txn_env(txn), &stat);

    memset(w, 0, sizeof(*w));
    w->txn = txn;
    w->dbi = dbi;
    w->size = stat.ms_psize;
    w->pages = info.me_last_pgno + 1;

    key.mv_data = (void *) (uintptr_t) name;
    key.mv_size = strlen(name);

    rc = mdb_get(txn, ES_MAIN_DBI, &key, &value);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (value.mv_size != sizeof(tree)) {
        return ES_FORMAT;
    }

    memcpy(&tree, value.mv_data, sizeof(tree));
    *root = tree.root;

    page = (const es_raw_page_t *) ((uintptr_t) value.mv_data
                                    & ~(uintptr_t) (w->size - 1));
    w->map = (const uint8_t *) page - page->number * w->size;

    return page->number < w->pages && (page->flags & ES_PAGE_LEAF)
           && mdb_stat(txn, dbi, &stat) == 0
           && stat.ms_entries == tree.entries
           && stat.ms_depth == tree.depth
           ? ES_OK : ES_FORMAT;
}


es_rc_t
es_scrub_walk(MDB_txn *txn, MDB_dbi dbi, const char *name,
    es_scrub_place_t *place, es_scrub_item_t *items, unsigned max,
    unsigned *n)
{
    es_rc_t          rc;
    uint64_t         root;
    es_scrub_walk_t  w;

    rc = es_scrub_open(&w, txn, dbi, name, &root);
    if (rc != ES_OK) {
        return rc;
    }

    w.place = place;
    w.items = items;
    w.max = max;

    rc = root == ES_TREE_EMPTY ? ES_OK : es_scrub_page(&w, root, 0);
    place->done = rc == ES_OK;
    *n = w.n;

    return rc == ES_STOP ? ES_OK : rc;
}


es_rc_t
es_scrub_bound(MDB_txn *txn, MDB_dbi dbi, const char *name, es_str_t text,
    bool *has)
{
    int                   order;
    es_rc_t               rc;
    MDB_val               key, bound;
    uint64_t              number;
    unsigned              i, depth;
    es_scrub_walk_t       w;
    const es_raw_node_t  *node, *child;
    const es_raw_page_t  *page;

    *has = false;
    key.mv_data = (void *) (uintptr_t) text.data;
    key.mv_size = text.len;

    rc = es_scrub_open(&w, txn, dbi, name, &number);
    if (rc != ES_OK || number == ES_TREE_EMPTY) {
        return rc;
    }

    for (depth = 0; depth < ES_TREE_DEPTH; depth++) {
        page = es_scrub_at(&w, number);
        if (page == NULL) {
            return ES_FORMAT;
        }

        if (!(page->flags & ES_PAGE_BRANCH)) {
            return ES_OK;
        }

        child = es_scrub_node(&w, page, 0);

        for (i = 1; child != NULL && i < es_scrub_count(page); i++) {
            node = es_scrub_node(&w, page, i);
            if (node == NULL) {
                return ES_FORMAT;
            }

            bound = es_scrub_key(node);
            order = mdb_cmp(txn, dbi, &bound, &key);

            if (order > 0) {
                break;
            }

            *has |= order == 0;
            child = node;
        }

        if (child == NULL) {
            return ES_FORMAT;
        }

        number = es_scrub_child(child);
    }

    return ES_FORMAT;
}
