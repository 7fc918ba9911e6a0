/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of the freshness that feeds have promised.
 */

#ifndef ES_METRICS_FRESH_H
#define ES_METRICS_FRESH_H

#include "base/exposition.h"
#include "delivery/report.h"
#include "inspect/metrics.h"

/* Writes the metrics of those of the feeds that have a promise.  It looks at
   the rules of feeds only.  ES_NOMEM, or the outcome of a read. */
es_rc_t es_metrics_fresh(const es_metrics_t *m,
    const es_report_feeds_t *feeds, es_exposition_t *e);

#endif /* ES_METRICS_FRESH_H */
