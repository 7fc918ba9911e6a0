/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the dispatcher's packing of history has done since the store was made,
 * and what it still has to do.
 */

#ifndef ES_PACKING_H
#define ES_PACKING_H

#include "delivery/delivery.h"

typedef struct {
    uint64_t  pages;           /* that were packed */
    uint64_t  before;          /* bytes of their records, plain */
    uint64_t  after;           /* the same, packed */
    uint64_t  errors;          /* pages and feeds that could not be packed */
    uint64_t  pending;         /* events now in full pages that wait */
} es_packing_counts_t;

/* Appends the record to a changeset.  ES_NOMEM. */
es_rc_t es_changeset_packing(es_changeset_t *c,
    const es_packing_counts_t *counts);

/* Reads the record; without one all counters are 0.  The record of a version
   that counted something else is passed over. */
es_rc_t es_delivery_packing(es_store_t *store, es_packing_counts_t *counts);

#endif /* ES_PACKING_H */
