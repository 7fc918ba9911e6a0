/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The generic cell rate algorithm on one 64-bit word.
 *
 * The word is the theoretical arrival time in nanoseconds of a clock that all
 * users of the word share (CLOCK_MONOTONIC is one per machine).  It is moved
 * by compare-and-swap, so that it can live in shared memory and needs no
 * lock; zero is a full bucket.  A clock that goes back makes a bucket no
 * emptier than empty.
 */

#ifndef ES_GCRA_H
#define ES_GCRA_H

#include "base/base.h"

#define ES_SECOND_NS  UINT64_C(1000000000)

/* A charge of es_gcra_spend() beyond this is not remembered wholly. */
#define ES_GCRA_DEBT  (1024 * 1024)

typedef struct {
    uint64_t  units;           /* earned in each period, evenly; >= 1 */
    uint64_t  period_ns;
    uint64_t  burst;           /* units that may come at once; 0: no limit */
} es_rate_t;

typedef struct {
    bool      admitted;
    uint64_t  remaining;       /* units left now */
    uint64_t  retry_after_ns;  /* until the same cost would be admitted;
                                  UINT64_MAX: never, it is over the burst */
    uint64_t  reset_ns;        /* until the bucket is full again */
} es_gcra_t;

/* Judges without charging.  As the others: who is refused and owes more than a
   bucket, from a slower rate, owes a bucket from then on. */
es_gcra_t es_gcra_peek(_Atomic uint64_t *tat, const es_rate_t *rate,
    uint64_t now_ns, uint64_t cost);

/* Judges and, if admitted, charges.  Exact under any concurrency. */
es_gcra_t es_gcra_take(_Atomic uint64_t *tat, const es_rate_t *rate,
    uint64_t now_ns, uint64_t cost);

/* Gives back what es_gcra_take() or es_gcra_spend() has charged. */
void es_gcra_refund(_Atomic uint64_t *tat, const es_rate_t *rate,
    uint64_t cost);

/*
 * For streams, whose pieces have the size that they have: admits a piece of
 * any cost while anything is left, and charges it wholly, so that the bucket
 * owes at most one piece (of ES_GCRA_DEBT units) and the rate holds in the
 * long run whatever the burst.  A cost of 0 asks whether anything is left.
 */
es_gcra_t es_gcra_spend(_Atomic uint64_t *tat, const es_rate_t *rate,
    uint64_t now_ns, uint64_t cost);

/* The time in which so many units are earned, rounded down. */
uint64_t es_rate_time_ns(const es_rate_t *rate, uint64_t units);

/* True when the burst is earned within a hundred years: only then is the
   arithmetic above exact. */
bool es_rate_ok(const es_rate_t *rate);

/*
 * Parses "60r/m", "10r/s", "1000r/h", "5r/d", of at most a million a second;
 * with `bytes`, "512k/s", "100m/h", "1g/d", "9000/s".  Burst is left to the
 * caller.  ES_INVALID otherwise.
 */
es_rc_t es_rate_parse(es_str_t text, bool bytes, es_rate_t *rate);

/* Parses "4096", "512k", "10m", "1g".  ES_INVALID when it is something else,
   zero, or over 10^15. */
es_rc_t es_size_parse(es_str_t text, uint64_t *size);

#endif /* ES_GCRA_H */
