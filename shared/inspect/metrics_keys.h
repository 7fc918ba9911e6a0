/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of API keys that expire.
 */

#ifndef ES_METRICS_KEYS_H
#define ES_METRICS_KEYS_H

#include "base/exposition.h"
#include "registry/registry.h"

/* Writes for each scope when the first partner is left without a key that has
   it: when the last of its keys expires.  Nothing is written of a scope that no
   partner loses.  Links to the dashboard, keys that were made by them, revoked
   keys and disabled partners do not count.  ES_NOMEM. */
es_rc_t es_metrics_keys(const es_registry_t *registry, es_exposition_t *e);

#endif /* ES_METRICS_KEYS_H */
