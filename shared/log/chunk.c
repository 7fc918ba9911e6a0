/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Encodes and decodes the keys and values of the log.
 *
 * Readers call this for each chunk that they touch, so a decode checks bounds
 * once and copies nothing, and look-ups compare keys in their own function.
 */

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/hash.h"
#include "log/chunk.h"
#include "log/packed.h"
#include "store/env.h"
#include "store/store.h"

#define ES_CACHE_LINE      64
#define ES_CHUNK_PREFETCH  512     /* bytes; the processor prefetches the
                                      rest itself */
#define ES_HASH_SHORT    240      /* bytes: longer input uses wide vectors */


void
es_be64(uint64_t v, uint8_t out[8])
{
    v = __builtin_bswap64(v);
    memcpy(out, &v, sizeof(v));
}


uint64_t
es_be64_get(const uint8_t *p)
{
    uint64_t  v;

    memcpy(&v, p, sizeof(v));

    return __builtin_bswap64(v);
}


static void
es_be32(uint32_t v, uint8_t *out)
{
    v = __builtin_bswap32(v);
    memcpy(out, &v, sizeof(v));
}


void
es_event_key(uint32_t feed, uint64_t last, uint8_t key[ES_EVENT_KEY_LEN])
{
    es_be32(feed, key);
    es_be64(last, key + 4);
}


uint64_t
es_event_key_last(const uint8_t *key)
{
    return es_be64_get(key + 4);
}


static uint32_t
es_be32_get(const uint8_t *p)
{
    uint32_t  v;

    memcpy(&v, p, sizeof(v));

    return __builtin_bswap32(v);
}


uint32_t
es_event_key_feed(const uint8_t *key)
{
    return es_be32_get(key);
}


/* Compares as memcmp() does.  LMDB's own comparison works for any keys and
   would take half the time of a look-up. */

int
es_event_key_order(const MDB_val *a, const MDB_val *b)
{
    int              rc;
    size_t           len;
    uint64_t         x, y;
    const uint8_t   *p, *q;

    p = a->mv_data;
    q = b->mv_data;

    if (a->mv_size == ES_EVENT_KEY_LEN && b->mv_size == ES_EVENT_KEY_LEN) {
        memcpy(&x, p, sizeof(x));
        memcpy(&y, q, sizeof(y));

        if (x == y) {
            memcpy((uint8_t *) &x + 4, p + sizeof(x), 4);
            memcpy((uint8_t *) &y + 4, q + sizeof(y), 4);
        }

        x = __builtin_bswap64(x);
        y = __builtin_bswap64(y);

        return (x > y) - (x < y);
    }

    len = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
    rc = memcmp(p, q, len);

    return rc ? rc : (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}


void
es_bytype_key(uint32_t feed, uint32_t type, uint8_t key[ES_BYTYPE_KEY_LEN])
{
    es_be32(feed, key);
    es_be32(type, key + 4);
}


uint32_t
es_bytype_key_feed(const uint8_t *key)
{
    return es_be32_get(key);
}


uint32_t
es_bytype_key_type(const uint8_t *key)
{
    return es_be32_get(key + 4);
}


static uint32_t
es_type_at(const void *types, uint32_t i)
{
    uint32_t  type;

    memcpy(&type, (const char *) types + i * sizeof(type), sizeof(type));

    return type;
}


bool
es_bytype_value(const void *types, uint32_t n, uint32_t i, uint64_t first,
    uint8_t value[ES_BYTYPE_VALUE_LEN])
{
    uint32_t  j, type;

    type = es_type_at(types, i);

    for (j = 0; j < i; j++) {
        if (es_type_at(types, j) == type) {
            return false;
        }
    }

    for (j = i + 1; j < n && es_type_at(types, j) != type; j++) { /* void */ }

    es_be64((first + i) << 1 | (j < n), value);

    return true;
}


void
es_bytype_from(uint64_t sequence, uint8_t value[ES_BYTYPE_VALUE_LEN])
{
    es_be64(sequence << 1, value);
}


uint64_t
es_bytype_sequence(const uint8_t *value)
{
    return es_be64_get(value) >> 1;
}


bool
es_bytype_more(const uint8_t *value)
{
    return es_be64_get(value) & 1;
}


uint64_t
es_chunk_hash(uint32_t feed, uint64_t last, const void *value, size_t size)
{
    return es_hash_long((const char *) value + sizeof(uint64_t),
                        size - sizeof(uint64_t),
                        ((uint64_t) feed << 40) ^ last);
}


uint64_t
es_event_hash(const char *text, size_t len)
{
    return len > ES_HASH_SHORT ? es_hash_long(text, len, 0)
                               : XXH3_64bits(text, len);
}


uint32_t
es_subject_hash(es_str_t subject)
{
    uint32_t  hash;

    if (subject.len == 0) {
        return 0;
    }

    hash = (uint32_t) XXH3_64bits(subject.data, subject.len);

    return hash ? hash : 1;
}


uint64_t
es_ident_hash(const es_store_t *store, const char *head, size_t ident_len)
{
    return XXH3_64bits_withSeed(head, ident_len, store->identity);
}


uint64_t
es_ident_in(uint64_t ident, uint32_t feed)
{
    /* Multiplication by an odd number is one to one and spreads the bits of
       every feed. */

    return (ident ^ feed) * UINT64_C(0x9e3779b97f4a7c15);
}


static es_rc_t
es_chunk_plain(uint32_t feed, const uint8_t *key, const MDB_val *value,
    bool whole, es_chunk_t *chunk)
{
    const es_chunk_head_t  *head;

    head = value->mv_data;

    chunk->head = head;
    chunk->size = value->mv_size;
    chunk->last = es_event_key_last(key);
    chunk->commits = NULL;
    chunk->epoch = NULL;

    if (head->form != ES_CHUNK_PLAIN
        || head->count == 0
        || head->count > ES_CHUNK_COUNT
        || head->body != sizeof(es_chunk_head_t)
                         + head->count
                           * (sizeof(uint32_t) + sizeof(es_entry_t))
                         + head->nerased * sizeof(es_erased_t)
        || head->body >= value->mv_size
        || head->first + head->count - 1 != chunk->last)
    {
        return ES_CORRUPT;
    }

    chunk->types = (const uint8_t *) (head + 1);
    chunk->entries = (const es_entry_t *) (chunk->types
                                           + head->count * sizeof(uint32_t));
    chunk->body = (const char *) value->mv_data + head->body;

    if (whole
        && es_chunk_hash(feed, chunk->last, value->mv_data, value->mv_size)
           != head->hash)
    {
        return ES_CORRUPT;
    }

    return ES_OK;
}


static bool
es_chunk_packed(const MDB_val *value)
{
    const es_chunk_head_t  *head;

    head = value->mv_data;

    return head->form == ES_CHUNK_PACKED;
}


es_rc_t
es_chunk_decode(uint32_t feed, const uint8_t *key, const MDB_val *value,
    bool whole, es_chunk_t *chunk)
{
    if (value->mv_size < sizeof(es_chunk_head_t)) {
        return ES_CORRUPT;
    }

    return es_chunk_packed(value)
           ? es_packed_decode(feed, es_event_key_last(key), value, chunk)
           : es_chunk_plain(feed, key, value, whole, chunk);
}


es_rc_t
es_chunk_look(uint32_t feed, const uint8_t *key, const MDB_val *value,
    es_chunk_t *chunk)
{
    if (value->mv_size < sizeof(es_chunk_head_t)) {
        return ES_CORRUPT;
    }

    if (!es_chunk_packed(value)) {
        return es_chunk_plain(feed, key, value, false, chunk);
    }

    memset(chunk, 0, sizeof(es_chunk_t));
    chunk->head = value->mv_data;
    chunk->size = value->mv_size;
    chunk->last = es_event_key_last(key);

    return es_packed_check(value, chunk->last);
}


es_rc_t
es_chunk_open(uint32_t feed, es_chunk_t *chunk)
{
    MDB_val  value = { chunk->size, (void *) (uintptr_t) chunk->head };

    return chunk->entries != NULL
           ? ES_OK : es_packed_decode(feed, chunk->last, &value, chunk);
}


es_rc_t
es_chunk_links_of(const es_chunk_t *chunk, uint32_t i, es_links_t *links)
{
    const es_entry_t  *entry;

    if (chunk->entries == NULL) {
        return es_packed_links(chunk->head, chunk->head->first + i, links);
    }

    entry = &chunk->entries[i];
    links->nth = entry->subject_nth;
    links->prev = entry->subject_prev;
    links->jump = entry->subject_jump;

    return ES_OK;
}


uint32_t
es_chunk_since(const es_chunk_t *chunk, int64_t time_ms)
{
    uint32_t  low, high, middle;

    if (chunk->commits == NULL) {
        return chunk->head->time_ms < time_ms ? chunk->head->count : 0;
    }

    for (low = 0, high = chunk->head->count; low < high; ) {
        middle = (low + high) / 2;

        if (chunk->commits[middle].time_ms < time_ms) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return low;
}


bool
es_chunk_intact(const es_chunk_t *chunk, uint32_t i, es_str_t text)
{
    return chunk->commits != NULL
           || es_event_hash(text.data, text.len) == chunk->entries[i].hash;
}


static void
es_prefetch(const char *from, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i += ES_CACHE_LINE) {
        __builtin_prefetch(from + i);
    }
}


void
es_chunk_prefetch_entry(const MDB_val *key, const MDB_val *value,
    uint64_t sequence)
{
    size_t    entries;
    uint64_t  index;

    __builtin_prefetch(value->mv_data);

    /* As in a full chunk; smaller ones have their entries nearer to the
       head. */

    index = ES_CHUNK_COUNT - 1
            - (es_event_key_last(key->mv_data) - sequence) % ES_CHUNK_COUNT;
    entries = sizeof(es_chunk_head_t) + ES_CHUNK_COUNT * sizeof(uint32_t);

    /* Includes the entry before, which says where the text begins. */

    index -= index > 0;

    es_prefetch((const char *) value->mv_data + entries
                + index * sizeof(es_entry_t),
                2 * sizeof(es_entry_t) + ES_CACHE_LINE);
}


void
es_chunk_prefetch_text(const es_chunk_t *chunk, uint64_t sequence)
{
    size_t    start, len;
    uint32_t  i;

    if (chunk->entries == NULL) {
        return;
    }

    i = (uint32_t) (sequence - chunk->head->first);
    start = i == 0 ? 0 : chunk->entries[i - 1].end + 1;
    len = chunk->entries[i].end - start;

    es_prefetch(chunk->body + start,
                len < ES_CHUNK_PREFETCH ? len : ES_CHUNK_PREFETCH);
}


es_rc_t
es_chunk_text(const es_chunk_t *chunk, uint32_t i, es_str_t *text)
{
    size_t             start, end;
    const es_entry_t  *entry;

    entry = &chunk->entries[i];
    start = i == 0 ? 0 : chunk->entries[i - 1].end + 1;
    end = entry->end;

    if (end <= start
        || end > chunk->size - chunk->head->body
        || entry->mid >= end - start
        || (entry->flags & ~ES_ENTRY_ERASED) != 0
        || entry->ident_len >= entry->mid
        || (size_t) entry->type_off + entry->type_len > entry->mid
        || (size_t) entry->subject_off + entry->subject_len > entry->mid
        || ES_ID_OFFSET + entry->id_len > entry->ident_len)
    {
        return ES_CORRUPT;
    }

    text->data = chunk->body + start;
    text->len = end - start;

    return ES_OK;
}


/* NULL: the record has fewer of them. */

static const es_erased_t *
es_chunk_erased(const es_chunk_t *chunk, uint32_t i)
{
    uint32_t  j, nth;

    for (j = 0, nth = 0; j < i; j++) {
        nth += (chunk->entries[j].flags & ES_ENTRY_ERASED) != 0;
    }

    return nth < chunk->head->nerased
           ? (const es_erased_t *) (chunk->entries + chunk->head->count) + nth
           : NULL;
}


es_rc_t
es_chunk_published(const es_chunk_t *chunk, uint32_t i, size_t *len,
    uint8_t digest[ES_CHAIN_LEN])
{
    es_rc_t             rc;
    es_str_t            text;
    const es_erased_t  *erased;

    rc = es_chunk_text(chunk, i, &text);
    if (rc != ES_OK) {
        return rc;
    }

    if ((chunk->entries[i].flags & ES_ENTRY_ERASED) == 0) {
        *len = text.len;
        es_digest_event(text.data, text.len, digest);
        return ES_OK;
    }

    erased = es_chunk_erased(chunk, i);
    if (erased == NULL) {
        return ES_CORRUPT;
    }

    *len = erased->len;
    memcpy(digest, erased->digest, ES_CHAIN_LEN);

    return ES_OK;
}


es_rc_t
es_chunk_erased_record(const es_chunk_t *chunk, uint32_t i,
    es_erased_t *erased)
{
    const es_erased_t  *stored;

    stored = es_chunk_erased(chunk, i);
    if (stored == NULL) {
        return ES_CORRUPT;
    }

    *erased = *stored;

    return ES_OK;
}


uint64_t
es_chunk_bytes(const es_chunk_t *chunk, uint32_t n)
{
    size_t              start;
    uint32_t            i;
    uint64_t            bytes;
    const es_erased_t  *erased;

    if (n == 0) {
        return 0;
    }

    bytes = chunk->entries[n - 1].end - (n - 1);       /* commas do not count */

    for (i = 0; chunk->head->nerased != 0 && i < n; i++) {
        if ((chunk->entries[i].flags & ES_ENTRY_ERASED) == 0) {
            continue;
        }

        start = i == 0 ? 0 : chunk->entries[i - 1].end + 1;
        erased = es_chunk_erased(chunk, i);

        if (erased != NULL) {
            bytes += erased->len - (chunk->entries[i].end - start);
        }
    }

    return bytes;
}


static es_rc_t
es_chunk_at(MDB_cursor *cursor, MDB_cursor_op op, uint32_t feed, MDB_val *key,
    MDB_val *value)
{
    int      rc;
    uint8_t  prefix[4];

    rc = mdb_cursor_get(cursor, key, value, op);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    es_be32(feed, prefix);

    return key->mv_size == ES_EVENT_KEY_LEN
           && memcmp(key->mv_data, prefix, sizeof(prefix)) == 0
           ? ES_OK : ES_NOT_FOUND;
}


es_rc_t
es_chunk_find(MDB_cursor *cursor, uint32_t feed, uint64_t sequence,
    MDB_val *key, MDB_val *value)
{
    es_rc_t  rc;
    uint8_t  text[ES_EVENT_KEY_LEN];
    MDB_val  at = { sizeof(text), text };

    es_event_key(feed, sequence, text);

    rc = es_chunk_at(cursor, MDB_SET_RANGE, feed, &at, value);
    if (rc == ES_OK) {
        *key = at;
    }

    return rc;
}


es_rc_t
es_chunk_seek(MDB_cursor *cursor, uint32_t feed, uint64_t sequence, bool whole,
    es_chunk_t *chunk)
{
    es_rc_t  rc;
    MDB_val  key, value;

    rc = es_chunk_find(cursor, feed, sequence, &key, &value);

    return rc == ES_OK ? es_chunk_decode(feed, key.mv_data, &value, whole,
                                         chunk)
                       : rc;
}


es_rc_t
es_chunk_next(MDB_cursor *cursor, uint32_t feed, bool whole, es_chunk_t *chunk)
{
    es_rc_t  rc;
    MDB_val  key, value;

    rc = es_chunk_at(cursor, MDB_NEXT, feed, &key, &value);

    return rc == ES_OK ? es_chunk_decode(feed, key.mv_data, &value, whole,
                                         chunk)
                       : rc;
}


es_rc_t
es_meta_get(es_store_t *store, MDB_txn *txn, const char *name, uint64_t *value)
{
    int      rc;
    MDB_val  key, val;

    key.mv_data = (void *) (uintptr_t) name;
    key.mv_size = strlen(name);
    *value = 0;

    rc = mdb_get(txn, es_env_dbi(store->log, ES_LOG_META), &key, &val);
    if (rc == MDB_NOTFOUND) {
        return ES_OK;
    }

    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (val.mv_size != sizeof(*value)) {
        return ES_CORRUPT;
    }

    memcpy(value, val.mv_data, sizeof(*value));

    return ES_OK;
}


es_rc_t
es_meta_put(es_store_t *store, MDB_txn *txn, const char *name, uint64_t value)
{
    MDB_val  key, val;

    key.mv_data = (void *) (uintptr_t) name;
    key.mv_size = strlen(name);
    val.mv_data = &value;
    val.mv_size = sizeof(value);

    return es_env_rc(mdb_put(txn, es_env_dbi(store->log, ES_LOG_META), &key,
                             &val, 0));
}
