/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads runs of chunks, and replaces them by others with the same events.
 *
 * A run is read and made anew in a read transaction.  The write transaction
 * compares the hash of each chunk with what was read, and replaces all chunks
 * of the run or none.
 */

#include <stdlib.h>

#include "log/chunk.h"
#include "log/feed.h"
#include "log/feed_record.h"
#include "log/rechain.h"
#include "log/unpacked.h"
#include "pack/pack_impl.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"


es_rc_t
es_run_add(es_packer_t *packer, es_run_t *run, uint64_t last, size_t at)
{
    es_run_chunk_t  *new;

    if (run->nnew == ES_CHUNK_COUNT) {
        return ES_INVALID;
    }

    new = &run->new[run->nnew++];
    new->last = last;
    new->at = at;
    new->size = packer->out.len - at;
    memcpy(&new->hash, packer->out.data + at, sizeof(new->hash));

    return ES_OK;
}


/* ---- reading ---- */


/* Notes the chunks of a run.  ES_INVALID: none of them is replaced. */

static es_rc_t
es_run_chunks(es_packer_t *p, MDB_cursor *events, es_run_t *run,
    es_chunk_t *chunks)
{
    es_rc_t          rc;
    MDB_val          key, value;
    uint64_t         next;
    unsigned         packed;
    es_chunk_t      *chunk = NULL;
    es_run_chunk_t  *old;

    packed = 0;
    run->nold = 0;
    next = run->first > p->feed.oldest ? run->first : p->feed.oldest;

    while (next <= run->last) {
        if (run->nold == ES_CHUNK_COUNT) {
            return ES_CORRUPT;
        }

        chunk = &chunks[run->nold];
        old = &run->old[run->nold++];

        rc = es_chunk_find(events, p->feed.number, next, &key, &value);

        if (rc == ES_OK) {
            rc = es_chunk_look(p->feed.number, key.mv_data, &value, chunk);
        }

        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
        }

        packed += chunk->entries == NULL;

        if (packed > 0 && !p->unpacks) {
            return ES_INVALID;
        }

        old->last = chunk->last;
        old->hash = chunk->head->hash;
        old->size = chunk->size;
        next = chunk->last + 1;
    }

    return chunk == NULL || chunk->last != run->last ? ES_CORRUPT
           : packed == 0 && p->unpacks ? ES_INVALID : ES_OK;
}


/* Checks the run's chunks, which must follow each other, and unpacks those that
   are packed. */

static es_rc_t
es_run_decode(es_packer_t *p, es_run_t *run, es_chunk_t *chunks)
{
    es_rc_t   rc;
    uint8_t   key[ES_EVENT_KEY_LEN];
    MDB_val   value;
    uint32_t  i;
    uint64_t  next;

    for (i = 0, next = 0; i < run->nold; i++) {
        value.mv_data = (void *) (uintptr_t) chunks[i].head;
        value.mv_size = chunks[i].size;
        es_event_key(p->feed.number, run->old[i].last, key);

        rc = es_chunk_decode(p->feed.number, key, &value, true, &chunks[i]);
        if (rc != ES_OK) {
            return rc;
        }

        if (i > 0 && chunks[i].head->first != next) {
            return ES_CORRUPT;
        }

        next = chunks[i].last + 1;
    }

    /* What is before the oldest event may be gone. */

    if (chunks[0].head->first < run->first
        || (chunks[0].head->first > run->first
            && chunks[0].head->first > p->feed.oldest))
    {
        return ES_CORRUPT;
    }

    run->first = chunks[0].head->first;

    return ES_OK;
}


/* Reads a run and makes its new chunks.  ES_INVALID: it stays as it is. */

static es_rc_t
es_run_read(es_packer_t *p, MDB_cursor *events, es_run_t *run)
{
    size_t      start;
    es_rc_t     rc;
    es_chunk_t  chunks[ES_CHUNK_COUNT];

    start = p->out.len;
    run->nnew = 0;

    rc = es_run_chunks(p, events, run, chunks);

    if (rc == ES_OK) {
        rc = es_run_decode(p, run, chunks);
    }

    if (rc == ES_OK) {
        rc = p->make(p, chunks, run);
    }

    if (rc != ES_OK) {
        p->out.len = start;
    }

    if (rc == ES_CORRUPT && !p->unpacks) {
        if (p->done->damaged++ == 0) {
            p->done->damaged_at = run->first;
        }

        rc = ES_INVALID;
    }

    return rc;
}


/* Reads the next runs.  A reader must not keep pages from reuse for long, so
   there is a limit to the bytes. */

static es_rc_t
es_runs_read(es_packer_t *p, es_txn_t *txn, uint64_t after, unsigned max)
{
    es_rc_t    rc;
    uint64_t   page, size;
    unsigned   looks;
    es_run_t  *run;

    size = p->feed.page_size;
    page = (after + size - 1) / size;

    if (page * size + 1 < p->feed.oldest) {
        page = p->unpacks ? (p->feed.oldest - 1) / size
                          : (p->feed.oldest - 1 + size - 1) / size;
    }

    for (looks = 0; p->nruns < max && looks < ES_PACK_LOOKS
         && p->out.len < ES_PACK_BYTES; page++, looks++)
    {
        run = &p->runs[p->nruns];
        run->first = page * size + 1;
        run->last = (page + 1) * size;

        /* packing needs the digests, and there is a next time */

        if (run->last + p->tail > p->feed.last
            || (!p->unpacks && !es_rechain_has(&p->feed, run->last)))
        {
            p->done->done = true;
            break;
        }

        rc = es_run_read(p, txn->events, run);

        if (rc == ES_OK) {
            p->nruns++;

        } else if (rc != ES_INVALID) {
            return rc;
        }

        es_unpacked_forget();
        p->done->next = run->last;
    }

    return ES_OK;
}


/* ---- writing ---- */


/* True if the run has the chunks that were read. */

static es_rc_t
es_run_same(es_packer_t *p, MDB_txn *txn, const es_run_t *run, bool *same)
{
    int       rc;
    uint8_t   name[ES_EVENT_KEY_LEN];
    MDB_val   key = { sizeof(name), name };
    MDB_val   value;
    uint32_t  i;

    for (i = 0, *same = true; *same && i < run->nold; i++) {
        es_event_key(p->feed.number, run->old[i].last, name);

        rc = mdb_get(txn, es_env_dbi(p->store->log, ES_LOG_EVENTS), &key,
                     &value);

        if (rc != 0 && rc != MDB_NOTFOUND) {
            return es_env_rc(rc);
        }

        *same = rc == 0 && value.mv_size == run->old[i].size
                && memcmp(value.mv_data, &run->old[i].hash,
                          sizeof(run->old[i].hash)) == 0;
    }

    return ES_OK;
}


/* Deletes a chunk that is replaced, and its entries in the type index. */

static es_rc_t
es_run_delete(es_packer_t *p, MDB_txn *txn, MDB_cursor *events, uint64_t last)
{
    es_rc_t     rc;
    es_chunk_t  chunk;

    rc = es_chunk_seek(events, p->feed.number, last, false, &chunk);

    if (rc == ES_OK) {
        rc = es_feed_untype(p->store, txn, p->feed.number, &chunk);
    }

    return rc == ES_OK ? es_env_rc(mdb_cursor_del(events, 0)) : rc;
}


static es_rc_t
es_run_type(es_packer_t *p, MDB_txn *txn, const es_chunk_t *chunk)
{
    int       rc;
    uint8_t   key[ES_BYTYPE_KEY_LEN], value[ES_BYTYPE_VALUE_LEN];
    MDB_val   k = { sizeof(key), key };
    MDB_val   v = { sizeof(value), value };
    uint32_t  i;

    for (i = 0; i < chunk->head->count; i++) {
        if (!es_bytype_value(chunk->types, chunk->head->count, i,
                             chunk->head->first, value))
        {
            continue;
        }

        es_bytype_key(p->feed.number, es_chunk_type(chunk, i), key);

        rc = mdb_put(txn, es_env_dbi(p->store->log, ES_LOG_BYTYPE), &k, &v, 0);
        if (rc != 0) {
            return es_env_rc(rc);
        }
    }

    return ES_OK;
}


static es_rc_t
es_run_put(es_packer_t *p, MDB_txn *txn, MDB_cursor *events,
    const es_run_chunk_t *new)
{
    es_rc_t     rc;
    uint8_t     name[ES_EVENT_KEY_LEN];
    MDB_val     key = { sizeof(name), name };
    MDB_val     value = { new->size, p->out.data + new->at };
    es_chunk_t  chunk;

    es_event_key(p->feed.number, new->last, name);

    rc = es_chunk_decode(p->feed.number, name, &value, false, &chunk);

    if (rc == ES_OK) {
        rc = es_run_type(p, txn, &chunk);
    }

    return rc == ES_OK ? es_env_rc(mdb_cursor_put(events, &key, &value, 0))
                       : rc;
}


static es_rc_t
es_run_write(es_packer_t *p, MDB_txn *txn, MDB_cursor *events,
    const es_run_t *run)
{
    bool      same;
    es_rc_t   rc;
    uint32_t  i;

    rc = es_run_same(p, txn, run, &same);
    if (rc != ES_OK || !same) {
        return rc;
    }

    for (i = 0; rc == ES_OK && i < run->nold; i++) {
        rc = es_run_delete(p, txn, events, run->old[i].last);
        p->done->before += run->old[i].size;
    }

    for (i = 0; rc == ES_OK && i < run->nnew; i++) {
        rc = es_run_put(p, txn, events, &run->new[i]);
        p->done->after += run->new[i].size;
    }

    p->done->runs++;
    p->done->chunks += run->nold;
    p->done->events += run->last + 1 - run->first;

    return rc;
}


/* A feed that was reset or removed meanwhile has no such chunks any more.  A
   feed of the same name has another number. */

static es_rc_t
es_runs_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t       rc;
    unsigned      i;
    MDB_cursor   *events;
    es_packer_t  *p = ctx;

    p->done->runs = 0;
    p->done->chunks = 0;
    p->done->events = 0;
    p->done->before = 0;
    p->done->after = 0;

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(p->store->log,
                                                   ES_LOG_EVENTS), &events));
    if (rc != ES_OK) {
        return rc;
    }

    for (i = 0; rc == ES_OK && i < p->nruns; i++) {
        rc = es_run_write(p, txn, events, &p->runs[i]);
        es_unpacked_forget();
    }

    mdb_cursor_close(events);

    return rc;
}


es_rc_t
es_runs_replace(es_packer_t *p, uint64_t after, unsigned max)
{
    es_rc_t    rc;
    es_txn_t  *txn;

    if (!(p->store->flags & ES_STORE_PUBLISH)) {
        return ES_DENIED;
    }

    max = max < ES_PACK_RUNS_MAX ? max : ES_PACK_RUNS_MAX;

    p->runs = malloc((max > 0 ? max : 1) * sizeof(es_run_t));
    if (p->runs == NULL) {
        return ES_NOMEM;
    }

    memset(p->done, 0, sizeof(es_packed_runs_t));
    p->done->next = after;

    rc = es_txn_begin(p->store, &txn);

    if (rc == ES_OK) {
        rc = es_feed_get(txn, p->name, &p->feed);

        if (rc == ES_OK) {
            rc = es_runs_read(p, txn, after, max);
        }

        es_txn_end(txn);
    }

    if (rc == ES_OK && p->nruns > 0) {
        rc = es_env_update(p->store->log, es_runs_txn, p);
    }

    es_buf_free(&p->out);
    free(p->runs);

    return rc;
}
