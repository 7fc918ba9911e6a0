/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Deletes what delivery/ has of a partner that is offboarded.
 *
 * The dispatcher writes these records.  The caller has made sure that no
 * dispatcher knows the endpoints any more, or that none runs.  All functions
 * need ES_STORE_DELIVER, block for the disk, and can be repeated.
 */

#ifndef ES_REMOVAL_H
#define ES_REMOVAL_H

#include "base/base.h"

/* How many records an endpoint has. */
typedef struct {
    uint64_t  positions;
    uint64_t  retries;
    uint64_t  attempts;
    uint64_t  dead_letters;
} es_removal_counts_t;

es_rc_t es_removal_count(es_store_t *store, uint32_t endpoint,
    es_removal_counts_t *counts);

/* Deletes all records of an endpoint, also its attempts. */
es_rc_t es_removal_endpoint(es_store_t *store, uint32_t endpoint);

/* Deletes what the partner was told, and operational events for its feed (NULL
   data: it had none) that were not published yet. */
es_rc_t es_removal_partner(es_store_t *store, uint32_t partner,
    es_str_t operations);

#endif /* ES_REMOVAL_H */
