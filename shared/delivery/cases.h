/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The latest case of each counter of attempts and of each bucket of a
 * histogram (tally.h), to be found again: metrics show them as exemplars.
 *
 * The dispatcher writes them every second, so a case may be lost when it is
 * killed.  No count depends on them.
 */

#ifndef ES_CASES_H
#define ES_CASES_H

#include "delivery/delivery.h"
#include "delivery/tally.h"

/* An attempt, or a delivery, of one event. */
typedef struct {
    int64_t   time_ms;         /* the store's time; 0: there is no case */
    uint64_t  us;              /* what was measured */
    uint64_t  sequence;
    uint32_t  feed;
    uint32_t  endpoint;
} es_case_of_t;

/* Zeroed: none. */
typedef struct {
    es_case_of_t  classes[ES_ATTEMPT_CLASSES];
    es_case_of_t  durations[ES_TALLY_BUCKETS + 1];
    es_case_of_t  delays[ES_TALLY_BUCKETS + 1];
} es_cases_t;

/* Takes an attempt, unless it carried no event of a feed. */
void es_cases_attempt(es_cases_t *cases, const es_attempt_t *attempt);

/* Takes an event that was delivered at c->time_ms; c->us is the time since its
   commit. */
void es_cases_delivered(es_cases_t *cases, const es_case_of_t *c);

/* Appends the record to a changeset.  ES_NOMEM. */
es_rc_t es_changeset_cases(es_changeset_t *c, const es_cases_t *cases);

/* Reads the record.  Without one, and of a version with other classes or
   bounds, there are no cases. */
es_rc_t es_delivery_cases(es_store_t *store, es_cases_t *cases);

#endif /* ES_CASES_H */
