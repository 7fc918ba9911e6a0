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
} es_tally_t;

/* The bounds of durations, ascending. */
extern const uint32_t es_tally_bounds_ms[ES_TALLY_BUCKETS];

/* The index in `within` of this duration. */
unsigned es_tally_bucket(uint32_t latency_us);

/* Counts an attempt. */
void es_tally_attempt(es_tally_t *tally, const es_attempt_t *attempt);

/* Appends the record to a changeset.  ES_NOMEM. */
es_rc_t es_changeset_tally(es_changeset_t *c, const es_tally_t *tally);

/* Reads the record; without one all counters are 0.  The record of a version
   that knew fewer classes is valid; of one with other bounds the durations are
   0. */
es_rc_t es_delivery_tally(es_store_t *store, es_tally_t *tally);

#endif /* ES_TALLY_H */
