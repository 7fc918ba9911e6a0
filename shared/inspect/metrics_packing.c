/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of packed history, from the dispatcher's record.
 */

#include "base/base.h"
#include "base/exposition.h"
#include "delivery/packing.h"
#include "inspect/metrics_packing.h"


es_rc_t
es_metrics_packing(es_store_t *store, es_exposition_t *e)
{
    es_rc_t              rc;
    es_label_t           label;
    es_packing_counts_t  counts;

    rc = es_delivery_packing(store, &counts);
    if (rc != ES_OK) {
        return rc;
    }

    es_metric_counter(e, "eventsync_packed_pages_total", "Pages of history "
                      "that the dispatcher has packed.", counts.pages);

    es_metric_family(e, "eventsync_packed_bytes_total", "counter", "Bytes of "
                     "the records of these pages, before and after.");
    label.name = "form";
    label.value = es_lit("plain");
    es_metric(e, "", &label, 1, counts.before);
    label.value = es_lit("packed");
    es_metric(e, "", &label, 1, counts.after);

    es_metric_counter(e, "eventsync_packing_errors_total", "Times that a page "
                      "or a feed could not be packed.", counts.errors);
    es_metric_gauge(e, "eventsync_packing_pending_events", "Events in full "
                    "pages that wait to be packed.", counts.pending);

    return ES_OK;
}
