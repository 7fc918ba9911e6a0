/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The dispatcher's counters since the store was made.
 *
 * The counters are committed together with the attempts that they count, so
 * both agree even after the dispatcher was killed.
 */

#ifndef ES_TALLY_H
#define ES_TALLY_H

#include "delivery/delivery.h"

#define ES_TALLY_BUCKETS  12

typedef struct {
    uint64_t  attempts[ES_ATTEMPT_CLASSES];    /* recorded, of any kind */
    uint64_t  dead;                            /* new dead letters */
    uint64_t  host_waits;                      /* times that an endpoint had to
                                                  wait for its host */
    uint64_t  duration_us;                     /* sum over `within` */
    /* Attempts that were sent, by the lowest bound that holds; the last
       element counts those above all bounds. */
    uint64_t  within[ES_TALLY_BUCKETS + 1];
    uint64_t  delay_ms;                        /* sum over `delays` */
    /* Events that were delivered, likewise by the time since their commit. */
    uint64_t  delays[ES_TALLY_BUCKETS + 1];
} es_tally_t;

/* The bounds of durations and of delays, ascending. */
extern const uint32_t es_tally_bounds_ms[ES_TALLY_BUCKETS];
extern const uint32_t es_tally_delays_ms[ES_TALLY_BUCKETS];

/* The index in `within` of this duration. */
unsigned es_tally_bucket(uint32_t latency_us);

/* The index in `delays` of this time. */
unsigned es_tally_delay(uint64_t ms);

/* True: the attempt has a duration. */
static inline bool
es_tally_timed(const es_attempt_t *attempt)
{
    return attempt->class != ES_ATTEMPT_SIMULATED;
}

/* Counts an attempt, and an event that was delivered so long after its
   commit. */
void es_tally_attempt(es_tally_t *tally, const es_attempt_t *attempt);
void es_tally_delivered(es_tally_t *tally, uint64_t delay_ms);

/* Appends the records to a changeset.  ES_NOMEM. */
es_rc_t es_changeset_tally(es_changeset_t *c, const es_tally_t *tally);

/* Reads the records; without them all counters are 0.  The record of a version
   that knew fewer classes is valid; of one with other bounds the durations or
   delays are 0. */
es_rc_t es_delivery_tally(es_store_t *store, es_tally_t *tally);

#endif /* ES_TALLY_H */
