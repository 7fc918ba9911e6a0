/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of the audit: part of es_metrics_store().
 */

#ifndef ES_METRICS_AUDIT_H
#define ES_METRICS_AUDIT_H

#include "base/exposition.h"

/* Writes the number of entries of each environment that this process has open,
   and when the heads were last signed.  A failure of the store is returned. */
es_rc_t es_metrics_audit(es_store_t *store, es_exposition_t *e);

#endif /* ES_METRICS_AUDIT_H */
