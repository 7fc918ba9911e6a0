/* SPDX-License-Identifier: BSD-2-Clause */

/* Metrics of the audit. */

#include "audit/audit.h"
#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "inspect/metrics_audit.h"
#include "store/store.h"

#define ES_HEADS_DUE_MS  120000    /* they are signed once a minute */


es_rc_t
es_metrics_audit(es_store_t *store, es_exposition_t *e)
{
    es_rc_t          rc;
    int64_t          ms, now_ms;
    unsigned         i;
    es_label_t       label;
    es_audit_head_t  head;

    es_metric_family(e, "eventsync_audit_entries_total", "counter",
                     "Entries that the audit of the environment has ever had.");
    label.name = "environment";

    for (i = 0; i < ES_AUDIT_CHAINS; i++) {
        rc = es_audit_head(store, (es_audit_chain_t) i, &head, NULL);

        if (rc == ES_NOT_FOUND) {
            continue;                  /* this process does not have it open */
        }

        if (rc != ES_OK) {
            return rc;
        }

        label.value = es_str(es_audit_name((es_audit_chain_t) i));
        es_metric(e, "", &label, 1, head.sequence);
    }

    if (store->delivery == NULL) {
        return ES_OK;
    }

    rc = es_delivery_signed(store, &ms);

    if (rc == ES_OK) {
        es_metric_family(e, "eventsync_audit_heads_timestamp_seconds", "gauge",
                         "When the dispatcher last signed the heads of the "
                         "audit; 0: never.");
        es_metric_ms(e, "", NULL, 0, (uint64_t) ms);

        now_ms = es_clock_ms();
        ms += ES_HEADS_DUE_MS;

        es_metric_family(e, "eventsync_audit_heads_overdue_seconds", "gauge",
                         "How long the heads of the audit are overdue; 0: they "
                         "were signed within two minutes.");
        es_metric_ms(e, "", NULL, 0,
                     now_ms > ms ? (uint64_t) (now_ms - ms) : 0);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}
