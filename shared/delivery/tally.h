/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the dispatcher has counted since the store was made.
 *
 * The record is written in the commit of what was counted, so that counters
 * and records agree whenever the dispatcher is killed.
 */

#ifndef ES_TALLY_H
#define ES_TALLY_H

#include "delivery/delivery.h"

#define ES_TALLY_BUCKETS  12

typedef struct {
    uint64_t  attempts[ES_ATTEMPT_CLASSES];    /* on record, of any kind */
    uint64_t  dead;                            /* events that became one */
    uint64_t  duration_us;                     /* of all in `within` */
    /* Attempts that were sent, by the first bound that they keep; the last
       is of those that keep none. */
    uint64_t  within[ES_TALLY_BUCKETS + 1];
} es_tally_t;

/* Bounds of durations, from the least on. */
extern const uint32_t es_tally_bounds_ms[ES_TALLY_BUCKETS];

/* Counts an attempt. */
void es_tally_attempt(es_tally_t *tally, const es_attempt_t *attempt);

/* Appends the record to a set of changes; ES_NOMEM. */
es_rc_t es_changeset_tally(es_changeset_t *c, const es_tally_t *tally);

/* Reads it; all zero when there is none.  One of a version that knew fewer
   classes is good; one with other bounds has no durations. */
es_rc_t es_delivery_tally(es_store_t *store, es_tally_t *tally);

#endif /* ES_TALLY_H */
