/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the delivery state that the last run left.
 *
 * The state is read once at the start and kept until lanes take it over.  Items
 * without a retry record were in flight when that run ended.
 */

#include <stdlib.h>

#include "base/base.h"
#include "delivery/away_feeds.h"
#include "delivery/delivery.h"

#include "item.h"
#include "saved_state.h"


static void *
esd_saved_room(void *list, size_t n, size_t *cap, size_t size)
{
    void    *room;
    size_t   more;

    if (n < *cap) {
        return list;
    }

    more = *cap ? *cap * 2 : 16;

    room = realloc(list, more * size);
    if (room != NULL) {
        *cap = more;
    }

    return room;
}


es_rc_t
esd_saved_item(esd_saved_lane_t *lane, const esd_item_t *item)
{
    esd_item_t  *items;

    items = esd_saved_room(lane->items, lane->nitems, &lane->cap,
                           sizeof(esd_item_t));
    if (items == NULL) {
        return ES_NOMEM;
    }

    lane->items = items;
    lane->items[lane->nitems++] = *item;

    return ES_OK;
}


static es_rc_t
esd_saved_progress(void *ctx, const es_progress_t *progress)
{
    es_rc_t            rc;
    unsigned           i;
    esd_item_t         item;
    esd_saved_t       *saved;
    esd_saved_lane_t  *lane;

    saved = ctx;

    lane = esd_saved_room(saved->lanes, saved->nlanes, &saved->lanes_cap,
                          sizeof(esd_saved_lane_t));
    if (lane == NULL) {
        return ES_NOMEM;
    }

    saved->lanes = lane;
    lane = &saved->lanes[saved->nlanes++];

    memset(lane, 0, sizeof(esd_saved_lane_t));
    lane->endpoint = progress->endpoint;
    lane->feed = progress->feed;
    memcpy(lane->epoch, progress->epoch, sizeof(lane->epoch));
    lane->sequence = progress->sequence;
    lane->matched = progress->matched;

    rc = ES_OK;
    memset(&item, 0, sizeof(item));

    for (i = 0; rc == ES_OK && i < progress->npending; i++) {
        item.sequence = progress->pending[i];
        item.prev = progress->pending_prev[i];
        item.batch = progress->pending_batch[i];
        rc = esd_saved_item(lane, &item);
    }

    return rc;
}


static es_rc_t
esd_saved_retry(void *ctx, const es_retry_t *retry)
{
    esd_item_t         item;
    esd_saved_lane_t  *lane;

    memset(&item, 0, sizeof(item));

    lane = esd_saved_lane(ctx, retry->endpoint, retry->feed);
    if (lane == NULL) {
        return ES_OK;
    }

    item.sequence = retry->sequence;
    item.prev = retry->prevcursor;
    item.batch = retry->batch;
    item.next_ms = retry->next_ms;
    item.first_ms = retry->first_ms;
    item.deferred_ms = retry->deferred_ms;
    item.attempts = retry->attempts;
    item.status = retry->status;
    item.recorded = true;

    return esd_saved_item(lane, &item);
}


static es_rc_t
esd_saved_stopped(void *ctx, const es_stop_t *stop)
{
    esd_saved_t       *saved;
    esd_saved_stop_t  *stops;

    saved = ctx;

    stops = esd_saved_room(saved->stops, saved->nstops, &saved->stops_cap,
                           sizeof(esd_saved_stop_t));
    if (stops == NULL) {
        return ES_NOMEM;
    }

    saved->stops = stops;
    stops[saved->nstops].endpoint = stop->endpoint;
    stops[saved->nstops++].revision = stop->revision;

    return ES_OK;
}


static es_rc_t
esd_saved_away(void *ctx, const es_away_t *away)
{
    esd_saved_lane_t  *lane;

    lane = esd_saved_lane(ctx, away->endpoint, away->feed);
    if (lane == NULL) {
        return ES_OK;
    }

    lane->away = malloc(sizeof(es_away_t));
    if (lane->away == NULL) {
        return ES_NOMEM;
    }

    *lane->away = *away;

    return ES_OK;
}


static es_rc_t
esd_saved_loss(void *ctx, const es_loss_t *loss)
{
    esd_saved_lane_t  *lane;

    lane = esd_saved_lane(ctx, loss->endpoint, loss->feed);

    if (lane != NULL) {
        lane->loss = *loss;
    }

    return ES_OK;
}


es_rc_t
esd_saved_load(es_store_t *store, esd_saved_t *saved)
{
    es_rc_t  rc;

    memset(saved, 0, sizeof(esd_saved_t));

    rc = es_delivery_each_progress(store, 0, esd_saved_progress, saved);

    if (rc == ES_OK) {
        rc = es_delivery_each_retry(store, 0, esd_saved_retry, saved);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_stop(store, esd_saved_stopped, saved);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_away(store, 0, esd_saved_away, saved);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_loss(store, esd_saved_loss, saved);
    }

    if (rc == ES_OK) {
        rc = es_delivery_heartbeat(store, &saved->alive_ms);
        rc = rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    return rc;
}


void
esd_saved_free(esd_saved_t *saved)
{
    size_t  i;

    for (i = 0; i < saved->nlanes; i++) {
        free(saved->lanes[i].items);
        free(saved->lanes[i].away);
    }

    free(saved->lanes);
    free(saved->stops);
    memset(saved, 0, sizeof(esd_saved_t));
}


static int
esd_saved_order(const void *key, const void *lane)
{
    const esd_saved_lane_t  *a, *b;

    a = key;
    b = lane;

    if (a->endpoint != b->endpoint) {
        return a->endpoint < b->endpoint ? -1 : 1;
    }

    return a->feed < b->feed ? -1 : a->feed > b->feed;
}


esd_saved_lane_t *
esd_saved_lane(esd_saved_t *saved, uint32_t endpoint, uint32_t feed)
{
    esd_saved_lane_t  key;

    if (saved->nlanes == 0) {
        return NULL;
    }

    memset(&key, 0, sizeof(key));
    key.endpoint = endpoint;
    key.feed = feed;

    return bsearch(&key, saved->lanes, saved->nlanes, sizeof(esd_saved_lane_t),
                   esd_saved_order);
}


uint64_t
esd_saved_stop(const esd_saved_t *saved, uint32_t endpoint)
{
    size_t  i;

    for (i = 0; i < saved->nstops; i++) {
        if (saved->stops[i].endpoint == endpoint) {
            return saved->stops[i].revision;
        }
    }

    return 0;
}
