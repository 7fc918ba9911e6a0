/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Simulated failures, with which a partner tests its receiver.
 *
 * The simulated failure is a member of the endpoint's record and ends by
 * itself at its time.  dispatcher/simulate.c carries it out.
 */

#ifndef ES_ENDPOINT_SIMULATE_H
#define ES_ENDPOINT_SIMULATE_H

#include <jansson.h>

#include "registry/registry.h"

#define ES_SIMULATE_MS      (10 * 60 * 1000)      /* the default */
#define ES_SIMULATE_MAX_MS  (24 * 3600 * 1000)

/*
 * Sets the simulated failure of an endpoint from `body`: "failure" (a word, or
 * "none" to end it), "status", "percent", "delay", and "for", its duration.
 * One durable transaction, as es_registry_edit().  ES_INVALID with a problem.
 */
es_rc_t es_endpoint_simulate(es_store_t *store, es_str_t name, json_t *body,
    const es_edit_t *guard, es_problem_t *problem);

/* True if the object has a simulated failure whose time is over. */
bool es_simulate_ended(json_t *object, int64_t now_ms);

/* Removes a simulated failure that has ended from an object to be shown. */
void es_simulate_prune(json_t *object, int64_t now_ms);

#endif /* ES_ENDPOINT_SIMULATE_H */
