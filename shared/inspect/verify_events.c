/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Verifies the events of one feed: their chunks, hashes, order and texts, and
 * that each event is in the id, type and subject indexes.
 */

#include "base/base.h"
#include "base/random.h"
#include "event/digest.h"
#include "event/event.h"
#include "inspect/verify_internal.h"
#include "log/chunk.h"
#include "log/erased.h"
#include "log/feed.h"
#include "log/feed_record.h"
#include "log/id_index_fill.h"
#include "log/rechain.h"
#include "log/subject.h"
#include "log/unpacked.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/store.h"

#define ES_VERIFY_CHUNKS  32       /* of one slice */


/* Copies the name of the epoch that a cursor in the text has, because the feed
   has forgotten it. */

static const char *
es_verify_forgotten(const es_verify_ctx_t *v, const char *cursor,
    char out[ES_EPOCH_MAX + 1])
{
    size_t  i, n;

    n = strlen(v->feed.epoch);

    for (i = 0; i < n && es_base32_value(cursor[i]) >= 0; i++) {
        out[i] = cursor[i];
    }

    out[i] = '\0';

    return out;
}


/* The event states its sequence, its cursor and the one before. */

static bool
es_verify_mid(const es_verify_ctx_t *v, uint64_t sequence, const char *text,
    size_t len)
{
    char         mid[256], own[ES_EPOCH_MAX + 1], other[ES_EPOCH_MAX + 1];
    size_t       cursor, prev;
    const char  *epoch, *before;

    cursor = es_cursor_len(v->feed.epoch, sequence);
    prev = es_cursor_len(v->feed.epoch, sequence - 1);

    if (es_mid_len(cursor, prev) > len) {
        return false;
    }

    len = es_mid_len(cursor, prev);

    epoch = sequence > v->feed.forgotten
            ? es_feed_epoch_of(&v->feed, sequence)
            : es_verify_forgotten(v, text + es_mid_cursor(), own);

    before = sequence - 1 > v->feed.forgotten || v->feed.forgotten == 0
             ? es_feed_epoch_of(&v->feed, sequence - 1)
             : es_verify_forgotten(v, text + len - 1 - prev, other);

    return es_mid_print(epoch, before, sequence, mid) == mid + len
           && memcmp(text, mid, len) == 0;
}


/* The event's text must state the sequence of its key. */

static void
es_verify_text(es_verify_ctx_t *v, const es_chunk_t *chunk, uint32_t i,
    es_str_t text)
{
    uint64_t           sequence;
    const es_entry_t  *entry;

    entry = &chunk->entries[i];
    sequence = chunk->head->first + i;

    if (!es_chunk_intact(chunk, i, text)) {
        es_verify_fault(v, "event %llu does not match its hash",
                        (unsigned long long) sequence);
        return;
    }

    if (!es_verify_mid(v, sequence, text.data + entry->mid,
                       text.len - entry->mid))
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
    uint64_t hash, MDB_cursor *bytype)
{
    uint8_t            key[ES_BYTYPE_KEY_LEN], value[ES_BYTYPE_VALUE_LEN];
    MDB_val            k, d;
    uint64_t           sequence;
    const es_entry_t  *entry;

    entry = &chunk->entries[i];
    sequence = chunk->head->first + i;

    /* the index has the (source, id) that an erased event had */

    if ((entry->flags & ES_ENTRY_ERASED) == 0
        && es_id_index_check(v->store, hash, sequence) != ES_OK)
    {
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


/* A link must lead to an earlier event of the subject: to the one before, or to
   any other. */

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

            if (((linked->flags & ES_ENTRY_ERASED) != 0
                 || es_str_eq(other, subject))
                && (to == entry->subject_prev
                    ? linked->subject_nth + 1 == entry->subject_nth
                    : linked->subject_nth < entry->subject_nth))
            {
                return;
            }
        }
    }

    es_verify_fault(v, "event %llu has a wrong subject link to event %llu",
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


static void
es_verify_fold(const es_chunk_t *chunk, uint32_t from, uint32_t to,
    uint64_t *total, uint8_t digest[ES_CHAIN_LEN])
{
    size_t    len;
    uint8_t   event[ES_CHAIN_LEN];
    uint32_t  i;

    for (i = from; i < to; i++) {
        if (es_chunk_published(chunk, i, &len, event) == ES_OK) {
            *total += len;
            es_digest_link(digest, event);
        }
    }
}


/* The digest chain and the count of bytes continue, at the event `from`, those
   of the chunk before.  A chain that must be made anew proves nothing. */

static void
es_verify_chain(es_verify_ctx_t *v, const es_chunk_t *chunk, uint32_t from)
{
    uint8_t   digest[ES_CHAIN_LEN];
    uint64_t  total;

    total = chunk->head->total;
    memcpy(digest, chunk->head->digest, ES_CHAIN_LEN);
    es_verify_fold(chunk, 0, from, &total, digest);

    v->seam |= !es_rechain_has(&v->feed, chunk->head->first);

    if (chunk->head->first + from > v->feed.oldest
        && (total != v->total
            || (!v->seam && memcmp(digest, v->digest, ES_CHAIN_LEN) != 0)))
    {
        es_verify_fault(v, "the digest chain is broken before event %llu",
                        (unsigned long long) chunk->head->first + from);
    }

    es_verify_fold(chunk, from, chunk->head->count, &total, digest);
    v->total = total;
    v->seam = !es_rechain_has(&v->feed, chunk->last);
    memcpy(v->digest, digest, ES_CHAIN_LEN);

    if (chunk->last == v->feed.last
        && (v->feed.total != v->total
            || (!v->seam
                && memcmp(v->feed.digest, v->digest, ES_CHAIN_LEN) != 0)))
    {
        es_verify_fault(v, "the digest of the head does not match its events");
    }
}


/* A partner 0 has no keys, but the numbers of programs.  A key 0 of a partner
   is a token of an external issuer. */

static bool
es_verify_known(const es_verify_ctx_t *v, es_commit_of_t commit)
{
    if (commit.partner == 0) {
        return commit.key <= ES_PUBLISHER_DISPATCHER;
    }

    return commit.partner <= v->partners && commit.key <= v->keys;
}


/* Returns the first commit of a publisher that is not known.  False: all are
   known. */

static bool
es_verify_unknown(const es_verify_ctx_t *v, const es_chunk_t *chunk,
    es_commit_of_t *commit)
{
    uint32_t  i;

    for (i = 0; i < (chunk->commits == NULL ? 1 : chunk->head->count); i++) {
        *commit = es_chunk_commit(chunk, i);

        if (!es_verify_known(v, *commit)) {
            return true;
        }
    }

    return false;
}


/* The registry may have given numbers since they were read. */

static es_rc_t
es_verify_publisher(es_verify_ctx_t *v, const es_chunk_t *chunk)
{
    es_rc_t         rc;
    es_commit_of_t  commit;

    if (!es_verify_unknown(v, chunk, &commit)) {
        return ES_OK;
    }

    rc = es_registry_last_number(v->store, ES_KIND_PARTNER, &v->partners);

    if (rc == ES_OK) {
        rc = es_registry_last_number(v->store, ES_KIND_KEY, &v->keys);
    }

    if (rc == ES_OK && es_verify_unknown(v, chunk, &commit)) {
        es_verify_fault(v, "the record of events %llu to %llu names a "
                        "publisher that there never was: key %u of partner %u",
                        (unsigned long long) chunk->head->first,
                        (unsigned long long) chunk->last, commit.key,
                        commit.partner);
    }

    return rc;
}


static void
es_verify_erased(es_verify_ctx_t *v, const es_chunk_t *chunk)
{
    unsigned  n;
    uint32_t  i;

    for (i = 0, n = 0; i < chunk->head->count; i++) {
        n += (chunk->entries[i].flags & ES_ENTRY_ERASED) != 0;
    }

    if (n != chunk->head->nerased) {
        es_verify_fault(v, "the record of events %llu to %llu has %u erased "
                        "events, but the digests of %u",
                        (unsigned long long) chunk->head->first,
                        (unsigned long long) chunk->last, n,
                        chunk->head->nerased);
    }
}


static es_rc_t
es_verify_chunk(es_verify_ctx_t *v, const es_chunk_t *chunk, uint32_t from,
    MDB_cursor *bytype, MDB_cursor *links)
{
    es_str_t  text;
    uint32_t  i;
    uint64_t  hashes[ES_CHUNK_COUNT];

    if (chunk->commits == NULL
        && es_chunk_hash(v->feed.number, chunk->last, chunk->head, chunk->size)
           != chunk->head->hash)
    {
        es_verify_fault(v, "the record of events %llu to %llu does not match "
                        "its hash", (unsigned long long) chunk->head->first,
                        (unsigned long long) chunk->last);
    }

    if (es_chunk_commit(chunk, from).time_ms < v->time_ms) {
        es_verify_fault(v, "commit time runs backwards at event %llu",
                        (unsigned long long) chunk->head->first + from);
    }

    v->time_ms = es_chunk_commit(chunk, chunk->head->count - 1U).time_ms;
    v->totals->chunks++;
    es_verify_erased(v, chunk);

    if (v->records) {
        v->totals->events += chunk->head->count - from;
        es_pace(v->pace, chunk->size);

        return es_verify_publisher(v, chunk);
    }

    es_id_index_hashes(v->store, v->feed.number, chunk, hashes);

    for (i = from; i < chunk->head->count; i++) {
        v->totals->events++;

        if (chunk->entries[i].flags & ~ES_ENTRY_ERASED) {
            es_verify_fault(v, "event %llu has the flags 0x%x, of which this "
                            "program knows 0x%x",
                            (unsigned long long) (chunk->head->first + i),
                            chunk->entries[i].flags, ES_ENTRY_ERASED);
            continue;
        }

        if (es_chunk_text(chunk, i, &text) != ES_OK) {
            es_verify_fault(v, "event %llu lies outside of its record",
                            (unsigned long long) (chunk->head->first + i));
            continue;
        }

        es_verify_text(v, chunk, i, text);
        es_verify_indexes(v, chunk, i, hashes[i], bytype);
        es_verify_subject(v, chunk, i, text, links);
    }

    es_verify_chain(v, chunk, from);

    return es_verify_publisher(v, chunk);
}


/* The next record cannot be decoded.  Another form may be sound, for another
   program. */

static void
es_verify_damaged(es_verify_ctx_t *v, MDB_cursor *events)
{
    MDB_val                 key, value;
    const es_chunk_head_t  *head;

    if (es_chunk_find(events, v->feed.number, v->position + 1, &key, &value)
        == ES_OK
        && value.mv_size >= sizeof(es_chunk_head_t))
    {
        head = value.mv_data;

        if (head->form == ES_CHUNK_PACKED && key.mv_size == ES_EVENT_KEY_LEN) {
            es_verify_fault(v, "the packed record of events %llu to %llu is "
                            "damaged", (unsigned long long) v->position + 1,
                            (unsigned long long)
                                es_event_key_last(key.mv_data));
            return;
        }

        if (head->form != ES_CHUNK_PLAIN) {
            es_verify_fault(v, "the record of event %llu has the form %u, "
                            "which this program does not know",
                            (unsigned long long) v->position + 1, head->form);
            return;
        }
    }

    es_verify_fault(v, "the record of event %llu is damaged",
                    (unsigned long long) v->position + 1);
}


/*
 * Returns the index of the first event that was not verified yet.  Between two
 * slices the page may have been packed, so that its record begins before that
 * event; then there is no other record of the events before.
 */

static uint32_t
es_verify_from(es_verify_ctx_t *v, MDB_cursor *events, const es_chunk_t *chunk)
{
    MDB_val  key, value;

    return chunk->commits != NULL && chunk->head->first <= v->position
           && v->position + 1 != v->feed.oldest
           && es_chunk_find(events, v->feed.number, chunk->head->first, &key,
                            &value) == ES_OK
           && es_event_key_last(key.mv_data) == chunk->last
           ? (uint32_t) (v->position + 1 - chunk->head->first) : 0;
}


static es_rc_t
es_verify_events(es_verify_ctx_t *v, MDB_cursor *events, MDB_cursor *bytype,
    MDB_cursor *links)
{
    es_rc_t     rc;
    unsigned    n;
    uint32_t    from;
    es_chunk_t  chunk;

    for (n = 0; n < ES_VERIFY_CHUNKS && v->position < v->feed.last; n++) {
        es_unpacked_forget();

        rc = es_chunk_seek(events, v->feed.number, v->position + 1, false,
                           &chunk);

        if (rc == ES_CORRUPT) {
            es_verify_damaged(v, events);
            v->done = true;
            return ES_OK;
        }

        if (rc != ES_OK && rc != ES_NOT_FOUND) {
            return rc;
        }

        from = rc == ES_OK ? es_verify_from(v, events, &chunk) : 0;

        /* the oldest chunk may begin before the oldest event */

        if (rc == ES_NOT_FOUND
            || (chunk.head->first > v->position + 1)
            || (chunk.head->first + from <= v->position
                && v->position + 1 != v->feed.oldest))
        {
            es_verify_fault(v, "the sequence is broken after %llu",
                            (unsigned long long) v->position);

            if (rc == ES_NOT_FOUND) {
                v->done = true;
                return ES_OK;
            }
        }

        rc = es_verify_chunk(v, &chunk, from, bytype, links);
        if (rc != ES_OK) {
            return rc;
        }

        v->position = chunk.last;
    }

    if (v->position > v->feed.last) {
        es_verify_fault(v, "the head ends at event %llu, but event %llu exists",
                        (unsigned long long) v->feed.last,
                        (unsigned long long) v->position);
    }

    v->done = v->position >= v->feed.last;

    return ES_OK;
}


/* Each epoch ended after the one before, and before the feed's end. */

static void
es_verify_epochs(es_verify_ctx_t *v)
{
    uint32_t             i;
    uint64_t             last;
    const es_earlier_t  *earlier;

    last = v->feed.forgotten;

    for (i = 0; i < v->feed.nearlier; i++) {
        earlier = &v->feed.earlier[i];

        if (earlier->last < last || earlier->last > v->feed.last
            || strnlen(earlier->name, ES_EPOCH_MAX) != strlen(v->feed.epoch)
            || earlier->name[ES_EPOCH_MAX] != '\0')
        {
            es_verify_fault(v, "the record of its epoch %.15s, up to event "
                            "%llu, is damaged", earlier->name,
                            (unsigned long long) earlier->last);
        }

        last = earlier->last;
    }
}


/* After an erasure that dropped digests, the next chunk may have the value of
   another chain than the one before it had in its slice. */

static es_rc_t
es_verify_erasures(es_verify_ctx_t *v, MDB_txn *txn)
{
    es_rc_t        rc;
    es_erasures_t  erasures;

    rc = es_erasures_load(v->store, txn, &erasures);

    v->seam |= erasures.count != v->erasures;
    v->erasures = erasures.count;

    return rc;
}


es_rc_t
es_verify_feed_slice(MDB_txn *txn, void *ctx)
{
    es_rc_t           rc;
    MDB_cursor       *events, *bytype, *links;
    es_verify_ctx_t  *v = ctx;

    v->txn = txn;

    rc = v->records ? ES_OK : es_id_index_ready(v->store, txn);
    if (rc == ES_OK) {
        rc = es_feed_load(v->store, txn, es_str(v->name), &v->feed);
    }

    if (rc == ES_NOT_FOUND) {
        v->done = true;
        return ES_OK;
    }

    if (rc == ES_OK) {
        rc = es_verify_erasures(v, txn);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (!es_feed_has(&v->feed, v->epoch, v->position)) {
        v->position = 0;
        v->time_ms = 0;
    }

    if (strcmp(v->epoch, v->feed.epoch) != 0) {
        memcpy(v->epoch, v->feed.epoch, sizeof(v->epoch));
        es_verify_epochs(v);
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
