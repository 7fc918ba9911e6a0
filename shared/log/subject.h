/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The events of one subject, found without looking at others.
 *
 * Each event has the sequence of the one before with its subject, and of one
 * further back (a jump), so that any of them is reached from the latest in as
 * many steps as their number has bits (E. W. Myers, "An applicative
 * random-access stack", 1983).  The latest are in the log's `subjects`:
 *
 *     feed, subject  ->  number of events, and the roots from which the next
 *                        jump is made: (sequence, size), latest first
 *
 * so an event costs one small record that its subject had anyway, and no more
 * pages as the log grows.  Links to events that are no longer kept end a
 * chain; the record goes with the subject's last event.
 */

#ifndef ES_SUBJECT_H
#define ES_SUBJECT_H

#include "base/assert.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "store/txn.h"

#define ES_SUBJECT_KEY_MAX    480
#define ES_SUBJECT_ROOTS_MAX  40

typedef struct __attribute__((packed)) {
    uint64_t  sequence;
    uint64_t  size;            /* events from it to the next root */
} es_root_t;

ES_STORED_SIZE(es_root_t, 16);
ES_STORED_AT(es_root_t, size, 8);

/* A subject's latest event. */
typedef struct {
    uint64_t   nth;            /* number of its events ever, in this epoch */
    unsigned   n;
    es_root_t  roots[ES_SUBJECT_ROOTS_MAX];
} es_subject_t;

/* The database key: feed and subject as in JSON text, a long one by its hash;
   returns its length. */
size_t es_subject_key(uint32_t feed, es_str_t subject,
    uint8_t key[ES_SUBJECT_KEY_MAX]);

/* ES_NOT_FOUND: the feed has no such subject; `subject` is then empty. */
es_rc_t es_subject_load(es_store_t *store, MDB_txn *txn, uint32_t feed,
    es_str_t text, es_subject_t *subject);
es_rc_t es_subject_decode(const MDB_val *value, es_subject_t *subject);
es_rc_t es_subject_save(es_store_t *store, MDB_txn *txn, uint32_t feed,
    es_str_t text, const es_subject_t *subject);

/* Adds an event and fills the links of its entry. */
void es_subject_add(es_subject_t *subject, uint64_t sequence,
    es_entry_t *entry);

/* The chunk's events are dropped: so are records of which it has the latest. */
es_rc_t es_subject_drop(es_store_t *store, MDB_txn *txn, uint32_t feed,
    const es_chunk_t *chunk);

/* An event and the chunk that it is in; dies with the transaction. */
typedef struct {
    uint64_t    sequence;
    es_chunk_t  chunk;
} es_found_t;

/*
 * The subject's events after `after`, at most `max` of them in order: how many
 * they are, found[0].sequence, and the last of them.  es_subject_list() then
 * finds those before that.
 */
es_rc_t es_subject_reach(es_txn_t *txn, const es_feed_t *feed, es_str_t text,
    uint64_t after, es_found_t *found, unsigned max, unsigned *n);
es_rc_t es_subject_list(es_txn_t *txn, const es_feed_t *feed,
    es_found_t *found, unsigned n, uint64_t after);

/* How many events in (after, to] are the subject's: two ways back. */
es_rc_t es_subject_count(es_txn_t *txn, const es_feed_t *feed, es_str_t text,
    uint64_t after, uint64_t to, uint64_t *count);

/* The subject's last event up to `at`; to `looks` is added how many chunks
   were looked up.  ES_NOT_FOUND: none that is kept. */
es_rc_t es_subject_at(es_txn_t *txn, const es_feed_t *feed,
    const es_subject_t *subject, uint64_t at, uint64_t *sequence,
    unsigned *looks);

#endif /* ES_SUBJECT_H */
