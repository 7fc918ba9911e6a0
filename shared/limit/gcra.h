/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The generic cell rate algorithm (ITU-T I.371) on one 64-bit word.
 *
 * The word is the theoretical arrival time in nanoseconds, by a clock that all
 * users of the word share (CLOCK_MONOTONIC is one per machine).  Functions
 * change it by compare-and-swap, so it can be in shared memory and needs no
 * lock.  Zero is a full bucket.  If the clock goes back, a bucket counts as at
 * most empty.
 */

#ifndef ES_GCRA_H
#define ES_GCRA_H

#include "base/base.h"

#define ES_SECOND_NS  UINT64_C(1000000000)

/* units; es_gcra_spend() forgets a debt beyond this */
#define ES_GCRA_DEBT  (1024 * 1024)

typedef struct {
    uint64_t  units;           /* earned in each period, evenly; >= 1 */
    uint64_t  period_ns;
    uint64_t  burst;           /* units that may be spent at once; 0: no
                                  limit */
} es_rate_t;

typedef struct {
    bool      admitted;
    uint64_t  remaining;       /* units left now */
    uint64_t  retry_after_ns;  /* until the same cost would be admitted;
                                  UINT64_MAX: never, because it exceeds the
                                  burst */
    uint64_t  reset_ns;        /* until the bucket is full again */
} es_gcra_t;

/*
 * Decides without charging.  As for the functions below: a refused caller that
 * owes more than a bucket, from a slower rate, owes one bucket from then on.
 */
es_gcra_t es_gcra_peek(_Atomic uint64_t *tat, const es_rate_t *rate,
    uint64_t now_ns, uint64_t cost);

/* Decides, and charges an admitted request.  Exact under any concurrency. */
es_gcra_t es_gcra_take(_Atomic uint64_t *tat, const es_rate_t *rate,
    uint64_t now_ns, uint64_t cost);

/* Returns a charge of es_gcra_take() or es_gcra_spend(). */
void es_gcra_refund(_Atomic uint64_t *tat, const es_rate_t *rate,
    uint64_t cost);

/*
 * For streams, whose pieces cannot be cut.  Admits a piece of any cost while
 * anything is left in the bucket, and charges it wholly.  The bucket then owes
 * at most one piece (of ES_GCRA_DEBT units), and in the long run the rate
 * holds for any burst.  With a cost of 0 it only says whether anything is
 * left.
 */
es_gcra_t es_gcra_spend(_Atomic uint64_t *tat, const es_rate_t *rate,
    uint64_t now_ns, uint64_t cost);

/* Returns the time in which this many units are earned, rounded down. */
uint64_t es_rate_time_ns(const es_rate_t *rate, uint64_t units);

/* True if the burst is earned within a hundred years.  The arithmetic above
   is exact only then. */
bool es_rate_ok(const es_rate_t *rate);

/*
 * Parses "60r/m", "10r/s", "1000r/h" or "5r/d", at most a million a second;
 * with `bytes`, "512k/s", "100m/h", "1g/d" or "9000/s".  Leaves the burst to
 * the caller.  ES_INVALID.
 */
es_rc_t es_rate_parse(es_str_t text, bool bytes, es_rate_t *rate);

/* Parses "4096", "512k", "10m" or "1g".  ES_INVALID: malformed, zero, or
   over 10^15. */
es_rc_t es_size_parse(es_str_t text, uint64_t *size);

#endif /* ES_GCRA_H */
