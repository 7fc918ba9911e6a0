/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of the export of spans, by workers and dispatcher.
 */

#include "base/base.h"
#include "base/exposition.h"
#include "delivery/exports.h"
#include "inspect/metrics.h"
#include "trace/otlp.h"


/* Writes one counter for each name and process. */

static void
es_metrics_otlp_counts(es_exposition_t *e, const char *const *names, size_t n,
    const uint64_t *workers, const uint64_t *dispatcher)
{
    size_t      i;
    es_label_t  labels[2];

    labels[0].name = "process";
    labels[1].name = "result";

    for (i = 0; i < n; i++) {
        labels[1].value = es_str(names[i]);

        labels[0].value = es_lit("worker");
        es_metric(e, "", labels, 2, workers[i]);
        labels[0].value = es_lit("dispatcher");
        es_metric(e, "", labels, 2, dispatcher[i]);
    }
}


es_rc_t
es_metrics_otlp(const es_metrics_t *m, const es_otlp_counts_t *workers,
    es_exposition_t *e)
{
    es_rc_t           rc;
    es_otlp_counts_t  dispatcher;

    rc = es_delivery_exports(m->store, &dispatcher);
    if (rc != ES_OK) {
        e->rc = rc;
        return rc;
    }

    es_metric_family(e, "eventsync_otlp_spans_total", "counter",
                     "Spans by what became of them.");
    es_metrics_otlp_counts(e, es_otlp_fates, ES_OTLP_FATES, workers->spans,
                           dispatcher.spans);

    es_metric_family(e, "eventsync_otlp_requests_total", "counter",
                     "Requests to the collector of spans by their result.");
    es_metrics_otlp_counts(e, es_otlp_outcomes, ES_OTLP_OUTCOMES,
                           workers->requests, dispatcher.requests);

    return ES_OK;
}
