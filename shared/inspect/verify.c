/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Works in slices, each in a write transaction that writes nothing: under the
 * writer lock log and id index stand still, and a slice is short enough for
 * publishers not to notice.
 */

#include <stdarg.h>
#include <stdio.h>

#include "base/base.h"
#include "checkpoint/checkpoint.h"
#include "event/digest.h"
#include "inspect/verify.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/id_index_fill.h"
#include "log/subject.h"
#include "registry/secrets.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_VERIFY_CHUNKS   32
#define ES_VERIFY_ENTRIES  1024

typedef struct {
    es_store_t    *store;
    MDB_txn       *txn;
    es_verify_fn   fn;
    void          *fn_ctx;
    es_verify_t   *totals;
    char           name[ES_FEED_MAX + 1];
    es_feed_t      feed;
    char           epoch[ES_EPOCH_MAX + 1];
    uint64_t       position;       /* verified up to here */
    int64_t        time_ms;        /* of the chunk before */
    uint64_t       total;          /* what the next chunk must begin with */
    uint8_t        digest[ES_CHAIN_LEN];
    uint8_t        subject_key[ES_SUBJECT_KEY_MAX];
    size_t         subject_key_len;
    uint8_t        type_key[ES_BYTYPE_KEY_LEN];
    uint8_t        type_value[8];
    bool           done;
} es_verify_ctx_t;

static void es_verify_fault(es_verify_ctx_t *v, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));


static void
es_verify_fault(es_verify_ctx_t *v, const char *fmt, ...)
{
    int      n;
    char     text[512];
    va_list  args;

    n = snprintf(text, sizeof(text), "feed %s: ", v->name);

    va_start(args, fmt);
    (void) vsnprintf(text + n, sizeof(text) - (size_t) n, fmt, args);
    va_end(args);

    v->totals->faults++;
    v->fn(v->fn_ctx, text);
}


/* The text must say of itself what the key says. */

static void
es_verify_text(es_verify_ctx_t *v, const es_chunk_t *chunk, uint32_t i,
    es_str_t text)
{
    char               mid[256], *end;
    size_t             len;
    uint64_t           sequence;
    const es_entry_t  *entry;

    entry = &chunk->entries[i];
    sequence = chunk->head->first + i;

    if (es_event_hash(text.data, text.len) != entry->hash) {
        es_verify_fault(v, "event %llu does not match its hash",
                        (unsigned long long) sequence);
        return;
    }

    end = es_mid_print(v->feed.epoch, sequence, mid);
    len = (size_t) (end - mid);

    if (entry->mid + len > text.len
        || memcmp(text.data + entry->mid, mid, len) != 0)
    {
        es_verify_fault(v, "event %llu states another sequence, cursor or "
                        "prevcursor", (unsigned long long) sequence);
    }

    if (text.data[text.len - 1] != '}') {
        es_verify_fault(v, "event %llu is cut short",
                        (unsigned long long) sequence);
    }
}


static void
es_verify_indexes(es_verify_ctx_t *v, const es_chunk_t *chunk, uint32_t i,
    es_str_t text, MDB_cursor *bytype)
{
    uint8_t            key[ES_BYTYPE_KEY_LEN], value[ES_BYTYPE_VALUE_LEN];
    MDB_val            k, d;
    uint64_t           sequence, hash;
    const es_entry_t  *entry;

    entry = &chunk->entries[i];
    sequence = chunk->head->first + i;

    hash = es_ident_in(es_ident_hash(v->store, text.data, entry->ident_len),
                       v->feed.number);

    if (es_ids_check(v->store, hash, sequence) != ES_OK) {
        es_verify_fault(v, "event %llu is not in the id index",
                        (unsigned long long) sequence);
    }

    if (!es_bytype_value(chunk->types, chunk->head->count, i,
                         chunk->head->first, value))
    {
        return;
    }

    es_bytype_key(v->feed.number, es_chunk_type(chunk, i), key);
    k.mv_data = key;
    k.mv_size = sizeof(key);
    d.mv_data = value;
    d.mv_size = sizeof(value);

    if (mdb_cursor_get(bytype, &k, &d, MDB_GET_BOTH) != 0) {
        es_verify_fault(v, "event %llu is not in the type index",
                        (unsigned long long) sequence);
    }
}


/* A link leads to an event of the subject with a lower number: the one before,
   or any. */

static void
es_verify_link(es_verify_ctx_t *v, MDB_cursor *events, uint64_t sequence,
    const es_entry_t *entry, es_str_t subject, uint64_t to)
{
    uint32_t           i;
    es_str_t           text, other;
    es_chunk_t         chunk;
    const es_entry_t  *linked;

    if (to < v->feed.oldest) {
        return;
    }

    if (to < sequence
        && es_chunk_seek(events, v->feed.number, to, false, &chunk) == ES_OK
        && chunk.head->first <= to)
    {
        i = (uint32_t) (to - chunk.head->first);
        linked = &chunk.entries[i];

        if (es_chunk_text(&chunk, i, &text) == ES_OK) {
            other.data = text.data + linked->subject_off;
            other.len = linked->subject_len;

            if (es_str_eq(other, subject)
                && (to == entry->subject_prev
                    ? linked->subject_nth + 1 == entry->subject_nth
                    : linked->subject_nth < entry->subject_nth))
            {
                return;
            }
        }
    }

    es_verify_fault(v, "event %llu has a wrong link to %llu of its subject",
                    (unsigned long long) sequence, (unsigned long long) to);
}


static void
es_verify_subject(es_verify_ctx_t *v, const es_chunk_t *chunk, uint32_t i,
    es_str_t text, MDB_cursor *events)
{
    es_str_t           part;
    uint64_t           sequence;
    es_subject_t       subject;
    const es_entry_t  *entry;

    entry = &chunk->entries[i];
    sequence = chunk->head->first + i;
    part.data = text.data + entry->subject_off;
    part.len = entry->subject_len;

    if (part.len == 0) {
        return;
    }

    if (es_subject_load(v->store, v->txn, v->feed.number, part, &subject)
        != ES_OK || subject.roots[0].sequence < sequence)
    {
        es_verify_fault(v, "event %llu is not in the subject index",
                        (unsigned long long) sequence);
    }

    es_verify_link(v, events, sequence, entry, part, entry->subject_prev);

    if (entry->subject_jump != entry->subject_prev) {
        es_verify_link(v, events, sequence, entry, part,
                       entry->subject_jump);
    }
}


/* The chain and the count of bytes go on from the chunk before. */

static void
es_verify_chain(es_verify_ctx_t *v, const es_chunk_t *chunk)
{
    uint32_t  i;
    es_str_t  text;

    if (chunk->head->first <= v->feed.oldest) {
        v->total = chunk->head->total;
        memcpy(v->digest, chunk->head->digest, ES_CHAIN_LEN);
    }

    if (chunk->head->total != v->total
        || memcmp(chunk->head->digest, v->digest, ES_CHAIN_LEN) != 0)
    {
        es_verify_fault(v, "the digest is broken before event %llu",
                        (unsigned long long) chunk->head->first);
        v->total = chunk->head->total;
        memcpy(v->digest, chunk->head->digest, ES_CHAIN_LEN);
    }

    for (i = 0; i < chunk->head->count; i++) {
        if (es_chunk_text(chunk, i, &text) == ES_OK) {
            v->total += text.len;
            es_digest_chain(v->digest, text.data, text.len);
        }
    }

    if (chunk->last == v->feed.last
        && (v->feed.total != v->total
            || memcmp(v->feed.digest, v->digest, ES_CHAIN_LEN) != 0))
    {
        es_verify_fault(v, "the head's digest is not that of its events");
    }
}


static void
es_verify_chunk(es_verify_ctx_t *v, const es_chunk_t *chunk,
    MDB_cursor *bytype, MDB_cursor *links)
{
    es_str_t  text;
    uint32_t  i;

    if (es_chunk_hash(v->feed.number, chunk->last, chunk->head, chunk->size)
        != chunk->head->hash)
    {
        es_verify_fault(v, "record of events %llu to %llu does not match its "
                        "hash", (unsigned long long) chunk->head->first,
                        (unsigned long long) chunk->last);
    }

    if (chunk->head->time_ms < v->time_ms) {
        es_verify_fault(v, "time runs backwards at event %llu",
                        (unsigned long long) chunk->head->first);
    }

    v->time_ms = chunk->head->time_ms;
    v->totals->chunks++;

    for (i = 0; i < chunk->head->count; i++) {
        v->totals->events++;

        if (es_chunk_text(chunk, i, &text) != ES_OK) {
            es_verify_fault(v, "event %llu lies outside of its record",
                            (unsigned long long) (chunk->head->first + i));
            continue;
        }

        es_verify_text(v, chunk, i, text);
        es_verify_indexes(v, chunk, i, text, bytype);
        es_verify_subject(v, chunk, i, text, links);
    }

    es_verify_chain(v, chunk);
}


static es_rc_t
es_verify_events(es_verify_ctx_t *v, MDB_cursor *events, MDB_cursor *bytype,
    MDB_cursor *links)
{
    es_rc_t     rc;
    unsigned    n;
    es_chunk_t  chunk;

    for (n = 0; n < ES_VERIFY_CHUNKS && v->position < v->feed.last; n++) {

        rc = es_chunk_seek(events, v->feed.number, v->position + 1, false,
                           &chunk);

        if (rc == ES_CORRUPT) {
            es_verify_fault(v, "the record of event %llu is damaged",
                            (unsigned long long) v->position + 1);
            v->done = true;
            return ES_OK;
        }

        if (rc != ES_OK && rc != ES_NOT_FOUND) {
            return rc;
        }

        /* The oldest chunk may begin before the oldest event kept. */

        if (rc == ES_NOT_FOUND
            || (chunk.head->first > v->position + 1)
            || (chunk.head->first <= v->position
                && v->position + 1 != v->feed.oldest))
        {
            es_verify_fault(v, "the sequence is broken after %llu",
                            (unsigned long long) v->position);

            if (rc == ES_NOT_FOUND) {
                v->done = true;
                return ES_OK;
            }
        }

        es_verify_chunk(v, &chunk, bytype, links);
        v->position = chunk.last;
    }

    if (v->position > v->feed.last) {
        es_verify_fault(v, "the head says %llu but there is an event %llu",
                        (unsigned long long) v->feed.last,
                        (unsigned long long) v->position);
    }

    v->done = v->position >= v->feed.last;

    return ES_OK;
}


static es_rc_t
es_verify_feed_slice(MDB_txn *txn, void *ctx)
{
    es_rc_t           rc;
    MDB_cursor       *events, *bytype, *links;
    es_verify_ctx_t  *v = ctx;

    v->txn = txn;

    rc = es_ids_ready(v->store, txn);
    if (rc == ES_OK) {
        rc = es_feed_load(v->store, txn, es_str(v->name), &v->feed);
    }

    if (rc == ES_NOT_FOUND) {
        v->done = true;
        return ES_OK;
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (strcmp(v->epoch, v->feed.epoch) != 0) {
        memcpy(v->epoch, v->feed.epoch, sizeof(v->epoch));
        v->position = 0;
        v->time_ms = 0;
    }

    if (v->position + 1 < v->feed.oldest) {
        v->position = v->feed.oldest - 1;
    }

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(v->store->log,
                                                   ES_LOG_EVENTS), &events));
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(v->store->log,
                                                   ES_LOG_BYTYPE), &bytype));
    if (rc == ES_OK) {
        rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(v->store->log,
                                                       ES_LOG_EVENTS),
                                       &links));
        if (rc == ES_OK) {
            rc = es_verify_events(v, events, bytype, links);
            mdb_cursor_close(links);
        }

        mdb_cursor_close(bytype);
    }

    mdb_cursor_close(events);

    return rc;
}


/* An entry of the type index must have its chunk, and say what is in it. */

static void
es_verify_entry(es_verify_ctx_t *v, MDB_cursor *events, const uint8_t *key,
    const uint8_t *value)
{
    uint8_t     right[ES_BYTYPE_VALUE_LEN];
    uint32_t    i, feed;
    uint64_t    sequence;
    es_chunk_t  chunk;

    feed = es_event_key_feed(key);
    sequence = es_bytype_sequence(value);

    if (es_chunk_seek(events, feed, sequence, false, &chunk) == ES_OK
        && chunk.head->first <= sequence)
    {
        i = (uint32_t) (sequence - chunk.head->first);

        if (es_chunk_type(&chunk, i) == es_event_key_feed(key + 4)
            && es_bytype_value(chunk.types, chunk.head->count, i,
                               chunk.head->first, right)
            && memcmp(value, right, sizeof(right)) == 0)
        {
            return;
        }
    }

    (void) snprintf(v->name, sizeof(v->name), "number %u", feed);
    es_verify_fault(v, "the type index has an entry without an event at %llu",
                    (unsigned long long) sequence);
}


static es_rc_t
es_verify_types_slice(MDB_txn *txn, void *ctx)
{
    int               rc;
    MDB_val           k, d;
    unsigned          n;
    MDB_cursor       *events, *bytype;
    es_verify_ctx_t  *v = ctx;

    rc = mdb_cursor_open(txn, es_env_dbi(v->store->log, ES_LOG_EVENTS),
                         &events);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    rc = mdb_cursor_open(txn, es_env_dbi(v->store->log, ES_LOG_BYTYPE),
                         &bytype);
    if (rc != 0) {
        mdb_cursor_close(events);
        return es_env_rc(rc);
    }

    /* On from the entry after the last one seen, which may be gone. */

    k.mv_data = v->type_key;
    k.mv_size = sizeof(v->type_key);
    d.mv_data = v->type_value;
    d.mv_size = sizeof(v->type_value);

    rc = mdb_cursor_get(bytype, &k, &d, MDB_GET_BOTH_RANGE);
    if (rc == MDB_NOTFOUND) {
        k.mv_data = v->type_key;
        k.mv_size = sizeof(v->type_key);
        rc = mdb_cursor_get(bytype, &k, &d, MDB_SET_RANGE);

        if (rc == 0 && memcmp(k.mv_data, v->type_key, k.mv_size) == 0) {
            rc = mdb_cursor_get(bytype, &k, &d, MDB_NEXT_NODUP);
        }
    }

    for (n = 0; rc == 0 && n < ES_VERIFY_ENTRIES; n++) {
        if (k.mv_size != ES_BYTYPE_KEY_LEN || d.mv_size != ES_BYTYPE_VALUE_LEN) {
            rc = MDB_CORRUPTED;
            break;
        }

        es_verify_entry(v, events, k.mv_data, d.mv_data);

        memcpy(v->type_key, k.mv_data, sizeof(v->type_key));
        es_be64(es_be64_get(d.mv_data) + 1, v->type_value);

        rc = mdb_cursor_get(bytype, &k, &d, MDB_NEXT);
    }

    v->done = rc == MDB_NOTFOUND;

    mdb_cursor_close(bytype);
    mdb_cursor_close(events);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


/* A subject's record must have its event, which says the same number. */

static void
es_verify_head(es_verify_ctx_t *v, MDB_cursor *events, const MDB_val *key,
    const MDB_val *value)
{
    size_t             len;
    uint8_t            expected[ES_SUBJECT_KEY_MAX];
    uint32_t           feed, i;
    es_str_t           text, part;
    es_chunk_t         chunk;
    es_subject_t       subject;
    const es_entry_t  *entry;

    feed = es_event_key_feed(key->mv_data);

    if (es_subject_decode(value, &subject) == ES_OK
        && es_chunk_seek(events, feed, subject.roots[0].sequence, false,
                         &chunk) == ES_OK
        && chunk.head->first <= subject.roots[0].sequence)
    {
        i = (uint32_t) (subject.roots[0].sequence - chunk.head->first);
        entry = &chunk.entries[i];

        if (es_chunk_text(&chunk, i, &text) == ES_OK) {
            part.data = text.data + entry->subject_off;
            part.len = entry->subject_len;
            len = es_subject_key(feed, part, expected);

            if (entry->subject_nth == subject.nth
                && len == key->mv_size
                && memcmp(expected, key->mv_data, len) == 0)
            {
                return;
            }
        }
    }

    (void) snprintf(v->name, sizeof(v->name), "number %u", feed);
    es_verify_fault(v, "the subject index has an entry without an event");
}


static es_rc_t
es_verify_subjects_slice(MDB_txn *txn, void *ctx)
{
    int               rc;
    MDB_val           key, value;
    unsigned          n;
    MDB_cursor       *events, *subjects;
    es_verify_ctx_t  *v = ctx;

    rc = mdb_cursor_open(txn, es_env_dbi(v->store->log, ES_LOG_EVENTS),
                         &events);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    rc = mdb_cursor_open(txn, es_env_dbi(v->store->log, ES_LOG_SUBJECTS),
                         &subjects);
    if (rc != 0) {
        mdb_cursor_close(events);
        return es_env_rc(rc);
    }

    key.mv_data = v->subject_key;
    key.mv_size = v->subject_key_len;

    rc = mdb_cursor_get(subjects, &key, &value,
                        v->subject_key_len ? MDB_SET_RANGE : MDB_FIRST);

    for (n = 0; rc == 0 && n < ES_VERIFY_ENTRIES; n++) {
        if (key.mv_size < sizeof(uint32_t)
            || key.mv_size >= sizeof(v->subject_key))
        {
            rc = MDB_CORRUPTED;
            break;
        }

        es_verify_head(v, events, &key, &value);

        /* on from what would come directly after this key */

        memcpy(v->subject_key, key.mv_data, key.mv_size);
        v->subject_key[key.mv_size] = 0;
        v->subject_key_len = key.mv_size + 1;

        rc = mdb_cursor_get(subjects, &key, &value, MDB_NEXT);
    }

    v->done = rc == MDB_NOTFOUND;

    mdb_cursor_close(subjects);
    mdb_cursor_close(events);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_verify_slices(es_verify_ctx_t *v, es_env_fn fn)
{
    es_rc_t  rc;

    rc = ES_OK;

    for (v->done = false; rc == ES_OK && !v->done; /* void */ ) {
        rc = es_env_update(v->store->log, fn, v);
    }

    return rc;
}


static void
es_verify_secret_fault(void *ctx, es_str_t name, const char *text)
{
    char              line[256];
    es_verify_ctx_t  *v = ctx;

    (void) snprintf(line, sizeof(line), "endpoint %.*s: %s", (int) name.len,
                    name.data, text);
    v->fn(v->fn_ctx, line);
}


es_rc_t
es_verify(es_store_t *store, es_verify_fn fn, void *ctx, es_verify_t *totals)
{
    es_rc_t          rc;
    es_txn_t        *txn;
    es_feed_t        feed;
    es_verify_ctx_t  v = { 0 };

    if (!(store->flags & ES_STORE_PUBLISH)) {
        return ES_DENIED;
    }

    memset(totals, 0, sizeof(es_verify_t));
    v.store = store;
    v.fn = fn;
    v.fn_ctx = ctx;
    v.totals = totals;

    for ( ;; ) {
        rc = es_txn_begin(store, &txn);
        if (rc != ES_OK) {
            return rc;
        }

        rc = es_feed_next(txn, es_str(v.name), &feed);
        es_txn_end(txn);

        if (rc == ES_NOT_FOUND) {
            break;
        }

        if (rc != ES_OK) {
            return rc;
        }

        memcpy(v.name, feed.name, sizeof(v.name));
        memset(v.epoch, 0, sizeof(v.epoch));
        totals->feeds++;

        rc = es_verify_slices(&v, es_verify_feed_slice);
        if (rc != ES_OK) {
            return rc;
        }
    }

    rc = es_verify_slices(&v, es_verify_types_slice);

    if (rc == ES_OK) {
        rc = es_verify_slices(&v, es_verify_subjects_slice);
    }

    if (rc == ES_OK) {
        rc = es_verify_registry(store, fn, ctx, totals);
    }

    if (rc == ES_OK) {
        rc = es_verify_secrets(store, es_verify_secret_fault, &v,
                               &totals->faults);
    }

    if (rc == ES_OK && (store->flags & ES_STORE_CHECKPOINT)) {
        rc = es_checkpoint_verify(store, fn, ctx, totals);
    }

    if (rc != ES_OK) {
        return rc;
    }

    return totals->faults ? ES_CORRUPT : ES_OK;
}
