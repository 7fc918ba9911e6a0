/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A hash table of subjects that a commit reads and writes once.
 */

#include <stdlib.h>

#include "base/base.h"
#include "log/chunk.h"
#include "log/subject.h"
#include "publish/dirty_subjects.h"

#define ES_TOUCHED_FIRST  64

struct es_dirty_subjects_node {
    uint64_t      hash;
    es_str_t      text;
    es_subject_t  subject;
};


static es_rc_t
es_dirty_subjects_grow(es_dirty_subjects_t *t)
{
    size_t               i, cap;
    uint64_t             at;
    uint32_t            *table;
    es_dirty_subject_t  *nodes;

    cap = t->cap ? t->cap * 2 : ES_TOUCHED_FIRST;

    nodes = realloc(t->nodes, cap * sizeof(es_dirty_subject_t));
    if (nodes == NULL) {
        return ES_NOMEM;
    }

    t->nodes = nodes;

    table = calloc(cap * 2, sizeof(uint32_t));
    if (table == NULL) {
        return ES_NOMEM;
    }

    free(t->table);
    t->table = table;
    t->mask = cap * 2 - 1;
    t->cap = cap;

    for (i = 0; i < t->n; i++) {
        for (at = nodes[i].hash & t->mask; table[at] != 0;
             at = (at + 1) & t->mask) { /* void */ }

        table[at] = (uint32_t) i + 1;
    }

    return ES_OK;
}


es_rc_t
es_dirty_subjects_get(es_dirty_subjects_t *t, es_store_t *store, MDB_txn *txn,
    uint32_t feed, es_str_t text, es_subject_t **subject)
{
    es_rc_t              rc;
    uint64_t             at, hash;
    es_dirty_subject_t  *node;

    if (t->n == t->cap) {
        rc = es_dirty_subjects_grow(t);
        if (rc != ES_OK) {
            return rc;
        }
    }

    hash = es_event_hash(text.data, text.len);

    for (at = hash & t->mask; t->table[at] != 0; at = (at + 1) & t->mask) {
        node = &t->nodes[t->table[at] - 1];

        if (node->hash == hash && es_str_eq(node->text, text)) {
            *subject = &node->subject;
            return ES_OK;
        }
    }

    node = &t->nodes[t->n];
    node->hash = hash;
    node->text = text;

    rc = es_subject_load(store, txn, feed, text, &node->subject);
    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        return rc;
    }

    t->table[at] = (uint32_t) ++t->n;
    *subject = &node->subject;

    return ES_OK;
}


static int
es_dirty_subjects_order(const void *a, const void *b)
{
    int       order;
    size_t    len;
    es_str_t  x, y;

    x = (*(const es_dirty_subject_t *const *) a)->text;
    y = (*(const es_dirty_subject_t *const *) b)->text;
    len = x.len < y.len ? x.len : y.len;
    order = memcmp(x.data, y.data, len);

    return order != 0 ? order : x.len < y.len ? -1 : x.len > y.len;
}


es_rc_t
es_dirty_subjects_flush(es_dirty_subjects_t *t, es_store_t *store, MDB_txn *txn,
    uint32_t feed)
{
    size_t                i;
    es_rc_t               rc;
    es_dirty_subject_t  **order;

    if (t->n == 0) {
        return ES_OK;
    }

    order = malloc(t->n * sizeof(*order));
    if (order == NULL) {
        return ES_NOMEM;
    }

    for (i = 0; i < t->n; i++) {
        order[i] = &t->nodes[i];
    }

    qsort(order, t->n, sizeof(*order), es_dirty_subjects_order);

    rc = ES_OK;

    for (i = 0; rc == ES_OK && i < t->n; i++) {
        rc = es_subject_save(store, txn, feed, order[i]->text,
                             &order[i]->subject);
    }

    free(order);
    es_dirty_subjects_clear(t);

    return rc;
}


void
es_dirty_subjects_clear(es_dirty_subjects_t *t)
{
    if (t->n > 0) {
        memset(t->table, 0, (t->mask + 1) * sizeof(uint32_t));
        t->n = 0;
    }
}


void
es_dirty_subjects_free(es_dirty_subjects_t *t)
{
    free(t->nodes);
    free(t->table);
    memset(t, 0, sizeof(*t));
}
