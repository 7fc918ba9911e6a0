/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Erases events in slices of transactions.
 *
 * A slice marks events in the chunk that it works on and writes that chunk once
 * before it goes on to another.
 */

#include <stdlib.h>

#include "audit/audit.h"
#include "base/clock.h"
#include "erase/erase.h"
#include "keys/keyring.h"
#include "log/chunk.h"
#include "log/erased.h"
#include "log/feed.h"
#include "log/feed_pack.h"
#include "log/feed_record.h"
#include "log/rechain.h"
#include "log/store_clock.h"
#include "log/subject.h"
#include "log/tombstone.h"
#include "log/unpacked.h"
#include "store/env.h"
#include "store/duty.h"
#include "store/store.h"
#include "store/txn.h"
#include "store/wake.h"

#define ES_ERASE_LEAST     16      /* events in one transaction ... */
#define ES_ERASE_EVENTS    64      /* ... and at most */
#define ES_ERASE_FIND    1000      /* events in one read transaction */

typedef struct {
    es_store_t        *store;
    const es_erase_t  *what;
    es_slice_t         slice;
    es_duty_t          duty;
    MDB_txn           *txn;
    MDB_cursor        *events;
    es_feed_t          feed;
    es_erasures_t      erasures;
    int64_t            now_ms;

    /* the chunk that is worked on */
    bool               loaded;
    es_buf_t           copy;
    es_chunk_t         chunk;
    bool               which[ES_CHUNK_COUNT];      /* become tombstones */
    bool               unlinked[ES_CHUNK_COUNT];
    es_buf_t           out;
    es_buf_t           packed;

    uint64_t           done[ES_ERASE_EVENTS];      /* sequences */
    unsigned           ndone;
    bool               more;
} es_eraser_t;


/* True if the i-th event is erased by this: a tombstone only for its digest. */

static bool
es_erase_takes(const es_erase_t *what, const es_chunk_t *chunk, uint32_t i)
{
    uint8_t   digest[ES_CHAIN_LEN];
    es_str_t  text;

    return !es_entry_erased(&chunk->entries[i])
           || (what->drop && es_chunk_text(chunk, i, &text) == ES_OK
               && es_digest_tombstone(text.data, text.len, digest));
}


/* ---- the chunk that is worked on ---- */


/* A tombstone has no (source, id) of a producer any more. */

static es_rc_t
es_erase_record(es_eraser_t *e, uint32_t i)
{
    bool               erased;
    es_rc_t            rc;
    es_str_t           text, ident, cursor;
    es_erasing_t       erasing;
    es_erasure_t       erasure = { 0 };
    const es_entry_t  *entry;

    es_cursor_t  at;

    entry = &e->chunk.entries[i];
    erased = es_entry_erased(entry);

    rc = es_chunk_text(&e->chunk, i, &text);
    if (rc != ES_OK) {
        return rc;
    }

    ident.data = text.data;
    ident.len = entry->ident_len;
    cursor = es_cursor_of(text);

    if (es_cursor_parse(cursor, &at) != ES_OK) {
        return ES_CORRUPT;
    }

    erasure.feed = e->feed.number;
    erasure.sequence = e->chunk.head->first + i;
    erasure.time_ms = e->now_ms;
    erasure.dropped = e->what->drop;
    memcpy(erasure.epoch, at.epoch, sizeof(erasure.epoch));

    if (e->what->again != NULL) {
        erasure = *e->what->again;

    } else if (!erased && !e->what->forget) {
        memcpy(erasure.kid, es_keyring_current(e->store->ring), ES_KID_LEN);

        rc = es_erased_hash(e->store, es_keyring_current(e->store->ring),
                            e->feed.number, ident, erasure.hash);
        if (rc != ES_OK) {
            return rc;
        }
    }

    erasing.hash = es_ident_in(es_ident_hash(e->store, ident.data, ident.len),
                               e->feed.number);
    erasing.sequence = erasure.sequence;

    e->done[e->ndone++] = erasure.sequence;

    return es_erasure_put(e->store, e->txn, &e->erasures, &erasure,
                          erased ? NULL : &erasing);
}


/* The feed counts the bytes of the texts that it has. */

static void
es_erase_bytes(es_eraser_t *e, const es_chunk_t *after)
{
    uint32_t  i;
    es_str_t  a, b;

    for (i = 0; i < after->head->count; i++) {
        if (after->head->first + i >= e->feed.oldest
            && es_chunk_text(&e->chunk, i, &b) == ES_OK
            && es_chunk_text(after, i, &a) == ES_OK)
        {
            e->feed.bytes += a.len;
            e->feed.bytes -= b.len < e->feed.bytes ? b.len : e->feed.bytes;
        }
    }
}


/* Writes the chunk with its marks. */

static es_rc_t
es_erase_flush(es_eraser_t *e)
{
    es_rc_t     rc;
    uint8_t     name[ES_EVENT_KEY_LEN];
    MDB_val     key, value;
    uint32_t    i;
    es_chunk_t  after;

    if (!e->loaded) {
        return ES_OK;
    }

    e->loaded = false;
    rc = ES_OK;

    for (i = 0; rc == ES_OK && i < e->chunk.head->count; i++) {
        if (e->which[i]) {
            rc = es_erase_record(e, i);
        }

        if (e->which[i] && e->what->drop) {
            es_rechain_from(&e->feed, &e->chunk);
        }
    }

    if (rc == ES_OK) {
        rc = es_erased_chunk(&e->feed, &e->chunk, e->which, e->unlinked,
                             e->what->drop, &e->out);
    }

    es_event_key(e->feed.number, e->chunk.last, name);
    key = (MDB_val) { sizeof(name), name };
    value = (MDB_val) { e->out.len, e->out.data };

    if (rc == ES_OK) {
        rc = es_chunk_decode(e->feed.number, name, &value, true, &after);
    }

    if (rc == ES_OK && e->chunk.commits != NULL) {
        after.commits = e->chunk.commits;
        e->packed.len = 0;
        rc = es_feed_pack_again(e->store, e->txn, e->feed.number, &after,
                                &e->packed);
        value = (MDB_val) { e->packed.len, e->packed.data };
    }

    if (rc != ES_OK) {
        return rc;
    }

    es_erase_bytes(e, &after);

    return es_env_rc(mdb_put(e->txn, es_env_dbi(e->store->log, ES_LOG_EVENTS),
                             &key, &value, 0));
}


/* Makes the chunk of the event the one that is worked on.  Fills the index of
   the event in it. */

static es_rc_t
es_erase_load(es_eraser_t *e, uint64_t sequence, uint32_t *i)
{
    es_rc_t  rc;
    MDB_val  key, value;

    if (!e->loaded || sequence < e->chunk.head->first
        || sequence > e->chunk.last)
    {
        rc = es_erase_flush(e);

        if (rc == ES_OK) {
            rc = es_chunk_find(e->events, e->feed.number, sequence, &key,
                               &value);
        }

        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
        }

        /* A write ends the life of what LMDB returned. */

        e->copy.len = 0;

        if (es_buf_append(&e->copy, value.mv_data, value.mv_size) != ES_OK) {
            return ES_NOMEM;
        }

        value.mv_data = e->copy.data;

        rc = es_chunk_decode(e->feed.number, key.mv_data, &value, true,
                             &e->chunk);

        if (rc != ES_OK || e->chunk.head->first > sequence) {
            return ES_CORRUPT;
        }

        memset(e->which, 0, sizeof(e->which));
        memset(e->unlinked, 0, sizeof(e->unlinked));
        e->loaded = true;
    }

    *i = (uint32_t) (sequence - e->chunk.head->first);

    return ES_OK;
}


/* ---- subjects ---- */


/* Takes the subject's latest event out of its chain. */

static es_rc_t
es_erase_unlink(es_eraser_t *e, uint32_t i, es_subject_t *subject)
{
    e->unlinked[i] = true;

    return es_subject_pop(e->events, &e->feed, &e->chunk.entries[i], subject);
}


static es_rc_t
es_erase_subject(es_eraser_t *e, es_str_t text, es_subject_t *subject)
{
    es_rc_t   rc;
    uint32_t  i;
    unsigned  n;

    rc = ES_OK;

    for (n = 0; rc == ES_OK && n < e->slice.max && n < e->duty.items; n++) {
        rc = es_erase_load(e, subject->roots[0].sequence, &i);

        if (rc == ES_OK) {
            e->which[i] = es_erase_takes(e->what, &e->chunk, i);
            rc = es_erase_unlink(e, i, subject);
        }
    }

    if (rc == ES_NOT_FOUND) {
        return es_subject_remove(e->store, e->txn, e->feed.number, text);
    }

    e->more = true;

    return rc == ES_OK ? es_subject_save(e->store, e->txn, e->feed.number,
                                         text, subject) : rc;
}


/*
 * The latest event of a subject must not be a tombstone, because the record of
 * the subject goes with that event.  So the event that is erased, and
 * tombstones before it, leave the chain if no other event is after them.
 */

static es_rc_t
es_erase_latest(es_eraser_t *e, es_str_t text, es_subject_t *subject)
{
    es_rc_t   rc;
    uint32_t  i;

    do {
        rc = es_erase_load(e, subject->roots[0].sequence, &i);

        if (rc != ES_OK
            || !(e->which[i] || es_entry_erased(&e->chunk.entries[i])))
        {
            break;
        }

        rc = es_erase_unlink(e, i, subject);

    } while (rc == ES_OK);

    if (rc == ES_NOT_FOUND) {
        return es_subject_remove(e->store, e->txn, e->feed.number, text);
    }

    return rc == ES_OK ? es_subject_save(e->store, e->txn, e->feed.number,
                                         text, subject) : rc;
}


static es_rc_t
es_erase_event(es_eraser_t *e, uint64_t sequence)
{
    es_rc_t            rc;
    uint32_t           i;
    es_buf_t           copy = { 0 };
    es_str_t           text, part;
    es_subject_t       subject;
    const es_entry_t  *entry;

    rc = es_erase_load(e, sequence, &i);
    if (rc != ES_OK) {
        return rc;
    }

    entry = &e->chunk.entries[i];
    e->which[i] = es_erase_takes(e->what, &e->chunk, i);

    if (es_entry_erased(entry) || entry->subject_len == 0) {
        return ES_OK;
    }

    rc = es_chunk_text(&e->chunk, i, &text);
    if (rc != ES_OK) {
        return rc;
    }

    part.data = text.data + entry->subject_off;
    part.len = entry->subject_len;

    if (es_buf_str(&copy, part) != ES_OK) {
        return ES_NOMEM;
    }

    part.data = copy.data;
    rc = es_subject_load(e->store, e->txn, e->feed.number, part, &subject);

    if (rc == ES_OK && subject.roots[0].sequence == sequence) {
        rc = es_erase_latest(e, part, &subject);
    }

    es_buf_free(&copy);

    return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
}


/* ---- a slice ---- */


/* Checks the cursor, which names an event that the feed keeps. */

static es_rc_t
es_erase_check(const es_feed_t *feed, const es_cursor_t *event)
{
    es_rc_t      rc;
    es_cursor_t  before;

    if (event->sequence == 0) {
        return ES_INVALID;
    }

    rc = es_feed_check(feed, event);

    if (rc == ES_OK) {
        before = *event;
        before.sequence--;
        rc = es_feed_check(feed, &before);
    }

    return rc;
}


static es_rc_t
es_erase_audit(es_eraser_t *e)
{
    char               first[ES_CURSOR_MAX], last[ES_CURSOR_MAX];
    es_rc_t            rc;
    uint64_t           low, high;
    unsigned           i;
    es_audit_change_t  change = { .action = "erase", .kind = "events" };

    if (e->ndone == 0) {
        return ES_OK;
    }

    low = high = e->done[0];

    for (i = 1; i < e->ndone; i++) {
        low = e->done[i] < low ? e->done[i] : low;
        high = e->done[i] > high ? e->done[i] : high;
    }

    (void) es_feed_cursor(&e->feed, low, first);
    (void) es_feed_cursor(&e->feed, high, last);

    change.object = es_str(e->feed.name);
    change.after = json_pack("{s:i, s:s, s:s, s:s*}", "events",
                             (int) e->ndone, "first", first, "last", last,
                             "digests", e->what->drop ? "dropped" : NULL);
    if (change.after == NULL) {
        return ES_NOMEM;
    }

    rc = es_audit_append(e->store, e->txn, ES_AUDIT_LOG, &change);
    json_decref(change.after);

    return rc;
}


static es_rc_t
es_erase_run(es_eraser_t *e)
{
    es_rc_t       rc;
    es_subject_t  subject;

    rc = es_feed_load(e->store, e->txn, e->what->feed, &e->feed);

    if (rc == ES_OK && e->feed.held && e->what->again == NULL) {
        rc = ES_HELD;
    }

    if (rc == ES_OK) {
        rc = es_erasures_load(e->store, e->txn, &e->erasures);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (e->what->subject.len == 0) {
        rc = es_erase_check(&e->feed, &e->what->event);

        if (rc == ES_OK) {
            rc = es_erase_event(e, e->what->event.sequence);
        }

    } else {
        rc = es_subject_load(e->store, e->txn, e->feed.number,
                             e->what->subject, &subject);
        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_OK : rc;
        }

        rc = es_erase_subject(e, e->what->subject, &subject);
    }

    if (rc == ES_OK) {
        rc = es_erase_flush(e);
    }

    if (rc == ES_OK) {
        rc = es_feed_save(e->store, e->txn, &e->feed);
    }

    return rc == ES_OK ? es_erase_audit(e) : rc;
}


static es_rc_t
es_erase_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t             rc;
    es_eraser_t        *e = ctx;
    es_clock_verdict_t  clock;

    e->txn = txn;
    e->loaded = false;
    e->ndone = 0;
    e->more = false;

    rc = es_clock_commit(e->store, txn, &clock);
    e->now_ms = clock.time_ms;

    if (rc == ES_OK) {
        rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(e->store->log,
                                                       ES_LOG_EVENTS),
                                       &e->events));
    }

    if (rc == ES_OK) {
        rc = es_erase_run(e);
        mdb_cursor_close(e->events);
    }

    return rc;
}


es_rc_t
es_erase(es_store_t *store, const es_erase_t *what)
{
    es_rc_t       rc;
    int64_t       began_us, took_us;
    unsigned      i;
    es_eraser_t  *e;

    if (!(store->flags & ES_STORE_PUBLISH)
        || (!what->forget && store->ring == NULL))
    {
        return ES_DENIED;
    }

    e = calloc(1, sizeof(es_eraser_t));
    if (e == NULL) {
        return ES_NOMEM;
    }

    e->store = store;
    e->what = what;
    e->slice.most = ES_ERASE_EVENTS;
    e->slice.max = ES_ERASE_EVENTS;
    e->duty = (es_duty_t) { ES_ERASE_LEAST, ES_ERASE_LEAST, ES_ERASE_EVENTS };

    do {
        began_us = es_clock_mono_us();
        rc = es_env_shrink(store->log, es_erase_txn, e, &e->slice);
        took_us = es_clock_mono_us() - began_us;

        if (rc == ES_OK) {
            es_wake_ring(store);
        }

        for (i = 0; rc == ES_OK && what->each && i < e->ndone; i++) {
            what->each(what->ctx, &e->feed, e->done[i]);
        }

        if (rc == ES_OK && e->more) {
            es_duty_pause(&e->duty, took_us);
        }

    } while (rc == ES_OK && e->more);

    es_buf_free(&e->copy);
    es_buf_free(&e->out);
    es_buf_free(&e->packed);
    free(e);

    return rc;
}


/* ---- what would be erased ---- */


/* Follows the links back from `*at`, or with 0 from the latest event.  `*at`
   becomes the event to go on with; 0: there is none. */

static es_rc_t
es_erase_find_slice(es_txn_t *txn, const es_erase_t *what,
    const es_feed_t *feed, uint64_t *at)
{
    es_rc_t            rc;
    unsigned           n;
    es_chunk_t         chunk;
    es_subject_t       subject;
    const es_entry_t  *entry;

    if (*at == 0) {
        rc = es_subject_load(txn->store, txn->mdb, feed->number,
                             what->subject, &subject);
        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_OK : rc;
        }

        *at = subject.roots[0].sequence;
    }

    /* The oldest chunk has events before the oldest one of the feed. */

    for (n = 0; n < ES_ERASE_FIND && *at != 0; n++) {
        es_unpacked_forget();

        rc = es_chunk_seek(txn->events, feed->number, *at, false, &chunk);
        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
        }

        if (chunk.head->first > *at) {
            *at = 0;
            break;
        }

        entry = &chunk.entries[*at - chunk.head->first];

        if (es_erase_takes(what, &chunk, (uint32_t) (*at - chunk.head->first)))
        {
            what->each(what->ctx, feed, *at);
        }

        if (entry->subject_prev >= *at) {
            return ES_CORRUPT;
        }

        *at = entry->subject_prev;
    }

    return ES_OK;
}


static es_rc_t
es_erase_find_event(es_txn_t *txn, const es_erase_t *what,
    const es_feed_t *feed)
{
    es_rc_t     rc;
    uint64_t    sequence;
    es_chunk_t  chunk;

    sequence = what->event.sequence;
    rc = es_erase_check(feed, &what->event);

    if (rc == ES_OK) {
        rc = es_chunk_seek(txn->events, feed->number, sequence, false, &chunk);
    }

    if (rc == ES_OK
        && es_erase_takes(what, &chunk,
                          (uint32_t) (sequence - chunk.head->first)))
    {
        what->each(what->ctx, feed, sequence);
    }

    return rc;
}


es_rc_t
es_erase_find(es_store_t *store, const es_erase_t *what)
{
    es_rc_t    rc;
    uint64_t   at;
    es_txn_t  *txn;
    es_feed_t  feed;

    at = 0;

    do {
        rc = es_txn_begin(store, &txn);
        if (rc != ES_OK) {
            return rc;
        }

        rc = es_feed_get(txn, what->feed, &feed);

        if (rc == ES_OK) {
            rc = what->subject.len == 0
                 ? es_erase_find_event(txn, what, &feed)
                 : es_erase_find_slice(txn, what, &feed, &at);
        }

        es_txn_end(txn);

    } while (rc == ES_OK && at != 0);

    return rc;
}
