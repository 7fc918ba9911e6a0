/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Delivery state as JSON, for the command line and for partners.
 *
 * Each function returns a new object, or NULL when memory is out.
 */

#ifndef ES_REPORT_H
#define ES_REPORT_H

#include <jansson.h>

#include "delivery/away_feeds.h"
#include "delivery/delivery.h"
#include "log/feed.h"

/* What records know only by number, and which places are away. */
typedef struct {
    es_feed_t  *feeds;
    size_t      n;
    es_away_t  *aways;         /* by endpoint and feed */
    size_t      naways;
} es_report_feeds_t;

/* All feeds as they are now, and the places if the store has the delivery
   state open; free with es_report_feeds_free(). */
es_rc_t es_report_feeds_load(es_store_t *store, es_report_feeds_t *feeds);
void es_report_feeds_free(es_report_feeds_t *feeds);

/* Never NULL: of a feed that was removed the name is "(removed)". */
const es_feed_t *es_report_feed(const es_report_feeds_t *feeds,
    uint32_t number);

/* NULL: the place is not away. */
const es_away_t *es_report_away(const es_report_feeds_t *feeds,
    uint32_t endpoint, uint32_t feed);

/* What was sent: "event", "test" or "nudge". */
const char *es_report_kind(const es_attempt_t *attempt);

json_t *es_report_attempt(const es_report_feeds_t *feeds,
    const es_attempt_t *attempt);
json_t *es_report_dead(const es_report_feeds_t *feeds, const es_dead_t *dead);
json_t *es_report_progress(const es_report_feeds_t *feeds,
    const es_progress_t *progress);
/* A place that is kept, without what is not the partner's any more. */
json_t *es_report_away_feed(const es_away_t *away);
json_t *es_report_retry(const es_report_feeds_t *feeds,
    const es_retry_t *retry);
json_t *es_report_circuit(const es_circuit_t *circuit);

/* Events of the feed after the progress; 0 when it is of another epoch. */
uint64_t es_report_behind(const es_feed_t *feed,
    const es_progress_t *progress);

#endif /* ES_REPORT_H */
