/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The subjects that one commit adds events to, so that each is
 * read and written once.
 */

#ifndef ES_DIRTY_SUBJECTS_H
#define ES_DIRTY_SUBJECTS_H

#include "log/subject.h"

typedef struct es_dirty_subjects_node  es_dirty_subject_t;

/* Zeroed is empty. */
typedef struct {
    es_dirty_subject_t  *nodes;
    size_t               n;
    size_t               cap;
    uint32_t            *table;    /* index + 1 of a node; 0: free */
    size_t               mask;
} es_dirty_subjects_t;

/*
 * The subject's record, read at its first use; the pointer is good until the
 * next call.  `text` must last until the table is cleared.
 */
es_rc_t es_dirty_subjects_get(es_dirty_subjects_t *dirty, es_store_t *store,
    MDB_txn *txn, uint32_t feed, es_str_t text, es_subject_t **subject);

/* Writes them all, in the order of their keys, and clears the table. */
es_rc_t es_dirty_subjects_flush(es_dirty_subjects_t *dirty, es_store_t *store,
    MDB_txn *txn, uint32_t feed);

void es_dirty_subjects_clear(es_dirty_subjects_t *dirty);
void es_dirty_subjects_free(es_dirty_subjects_t *dirty);

#endif /* ES_DIRTY_SUBJECTS_H */
