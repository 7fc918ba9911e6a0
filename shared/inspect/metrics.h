/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of a store and of the dispatcher.
 *
 * The functions read the environments in short transactions, one after the
 * other, so the figures are of moments close together but not of one moment.
 * They block for some milliseconds, and for some tens of milliseconds with ten
 * thousand endpoints: call them from a thread that may block.
 *
 * metrics.c implements the first function, metrics_delivery.c the second and
 * metrics_otlp.c the third.
 */

#ifndef ES_METRICS_H
#define ES_METRICS_H

#include "base/exposition.h"
#include "limit/batches.h"
#include "limit/polls.h"
#include "read/encoded_pages.h"
#include "trace/otlp.h"

typedef struct {
    es_store_t          *store;  /* open with ES_STORE_DELIVERY_READ */
    es_encoded_pages_t  *pages;  /* NULL: not open */
    const es_polls_t    *polls;  /* NULL: none are counted */
    int64_t              now_ms;  /* the store's time */
    const es_batches_t  *batches;  /* NULL: no feed is read here */
    size_t               endpoints;  /* so many have series of their own */
} es_metrics_t;

/* Writes metrics of feeds, environments, the disk and the clock.  A failure is returned
   and also set in e->rc. */
es_rc_t es_metrics_store(const es_metrics_t *m, es_exposition_t *e);

/* Writes metrics of endpoints, their waiting events and attempts.  Errors as
   above. */
es_rc_t es_metrics_delivery(const es_metrics_t *m, es_exposition_t *e);

/* Writes metrics of the export of spans, of which the caller has the counters
   of the workers.  Errors as above. */
es_rc_t es_metrics_otlp(const es_metrics_t *m,
    const es_otlp_counts_t *workers, es_exposition_t *e);

#endif /* ES_METRICS_H */
