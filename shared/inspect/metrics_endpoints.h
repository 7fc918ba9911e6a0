/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Series for each of the endpoints that are worst off, and of all others in
 * sum.
 *
 * Endpoints that something is wrong with come first (stopped, failing,
 * stalled), then those with more failed attempts within the last hour, then
 * those with more events that wait.  So the number of series has a bound,
 * however many endpoints there are.
 */

#ifndef ES_METRICS_ENDPOINTS_H
#define ES_METRICS_ENDPOINTS_H

#include "base/exposition.h"
#include "inspect/watched.h"

typedef struct {
    es_watched_t  **worst;     /* the worst first */
    size_t          n;
    es_watched_t    rest;      /* sums of the others, and the first expiry; no
                                  endpoint */
    uint64_t        states[ES_STATES];     /* of the others */
    size_t          nrest;
} es_worst_t;

/* Chooses at most `max` endpoints, which are `shown` then, and reads what all
   attempts of the last hour came to.  The caller frees the result, also after a
   failure.  Blocks; ES_NOMEM, or the outcome of a read. */
es_rc_t es_worst_choose(es_store_t *store, es_watched_list_t *watched,
    size_t max, int64_t now_ms, es_worst_t *worst);
void es_worst_free(es_worst_t *worst);

/* Writes the series.  `counted`: the endpoints' retries and dead letters
   were. */
void es_metrics_endpoints(const es_worst_t *worst, bool counted,
    es_exposition_t *e);

#endif /* ES_METRICS_ENDPOINTS_H */
