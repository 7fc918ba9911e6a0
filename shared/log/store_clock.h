/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The store's own time, which no single wall clock can move far.
 *
 * The log records the store's time together with the clock that all processes
 * of a machine share (es_machine_ms()).  From these two every process knows
 * what time it should be.  A wall clock that differs has jumped, or is wrong
 * in one process only:
 *
 *     within a minute ahead and five behind, the store follows the wall clock;
 *     farther ahead, events get the store's time, which goes on as before;
 *     farther behind, events get the wall clock's time, because a clock that
 *     is set back has mostly been corrected, and a feed's times never go back
 *     (I6).
 *
 * The store's time follows a wall clock that has been off by the same amount
 * for ten minutes, if no other process has contradicted it meanwhile.
 *
 * After a start of the machine only the last recorded time is known.  Commits
 * then follow a later wall clock at once, but nothing is deleted by it before
 * it has stayed the same for ten minutes.
 *
 * The record is in the log's `meta`, under "clock".  A store of an earlier
 * version has none and begins with the latest time of its feeds.
 */

#ifndef ES_STORE_CLOCK_H
#define ES_STORE_CLOCK_H

#include <lmdb.h>

#include "base/assert.h"
#include "base/clock.h"
#include "store/txn.h"

#define ES_CLOCK_AHEAD_MS   60000
#define ES_CLOCK_BEHIND_MS  300000
#define ES_CLOCK_PROOF_MS   600000     /* by the machine's clock */
#define ES_CLOCK_NEAR_MS    1000       /* counts as the same */

/* Little-endian and unaligned, as all of the store. */
typedef struct __attribute__((packed)) {
    uint64_t  boot;            /* see es_machine_t; 0: never written */
    int64_t   boot_ms;         /* the machine's clock at this record */
    int64_t   time_ms;         /* the store's time at this record */
    int64_t   sure_ms;         /* the latest time without doubt */
    int64_t   doubt_ms;        /* the machine's clock when doubt began; -1:
                                  none */
    int64_t   jump_ms;         /* the wall clock's difference; 0: none */
    int64_t   jump_boot_ms;    /* the machine's clock when that began */
} es_clock_record_t;

ES_STORED_SIZE(es_clock_record_t, 56);
ES_STORED_AT(es_clock_record_t, boot_ms, 8);
ES_STORED_AT(es_clock_record_t, time_ms, 16);
ES_STORED_AT(es_clock_record_t, sure_ms, 24);
ES_STORED_AT(es_clock_record_t, doubt_ms, 32);
ES_STORED_AT(es_clock_record_t, jump_ms, 40);
ES_STORED_AT(es_clock_record_t, jump_boot_ms, 48);

/* The clocks of this process, read together. */
typedef struct {
    uint64_t  boot;
    int64_t   boot_ms;
    int64_t   wall_ms;
} es_clock_now_t;

/* Compares `now` with the record, updates the record, and gives a verdict.
   It has no other effect. */
void es_clock_decide(es_clock_record_t *record, const es_clock_now_t *now,
    es_clock_verdict_t *verdict);

/* Within a write transaction of the log: decides what this process's clock is
   worth, and updates the clock's record. */
es_rc_t es_clock_commit(es_store_t *store, MDB_txn *txn,
    es_clock_verdict_t *verdict);

/* Gives the verdict on this process's clock in a read transaction, and
   writes nothing.  `record` receives the stored record and may be NULL. */
es_rc_t es_clock_peek(es_txn_t *txn, es_clock_verdict_t *verdict,
    es_clock_record_t *record);

/* Returns the store's time, for records other than events.  Begins a read
   of the log; if the log cannot be read, returns the wall clock. */
int64_t es_store_ms(es_store_t *store);

/*
 * The same for anything that ends at a time, such as a key, a secret that is
 * replaced, or the set of events that a request covers.  A clock that is
 * behind does not delay the end, and nobody gets less time than was meant.
 */
int64_t es_store_due_ms(es_store_t *store);

/* As es_clock_peek(), in a write transaction of its own that updates the
   record, for a process that commits nothing else.  Needs ES_STORE_PUBLISH. */
es_rc_t es_clock_observe(es_store_t *store, es_clock_verdict_t *verdict);

#define ES_CLOCK_SPAN_LEN  40

/*
 * Writes what this process's commits have found wrong with its clock, as a
 * sentence without a full stop, once for each case.  False: there is nothing
 * new.  Any thread.
 */
bool es_store_clock_said(es_store_t *store, char *text, size_t size);

/* Prints a duration as "40d 00:00:05", without a sign. */
void es_clock_span(int64_t ms, char text[ES_CLOCK_SPAN_LEN]);

#endif /* ES_STORE_CLOCK_H */
