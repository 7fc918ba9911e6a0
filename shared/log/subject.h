/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the events of one subject without reading others.
 *
 * Each event has the sequence of its subject's event before, and of one
 * further back (a jump).  Any event is reached from the latest in as many
 * steps as their number has bits (E. W. Myers, "An applicative random-access
 * stack", 1983).  The latest events are in the log's database `subjects`:
 *
 *     feed, subject  ->  number of events, and the roots from which the next
 *                        jump is made: (sequence, size), latest first
 *
 * So an event costs one small record that its subject had anyway, and no more
 * pages as the log grows.  A link to an event that is no longer kept ends the
 * chain.  The record is deleted with the subject's last event.
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
    uint64_t   nth;            /* events that it ever had in this epoch */
    unsigned   n;
    es_root_t  roots[ES_SUBJECT_ROOTS_MAX];
} es_subject_t;

/* Makes the database key: the feed and the subject as in JSON text; a long
   subject is replaced by its beginning and its hash.  Returns the length. */
size_t es_subject_key(uint32_t feed, es_str_t subject,
    uint8_t key[ES_SUBJECT_KEY_MAX]);

/* ES_NOT_FOUND: the feed has no such subject, and `subject` is empty. */
es_rc_t es_subject_load(es_store_t *store, MDB_txn *txn, uint32_t feed,
    es_str_t text, es_subject_t *subject);
es_rc_t es_subject_decode(const MDB_val *value, es_subject_t *subject);
es_rc_t es_subject_save(es_store_t *store, MDB_txn *txn, uint32_t feed,
    es_str_t text, const es_subject_t *subject);

/* Adds an event and fills the links of its entry. */
void es_subject_add(es_subject_t *subject, uint64_t sequence,
    es_entry_t *entry);

/*
 * Takes the latest event out again, whose entry is `entry`.  The one before it
 * is then the latest.  ES_NOT_FOUND: no event of the subject is left, and the
 * caller deletes the record.  ES_CORRUPT.
 */
es_rc_t es_subject_pop(MDB_cursor *events, const es_feed_t *feed,
    const es_entry_t *entry, es_subject_t *subject);

/* Deletes the record of a subject. */
es_rc_t es_subject_remove(es_store_t *store, MDB_txn *txn, uint32_t feed,
    es_str_t text);

/* Deletes the records whose latest event is in this chunk, which is
   dropped. */
es_rc_t es_subject_drop(es_store_t *store, MDB_txn *txn, uint32_t feed,
    const es_chunk_t *chunk);

/* An event and its chunk, valid within the transaction.  A packed chunk is not
   open yet (es_chunk_open()). */
typedef struct {
    uint64_t    sequence;
    es_links_t  links;
    es_chunk_t  chunk;
} es_found_t;

/*
 * Finds the subject's events after `after`, at most `max` of them, in order:
 * it sets their number `*n`, found[0].sequence, and the last one.
 * es_subject_list() then finds those between.
 */
es_rc_t es_subject_reach(es_txn_t *txn, const es_feed_t *feed, es_str_t text,
    uint64_t after, es_found_t *found, unsigned max, unsigned *n);
es_rc_t es_subject_list(es_txn_t *txn, const es_feed_t *feed,
    es_found_t *found, unsigned n, uint64_t after);

/* Counts the subject's events in (after, to], by two walks back. */
es_rc_t es_subject_count(es_txn_t *txn, const es_feed_t *feed, es_str_t text,
    uint64_t after, uint64_t to, uint64_t *count);

/* Finds the subject's last event up to `at`, and adds the number of chunk
   look-ups to `*looks`.  ES_NOT_FOUND: none is kept. */
es_rc_t es_subject_at(es_txn_t *txn, const es_feed_t *feed,
    const es_subject_t *subject, uint64_t at, uint64_t *sequence,
    unsigned *looks);

#endif /* ES_SUBJECT_H */
