/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The store's own time, which no single wall clock moves far.
 *
 * Beside the events the log keeps what time it was, and what the clock was then
 * that all processes of the machine share (es_machine_ms()).  From these two
 * every process knows what time it must be now.  A wall clock that says
 * something else has jumped, or is one process's alone:
 *
 *     within a minute ahead and five behind: the wall clock is believed;
 *     farther ahead: events get the store's time, which goes on as it was;
 *     farther behind: they get the wall clock's, as a clock that is put back is
 *     most often put right, and a feed's times do not go back (I6).
 *
 * The store's time follows a wall clock that has been off by the same for ten
 * minutes, if nobody has said otherwise meanwhile.
 *
 * After a start of the machine there is only the time that it was before.  The
 * wall clock is then taken for the time of commits at once, if it is later, but
 * nothing is deleted by it before it has been the same for ten minutes.
 *
 * The record stands in the log's `meta` as "clock".  A store without it, of an
 * earlier version, begins with the latest time of its feeds.
 */

#ifndef ES_STORE_CLOCK_H
#define ES_STORE_CLOCK_H

#include "base/assert.h"
#include "base/clock.h"
#include "store/txn.h"

#define ES_CLOCK_AHEAD_MS   60000
#define ES_CLOCK_BEHIND_MS  300000
#define ES_CLOCK_PROOF_MS   600000     /* of the machine's clock */
#define ES_CLOCK_NEAR_MS    1000       /* as good as the same */

/* Little-endian and unaligned, as all of the store. */
typedef struct __attribute__((packed)) {
    uint64_t  boot;            /* see es_machine_t; 0: never written */
    int64_t   boot_ms;         /* the machine's clock was this, */
    int64_t   time_ms;         /* and the store's time this */
    int64_t   sure_ms;         /* the latest time that was beyond doubt */
    int64_t   doubt_ms;        /* the machine's clock when doubt began; or -1 */
    int64_t   jump_ms;         /* by which a wall clock is off; 0: none is */
    int64_t   jump_boot_ms;    /* since when, by the machine's clock */
} es_clock_record_t;

ES_STORED_SIZE(es_clock_record_t, 56);
ES_STORED_AT(es_clock_record_t, boot_ms, 8);
ES_STORED_AT(es_clock_record_t, time_ms, 16);
ES_STORED_AT(es_clock_record_t, sure_ms, 24);
ES_STORED_AT(es_clock_record_t, doubt_ms, 32);
ES_STORED_AT(es_clock_record_t, jump_ms, 40);
ES_STORED_AT(es_clock_record_t, jump_boot_ms, 48);

/* What a process sees at this moment. */
typedef struct {
    uint64_t  boot;
    int64_t   boot_ms;
    int64_t   wall_ms;
} es_clock_now_t;

/* Judges `now` by the record, and moves the record on.  Pure. */
void es_clock_decide(es_clock_record_t *record, const es_clock_now_t *now,
    es_clock_verdict_t *verdict);

/* The judgement of this process's clock, in a read transaction: nothing is
   written.  `record` is as it stands there, or NULL. */
es_rc_t es_clock_peek(es_txn_t *txn, es_clock_verdict_t *verdict,
    es_clock_record_t *record);

/* The store's time, for a record that is not an event: it begins a read of the
   log.  The wall clock, where the log cannot be read. */
int64_t es_store_ms(es_store_t *store);

/* The same for what ends at a time, such as a key, a secret that is replaced, or
   what was there when something was asked for.  A clock that is behind does not
   put it off, and gives nobody less time than was meant. */
int64_t es_store_due_ms(es_store_t *store);

/* As es_clock_peek(), in a write transaction of its own that moves the record
   on: for who commits nothing else.  Needs ES_STORE_PUBLISH. */
es_rc_t es_clock_observe(es_store_t *store, es_clock_verdict_t *verdict);

#define ES_CLOCK_SPAN_LEN  40

/*
 * What this process's commits have found wrong with its clock, as a sentence
 * without its point, once for each case; false: nothing new.  Any thread.
 */
bool es_store_clock_said(es_store_t *store, char *text, size_t size);

/* "40d 00:00:05", without a sign. */
void es_clock_span(int64_t ms, char text[ES_CLOCK_SPAN_LEN]);

#endif /* ES_STORE_CLOCK_H */
