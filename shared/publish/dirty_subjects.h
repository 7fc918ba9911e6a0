/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The subjects to which one commit adds events, so that the commit reads and
 * writes the record of each only once.
 */

#ifndef ES_DIRTY_SUBJECTS_H
#define ES_DIRTY_SUBJECTS_H

#include "log/subject.h"

typedef struct es_dirty_subjects_node  es_dirty_subject_t;

/* A hash table; zeroed: empty. */
typedef struct {
    es_dirty_subject_t  *nodes;
    size_t               n;
    size_t               cap;
    uint32_t            *table;    /* index + 1 of a node; 0: free */
    size_t               mask;
} es_dirty_subjects_t;

/*
 * The subject's record, which is read at its first use.  The pointer is valid
 * until the next call.  `text` must stay valid until the table is cleared.
 */
es_rc_t es_dirty_subjects_get(es_dirty_subjects_t *dirty, es_store_t *store,
    MDB_txn *txn, uint32_t feed, es_str_t text, es_subject_t **subject);

/* Writes all records in the order of their keys, and clears the table. */
es_rc_t es_dirty_subjects_flush(es_dirty_subjects_t *dirty, es_store_t *store,
    MDB_txn *txn, uint32_t feed);

void es_dirty_subjects_clear(es_dirty_subjects_t *dirty);
void es_dirty_subjects_free(es_dirty_subjects_t *dirty);

#endif /* ES_DIRTY_SUBJECTS_H */
