#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "chunk.h"
#include "hash.h"

#define ES_MID_SEQUENCE  ",\"sequence\":\""
#define ES_MID_CURSOR    "\",\"cursor\":\""
#define ES_MID_PREV      "\",\"prevcursor\":\""
#define ES_SEQUENCE_LEN  20
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


uint32_t
es_event_key_feed(const uint8_t *key)
{
    uint32_t  v;

    memcpy(&v, key, sizeof(v));

    return __builtin_bswap32(v);
}


void
es_bytype_key(uint32_t feed, uint32_t type, uint8_t key[ES_BYTYPE_KEY_LEN])
{
    es_be32(feed, key);
    es_be32(type, key + 4);
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
    /* An odd multiplier: one to one, and every feed's bits go everywhere. */

    return (ident ^ feed) * UINT64_C(0x9e3779b97f4a7c15);
}


es_rc_t
es_chunk_decode(uint32_t feed, const uint8_t *key, const MDB_val *value,
    bool whole, es_chunk_t *chunk)
{
    const es_chunk_head_t  *head;

    if (value->mv_size < sizeof(es_chunk_head_t)) {
        return ES_CORRUPT;
    }

    head = value->mv_data;

    chunk->head = head;
    chunk->size = value->mv_size;
    chunk->last = es_event_key_last(key);

    if (head->count == 0
        || head->count > ES_CHUNK_COUNT
        || head->body != sizeof(es_chunk_head_t)
                         + head->count
                           * (sizeof(uint32_t) + sizeof(es_entry_t))
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


static es_rc_t
es_chunk_at(MDB_cursor *cursor, MDB_cursor_op op, uint32_t feed, MDB_val *key,
    bool whole, es_chunk_t *chunk)
{
    int      rc;
    uint8_t  prefix[4];
    MDB_val  value;

    rc = mdb_cursor_get(cursor, key, &value, op);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    es_be32(feed, prefix);

    if (key->mv_size != ES_EVENT_KEY_LEN
        || memcmp(key->mv_data, prefix, sizeof(prefix)) != 0)
    {
        return ES_NOT_FOUND;
    }

    return es_chunk_decode(feed, key->mv_data, &value, whole, chunk);
}


es_rc_t
es_chunk_seek(MDB_cursor *cursor, uint32_t feed, uint64_t sequence, bool whole,
    es_chunk_t *chunk)
{
    uint8_t  text[ES_EVENT_KEY_LEN];
    MDB_val  key;

    es_event_key(feed, sequence, text);
    key.mv_data = text;
    key.mv_size = sizeof(text);

    return es_chunk_at(cursor, MDB_SET_RANGE, feed, &key, whole, chunk);
}


es_rc_t
es_chunk_next(MDB_cursor *cursor, uint32_t feed, bool whole, es_chunk_t *chunk)
{
    MDB_val  key;

    return es_chunk_at(cursor, MDB_NEXT, feed, &key, whole, chunk);
}


static size_t
es_digits(uint64_t v)
{
    size_t  n;

    for (n = 1; v >= 10; n++) {
        v /= 10;
    }

    return n;
}


size_t
es_mid_len(const char *epoch, uint64_t sequence)
{
    return sizeof(ES_MID_SEQUENCE) - 1 + ES_SEQUENCE_LEN
           + sizeof(ES_MID_CURSOR) - 1 + sizeof(ES_MID_PREV) - 1 + 1
           + 2 * (strlen(epoch) + 1)
           + es_digits(sequence) + es_digits(sequence - 1);
}


static char *
es_mid_lit(char *out, const char *text, size_t len)
{
    memcpy(out, text, len);

    return out + len;
}


char *
es_mid_print(const char *epoch, uint64_t sequence, char *out)
{
    int       i;
    char     *p;
    uint64_t  v;

    p = es_mid_lit(out, ES_MID_SEQUENCE, sizeof(ES_MID_SEQUENCE) - 1);

    for (i = ES_SEQUENCE_LEN - 1, v = sequence; i >= 0; i--, v /= 10) {
        p[i] = (char) ('0' + v % 10);
    }

    p = es_mid_lit(p + ES_SEQUENCE_LEN, ES_MID_CURSOR,
                   sizeof(ES_MID_CURSOR) - 1);
    p += es_cursor_print(epoch, sequence, p);
    p = es_mid_lit(p, ES_MID_PREV, sizeof(ES_MID_PREV) - 1);
    p += es_cursor_print(epoch, sequence - 1, p);
    *p++ = '"';

    return p;
}


size_t
es_mid_cursor(void)
{
    return sizeof(ES_MID_SEQUENCE) - 1 + ES_SEQUENCE_LEN
           + sizeof(ES_MID_CURSOR) - 1;
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
