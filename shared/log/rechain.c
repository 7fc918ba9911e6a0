/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes digest chains anew, in slices of transactions.
 */

#include "base/clock.h"
#include "event/digest.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/feed_record.h"
#include "log/packed.h"
#include "log/rechain.h"
#include "log/unpacked.h"
#include "store/duty.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_RECHAIN_LEAST    8      /* chunks in one transaction ... */
#define ES_RECHAIN_CHUNKS  64      /* ... and at most */

typedef struct {
    es_store_t  *store;
    MDB_txn     *txn;
    es_slice_t   slice;
    es_duty_t    duty;
    es_feed_t    feed;
    es_buf_t     copy;
} es_rechainer_t;


void
es_rechain_from(es_feed_t *feed, const es_chunk_t *chunk)
{
    if (feed->rechained && feed->rechain.next <= chunk->head->first) {
        return;
    }

    feed->rechained = true;
    feed->rechain.form = ES_RECHAIN_FORM;
    feed->rechain.next = chunk->head->first;
    memcpy(feed->rechain.digest, chunk->head->digest, ES_CHAIN_LEN);
}


/* Writes the chunk with the digest of the new chain. */

static es_rc_t
es_rechain_put(es_rechainer_t *r, MDB_val *key, const MDB_val *value,
    const es_chunk_t *chunk)
{
    es_rc_t           rc;
    uint8_t           name[ES_EVENT_KEY_LEN];
    MDB_val           changed;
    es_chunk_head_t  *head;

    r->copy.len = 0;

    if (es_buf_append(&r->copy, value->mv_data, value->mv_size) != ES_OK) {
        return ES_NOMEM;
    }

    changed = (MDB_val) { r->copy.len, r->copy.data };
    head = changed.mv_data;

    if (head->form == ES_CHUNK_PACKED) {
        rc = es_packed_relink(r->feed.number, chunk->last, &changed,
                              r->feed.rechain.digest);
        if (rc != ES_OK) {
            return rc;
        }

    } else {
        memcpy(head->digest, r->feed.rechain.digest, ES_CHAIN_LEN);
        head->hash = es_chunk_hash(r->feed.number, chunk->last, head,
                                   changed.mv_size);
    }

    /* A write ends the life of what LMDB returned. */

    memcpy(name, key->mv_data, sizeof(name));
    *key = (MDB_val) { sizeof(name), name };

    return es_env_rc(mdb_put(r->txn, es_env_dbi(r->store->log, ES_LOG_EVENTS),
                             key, &changed, 0));
}


/* ES_NOT_FOUND: there is no other chunk. */

static es_rc_t
es_rechain_chunk(es_rechainer_t *r, MDB_cursor *events)
{
    size_t         len;
    es_rc_t        rc;
    MDB_val        key, value;
    uint8_t        digest[ES_CHAIN_LEN], event[ES_CHAIN_LEN];
    uint32_t       i;
    es_chunk_t     chunk;
    es_rechain_t  *to = &r->feed.rechain;

    rc = es_chunk_find(events, r->feed.number, to->next, &key, &value);

    if (rc == ES_OK) {
        rc = es_chunk_decode(r->feed.number, key.mv_data, &value, true,
                             &chunk);
    }

    memcpy(digest, to->digest, ES_CHAIN_LEN);

    for (i = 0; rc == ES_OK && i < chunk.head->count; i++) {
        rc = es_chunk_published(&chunk, i, &len, event);
        es_digest_link(digest, event);
    }

    if (rc == ES_OK
        && memcmp(to->digest, chunk.head->digest, ES_CHAIN_LEN) != 0)
    {
        rc = es_rechain_put(r, &key, &value, &chunk);
    }

    if (rc == ES_OK) {
        to->next = chunk.last + 1;
        memcpy(to->digest, digest, ES_CHAIN_LEN);
    }

    es_unpacked_forget();

    return rc;
}


/*
 * Retention may have deleted the chunks at `next`.  Then the chain goes on with
 * the value that there is, because nobody can compute the one before the oldest
 * event.
 */

static es_rc_t
es_rechain_chunks(es_rechainer_t *r, MDB_cursor *events)
{
    es_rc_t   rc;
    unsigned  n;

    for (n = 0, rc = ES_OK; rc == ES_OK && n < r->slice.max
         && n < r->duty.items && r->feed.rechain.next <= r->feed.last; n++)
    {
        rc = es_rechain_chunk(r, events);
    }

    if (rc == ES_NOT_FOUND) {
        rc = r->feed.oldest <= r->feed.last ? ES_CORRUPT : ES_OK;
        r->feed.rechain.next = r->feed.last + 1;
    }

    if (rc == ES_OK && r->feed.rechain.next > r->feed.last) {
        memcpy(r->feed.digest, r->feed.rechain.digest, ES_CHAIN_LEN);
        r->feed.rechained = false;
    }

    return rc;
}


static es_rc_t
es_rechain_txn(MDB_txn *txn, void *ctx)
{
    char             name[ES_FEED_MAX + 1];
    es_rc_t          rc;
    MDB_cursor      *events;
    es_rechainer_t  *r = ctx;

    r->txn = txn;
    memcpy(name, r->feed.name, sizeof(name));

    rc = es_feed_load(r->store, txn, es_str(name), &r->feed);
    if (rc != ES_OK || !r->feed.rechained) {
        return rc;
    }

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(r->store->log,
                                                   ES_LOG_EVENTS), &events));
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_rechain_chunks(r, events);
    mdb_cursor_close(events);

    return rc == ES_OK ? es_feed_save(r->store, txn, &r->feed) : rc;
}


/* A feed that is removed meanwhile has no chain any more. */

static es_rc_t
es_rechain_feed(es_rechainer_t *r)
{
    es_rc_t  rc;
    int64_t  began_us;

    r->slice = (es_slice_t) { .most = ES_RECHAIN_CHUNKS,
                              .max = ES_RECHAIN_CHUNKS };
    r->duty = (es_duty_t) { ES_RECHAIN_LEAST, ES_RECHAIN_LEAST,
                            ES_RECHAIN_CHUNKS };

    for ( ;; ) {
        began_us = es_clock_mono_us();
        rc = es_env_shrink(r->store->log, es_rechain_txn, r, &r->slice);

        if (rc != ES_OK || !r->feed.rechained) {
            return rc == ES_NOT_FOUND ? ES_OK : rc;
        }

        es_duty_pause(&r->duty, es_clock_mono_us() - began_us);
    }
}


es_rc_t
es_rechain(es_store_t *store)
{
    es_rc_t         rc;
    es_txn_t       *txn;
    es_rechainer_t  r = { .store = store };

    do {
        rc = es_txn_begin(store, &txn);
        if (rc != ES_OK) {
            break;
        }

        do {
            rc = es_feed_next(txn, es_str(r.feed.name), &r.feed);
        } while (rc == ES_OK && !r.feed.rechained);

        es_txn_end(txn);

        if (rc == ES_OK) {
            rc = es_rechain_feed(&r);
        }

    } while (rc == ES_OK);

    es_buf_free(&r.copy);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}
