/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Delivery state as the last run left it, until lanes take it over.
 */

#ifndef ES_SAVED_H
#define ES_SAVED_H

#include "delivery/away_feeds.h"
#include "item.h"

typedef struct {
    uint32_t    endpoint;
    uint32_t    feed;
    bool        taken;
    char        epoch[ES_EPOCH_MAX + 1];
    uint64_t    sequence;
    uint64_t    matched;
    size_t      nitems;
    size_t      cap;
    es_item_t  *items;
    es_away_t  *away;              /* NULL: it was not */
    es_loss_t   loss;              /* that was not told */
} es_saved_lane_t;

typedef struct {
    uint32_t  endpoint;
    uint64_t  revision;
} es_saved_stop_t;

typedef struct {
    size_t            nlanes;
    size_t            lanes_cap;
    es_saved_lane_t  *lanes;       /* by endpoint and feed */
    size_t            nstops;
    size_t            stops_cap;
    es_saved_stop_t  *stops;
    int64_t           alive_ms;    /* last heartbeat; 0: none */
} es_saved_t;

es_rc_t es_saved_load(es_store_t *store, es_saved_t *saved);
void es_saved_free(es_saved_t *saved);
/* Appends a copy; ES_NOMEM. */
es_rc_t es_saved_item(es_saved_lane_t *lane, const es_item_t *item);

/* NULL when there is none. */
es_saved_lane_t *es_saved_lane(es_saved_t *saved, uint32_t endpoint,
    uint32_t feed);
/* Revision that is stopped; 0: none. */
uint64_t es_saved_stop(const es_saved_t *saved, uint32_t endpoint);

#endif /* ES_SAVED_H */
