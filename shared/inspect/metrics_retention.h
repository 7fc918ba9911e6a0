/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts the feeds of endpoints whose next event retention will soon delete.
 */

#ifndef ES_METRICS_RETENTION_H
#define ES_METRICS_RETENTION_H

#include "delivery/delivery.h"
#include "delivery/report.h"

typedef struct {
    uint32_t     endpoint;
    uint32_t     feed;
    es_cursor_t  done;         /* see es_progress_done() */
} es_near_lane_t;

/* Appends the feed of an endpoint to `list` if the feed has a retention limit
   and the progress is of its present epoch. */
es_rc_t es_near_add(es_buf_t *list, const es_feed_t *feed,
    const es_progress_t *progress);

/* Counts those of `list` whose first event without an outcome is near the end
   of retention, or beyond it.  `done` of each then includes retries.  Blocks;
   an error is that of a read. */
es_rc_t es_near_count(es_store_t *store, const es_report_feeds_t *feeds,
    es_buf_t *list, int64_t now_ms, uint64_t *near);

#endif /* ES_METRICS_RETENTION_H */
