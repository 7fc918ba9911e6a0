/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A commit under way, as publish.c and append.c share it: the first assigns
 * sequences, the second writes.
 */

#ifndef ES_APPEND_H
#define ES_APPEND_H

#include "base/clock.h"
#include "event/batch.h"
#include "event/event.h"
#include "log/chunk.h"
#include "log/erased.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "publish/dirty_subjects.h"
#include "store/deletions.h"

/* A feed that this commit appends to. */
typedef struct es_append  es_append_t;

struct es_append {
    es_feed_t            feed;
    uint64_t             first;    /* sequence of drafts[0] */
    const es_draft_t   **drafts;
    size_t               n;
    size_t               cap;
    uint64_t             dropped;  /* events that retention deleted */
    es_deletion_cause_t  why;
    bool                 erased;   /* the feed refuses erased events */
    es_append_t         *next;
};

typedef struct {
    es_store_t   *store;
    es_batch_t  **batches;
    size_t        nbatches;
    MDB_txn      *txn;
    MDB_cursor   *events;
    es_append_t  *appends;
    es_clock_verdict_t  clock;
    int64_t       now_ms;              /* the store's time */
    char          time[ES_TIME_LEN];    /* the same as text */
    es_erasures_t  erasures;
    uint64_t      ntypes;      /* numbers given before this commit */
    bool          appended;
    bool          retained;    /* retention has deleted events */
    bool          keep;        /* retention must not delete */
    es_dirty_subjects_t  dirty;     /* subjects of the feed that is written */
    es_entry_t    entries[ES_CHUNK_COUNT];     /* subject links of the chunk */
} es_commit_t;

/* Writes the chunks, the indexes and the head of a feed, in the write
   transaction c->txn.  A failure must undo the transaction. */
es_rc_t es_append_write(es_commit_t *c, es_append_t *append);

#endif /* ES_APPEND_H */
