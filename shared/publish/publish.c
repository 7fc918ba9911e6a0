/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Publishes batches in one commit.
 *
 *   1. For each batch in turn, it looks up every event by (source, id) among
 *      the stored events and those assigned so far.  A new event gets the
 *      feed's next sequence.  A conflict undoes the assignments of its batch.
 *   2. It writes the assigned events of each feed as chunks, with the indexes
 *      (append.c), and saves the feed's head.
 *   3. LMDB commits, and the bell rings.
 *
 * Slots of the id index may stay when step 1 or the commit is undone.  They
 * are only hints (id_index.h).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "event/batch.h"
#include "event/cursor.h"
#include "event/event.h"
#include "event/trace.h"
#include "log/chunk.h"
#include "log/erased.h"
#include "log/feed.h"
#include "log/feed_record.h"
#include "log/id_index.h"
#include "log/id_index_fill.h"
#include "publish/append.h"
#include "publish/dirty_subjects.h"
#include "store/deletions.h"
#include "store/env.h"
#include "store/store.h"
#include "store/wake.h"

#define ES_PREFETCH  8         /* look-ups ahead, to hide memory latency */

static es_rc_t es_commit_run(es_commit_t *c);
static es_rc_t es_commit_txn(MDB_txn *txn, void *ctx);
static es_rc_t es_commit_batch(es_commit_t *c, es_batch_t *batch);
static es_rc_t es_commit_find(es_commit_t *c, es_append_t *append,
    const es_draft_t *draft, uint64_t hash, uint64_t *sequence);
static es_rc_t es_commit_append(es_commit_t *c, es_batch_t *batch,
    es_append_t **append);


/* Does all work that needs no writer lock. */

static es_rc_t
es_publish_prepare(es_store_t *store, es_batch_t **batches, size_t n)
{
    size_t       i, j;
    es_rc_t      rc;
    es_draft_t  *draft;

    rc = store->flags & ES_STORE_PUBLISH ? ES_OK : ES_DENIED;

    for (i = 0; rc == ES_OK && i < n; i++) {
        rc = es_batch_seal(batches[i]);

        if (rc == ES_OK && !batches[i]->validated) {
            (void) es_batch_validate(store, batches[i], NULL);
        }

        for (j = 0; rc == ES_OK && j < batches[i]->n; j++) {
            draft = &batches[i]->drafts[j];

            if (draft->refused != NULL) {
                continue;
            }

            draft->ident = es_ident_hash(store, draft->head.data,
                                         draft->ident_len);
            draft->publisher = batches[i]->publisher;
        }
    }

    return rc;
}


static es_rc_t
es_publish_commit(es_store_t *store, es_batch_t **batches, size_t n)
{
    es_rc_t      rc;
    es_commit_t  c = { 0 };

    c.store = store;
    c.batches = batches;
    c.nbatches = n;

    rc = es_commit_run(&c);

    if (rc == ES_OK) {
        es_wake_ring(store);
    }

    return rc;
}


static void
es_publish_failed(es_batch_t **batches, size_t n, es_rc_t rc)
{
    size_t  i;

    for (i = 0; rc != ES_OK && i < n; i++) {
        if (batches[i]->rc == ES_OK) {
            batches[i]->rc = es_problem_set(&batches[i]->problem, rc, -1, NULL,
                                            "%s", es_reason(rc));
        }
    }
}


void
es_publish(es_store_t *store, es_batch_t **batches, size_t n)
{
    size_t   i;
    es_rc_t  rc;

    rc = es_publish_prepare(store, batches, n);

    if (rc == ES_OK) {
        rc = es_publish_commit(store, batches, n);
    }

    if (rc != ES_FULL || n == 1) {
        es_publish_failed(batches, n, rc);
        return;
    }

    /* all batches together are too large, but a small one may fit */

    for (i = 0; i < n; i++) {
        rc = es_publish_commit(store, &batches[i], 1);
        es_publish_failed(&batches[i], 1, rc);
    }
}

/* Frees the appends of a run: before the transaction runs again, and at the
   end. */

static void
es_commit_forget(es_commit_t *c)
{
    es_append_t  *append;

    while (c->appends != NULL) {
        append = c->appends;
        c->appends = append->next;
        free(append->drafts);
        free(append);
    }
}


static es_rc_t
es_commit_run(es_commit_t *c)
{
    int           err;
    es_rc_t       rc;
    es_append_t  *append;

    rc = es_env_update(c->store->log, es_commit_txn, c);

    if (rc == ES_FULL && c->retained) {

        /* deletions need pages, too: the events may fit without them */

        c->keep = true;
        rc = es_env_update(c->store->log, es_commit_txn, c);
    }

    if (rc == ES_OK) {
        for (append = c->appends; append != NULL; append = append->next) {
            es_deletions_add(c->store, append->feed.name, append->dropped,
                             append->why);
        }
    }

    err = errno;
    es_commit_forget(c);
    errno = err;

    return rc;
}


static void
es_commit_end(es_commit_t *c)
{
    if (c->events != NULL) {
        mdb_cursor_close(c->events);
        c->events = NULL;
    }

    es_dirty_subjects_free(&c->dirty);
}


static es_rc_t
es_commit_txn(MDB_txn *txn, void *ctx)
{
    int           err;
    size_t        i;
    es_rc_t       rc;
    uint64_t      published;
    es_append_t  *append;
    es_commit_t  *c = ctx;

    es_commit_forget(c);

    c->txn = txn;
    c->appended = false;
    c->retained = false;

    rc = es_clock_commit(c->store, txn, &c->clock);
    c->now_ms = c->clock.time_ms;
    es_time_print(c->now_ms, c->time);

    if (rc == ES_OK) {
        rc = es_id_index_ready(c->store, txn);
    }

    if (rc == ES_OK) {
        rc = es_erasures_load(c->store, txn, &c->erasures);
    }

    if (rc == ES_OK) {
        rc = es_meta_get(c->store, txn, ES_META_TYPES, &c->ntypes);
    }

    if (rc == ES_OK) {
        rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(c->store->log,
                                                       ES_LOG_EVENTS),
                                       &c->events));
    }

    for (i = 0; rc == ES_OK && i < c->nbatches; i++) {
        if (c->batches[i]->refused) {      /* has its outcome */
            continue;
        }

        c->batches[i]->rc = ES_OK;
        rc = es_commit_batch(c, c->batches[i]);
    }

    for (append = c->appends; rc == ES_OK && append; append = append->next) {
        rc = es_append_write(c, append);
    }

    if (rc == ES_OK && c->appended) {
        published = mdb_txn_id(txn);
        es_id_index_mark(c->store->ids, published);
        rc = es_meta_put(c->store, txn, ES_META_PUBLISHED, published);
    }

    /* errno distinguishes a full disk from a full map */

    err = errno;
    es_commit_end(c);
    errno = err;

    return rc;
}


/* The append of the batch's feed, made at its first batch.  ES_NOT_FOUND: no
   such feed. */

static es_rc_t
es_commit_append(es_commit_t *c, es_batch_t *batch, es_append_t **out)
{
    es_rc_t       rc;
    es_append_t  *append;

    for (append = c->appends; append != NULL; append = append->next) {
        if (strcmp(append->feed.name, batch->feed) == 0) {
            *out = append;
            return ES_OK;
        }
    }

    append = calloc(1, sizeof(es_append_t));
    if (append == NULL) {
        return ES_NOMEM;
    }

    rc = es_feed_load(c->store, c->txn, es_str(batch->feed), &append->feed);

    if (rc == ES_OK && c->erasures.nkids != 0) {
        rc = es_erased_has(c->store, c->txn, append->feed.number,
                           &append->erased);
    }

    if (rc != ES_OK) {
        free(append);
        return rc;
    }

    append->first = append->feed.last + 1;
    append->next = c->appends;
    c->appends = append;
    *out = append;

    return ES_OK;
}


static es_rc_t
es_append_push(es_append_t *append, const es_draft_t *draft)
{
    size_t              cap;
    const es_draft_t  **drafts;

    if (append->first + append->n > ES_SEQUENCE_MAX) {
        return ES_FULL;
    }

    if (append->n == append->cap) {
        cap = append->cap ? append->cap * 2 : 128;

        drafts = realloc(append->drafts, cap * sizeof(*drafts));
        if (drafts == NULL) {
            return ES_NOMEM;
        }

        append->drafts = drafts;
        append->cap = cap;
    }

    append->drafts[append->n++] = draft;

    return ES_OK;
}


/* ES_OK: only this event is refused.  Another outcome: its batch is. */

static es_rc_t
es_commit_refuse(es_batch_t *batch, size_t i, es_rc_t rc, uint64_t sequence)
{
    es_problem_t  problem = { 0 };

    switch ((int) rc) {

    case ES_CONFLICT:
        (void) es_problem_set(&problem, rc, (int) i, "/id", "an event with "
                              "this source and id and other content has "
                              "sequence %llu", (unsigned long long) sequence);
        break;

    case ES_ERASED:
        (void) es_problem_set(&problem, rc, (int) i, "/id", "the event with "
                              "this source and id had sequence %llu, and was "
                              "erased", (unsigned long long) sequence);
        break;

    default:
        (void) es_problem_set(&problem, rc, -1, NULL, "events of this feed "
                              "were erased, and this process lacks the key "
                              "file that recognizes them");
        batch->rc = rc;
        batch->problem = problem;

        return rc;
    }

    if (batch->limits.handling & ES_HANDLE_EACH) {
        return es_batch_refuse(batch, i, &problem);
    }

    batch->rc = rc;
    batch->problem = problem;

    return rc;
}


/*
 * Finds the event among the stored ones, those assigned so far, and those that
 * were erased.  ES_NOT_FOUND: it is new.  ES_BUSY: nobody can know that here.
 */

static es_rc_t
es_commit_known(es_commit_t *c, es_append_t *append, const es_draft_t *draft,
    uint64_t hash, uint64_t *sequence)
{
    es_rc_t   rc;
    es_str_t  ident;

    rc = es_commit_find(c, append, draft, hash, sequence);

    if (rc != ES_NOT_FOUND || !append->erased) {
        return rc;
    }

    ident.data = draft->head.data;
    ident.len = draft->ident_len;

    rc = es_erased_find(c->store, c->txn, &c->erasures, append->feed.number,
                        ident, sequence);

    return rc == ES_OK ? ES_ERASED : rc == ES_DENIED ? ES_BUSY : rc;
}


/* Assigns a sequence to one event, or finds that of its duplicate.  ES_CONFLICT,
   ES_ERASED, ES_BUSY: the batch is refused, and has the problem. */

static es_rc_t
es_commit_event(es_commit_t *c, es_append_t *append, es_batch_t *batch,
    size_t i)
{
    es_rc_t            rc;
    uint64_t           hash, sequence;
    es_result_t       *result;
    const es_draft_t  *draft;

    draft = &batch->drafts[i];
    result = &batch->results[i];
    hash = es_ident_in(draft->ident, append->feed.number);

    rc = es_commit_known(c, append, draft, hash, &sequence);

    if (rc == ES_CONFLICT || rc == ES_ERASED || rc == ES_BUSY) {
        return es_commit_refuse(batch, i, rc, sequence);
    }

    result->duplicate = rc == ES_OK;

    if (rc == ES_NOT_FOUND) {
        sequence = append->first + append->n;

        rc = es_append_push(append, draft);
        if (rc == ES_OK) {
            rc = es_id_index_insert(c->store->ids, hash, sequence);
        }
    }

    if (rc == ES_OK) {
        result->sequence = sequence;
        (void) es_feed_cursor(&append->feed, sequence, result->cursor);
    }

    return rc;
}


/* Assigns sequences to a batch.  Returns only failures of the whole commit; a
   failure of the batch is its own rc. */

static es_rc_t
es_commit_batch(es_commit_t *c, es_batch_t *batch)
{
    size_t             i, saved;
    es_rc_t            rc;
    es_append_t       *append;
    const es_draft_t  *draft;

    rc = es_commit_append(c, batch, &append);
    if (rc == ES_NOT_FOUND) {
        batch->rc = es_problem_set(&batch->problem, rc, -1, NULL,
                                   "no such feed");
        return ES_OK;
    }

    if (rc != ES_OK) {
        return rc;
    }

    saved = append->n;

    for (i = 0; i < batch->n; i++) {
        draft = &batch->drafts[i];
        batch->results[i].refused = draft->refused;

        if (i + ES_PREFETCH < batch->n) {
            es_id_index_prefetch(c->store->ids,
                                 es_ident_in(draft[ES_PREFETCH].ident,
                                             append->feed.number));
        }

        if (draft->refused == NULL) {
            rc = es_commit_event(c, append, batch, i);
        }

        if (rc == ES_CONFLICT || rc == ES_ERASED || rc == ES_BUSY) {
            append->n = saved;
            return ES_OK;
        }

        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


/* True if both texts are the same, apart from the trace context, and from the
   time if the log has set it.  The members that the log adds stand between head
   and tail. */

static bool
es_same_content(es_str_t head, es_str_t tail, unsigned time_off,
    const es_draft_t *draft)
{
    size_t    rest;
    es_str_t  other;

    other = draft->head;
    rest = time_off == 0 ? 0 : time_off + ES_TIME_LEN;

    if (time_off != draft->time_off
        || head.len < rest
        || other.len < rest
        || memcmp(head.data, other.data, time_off) != 0
        || !es_str_eq(tail, draft->tail))
    {
        return false;
    }

    return es_event_same((es_str_t) { head.data + rest, head.len - rest },
                         (es_str_t) { other.data + rest, other.len - rest });
}


static es_rc_t
es_compare_stored(es_commit_t *c, const es_feed_t *feed, uint64_t sequence,
    const es_draft_t *draft)
{
    size_t             skip;
    es_rc_t            rc;
    es_str_t           text, tail;
    uint32_t           i;
    es_chunk_t         chunk;
    const es_entry_t  *entry;

    rc = es_chunk_seek(c->events, feed->number, sequence, false, &chunk);
    if (rc != ES_OK) {
        return rc;
    }

    if (chunk.head->first > sequence) {
        return ES_NOT_FOUND;
    }

    i = (uint32_t) (sequence - chunk.head->first);
    entry = &chunk.entries[i];

    rc = es_chunk_text(&chunk, i, &text);
    if (rc != ES_OK) {
        return rc;
    }

    if (entry->ident_len != draft->ident_len
        || memcmp(text.data, draft->head.data, draft->ident_len) != 0)
    {
        return ES_NOT_FOUND;
    }

    skip = entry->mid + es_mid_len(es_cursor_len(feed->epoch, sequence),
                                   es_cursor_len(feed->epoch, sequence - 1));
    if (skip > text.len) {
        return ES_CORRUPT;
    }

    tail.data = text.data + skip;
    tail.len = text.len - skip;

    text.len = entry->mid;

    return es_same_content(text, tail, entry->time_off, draft)
           ? ES_OK : ES_CONFLICT;
}


static es_rc_t
es_commit_find(es_commit_t *c, es_append_t *append, const es_draft_t *draft,
    uint64_t hash, uint64_t *sequence)
{
    es_rc_t             rc;
    es_id_index_iter_t  iter;
    const es_draft_t   *other;

    es_id_index_find(c->store->ids, hash, append->first + append->n - 1,
                     &iter);

    while (es_id_index_next(c->store->ids, &iter, sequence)) {
        if (*sequence < append->feed.oldest) {
            continue;
        }

        if (*sequence < append->first) {
            rc = es_compare_stored(c, &append->feed, *sequence, draft);
            if (rc != ES_NOT_FOUND) {
                return rc;
            }

            continue;
        }

        if (*sequence - append->first >= append->n) {
            continue;
        }

        other = append->drafts[*sequence - append->first];

        if (other->ident_len == draft->ident_len
            && memcmp(other->head.data, draft->head.data, draft->ident_len)
               == 0)
        {
            return es_same_content(other->head, other->tail, other->time_off,
                                   draft)
                   ? ES_OK : ES_CONFLICT;
        }
    }

    return ES_NOT_FOUND;
}
