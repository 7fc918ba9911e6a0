/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of packed history; a part of es_metrics_delivery().
 */

#ifndef ES_METRICS_PACKING_H
#define ES_METRICS_PACKING_H

#include "base/exposition.h"
#include "store/store.h"

/* Blocks; the outcome of a read. */
es_rc_t es_metrics_packing(es_store_t *store, es_exposition_t *e);

#endif /* ES_METRICS_PACKING_H */
