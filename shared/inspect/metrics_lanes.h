/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How far endpoints are behind on their feeds: how many feeds of endpoints have
 * a next event that retention will soon delete, and the lag of endpoints with
 * series of their own.
 */

#ifndef ES_METRICS_LANES_H
#define ES_METRICS_LANES_H

#include "delivery/delivery.h"
#include "delivery/report.h"
#include "inspect/watched.h"

typedef struct {
    uint32_t     endpoint;
    uint32_t     feed;
    es_cursor_t  done;         /* see es_progress_done() */
} es_lane_t;

/* Appends the feed of an endpoint to `list` if the progress is of its present
   epoch, and the feed has a retention limit or `all` are wanted. */
es_rc_t es_lane_add(es_buf_t *list, const es_feed_t *feed,
    const es_progress_t *progress, bool all);

/*
 * Sets the lag of the endpoints that are shown, and counts those of `list`
 * whose first event without an outcome is near the end of retention, or beyond
 * it.  `done` of each then includes retries, and the list is in another order.
 * Blocks; an error is that of a read.
 */
es_rc_t es_lanes_read(es_store_t *store, const es_report_feeds_t *feeds,
    es_buf_t *list, int64_t now_ms, const es_watched_list_t *watched,
    uint64_t *near);

#endif /* ES_METRICS_LANES_H */
