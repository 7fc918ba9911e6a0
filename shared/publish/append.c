/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes the assigned events of a feed as chunks, with the type index, the
 * subjects' links and the digest chain, and applies retention if nobody else
 * does.
 */

#include "base/assert.h"
#include "base/clock.h"
#include "event/digest.h"
#include "event/event.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/feed_audit.h"
#include "log/feed_record.h"
#include "log/id_index_fill.h"
#include "log/subject.h"
#include "publish/append.h"
#include "publish/dirty_subjects.h"
#include "read/retention.h"
#include "store/deletions.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_RETAIN_CHUNKS  8    /* deleted beyond twice the new chunks */


/* The number of an event type, which gets one at its first use. */

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

    /* a number given in this transaction is lost if that is undone */

    if (*number <= c->ntypes) {
        slot->hash = hash;
        slot->number = *number;
    }

    return ES_OK;
}


static bool
es_publisher_eq(const es_publisher_t *a, const es_publisher_t *b)
{
    return a->partner == b->partner && a->key == b->key;
}


/* The number of drafts from `i` on that go into one chunk, and its size. */

static size_t
es_chunk_plan(const es_append_t *append, size_t i, size_t *size)
{
    size_t                 n, body, len, cursor, prev;
    uint64_t               sequence;
    const es_draft_t      *draft;
    const es_publisher_t  *publisher;

    publisher = &append->drafts[i]->publisher;
    body = 0;
    cursor = es_cursor_len(append->feed.epoch, append->first + i - 1);

    for (n = 0; i + n < append->n && n < ES_CHUNK_COUNT; n++) {
        sequence = append->first + i + n;
        draft = append->drafts[i + n];

        if (n > 0
            && ((sequence - 1) % append->feed.page_size == 0
                || !es_publisher_eq(&draft->publisher, publisher)))
        {
            break;
        }

        prev = cursor;
        cursor = es_cursor_len(append->feed.epoch, sequence);
        len = draft->head.len + es_mid_len(cursor, prev) + draft->tail.len + 1;

        if (n > 0 && body + len > ES_CHUNK_BYTES) {
            break;
        }

        body += len;
    }

    *size = sizeof(es_chunk_head_t)
            + n * (sizeof(uint32_t) + sizeof(es_entry_t)) + body - 1;

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
        /* the time of the commit, not of parsing */
        memcpy(p + draft->time_off, c->time, ES_TIME_LEN);
    }

    p += draft->head.len;
    p = es_mid_print(append->feed.epoch,
                     es_feed_epoch_of(&append->feed, append->first + i - 1),
                     append->first + i, p);
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
    entry->flags = 0;

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

    rc = es_dirty_subjects_get(&c->dirty, c->store, c->txn,
                               append->feed.number, text, &subject);
    if (rc == ES_OK) {
        es_subject_add(subject, append->first + i, entry);
    }

    return rc;
}


/* Enters a chunk in the type index: once for each type in it. */

static es_rc_t
es_chunk_index(es_commit_t *c, uint32_t feed, uint64_t first,
    const uint32_t *types, size_t n)
{
    int       rc;
    size_t    i;
    uint8_t   key[ES_BYTYPE_KEY_LEN], value[ES_BYTYPE_VALUE_LEN];
    MDB_val   k, v;

    for (i = 0; i < n; i++) {
        if (!es_bytype_value(types, (uint32_t) n, (uint32_t) i, first, value))
        {
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


/* The numbers of the types, and the subjects' links, which have to be known
   before the chunk's place in the map is reserved. */

static es_rc_t
es_chunk_links(es_commit_t *c, const es_append_t *append, size_t i, size_t n,
    uint32_t *types)
{
    size_t             j;
    es_rc_t            rc;
    es_str_t           type;
    const es_draft_t  *draft;

    for (j = 0; j < n; j++) {
        draft = append->drafts[i + j];
        type.data = draft->head.data + draft->type_off;
        type.len = draft->type_len;

        types[j] = 0;
        rc = es_commit_type(c, type, &types[j]);

        if (rc == ES_OK) {
            rc = es_chunk_subject(c, append, i + j, &c->entries[j]);
        }

        if (rc != ES_OK) {
            return rc;
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
    es_entry_t       *entries;
    es_chunk_head_t  *head;

    last = append->first + i + n - 1;

    result = es_chunk_links(c, append, i, n, types);
    if (result != ES_OK) {
        return result;
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
    memcpy(head + 1, types, n * sizeof(uint32_t));
    entries = (es_entry_t *) ((char *) (head + 1) + n * sizeof(uint32_t));
    body = (char *) (entries + n);
    memcpy(head->digest, append->feed.digest, ES_CHAIN_LEN);
    memcpy(entries, c->entries, n * sizeof(es_entry_t));

    for (j = 0, p = body; j < n; j++) {
        if (j > 0) {
            *p++ = ',';
        }

        p = es_chunk_event(c, append, i + j, &entries[j], body, p);
    }

    ES_ASSERT(p == (char *) head + size);      /* as es_chunk_plan() said */

    head->total = append->feed.total;
    append->feed.bytes += (uint64_t) (p - body) - (n - 1);
    append->feed.total += (uint64_t) (p - body) - (n - 1);

    ES_ASSERT(append->first + i == append->feed.last + 1);     /* I1 */

    head->first = append->first + i;
    head->count = (uint16_t) n;
    head->form = ES_CHUNK_PLAIN;
    head->nerased = 0;
    head->partner = append->drafts[i]->publisher.partner;
    head->key = append->drafts[i]->publisher.key;
    head->body = (uint32_t) (body - (char *) head);
    head->time_ms = append->feed.last_ms;
    head->hash = es_chunk_hash(append->feed.number, last, head, size);

    return es_chunk_index(c, append->feed.number, head->first, types,
                          n);
}


/* A feed is neglected if it has exceeded a limit for ten seconds, or twofold.
   Until then a publisher leaves retention to the dispatcher, so that readers
   have time. */

static es_rc_t
es_commit_neglected(es_commit_t *c, es_txn_t *txn, const es_feed_t *feed,
    bool *neglected)
{
    es_rc_t  rc;
    int64_t  since_ms;

    *neglected = (feed->retain_count != 0
                  && (feed->last + 1 - feed->oldest) / 2 >= feed->retain_count)
                 || (feed->retain_bytes != 0
                     && feed->bytes / 2 >= feed->retain_bytes);

    if (*neglected) {
        return ES_OK;
    }

    rc = es_feed_overdue(txn, feed, c->clock.sure_ms, &since_ms);
    *neglected = since_ms != 0;

    return rc;
}


/*
 * Applies retention to a neglected feed even if no dispatcher runs.  It
 * deletes more chunks than the commit adds, so that the feed returns to its
 * limit, and only a few more, so that no commit takes long.
 */

static es_rc_t
es_commit_retain(es_commit_t *c, es_append_t *append, unsigned nchunks)
{
    bool                 neglected;
    es_rc_t              rc;
    uint64_t             oldest, target;
    es_feed_t           *feed;
    es_deletion_cause_t  why;

    es_txn_t  txn = { .mdb = c->txn, .events = c->events, .store = c->store };

    feed = &append->feed;
    append->dropped = 0;

    if (!es_feed_limited(feed) || c->keep) {
        return ES_OK;
    }

    rc = es_commit_neglected(c, &txn, feed, &neglected);
    if (rc != ES_OK || !neglected) {
        return rc;
    }

    oldest = feed->oldest;

    rc = es_feed_retained(&txn, feed, c->clock.sure_ms, &target, &why);

    if (rc == ES_OK && target > oldest) {
        c->retained = true;

        rc = es_feed_drop(c->store, c->txn, feed, target,
                          2 * nchunks + ES_RETAIN_CHUNKS);

        append->dropped = feed->oldest - oldest;
        append->why = why;

        if (rc == ES_OK && append->dropped > 0) {
            rc = es_feed_audit_deletion(c->store, c->txn, feed, oldest,
                                        feed->oldest, why);
        }
    }

    return rc;
}


/* Asserts the invariants between the feed's head before and after the append.
   */

static void
es_commit_check(const es_commit_t *c, const es_append_t *append,
    const es_feed_t *before)
{
    const es_feed_t  *feed;

    feed = &append->feed;

    /* I1 */

    ES_ASSERT(append->first == before->last + 1);
    ES_ASSERT(feed->last == before->last + append->n);
    ES_ASSERT(feed->oldest == before->oldest);

    /* I6 */

    ES_ASSERT(feed->last_ms >= before->last_ms);
    ES_ASSERT(feed->last_ms >= c->now_ms);

    /* I13 */

    ES_ASSERT(feed->total - before->total == feed->bytes - before->bytes);
    ES_ASSERT(memcmp(feed->digest, before->digest, ES_CHAIN_LEN) != 0);
}


es_rc_t
es_append_write(es_commit_t *c, es_append_t *append)
{
    size_t     i, n, size;
    es_rc_t    rc;
    unsigned   nchunks;
    es_feed_t  before;

    if (append->n == 0) {
        return ES_OK;
    }

    c->appended = true;
    before = append->feed;

    if (c->now_ms > append->feed.last_ms) {
        append->feed.last_ms = c->now_ms;
    }

    for (i = 0, nchunks = 0; i < append->n; i += n, nchunks++) {
        n = es_chunk_plan(append, i, &size);

        rc = es_chunk_write(c, append, i, n, size);
        if (rc != ES_OK) {
            return rc;
        }

        append->feed.last += n;
    }

    es_commit_check(c, append, &before);

    rc = es_dirty_subjects_flush(&c->dirty, c->store, c->txn,
                                 append->feed.number);

    if (rc == ES_OK) {
        rc = es_commit_retain(c, append, nchunks);
    }

    if (rc != ES_OK) {
        return rc;
    }

    return es_feed_save(c->store, c->txn, &append->feed);
}
