/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keys and values of the event log.  No other file knows their encoding.
 *
 * Events are stored in chunks.  A chunk is what one commit appended to one
 * feed, cut at ES_CHUNK_COUNT events, at ES_CHUNK_BYTES, at each multiple of
 * the feed's page size, and where the publisher changes.  So an aligned page is
 * always a run of whole chunks.  A chunk is one LMDB value under (feed, last
 * sequence):
 *
 *     es_chunk_head_t | uint32_t * count | es_entry_t * count |
 *     es_erased_t * nerased | event,event,...,event
 *
 * The numbers are the events' types.  They stand apart from the entries, so
 * that a reader of one type touches few cache lines.
 *
 * An erased event has a tombstone as its text, which every reader sends as any
 * other event.  Its es_erased_t has what the chain and the byte counts need of
 * the text that is gone; these stand in the order of the events.
 *
 * Integers are little-endian and unaligned.  Keys are big-endian, so that the
 * chunks of a feed are contiguous and in order.  The events are the text that
 * every channel sends, already joined by ','.
 */

#ifndef ES_CHUNK_H
#define ES_CHUNK_H

#include "base/assert.h"
#include "event/digest.h"
#include "event/event.h"
#include "store/store.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the store's values are little-endian"
#endif

#define ES_CHUNK_COUNT  100
#define ES_CHUNK_BYTES  32768

#define ES_CHUNK_PLAIN   0     /* a chunk of another form is refused */
#define ES_CHUNK_PACKED  1     /* packed.h */

#define ES_ENTRY_ERASED  1

#define ES_ID_OFFSET    (sizeof("{\"specversion\":\"1.0\",\"id\":\"") - 1)

typedef struct __attribute__((packed)) {
    uint64_t  hash;            /* XXH3 of all that follows, seeded by the key */
    uint64_t  first;           /* sequence of the first event */
    uint16_t  count;
    uint8_t   form;            /* ES_CHUNK_PLAIN, or ES_CHUNK_PACKED */
    uint8_t   nerased;
    uint32_t  body;            /* offset of the first event */
    int64_t   time_ms;         /* of the commit */
    uint64_t  total;           /* bytes of the feed's earlier events, as they
                                  were published */
    uint32_t  partner;         /* the publisher, see es_publisher_t */
    uint32_t  key;
    uint8_t   digest[ES_CHAIN_LEN];    /* D(first - 1), see digest.h */
} es_chunk_head_t;

ES_STORED_SIZE(es_chunk_head_t, 80);
ES_STORED_AT(es_chunk_head_t, first, 8);
ES_STORED_AT(es_chunk_head_t, count, 16);
ES_STORED_AT(es_chunk_head_t, form, 18);
ES_STORED_AT(es_chunk_head_t, nerased, 19);
ES_STORED_AT(es_chunk_head_t, body, 20);
ES_STORED_AT(es_chunk_head_t, time_ms, 24);
ES_STORED_AT(es_chunk_head_t, total, 32);
ES_STORED_AT(es_chunk_head_t, partner, 40);
ES_STORED_AT(es_chunk_head_t, key, 44);
ES_STORED_AT(es_chunk_head_t, digest, 48);

typedef struct __attribute__((packed)) {
    uint64_t  hash;            /* XXH3 of the event's text */
    uint32_t  end;             /* offset in the body where the event ends */
    uint32_t  subject_hash;    /* 0: no subject */
    uint32_t  mid;             /* offset in the event of ,"sequence": */
    uint16_t  ident_len;       /* length up to the end of source */
    uint16_t  id_len;
    uint16_t  type_off;
    uint16_t  type_len;
    uint16_t  subject_off;
    uint16_t  subject_len;
    uint16_t  time_off;        /* of a time added at publish; 0: the
                                  producer's */
    uint64_t  subject_nth;     /* number within the subject; 0: no subject;
                                  this and the next two: subject.h */
    uint64_t  subject_prev;    /* the subject's event before; 0: none */
    uint64_t  subject_jump;    /* one further back; 0: none */
    uint8_t   flags;           /* ES_ENTRY_ERASED */
} es_entry_t;

ES_STORED_SIZE(es_entry_t, 59);
ES_STORED_AT(es_entry_t, end, 8);
ES_STORED_AT(es_entry_t, subject_hash, 12);
ES_STORED_AT(es_entry_t, mid, 16);
ES_STORED_AT(es_entry_t, ident_len, 20);
ES_STORED_AT(es_entry_t, id_len, 22);
ES_STORED_AT(es_entry_t, type_off, 24);
ES_STORED_AT(es_entry_t, type_len, 26);
ES_STORED_AT(es_entry_t, subject_off, 28);
ES_STORED_AT(es_entry_t, subject_len, 30);
ES_STORED_AT(es_entry_t, time_off, 32);
ES_STORED_AT(es_entry_t, subject_nth, 34);
ES_STORED_AT(es_entry_t, subject_prev, 42);
ES_STORED_AT(es_entry_t, subject_jump, 50);
ES_STORED_AT(es_entry_t, flags, 58);

/* What is left of an erased event. */
typedef struct __attribute__((packed)) {
    uint32_t  len;             /* of the text that was published */
    uint8_t   digest[ES_CHAIN_LEN];    /* its digest */
} es_erased_t;

ES_STORED_SIZE(es_erased_t, 36);
ES_STORED_AT(es_erased_t, digest, 4);

#define ES_EVENT_KEY_LEN   12

#define ES_BYTYPE_KEY_LEN    8
#define ES_BYTYPE_VALUE_LEN  8

/* The commit of an event. */
typedef struct {
    int64_t   time_ms;
    uint32_t  partner;
    uint32_t  key;
} es_commit_of_t;

/* An event's links to others of its subject. */
typedef struct {
    uint64_t  nth;
    uint64_t  prev;
    uint64_t  jump;
} es_links_t;

/*
 * A chunk in the map or in memory, with checked bounds.
 *
 * What was packed has the layout of a plain chunk in memory of this thread,
 * with `commits` and `epoch`, and without the hashes of the events: the hash of
 * the whole was checked.  That memory is valid as long as the thread has a
 * transaction open (unpacked.h).
 */
typedef struct {
    const es_chunk_head_t  *head;
    const uint8_t          *types;     /* read by es_chunk_type() */
    const es_entry_t       *entries;   /* NULL: es_chunk_open() comes first */
    const char             *body;
    size_t                  size;      /* of the whole value */
    uint64_t                last;
    const es_commit_of_t   *commits;   /* of each event; NULL: not packed */
    const char             *epoch;     /* of the last event; NULL: not packed */
} es_chunk_t;

void es_event_key(uint32_t feed, uint64_t last, uint8_t key[ES_EVENT_KEY_LEN]);
uint64_t es_event_key_last(const uint8_t *key);
uint32_t es_event_key_feed(const uint8_t *key);
int es_event_key_order(const MDB_val *a, const MDB_val *b);
void es_bytype_key(uint32_t feed, uint32_t type,
    uint8_t key[ES_BYTYPE_KEY_LEN]);
uint32_t es_bytype_key_feed(const uint8_t *key);
uint32_t es_bytype_key_type(const uint8_t *key);

/*
 * Fills the type index's value of a chunk for its i-th event's type: the
 * type's first event in the chunk, and whether the chunk has more.  False: the
 * i-th of the `n` types is not the first of its kind, and gets no value.
 */
bool es_bytype_value(const void *types, uint32_t n, uint32_t i,
    uint64_t first, uint8_t value[ES_BYTYPE_VALUE_LEN]);
uint64_t es_bytype_sequence(const uint8_t *value);
bool es_bytype_more(const uint8_t *value);
void es_bytype_from(uint64_t sequence, uint8_t value[ES_BYTYPE_VALUE_LEN]);
void es_be64(uint64_t v, uint8_t out[8]);
uint64_t es_be64_get(const uint8_t *p);

/* The key is the seed, so a record under a wrong key does not match. */
uint64_t es_chunk_hash(uint32_t feed, uint64_t last, const void *value,
    size_t size);
uint64_t es_event_hash(const char *text, size_t len);
uint32_t es_subject_hash(es_str_t subject);

/* The identity of (source, id), and the same within a feed, for the id
   index. */
uint64_t es_ident_hash(const es_store_t *store, const char *head,
    size_t ident_len);
uint64_t es_ident_in(uint64_t ident, uint32_t feed);

/* Decodes a chunk and checks its shape; with `whole` also its hash.  A plain
   chunk points into `value`, and a packed one is unpacked.  ES_CORRUPT,
   ES_NOMEM. */
es_rc_t es_chunk_decode(uint32_t feed, const uint8_t *key, const MDB_val *value,
    bool whole, es_chunk_t *chunk);

/*
 * The same in two steps, for a reader of many chunks that may need only the
 * links of some.  es_chunk_look() decodes a plain chunk, and of a packed one it
 * sets `head`, `size` and `last` only.  es_chunk_open() unpacks such a chunk,
 * and does nothing with others.
 */
es_rc_t es_chunk_look(uint32_t feed, const uint8_t *key, const MDB_val *value,
    es_chunk_t *chunk);
es_rc_t es_chunk_open(uint32_t feed, es_chunk_t *chunk);

/* Returns the links of the i-th event, of a chunk that may not be open.
   ES_CORRUPT. */
es_rc_t es_chunk_links_of(const es_chunk_t *chunk, uint32_t i,
    es_links_t *links);

/* Returns the commit of the i-th event. */
static inline es_commit_of_t
es_chunk_commit(const es_chunk_t *chunk, uint32_t i)
{
    return chunk->commits != NULL
           ? chunk->commits[i]
           : (es_commit_of_t) { chunk->head->time_ms, chunk->head->partner,
                                chunk->head->key };
}

/* Returns the index of the first event that was committed at `time_ms` or
   later; the number of events: none was. */
uint32_t es_chunk_since(const es_chunk_t *chunk, int64_t time_ms);

/* True if the i-th event's text matches its hash. */
bool es_chunk_intact(const es_chunk_t *chunk, uint32_t i, es_str_t text);

/* Returns the number of the i-th event's type. */
static inline uint32_t
es_chunk_type(const es_chunk_t *chunk, uint32_t i)
{
    uint32_t  type;

    memcpy(&type, chunk->types + i * sizeof(type), sizeof(type));

    return type;
}

/*
 * Prefetch the entry of an event, in a chunk that es_chunk_find() found, and
 * its text.  A reader of events in many chunks prefetches some of them ahead:
 * each event costs several cache misses, and those of different chunks
 * overlap.
 */
void es_chunk_prefetch_entry(const MDB_val *key, const MDB_val *value,
    uint64_t sequence);
void es_chunk_prefetch_text(const es_chunk_t *chunk, uint64_t sequence);

/* Returns the text of the i-th event.  ES_CORRUPT: it exceeds the body, or has
   an unknown flag. */
es_rc_t es_chunk_text(const es_chunk_t *chunk, uint32_t i, es_str_t *text);

/* Returns length and digest of the i-th event as it was published, also of an
   erased one.  ES_CORRUPT. */
es_rc_t es_chunk_published(const es_chunk_t *chunk, uint32_t i, size_t *len,
    uint8_t digest[ES_CHAIN_LEN]);

/* Returns what is left of the i-th event, which is erased.  ES_CORRUPT. */
es_rc_t es_chunk_erased_record(const es_chunk_t *chunk, uint32_t i,
    es_erased_t *erased);

/* Returns the bytes of the first `n` events as they were published. */
uint64_t es_chunk_bytes(const es_chunk_t *chunk, uint32_t n);

/*
 * Finds the feed's first chunk with a sequence >= `sequence`, neither read nor
 * checked: key and value point into the map.  ES_NOT_FOUND: there is none.
 */
es_rc_t es_chunk_find(MDB_cursor *cursor, uint32_t feed, uint64_t sequence,
    MDB_val *key, MDB_val *value);

/* The same, decoded.  See also es_chunk_decode(). */
es_rc_t es_chunk_seek(MDB_cursor *cursor, uint32_t feed, uint64_t sequence,
    bool whole, es_chunk_t *chunk);

/* Decodes the chunk after the cursor's.  ES_NOT_FOUND: there is none. */
es_rc_t es_chunk_next(MDB_cursor *cursor, uint32_t feed, bool whole,
    es_chunk_t *chunk);

/* The text between head and tail.  es_mid_len() returns its length, from
   the lengths of the event's cursor and of the one before. */
size_t es_mid_len(size_t cursor, size_t prev);
size_t es_cursor_len(const char *epoch, uint64_t sequence);

/* Prints it; `epoch` is the event's and `before` that of the event before. */
char *es_mid_print(const char *epoch, const char *before, uint64_t sequence,
    char *out);

/* Prints that of the event after the one with `mid`.  All cursors in both are
   of one epoch, those of both events have the length `cursor`, and so have
   those of the events before. */
char *es_mid_next(es_str_t mid, size_t cursor, char *out);

/* Returns the offset of the cursor's value from the mid's start. */
size_t es_mid_cursor(void);

/* Counters in the log's `meta`.  A counter that was never written is 0. */
es_rc_t es_meta_get(es_store_t *store, MDB_txn *txn, const char *name,
    uint64_t *value);
es_rc_t es_meta_put(es_store_t *store, MDB_txn *txn, const char *name,
    uint64_t value);

#endif /* ES_CHUNK_H */
