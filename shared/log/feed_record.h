/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The stored record of a feed, and its use within transactions of the log.
 *
 * For the library's own files that change a feed together with its events;
 * feed.h has the operations that are transactions of their own.  feed.c
 * implements both.
 */

#ifndef ES_FEED_RECORD_H
#define ES_FEED_RECORD_H

#include <lmdb.h>

#include "base/assert.h"
#include "event/cursor.h"
#include "event/digest.h"
#include "log/chunk.h"
#include "log/feed.h"

/*
 * A feed's record in the database `feeds`.  Its earlier epochs follow, each as
 * an es_earlier_t, the oldest one first, and then its es_hold_t, if it is held,
 * and its es_rechain_t, if its digest chain must still be made anew.
 *
 * A program that knows no holds refuses such a record for its size, so it can
 * delete no event that is held.  In the same way a program that knows no
 * es_rechain_t refuses a feed whose chain proves nothing at the moment.  That
 * is why the sizes of both, and their sum, differ by no multiple of that of an
 * epoch.
 */
typedef struct __attribute__((packed)) {
    uint32_t  number;
    uint32_t  page_size;
    uint64_t  oldest;
    uint64_t  last;
    uint64_t  bytes;
    uint64_t  total;
    int64_t   created_ms;
    int64_t   last_ms;
    uint64_t  retain_count;
    uint64_t  retain_bytes;
    int64_t   retain_ms;
    uint8_t   digest[ES_CHAIN_LEN];
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  forgotten;
} es_feed_record_t;

ES_STORED_SIZE(es_feed_record_t, 136);
ES_STORED_AT(es_feed_record_t, page_size, 4);
ES_STORED_AT(es_feed_record_t, oldest, 8);
ES_STORED_AT(es_feed_record_t, last, 16);
ES_STORED_AT(es_feed_record_t, bytes, 24);
ES_STORED_AT(es_feed_record_t, total, 32);
ES_STORED_AT(es_feed_record_t, created_ms, 40);
ES_STORED_AT(es_feed_record_t, last_ms, 48);
ES_STORED_AT(es_feed_record_t, retain_count, 56);
ES_STORED_AT(es_feed_record_t, retain_bytes, 64);
ES_STORED_AT(es_feed_record_t, retain_ms, 72);
ES_STORED_AT(es_feed_record_t, digest, 80);
ES_STORED_AT(es_feed_record_t, epoch, 112);
ES_STORED_AT(es_feed_record_t, forgotten, 128);
ES_STORED_SIZE(es_earlier_t, 24);
ES_STORED_AT(es_earlier_t, last, 16);
ES_STORED_SIZE(es_hold_t, 136);
ES_STORED_AT(es_hold_t, reason, 8);
ES_STORED_SIZE(es_rechain_t, 44);
ES_STORED_AT(es_rechain_t, digest, 8);
ES_STORED_AT(es_rechain_t, form, 40);

/* What a record's size says of the part after the epochs. */
#define ES_FEED_HELD       (sizeof(es_hold_t) % sizeof(es_earlier_t))
#define ES_FEED_RECHAINED  (sizeof(es_rechain_t) % sizeof(es_earlier_t))
#define ES_FEED_BOTH       ((sizeof(es_hold_t) + sizeof(es_rechain_t))        \
                            % sizeof(es_earlier_t))

_Static_assert(ES_FEED_HELD != 0 && ES_FEED_RECHAINED != 0
               && ES_FEED_BOTH != 0 && ES_FEED_HELD != ES_FEED_RECHAINED
               && ES_FEED_HELD != ES_FEED_BOTH
               && ES_FEED_RECHAINED != ES_FEED_BOTH,
               "the size of a record must tell what it has");

/* ES_CORRUPT: the name or the record is not a feed's. */
es_rc_t es_feed_decode(const MDB_val *key, const MDB_val *val,
    es_feed_t *feed);

/* Within a read or write transaction of the log. */
es_rc_t es_feed_load(es_store_t *store, MDB_txn *txn, es_str_t name,
    es_feed_t *feed);
es_rc_t es_feed_save(es_store_t *store, MDB_txn *txn, const es_feed_t *feed);

/* Removes a chunk's entries from the type index. */
es_rc_t es_feed_untype(es_store_t *store, MDB_txn *txn, uint32_t feed,
    const es_chunk_t *chunk);

/* Deletes the events before `target`, which is at most last + 1, in at most
   `max` chunks, and moves the head in `feed`.  The caller saves `feed`. */
es_rc_t es_feed_drop(es_store_t *store, MDB_txn *txn, es_feed_t *feed,
    uint64_t target, unsigned max);

#endif /* ES_FEED_RECORD_H */
