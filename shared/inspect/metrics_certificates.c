/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of the certificates of endpoints' connections.
 */

#include "base/base.h"
#include "delivery/certificates.h"
#include "inspect/metrics_certificates.h"


void
es_expiry_take(es_expiry_t *expiry, es_expiries_t *all,
    const es_certificates_t *certificates)
{
    int64_t   ms;
    unsigned  i;

    for (i = 0; i < ES_CERTS; i++) {
        ms = certificates->expires_ms[i];

        if (ms == 0) {
            continue;
        }

        if (all->ms[i] == 0 || ms < all->ms[i]) {
            all->ms[i] = ms;
        }

        if (expiry->ms == 0 || ms < expiry->ms) {
            expiry->ms = ms;
            expiry->cert = (es_cert_t) i;
        }
    }
}


void
es_metrics_expiries(const es_expiries_t *all, es_exposition_t *e)
{
    unsigned    i;
    es_label_t  label;

    es_metric_family(e,
                     "eventsync_delivery_certificate_expiry_timestamp_seconds",
                     "gauge", "When the first certificate expires that "
                     "connections to endpoints have shown.");
    label.name = "certificate";

    for (i = 0; i < ES_CERTS; i++) {
        if (all->ms[i] != 0) {
            label.value = es_str(es_cert_name((es_cert_t) i));
            es_metric_ms(e, "", &label, 1, (uint64_t) all->ms[i]);
        }
    }
}


void
es_metrics_expiry(const es_expiry_t *expiry, es_label_t *labels, size_t n,
    es_exposition_t *e)
{
    if (expiry->ms != 0) {
        labels[n].name = "certificate";
        labels[n].value = es_str(es_cert_name(expiry->cert));
        es_metric_ms(e, "", labels, n + 1, (uint64_t) expiry->ms);
    }
}
