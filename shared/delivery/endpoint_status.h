/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The status of an endpoint's deliveries, as JSON: its state, its stalls, its
 * waiting events.
 *
 * The answer is small even if many events wait: it has totals for each feed,
 * and only the first few events one by one.
 */

#ifndef ES_ENDPOINT_STATUS_H
#define ES_ENDPOINT_STATUS_H

#include <jansson.h>

#include "delivery/endpoint_state.h"
#include "delivery/report.h"

#define ES_STATUS_LISTED  10       /* waiting events, one by one */

typedef struct {
    es_store_t               *store;
    const es_report_feeds_t  *feeds;
    uint32_t                  endpoint;    /* its number */
    uint64_t                  revision;    /* of its record */
    bool                      paused;
    bool                      disabled;    /* its partner is disabled */
    bool                      figures;     /* the answer has them */
    bool                      partner;     /* for a partner, who may learn of an
                                              away feed only that it is away */
    /* True if the answer may contain the feed; NULL: all feeds. */
    bool                    (*tells)(void *ctx, uint32_t feed);
    void                     *ctx;
} es_endpoint_status_query_t;

/*
 * Reads the status into a new object: `state`, `stopped` (the reason, if it is
 * stopped), and `deliveries`, an array of objects by `kind`:
 *
 *     progress   for each feed: cursor, pending, behind, seconds, expires
 *     away       the same for a partner's away feed, see es_report_away_feed()
 *     stalled    a stall, see stall.h
 *     waiting    for each feed with waiting events: how many wait for a retry
 *                and how many are held, by the status of their last attempt
 *     retry, held   the first ES_STATUS_LISTED waiting events
 *     circuit    the circuit is open
 *     redrive    dead letters are being tried again
 *     verification   whether the endpoint has agreed, see verification.h
 *
 * `certificates`, if any are known, see certificates.h; and, if wanted,
 * `figures`, see figures.h, with `next`, the time of the next attempt.
 *
 * `state` and `figures` also depend on feeds that the answer may not contain.
 */
es_rc_t es_endpoint_status_read(const es_endpoint_status_query_t *q,
    json_t **status);

/* Reads all facts from the delivery records, but `paused` and `disabled`. */
es_rc_t es_endpoint_facts_read(es_store_t *store, uint32_t endpoint,
    uint64_t revision, es_endpoint_facts_t *facts);

#endif /* ES_ENDPOINT_STATUS_H */
