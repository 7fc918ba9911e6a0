/*
 * gcra.h - the generic cell rate algorithm on one 64-bit word.
 *
 * The word is the theoretical arrival time in microseconds of a clock that
 * all users of the word share (CLOCK_MONOTONIC is one per machine).  It is
 * moved by compare-and-swap, so that it can live in shared memory and needs no
 * lock; zero is a full bucket.
 */

#ifndef ES_GCRA_H
#define ES_GCRA_H

#include "base.h"

typedef struct {
    uint64_t  interval_us;     /* T: time for one unit; 0 means no limit */
    uint64_t  burst;           /* B: units that may come at once, >= 1 */
} es_rate_t;

typedef struct {
    bool      admitted;
    uint64_t  remaining;       /* units left now */
    uint64_t  retry_after_us;  /* until the same cost would be admitted;
                                  UINT64_MAX: never, it is over the burst */
    uint64_t  reset_us;        /* until the bucket is full again */
} es_gcra_t;

/* Judges without charging. */
es_gcra_t es_gcra_peek(const _Atomic uint64_t *tat, es_rate_t rate,
    uint64_t now_us, uint64_t cost);

/* Judges and, if admitted, charges.  Exact under any concurrency. */
es_gcra_t es_gcra_take(_Atomic uint64_t *tat, es_rate_t rate, uint64_t now_us,
    uint64_t cost);

/*
 * Parses "60r/m", "10r/s", "1000r/h", "5r/d" into `interval_us`; burst is
 * left to the caller.  ES_INVALID otherwise.
 */
es_rc_t es_rate_parse(es_str_t text, es_rate_t *rate);

#endif /* ES_GCRA_H */
