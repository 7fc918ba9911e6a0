/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of the certificates of endpoints' connections.
 */

#ifndef ES_METRICS_CERTIFICATES_H
#define ES_METRICS_CERTIFICATES_H

#include <stddef.h>
#include <stdint.h>

#include "base/exposition.h"
#include "delivery/certificates.h"

/* The certificate of an endpoint that expires first.  Zeroed: none is known. */
typedef struct {
    int64_t    ms;             /* wall clock */
    es_cert_t  cert;
} es_expiry_t;

/* The same of all endpoints, for each kind; 0: none is known. */
typedef struct {
    int64_t  ms[ES_CERTS];
} es_expiries_t;

/* Takes the record of an endpoint into both. */
void es_expiry_take(es_expiry_t *expiry, es_expiries_t *all,
    const es_certificates_t *certificates);

/* Writes the family of all endpoints. */
void es_metrics_expiries(const es_expiries_t *all, es_exposition_t *e);

/* Writes a sample of one endpoint, unless none is known.  `labels` has room
   after `n` for one more. */
void es_metrics_expiry(const es_expiry_t *expiry, es_label_t *labels, size_t n,
    es_exposition_t *e);

#endif /* ES_METRICS_CERTIFICATES_H */
