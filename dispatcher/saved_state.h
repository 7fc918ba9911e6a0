/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The delivery state that the last run left, until lanes take it over.
 */

#ifndef ESD_SAVED_STATE_H
#define ESD_SAVED_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "delivery/away_feeds.h"

#include "item.h"

typedef struct {
    uint32_t     endpoint;
    uint32_t     feed;
    bool         taken;
    char         epoch[ES_EPOCH_MAX + 1];
    uint64_t     sequence;
    uint64_t     matched;
    size_t       nitems;
    size_t       cap;
    esd_item_t  *items;
    es_away_t   *away;             /* NULL: the lane was not away */
    es_loss_t    loss;             /* not announced yet */
} esd_saved_lane_t;

typedef struct {
    uint32_t  endpoint;
    uint64_t  revision;
} esd_saved_stop_t;

typedef struct {
    size_t             nlanes;
    size_t             lanes_cap;
    esd_saved_lane_t  *lanes;      /* by endpoint and feed */
    size_t             nstops;
    size_t             stops_cap;
    esd_saved_stop_t  *stops;
    int64_t            alive_ms;   /* last heartbeat; 0: none */
} esd_saved_t;

es_rc_t esd_saved_load(es_store_t *store, esd_saved_t *saved);
void esd_saved_free(esd_saved_t *saved);
/* Appends a copy of the item.  ES_NOMEM. */
es_rc_t esd_saved_item(esd_saved_lane_t *lane, const esd_item_t *item);

/* NULL: there is none. */
esd_saved_lane_t *esd_saved_lane(esd_saved_t *saved, uint32_t endpoint,
    uint32_t feed);
/* The revision of the endpoint that was stopped; 0: none. */
uint64_t esd_saved_stop(const esd_saved_t *saved, uint32_t endpoint);

#endif /* ESD_SAVED_STATE_H */
