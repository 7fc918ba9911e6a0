/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the database `meta` of the log says of erasures.  tombstone.h writes what
 * stands for an erased event.
 *
 *     "erasures"                        es_erasures_t: how many events were
 *                                       erased, and under which keys
 *     "erasure", number                 es_erasure_t: one of them
 *     "erased", feed, keyed hash        sequence: this (source, id) must not
 *                                       be published again
 *     "erasing", number                 es_erasing_t: its slot in the id index
 *                                       must still be cleared
 *     "scrubbed"                        the count of erasures whose bytes are
 *                                       gone from the files, too
 *
 * No record has a part of an event.  The keyed hash is an HMAC of (source, id)
 * under a key of the key file, so only a holder of that file can test a guess.
 *
 * All functions need a transaction of the log.
 */

#ifndef ES_ERASED_H
#define ES_ERASED_H

#include "keys/keyring.h"
#include "log/chunk.h"
#include "log/feed.h"

#define ES_META_SCRUBBED  "scrubbed"
#define ES_ERASED_HASH    16
#define ES_ERASED_KEYS    ES_KEYRING_MAX

typedef struct __attribute__((packed)) {
    uint64_t  count;                       /* events erased, ever */
    char      kids[ES_ERASED_KEYS][ES_KID_LEN];   /* as many as there are */
} es_erasures_record_t;

typedef struct {
    uint64_t  count;
    unsigned  nkids;
    char      kids[ES_ERASED_KEYS][ES_KID_LEN + 1];
} es_erasures_t;

/* One erased event. */
typedef struct __attribute__((packed)) {
    uint32_t  feed;                        /* number */
    uint64_t  sequence;
    char      epoch[ES_EPOCH_MAX + 1];     /* that the event stated */
    int64_t   time_ms;                     /* of the erasure */
    char      kid[ES_KID_LEN];             /* zeros: no hash was kept */
    uint8_t   hash[ES_ERASED_HASH];
    uint8_t   dropped;                     /* 1: the digest, too; a record of
                                              another erasure ends before */
} es_erasure_t;

ES_STORED_SIZE(es_erasure_t, 61);
ES_STORED_AT(es_erasure_t, dropped, 60);

typedef struct __attribute__((packed)) {
    uint64_t  hash;                        /* in the id index */
    uint64_t  sequence;
} es_erasing_t;

ES_STORED_SIZE(es_erasing_t, 16);

/* Reads the count and the keys.  No event was ever erased: all are 0. */
es_rc_t es_erasures_load(es_store_t *store, MDB_txn *txn,
    es_erasures_t *erasures);

/* Reads only the count, in a read transaction. */
es_rc_t es_erasures_count(es_txn_t *txn, uint64_t *count);

/* Appends a record.  `erasing` (NULL: none) is the event's slot. */
es_rc_t es_erasure_put(es_store_t *store, MDB_txn *txn,
    es_erasures_t *erasures, const es_erasure_t *erasure,
    const es_erasing_t *erasing);

/* Calls `fn` for each erasure after `number`, in order, within the
   transaction.  An outcome other than ES_OK ends the walk and is returned. */
typedef es_rc_t (*es_erasure_fn)(void *ctx, uint64_t number,
    const es_erasure_t *erasure);

es_rc_t es_erasures_each(es_store_t *store, MDB_txn *txn, uint64_t number,
    es_erasure_fn fn, void *ctx);

/* Clears the slots of up to `max` erased events that have one left, and deletes
   their records.  `*more`: there are others.  Needs the id index. */
es_rc_t es_erasing_clear(es_store_t *store, MDB_txn *txn, unsigned max,
    bool *more);

/* Hashes (source, id), which is the beginning of an event's text up to the end
   of the source.  ES_NOT_FOUND: the store's keyring lacks the key. */
es_rc_t es_erased_hash(es_store_t *store, const char *kid, uint32_t feed,
    es_str_t ident, uint8_t hash[ES_ERASED_HASH]);

/* `*has`: an event of the feed was erased, and its (source, id) must not be
   published again. */
es_rc_t es_erased_has(es_store_t *store, MDB_txn *txn, uint32_t feed,
    bool *has);

/*
 * ES_OK: the (source, id) was erased, and `*sequence` is its event's.
 * ES_NOT_FOUND: it was not.  ES_DENIED: this process lacks a key that an
 * erased (source, id) of the store was hashed under.
 */
es_rc_t es_erased_find(es_store_t *store, MDB_txn *txn,
    const es_erasures_t *erasures, uint32_t feed, es_str_t ident,
    uint64_t *sequence);

static inline bool
es_entry_erased(const es_entry_t *entry)
{
    return entry->flags & ES_ENTRY_ERASED;
}

#endif /* ES_ERASED_H */
