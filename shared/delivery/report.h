/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Records of delivery state as JSON, for the command line and for partners.
 *
 * Each function that returns a json_t returns a new reference; NULL: out of
 * memory.
 */

#ifndef ES_REPORT_H
#define ES_REPORT_H

#include <jansson.h>

#include "delivery/away_feeds.h"
#include "delivery/delivery.h"
#include "log/feed.h"

/* All feeds, because records name them by number only, and the away feeds. */
typedef struct {
    es_feed_t  *feeds;         /* by name */
    size_t      n;
    uint32_t   *places;        /* of the feeds, by their numbers */
    es_away_t  *aways;         /* by endpoint and feed */
    size_t      naways;
} es_report_feeds_t;

/* Loads the feeds, and the away feeds if the store has delivery open.  The
   caller frees them, also after a failure. */
es_rc_t es_report_feeds_load(es_store_t *store, es_report_feeds_t *feeds);
void es_report_feeds_free(es_report_feeds_t *feeds);

/* Never NULL: a removed feed has the name "(removed)" and number 0. */
const es_feed_t *es_report_feed(const es_report_feeds_t *feeds,
    uint32_t number);

/* NULL: the endpoint is not away from the feed. */
const es_away_t *es_report_away(const es_report_feeds_t *feeds,
    uint32_t endpoint, uint32_t feed);

/* What was sent: "event", "test", "nudge", "token" or "check". */
const char *es_report_kind(const es_attempt_t *attempt);

json_t *es_report_attempt(const es_report_feeds_t *feeds,
    const es_attempt_t *attempt);
json_t *es_report_dead(const es_report_feeds_t *feeds, const es_dead_t *dead);
json_t *es_report_progress(const es_report_feeds_t *feeds,
    const es_progress_t *progress);
/* Adds to the report of a progress how old its first event is that is not
   delivered (`seconds`), and when retention by age deletes that event
   (`expires`).  Both are null if the event is damaged, since the status must
   then still say so.  Adds nothing if the feed was removed. */
es_rc_t es_report_lag(es_store_t *store, const es_report_feeds_t *feeds,
    const es_progress_t *progress, int64_t now_ms, json_t *report);
/* An away feed, without what the partner may no longer see. */
json_t *es_report_away_feed(const es_away_t *away);
json_t *es_report_retry(const es_report_feeds_t *feeds,
    const es_retry_t *retry);
json_t *es_report_circuit(const es_circuit_t *circuit);

/* The number of events after the progress; 0 if that is of another epoch. */
uint64_t es_report_behind(const es_feed_t *feed,
    const es_progress_t *progress);

#endif /* ES_REPORT_H */
