/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Failures that an endpoint is to be tried with.
 *
 * What is simulated is a member of the endpoint's record and ends by itself.
 */

#ifndef ES_ENDPOINT_SIMULATE_H
#define ES_ENDPOINT_SIMULATE_H

#include <jansson.h>

#include "registry/registry.h"

#define ES_SIMULATE_MS      (10 * 60 * 1000)
#define ES_SIMULATE_MAX_MS  (24 * 3600 * 1000)

/*
 * Makes the failure of `body` the endpoint's: "failure" (a word, or "none"),
 * "status", "percent", "delay", and "for", how long (10m).  One durable
 * transaction, as es_registry_edit().  ES_INVALID with a problem.
 */
es_rc_t es_endpoint_simulate(es_store_t *store, es_str_t name, json_t *body,
    const es_edit_t *guard, es_problem_t *problem);

/* Whether the object has the member, and its time is over. */
bool es_simulate_ended(json_t *object, int64_t now_ms);

/* Takes the member from an object to be shown when it has ended. */
void es_simulate_prune(json_t *object, int64_t now_ms);

#endif /* ES_ENDPOINT_SIMULATE_H */
