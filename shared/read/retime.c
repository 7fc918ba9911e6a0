/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Moves commit times that lie in the future, which a clock that was ahead has
 * left, to the present.
 *
 * The time is in the head of each chunk and covered by its hash, but in no
 * event, digest or page.  Slices of transactions change the chunks from the
 * first one on, so that the feed's times never run backwards in between (I6).
 */

#include "base/clock.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/feed_audit.h"
#include "log/feed_pack.h"
#include "log/feed_record.h"
#include "read/reader.h"
#include "read/retime.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_RETIME_CHUNKS  64       /* chunks in one transaction */

typedef struct {
    es_store_t  *store;
    es_str_t     name;
    int64_t      now_ms;
    uint64_t     changed;          /* events, in one transaction */
    bool         audited;          /* the audit has its entry */
    bool         done;
} es_retime_t;


static json_t *
es_retime_time(int64_t ms)
{
    char  text[ES_TIME_LEN];

    es_time_print(ms, text);

    return json_pack("{s:s%}", "last_time", text, sizeof(text));
}


static es_rc_t
es_retime_plain(es_retime_t *r, uint32_t feed, const es_chunk_t *chunk,
    es_buf_t *out)
{
    es_chunk_head_t  *head;

    if (es_buf_append(out, chunk->head, chunk->size) != ES_OK) {
        return ES_NOMEM;
    }

    head = (es_chunk_head_t *) out->data;
    head->time_ms = r->now_ms;
    head->hash = es_chunk_hash(feed, chunk->last, head, chunk->size);

    return ES_OK;
}


/* A packed chunk may begin with events that are not in the future. */

static es_rc_t
es_retime_packed(es_retime_t *r, MDB_txn *txn, uint32_t feed,
    const es_chunk_t *chunk, es_buf_t *out)
{
    uint32_t        i;
    es_chunk_t      copy;
    es_commit_of_t  commits[ES_CHUNK_COUNT];

    for (i = 0; i < chunk->head->count; i++) {
        commits[i] = chunk->commits[i];

        if (commits[i].time_ms > r->now_ms) {
            commits[i].time_ms = r->now_ms;
        }
    }

    copy = *chunk;
    copy.commits = commits;

    return es_feed_pack_again(r->store, txn, feed, &copy, out);
}


static es_rc_t
es_retime_chunk(es_retime_t *r, MDB_cursor *cursor, uint32_t feed,
    const es_chunk_t *chunk)
{
    uint8_t   name[ES_EVENT_KEY_LEN];
    es_rc_t   rc;
    MDB_val   key, val;
    es_buf_t  out = { 0 };

    rc = chunk->commits == NULL
         ? es_retime_plain(r, feed, chunk, &out)
         : es_retime_packed(r, mdb_cursor_txn(cursor), feed, chunk, &out);

    if (rc == ES_OK) {
        es_event_key(feed, chunk->last, name);
        key.mv_data = name;
        key.mv_size = sizeof(name);
        val.mv_data = out.data;
        val.mv_size = out.len;

        rc = es_env_rc(mdb_cursor_put(cursor, &key, &val, 0));
    }

    es_buf_free(&out);

    return rc;
}


static es_rc_t
es_retime_slice(es_retime_t *r, MDB_cursor *cursor, const es_feed_t *feed,
    uint64_t after)
{
    es_rc_t     rc;
    unsigned    n;
    es_chunk_t  chunk;

    rc = ES_OK;

    for (n = 0; rc == ES_OK && after < feed->last; n++) {
        if (n == ES_RETIME_CHUNKS) {
            r->done = false;
            break;
        }

        rc = es_chunk_seek(cursor, feed->number, after + 1, true, &chunk);

        if (rc == ES_OK) {
            r->changed += chunk.last - after;
            after = chunk.last;
            rc = es_retime_chunk(r, cursor, feed->number, &chunk);
        }
    }

    return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
}


static es_rc_t
es_retime_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t       rc;
    uint64_t      after;
    es_txn_t      view = { .mdb = txn };
    es_feed_t     feed;
    es_retime_t  *r = ctx;

    r->changed = 0;
    r->done = true;

    rc = es_feed_load(r->store, txn, r->name, &feed);
    if (rc != ES_OK || feed.last_ms <= r->now_ms) {
        return rc;
    }

    if (feed.held) {
        return ES_HELD;
    }

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(r->store->log,
                                                   ES_LOG_EVENTS),
                                   &view.events));
    if (rc != ES_OK) {
        return rc;
    }

    view.store = r->store;
    rc = es_feed_seek_time(&view, &feed, r->now_ms + 1, &after);

    if (rc == ES_OK) {
        rc = es_retime_slice(r, view.events, &feed, after);
    }

    mdb_cursor_close(view.events);

    if (rc == ES_OK && !r->audited) {
        rc = es_feed_audit(r->store, txn, r->name, "retime",
                           es_retime_time(feed.last_ms),
                           es_retime_time(r->now_ms));
    }

    if (rc == ES_OK && r->done) {
        feed.last_ms = r->now_ms;
        rc = es_feed_save(r->store, txn, &feed);
    }

    return rc;
}


es_rc_t
es_feed_retime(es_store_t *store, es_str_t name, int64_t now_ms,
    uint64_t *count)
{
    es_rc_t      rc;
    es_retime_t  r = { .store = store, .name = name, .now_ms = now_ms };

    *count = 0;

    if (!(store->flags & ES_STORE_PUBLISH)) {
        return ES_DENIED;
    }

    do {
        rc = es_env_update(store->log, es_retime_txn, &r);

        if (rc == ES_OK) {
            *count += r.changed;
            r.audited = true;
        }

    } while (rc == ES_OK && !r.done);

    return rc;
}
