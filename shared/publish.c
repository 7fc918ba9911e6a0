/*
 * The commit: batches of drafts become chunks of the log.
 *
 *   1. Each batch in turn: every draft is looked up by (source, id) among the
 *      events stored and those assigned so far; new ones get the feed's next
 *      sequence.  A conflict takes the batch's assignments back.
 *   2. What each feed was assigned is written as chunks, with its type index.
 *   3. The feeds' heads are saved; LMDB commits; the bell rings.
 *
 * Slots of the id index may stay behind when 1 or the commit is undone: they
 * are hints (idindex.h).
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "batch.h"
#include "chunk.h"
#include "clock.h"
#include "ids.h"
#include "touched.h"
#include "wake.h"

#define ES_PREFETCH  8         /* look-ups ahead, to hide memory's latency */

/* A feed that this commit appends to. */
typedef struct es_append  es_append_t;

struct es_append {
    es_feed_t           feed;
    uint64_t            first;     /* sequence of drafts[0] */
    const es_draft_t  **drafts;
    size_t              n;
    size_t              cap;
    es_append_t        *next;
};

typedef struct {
    es_store_t   *store;
    es_batch_t  **batches;
    size_t        nbatches;
    MDB_txn      *txn;
    MDB_cursor   *events;
    es_append_t  *appends;
    int64_t       now_ms;
    char          time[ES_TIME_LEN];    /* the same as text */
    uint64_t      ntypes;      /* numbers given before this commit */
    bool          appended;
    es_touched_t  touched;     /* subjects of the feed that is written */
    es_entry_t    entries[ES_CHUNK_COUNT];     /* of the chunk, their links */
} es_commit_t;

static es_rc_t es_commit_txn(MDB_txn *txn, void *ctx);
static es_rc_t es_commit_batch(es_commit_t *c, es_batch_t *batch);
static es_rc_t es_commit_find(es_commit_t *c, es_append_t *append,
    const es_draft_t *draft, uint64_t hash, uint64_t *sequence);
static es_rc_t es_commit_append(es_commit_t *c, es_batch_t *batch,
    es_append_t **append);
static es_rc_t es_commit_write(es_commit_t *c, es_append_t *append);


void
es_publish(es_store_t *store, es_batch_t **batches, size_t n)
{
    size_t       i, j;
    es_rc_t      rc;
    es_draft_t  *draft;
    es_commit_t  c = { 0 };

    rc = store->flags & ES_STORE_PUBLISH ? ES_OK : ES_DENIED;

    /* All that needs no lock comes before it. */

    for (i = 0; rc == ES_OK && i < n; i++) {
        rc = es_batch_seal(batches[i]);

        for (j = 0; rc == ES_OK && j < batches[i]->n; j++) {
            draft = &batches[i]->drafts[j];
            draft->ident = es_ident_hash(store, draft->head.data,
                                         draft->ident_len);
        }
    }

    if (rc == ES_OK) {
        c.store = store;
        c.batches = batches;
        c.nbatches = n;

        rc = es_env_update(store->log, es_commit_txn, &c);
    }

    if (rc == ES_OK) {
        es_wake_ring(store);
        return;
    }

    for (i = 0; i < n; i++) {
        if (batches[i]->rc == ES_OK) {
            batches[i]->rc = es_problem_set(&batches[i]->problem, rc, -1, NULL,
                                            "%s", es_strerror(rc));
        }
    }
}


static void
es_commit_free(es_commit_t *c)
{
    es_append_t  *append;

    while (c->appends != NULL) {
        append = c->appends;
        c->appends = append->next;
        free(append->drafts);
        free(append);
    }

    if (c->events != NULL) {
        mdb_cursor_close(c->events);
        c->events = NULL;
    }

    es_touched_free(&c->touched);
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

    c->txn = txn;
    c->now_ms = es_clock_ms();
    es_time_print(c->now_ms, c->time);

    c->appended = false;

    rc = es_ids_ready(c->store, txn);
    if (rc == ES_OK) {
        rc = es_meta_get(c->store, txn, ES_META_TYPES, &c->ntypes);
    }

    if (rc == ES_OK) {
        rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(c->store->log,
                                                       ES_LOG_EVENTS),
                                       &c->events));
    }

    for (i = 0; rc == ES_OK && i < c->nbatches; i++) {
        c->batches[i]->rc = ES_OK;
        rc = es_commit_batch(c, c->batches[i]);
    }

    for (append = c->appends; rc == ES_OK && append; append = append->next) {
        rc = es_commit_write(c, append);
    }

    if (rc == ES_OK && c->appended) {
        published = mdb_txn_id(txn);
        es_ids_mark(c->store->ids, published);
        rc = es_meta_put(c->store, txn, ES_META_PUBLISHED, published);
    }

    /* The errno of a failure tells a full disk from a full map. */

    err = errno;
    es_commit_free(c);
    errno = err;

    return rc;
}


/* The state of the batch's feed in this commit. */

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


/* Returns failures of the whole commit only; the batch's own are its rc. */

static es_rc_t
es_commit_batch(es_commit_t *c, es_batch_t *batch)
{
    size_t             i, saved;
    es_rc_t            rc;
    uint32_t           feed;
    uint64_t           hash, sequence;
    es_append_t       *append;
    es_result_t       *result;
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
    feed = append->feed.number;

    for (i = 0; i < batch->n; i++) {
        draft = &batch->drafts[i];
        result = &batch->results[i];
        hash = es_ident_in(draft->ident, feed);

        if (i + ES_PREFETCH < batch->n) {
            es_ids_prefetch(c->store->ids,
                            es_ident_in(draft[ES_PREFETCH].ident, feed));
        }

        rc = es_commit_find(c, append, draft, hash, &sequence);

        if (rc == ES_CONFLICT) {
            append->n = saved;
            batch->rc = es_problem_set(&batch->problem, rc, (int) i, "/id",
                                       "an event with this source and id and "
                                       "other content has sequence %llu",
                                       (unsigned long long) sequence);
            return ES_OK;
        }

        if (rc != ES_OK && rc != ES_NOT_FOUND) {
            return rc;
        }

        result->duplicate = rc == ES_OK;

        if (rc == ES_NOT_FOUND) {
            sequence = append->first + append->n;

            rc = es_append_push(append, draft);
            if (rc == ES_OK) {
                rc = es_ids_insert(c->store->ids, hash, sequence);
            }

            if (rc != ES_OK) {
                return rc;
            }
        }

        result->sequence = sequence;
        (void) es_cursor_print(append->feed.epoch, sequence, result->cursor);
    }

    return ES_OK;
}


/* Same text but for what the log adds: place, and time if it was added. */

static bool
es_same_content(const char *head, size_t head_len, es_str_t tail,
    unsigned time_off, const es_draft_t *draft)
{
    size_t  rest;

    if (head_len != draft->head.len
        || time_off != draft->time_off
        || !es_str_eq(tail, draft->tail))
    {
        return false;
    }

    if (time_off == 0) {
        return memcmp(head, draft->head.data, head_len) == 0;
    }

    rest = time_off + ES_TIME_LEN;

    return memcmp(head, draft->head.data, time_off) == 0
           && memcmp(head + rest, draft->head.data + rest, head_len - rest)
              == 0;
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

    skip = entry->mid + es_mid_len(feed->epoch, sequence);
    if (skip > text.len) {
        return ES_CORRUPT;
    }

    tail.data = text.data + skip;
    tail.len = text.len - skip;

    return es_same_content(text.data, entry->mid, tail, entry->time_off, draft)
           ? ES_OK : ES_CONFLICT;
}


static es_rc_t
es_commit_find(es_commit_t *c, es_append_t *append, const es_draft_t *draft,
    uint64_t hash, uint64_t *sequence)
{
    es_rc_t            rc;
    es_ids_iter_t      iter;
    const es_draft_t  *other;

    es_ids_find(c->store->ids, hash, &iter);

    while (es_ids_next(c->store->ids, &iter, sequence)) {
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
            return es_same_content(other->head.data, other->head.len,
                                   other->tail, other->time_off, draft)
                   ? ES_OK : ES_CONFLICT;
        }
    }

    return ES_NOT_FOUND;
}


/* The number of an event type, given at its first use. */

static es_rc_t
es_commit_type(es_commit_t *c, es_str_t type, uint32_t *number)
{
    int              rc;
    es_rc_t          result;
    MDB_val          key, val;
    uint64_t         hash, next;
    es_type_slot_t  *slot;

    hash = es_event_hash(type.data, type.len);
    slot = &c->store->types[hash % ES_TYPE_CACHE];

    if (slot->hash == hash && slot->number != 0) {
        *number = slot->number;
        return ES_OK;
    }

    key.mv_data = (void *) (uintptr_t) type.data;
    key.mv_size = type.len;

    rc = mdb_get(c->txn, es_env_dbi(c->store->log, ES_LOG_TYPES), &key, &val);

    if (rc == 0 && val.mv_size == sizeof(*number)) {
        memcpy(number, val.mv_data, sizeof(*number));

    } else if (rc == MDB_NOTFOUND) {
        result = es_meta_get(c->store, c->txn, ES_META_TYPES, &next);
        if (result == ES_OK) {
            result = es_meta_put(c->store, c->txn, ES_META_TYPES, ++next);
        }

        if (result != ES_OK) {
            return result;
        }

        *number = (uint32_t) next;
        val.mv_data = number;
        val.mv_size = sizeof(*number);

        rc = mdb_put(c->txn, es_env_dbi(c->store->log, ES_LOG_TYPES), &key,
                     &val, 0);
        if (rc != 0) {
            return es_env_rc(rc);
        }

    } else {
        return rc == 0 ? ES_CORRUPT : es_env_rc(rc);
    }

    /* A number given in this transaction may be lost with it. */

    if (*number <= c->ntypes) {
        slot->hash = hash;
        slot->number = *number;
    }

    return ES_OK;
}


/* How many of the drafts from `i` on go into one chunk, and its size. */

static size_t
es_chunk_plan(const es_append_t *append, size_t i, size_t *size)
{
    size_t             n, body, len;
    uint64_t           sequence;
    const es_draft_t  *draft;

    body = 0;

    for (n = 0; i + n < append->n && n < ES_CHUNK_COUNT; n++) {
        sequence = append->first + i + n;
        draft = append->drafts[i + n];

        if (n > 0 && (sequence - 1) % append->feed.page_size == 0) {
            break;
        }

        len = draft->head.len + es_mid_len(append->feed.epoch, sequence)
              + draft->tail.len + 1;

        if (n > 0 && body + len > ES_CHUNK_BYTES) {
            break;
        }

        body += len;
    }

    *size = sizeof(es_chunk_head_t) + n * sizeof(es_entry_t) + body - 1;

    return n;
}


/* Writes one event's text and entry; returns the end of the text. */

static char *
es_chunk_event(es_commit_t *c, es_append_t *append, size_t i,
    es_entry_t *entry, char *body, char *p)
{
    char              *start;
    es_str_t           subject;
    const es_draft_t  *draft;

    draft = append->drafts[i];
    start = p;

    memcpy(p, draft->head.data, draft->head.len);

    if (draft->time_off != 0) {
        /* The time of the commit, rather than of parsing. */
        memcpy(p + draft->time_off, c->time, ES_TIME_LEN);
    }

    p += draft->head.len;
    p = es_mid_print(append->feed.epoch, append->first + i, p);
    memcpy(p, draft->tail.data, draft->tail.len);
    p += draft->tail.len;

    subject.data = draft->head.data + draft->subject_off;
    subject.len = draft->subject_len;

    entry->hash = es_event_hash(start, (size_t) (p - start));
    entry->end = (uint32_t) (p - body);
    entry->subject_hash = es_subject_hash(subject);
    entry->mid = (uint32_t) draft->head.len;
    entry->ident_len = (uint16_t) draft->ident_len;
    entry->id_len = (uint16_t) draft->id_len;
    entry->type_off = (uint16_t) draft->type_off;
    entry->type_len = (uint16_t) draft->type_len;
    entry->subject_off = (uint16_t) draft->subject_off;
    entry->subject_len = (uint16_t) draft->subject_len;
    entry->time_off = (uint16_t) draft->time_off;

    es_digest_chain(append->feed.digest, start, (size_t) (p - start));

    return p;
}


static es_rc_t
es_chunk_subject(es_commit_t *c, const es_append_t *append, size_t i,
    es_entry_t *entry)
{
    es_rc_t            rc;
    es_str_t           text;
    es_subject_t      *subject;
    const es_draft_t  *draft;

    draft = append->drafts[i];
    text.data = draft->head.data + draft->subject_off;
    text.len = draft->subject_len;

    entry->subject_nth = 0;
    entry->subject_prev = 0;
    entry->subject_jump = 0;

    if (text.len == 0) {
        return ES_OK;
    }

    rc = es_touched_get(&c->touched, c->store, c->txn, append->feed.number,
                        text, &subject);
    if (rc == ES_OK) {
        es_subject_add(subject, append->first + i, entry);
    }

    return rc;
}


/* Enters a chunk in the type index: once for each type in it. */

static es_rc_t
es_chunk_index(es_commit_t *c, uint32_t feed, uint64_t last,
    const uint32_t *types, size_t n)
{
    int       rc;
    size_t    i, j;
    uint8_t   key[ES_BYTYPE_KEY_LEN], value[8];
    MDB_val   k, v;

    es_be64(last, value);

    for (i = 0; i < n; i++) {
        for (j = 0; j < i && types[j] != types[i]; j++) { /* void */ }

        if (j < i) {
            continue;
        }

        es_bytype_key(feed, types[i], key);
        k.mv_data = key;
        k.mv_size = sizeof(key);
        v.mv_data = value;
        v.mv_size = sizeof(value);

        rc = mdb_put(c->txn, es_env_dbi(c->store->log, ES_LOG_BYTYPE), &k, &v,
                     MDB_APPENDDUP);
        if (rc != 0) {
            return es_env_rc(rc);
        }
    }

    return ES_OK;
}


static es_rc_t
es_chunk_write(es_commit_t *c, es_append_t *append, size_t i, size_t n,
    size_t size)
{
    int               rc;
    char             *body, *p;
    size_t            j;
    uint8_t           key[ES_EVENT_KEY_LEN];
    MDB_val           k, v;
    es_rc_t           result;
    uint32_t          types[ES_CHUNK_COUNT];
    uint64_t          last;
    es_str_t          type;
    es_entry_t       *entries;
    es_chunk_head_t  *head;

    last = append->first + i + n - 1;

    for (j = 0; j < n; j++) {
        type.data = append->drafts[i + j]->head.data
                    + append->drafts[i + j]->type_off;
        type.len = append->drafts[i + j]->type_len;

        result = es_commit_type(c, type, &types[j]);

        if (result == ES_OK) {
            result = es_chunk_subject(c, append, i + j, &c->entries[j]);
        }

        if (result != ES_OK) {
            return result;
        }
    }

    es_event_key(append->feed.number, last, key);
    k.mv_data = key;
    k.mv_size = sizeof(key);
    v.mv_data = NULL;
    v.mv_size = size;

    rc = mdb_cursor_put(c->events, &k, &v, MDB_RESERVE | MDB_NOOVERWRITE);
    if (rc != 0) {
        return rc == MDB_KEYEXIST ? ES_CORRUPT : es_env_rc(rc);
    }

    head = v.mv_data;
    entries = (es_entry_t *) (head + 1);
    body = (char *) (entries + n);
    memcpy(head->digest, append->feed.digest, ES_CHAIN_LEN);
    memcpy(entries, c->entries, n * sizeof(es_entry_t));

    for (j = 0, p = body; j < n; j++) {
        if (j > 0) {
            *p++ = ',';
        }

        p = es_chunk_event(c, append, i + j, &entries[j], body, p);
        entries[j].type = types[j];
    }

    head->total = append->feed.total;
    append->feed.bytes += (uint64_t) (p - body) - (n - 1);
    append->feed.total += (uint64_t) (p - body) - (n - 1);

    head->first = append->first + i;
    head->count = (uint32_t) n;
    head->body = (uint32_t) (body - (char *) head);
    head->time_ms = append->feed.last_ms;
    head->hash = es_chunk_hash(append->feed.number, last, head, size);

    return es_chunk_index(c, append->feed.number, last, types, n);
}


static es_rc_t
es_commit_write(es_commit_t *c, es_append_t *append)
{
    size_t   i, n, size;
    es_rc_t  rc;

    if (append->n == 0) {
        return ES_OK;
    }

    c->appended = true;

    if (c->now_ms > append->feed.last_ms) {
        append->feed.last_ms = c->now_ms;
    }

    for (i = 0; i < append->n; i += n) {
        n = es_chunk_plan(append, i, &size);

        rc = es_chunk_write(c, append, i, n, size);
        if (rc != ES_OK) {
            return rc;
        }
    }

    append->feed.last = append->first + append->n - 1;

    rc = es_touched_flush(&c->touched, c->store, c->txn, append->feed.number);
    if (rc != ES_OK) {
        return rc;
    }

    return es_feed_save(c->store, c->txn, &append->feed);
}
