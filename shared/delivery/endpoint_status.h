/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Where deliveries of an endpoint stand, as JSON: its state, what
 * stands still, what waits.
 *
 * However much waits, the answer is small: totals for each feed, and the first
 * few events one by one.
 */

#ifndef ES_ENDPOINT_STATUS_H
#define ES_ENDPOINT_STATUS_H

#include <jansson.h>

#include "delivery/report.h"
#include "delivery/endpoint_state.h"

#define ES_STATUS_LISTED  10       /* events that wait, one by one */

typedef struct {
    es_store_t               *store;
    const es_report_feeds_t  *feeds;
    uint32_t                  endpoint;    /* its number */
    uint64_t                  revision;    /* of its record */
    bool                      paused;
    bool                      disabled;    /* its partner is */
    bool                      partner;     /* asks: of a feed that is away it
                                              is told only that */
    /* Whether something may be told of the feed; NULL: of all feeds. */
    bool                    (*tells)(void *ctx, uint32_t feed);
    void                     *ctx;
} es_endpoint_status_query_t;

/*
 * A new object: `state`, `stopped` (why, if it is), and `deliveries`, an array
 * of objects by `kind`:
 *
 *     progress   of each feed: cursor, pending, behind
 *     away       instead of it, to a partner: see es_report_away_feed()
 *     stalled    what stands still, see stall.h
 *     waiting    of each feed with such: how many events wait for a retry, and
 *                how many are held, by the status of their last attempt
 *     retry, held   the first ES_STATUS_LISTED of all of these
 *     circuit    it is open
 *     redrive    dead letters are being tried again
 *
 * What may not be told of counts for `state` all the same.
 */
es_rc_t es_endpoint_status_read(const es_endpoint_status_query_t *q,
    json_t **status);

/* What the records say of the endpoint, but for `paused` and `disabled`. */
es_rc_t es_endpoint_facts_read(es_store_t *store, uint32_t endpoint,
    uint64_t revision, es_endpoint_facts_t *facts);

#endif /* ES_ENDPOINT_STATUS_H */
