/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a store holds and what the dispatcher does, as metrics.
 *
 * Reads all environments in short transactions, one after the other, so the
 * numbers are of moments that lie close together and not of one.  It takes
 * milliseconds, with ten thousand endpoints some tens of them: for a thread
 * that may block.
 */

#ifndef ES_METRICS_H
#define ES_METRICS_H

#include "base/exposition.h"
#include "read/encoded_pages.h"

typedef struct {
    es_store_t  *store;        /* open with ES_STORE_DELIVERY_READ */
    es_pages_t  *pages;        /* NULL: not open */
    int64_t      now_ms;       /* the store's time */
    bool         endpoints;    /* series of each endpoint, too */
} es_metrics_t;

/* Feeds, environments, the disk.  Why it cannot be told, also in `e->rc`. */
es_rc_t es_metrics_store(const es_metrics_t *m, es_exposition_t *e);

/* Endpoints, what waits for them, attempts. */
es_rc_t es_metrics_delivery(const es_metrics_t *m, es_exposition_t *e);

#endif /* ES_METRICS_H */
