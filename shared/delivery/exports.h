/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The dispatcher's counters of exported spans since the store was made.
 */

#ifndef ES_EXPORTS_H
#define ES_EXPORTS_H

#include "delivery/delivery.h"
#include "trace/otlp.h"

/* Appends the record to a changeset.  ES_NOMEM. */
es_rc_t es_changeset_exports(es_changeset_t *c,
    const es_otlp_counts_t *counts);

/* Reads the record; without one all counters are 0.  The record of a version
   that counted something else is passed over. */
es_rc_t es_delivery_exports(es_store_t *store, es_otlp_counts_t *counts);

#endif /* ES_EXPORTS_H */
