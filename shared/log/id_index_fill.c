/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Fills the id index from the log.
 *
 * The first publisher after a power loss reads the whole log once; after that,
 * commits keep the index complete.
 */

#include <stdio.h>

#include "log/chunk.h"
#include "log/feed_record.h"
#include "log/id_index.h"
#include "log/id_index_fill.h"
#include "log/unpacked.h"
#include "store/env.h"
#include "store/store.h"

static es_rc_t es_id_index_fill(es_store_t *store, MDB_txn *txn);


/* Fills the index, which must be empty. */

static es_rc_t
es_id_index_begin(es_store_t *store, MDB_txn *txn, uint64_t published)
{
    es_rc_t  rc;

    rc = es_id_index_fill(store, txn);

    if (rc != ES_OK) {
        es_id_index_close(store->ids);
        store->ids = NULL;
        return rc;
    }

    es_id_index_mark(store->ids, published);
    es_id_index_trust(store->ids);

    return ES_OK;
}


/* Returns how many events the store keeps. */

static es_rc_t
es_id_index_kept(es_store_t *store, MDB_txn *txn, uint64_t *kept)
{
    int                rc;
    MDB_val            key, value;
    MDB_cursor        *cursor;
    es_feed_t          feed;

    *kept = 0;

    rc = mdb_cursor_open(txn, es_env_dbi(store->log, ES_LOG_FEEDS), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        if (es_feed_decode(&key, &value, &feed) != ES_OK) {
            rc = MDB_CORRUPTED;
            break;
        }

        *kept += feed.last + 1 - feed.oldest;
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


/*
 * Slots of deleted events are never freed.  If the disk has no room for
 * more buckets, the remaining events are entered into the existing ones anew.
 */

static es_rc_t
es_id_index_renew(es_store_t *store, MDB_txn *txn)
{
    es_rc_t   rc;
    uint64_t  kept, published;

    if (!es_id_index_stuck(store->ids, 0)) {
        return ES_OK;
    }

    rc = es_id_index_kept(store, txn, &kept);

    if (rc != ES_OK || !es_id_index_stuck(store->ids, kept)) {
        return rc;
    }

    rc = es_meta_get(store, txn, ES_META_PUBLISHED, &published);
    if (rc != ES_OK) {
        return rc;
    }

    es_id_index_empty(store->ids);

    return es_id_index_begin(store, txn, published);
}


es_rc_t
es_id_index_ready(es_store_t *store, MDB_txn *txn)
{
    bool      trusted;
    char      dir[4096];
    es_rc_t   rc;
    uint64_t  published;

    if (store->ids != NULL) {
        rc = es_id_index_refresh(store->ids);

        if (rc != ES_CORRUPT) {
            return rc == ES_OK ? es_id_index_renew(store, txn) : rc;
        }

        es_id_index_close(store->ids);
        store->ids = NULL;
    }

    rc = es_meta_get(store, txn, ES_META_PUBLISHED, &published);
    if (rc != ES_OK) {
        return rc;
    }

    (void) snprintf(dir, sizeof(dir), "%s/ids", store->path);

    rc = es_id_index_open(store->path, dir, store->identity, published,
                          &store->ids, &trusted);

    return rc != ES_OK || trusted ? rc : es_id_index_begin(store, txn,
                                                           published);
}


void
es_id_index_hashes(es_store_t *store, uint32_t feed, const es_chunk_t *chunk,
    uint64_t hashes[ES_CHUNK_COUNT])
{
    uint32_t  i;
    es_str_t  text;

    for (i = 0; i < chunk->head->count; i++) {
        hashes[i] = 0;

        if (es_chunk_text(chunk, i, &text) == ES_OK) {
            hashes[i] = es_ident_in(es_ident_hash(store, text.data,
                                                  chunk->entries[i].ident_len),
                                    feed);
            es_id_index_prefetch(store->ids, hashes[i]);
        }
    }
}


static es_rc_t
es_id_index_fill(es_store_t *store, MDB_txn *txn)
{
    int          mdb_rc;
    es_rc_t      rc;
    MDB_val      key, value;
    uint32_t     feed, i;
    es_str_t     text;
    uint64_t     hashes[ES_CHUNK_COUNT];
    es_chunk_t   chunk;
    MDB_cursor  *cursor;

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(store->log, ES_LOG_EVENTS),
                                   &cursor));
    if (rc != ES_OK) {
        return rc;
    }

    while ((mdb_rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        if (key.mv_size != ES_EVENT_KEY_LEN) {
            rc = ES_CORRUPT;
            break;
        }

        feed = es_event_key_feed(key.mv_data);

        rc = es_chunk_decode(feed, key.mv_data, &value, false, &chunk);

        if (rc == ES_OK) {
            es_id_index_hashes(store, feed, &chunk, hashes);
        }

        for (i = 0; rc == ES_OK && i < chunk.head->count; i++) {
            rc = es_chunk_text(&chunk, i, &text);
            if (rc == ES_OK) {
                rc = es_id_index_insert(store->ids, hashes[i],
                                        chunk.head->first + i);
            }
        }

        if (rc != ES_OK) {
            break;
        }

        es_unpacked_forget();
    }

    mdb_cursor_close(cursor);

    return mdb_rc != 0 && mdb_rc != MDB_NOTFOUND ? es_env_rc(mdb_rc) : rc;
}


es_rc_t
es_id_index_check(es_store_t *store, uint64_t hash, uint64_t sequence)
{
    uint64_t            found;
    es_id_index_iter_t  iter;

    es_id_index_find(store->ids, hash, sequence, &iter);

    while (es_id_index_next(store->ids, &iter, &found)) {
        if (found == sequence) {
            return ES_OK;
        }
    }

    return ES_NOT_FOUND;
}
