/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Collects the facts of all endpoints.  Only endpoints with something wrong
 * have records of these facts, so the walks are short.
 */

#include <stdlib.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/endpoint_state.h"
#include "delivery/outbox.h"
#include "delivery/stall.h"
#include "delivery/verification.h"
#include "inspect/watched.h"
#include "registry/registry.h"


es_watched_t *
es_watched_get(const es_watched_list_t *watched, uint32_t number)
{
    return number < watched->n && watched->list[number].endpoint != NULL
           ? &watched->list[number] : NULL;
}


static es_rc_t
es_watched_endpoints(const es_registry_t *registry, es_watched_list_t *w)
{
    size_t                i, n;
    es_watched_t         *watched;
    const es_endpoint_t  *endpoints;

    endpoints = es_registry_endpoints(registry, &n);

    for (i = 0; i < n; i++) {
        if (endpoints[i].number >= w->n) {
            w->n = endpoints[i].number + 1;
        }
    }

    w->list = calloc(w->n + 1, sizeof(es_watched_t));
    if (w->list == NULL) {
        w->n = 0;
        return ES_NOMEM;
    }

    for (i = 0; i < n; i++) {
        watched = &w->list[endpoints[i].number];
        watched->endpoint = &endpoints[i];
        watched->facts.paused = endpoints[i].paused;
        watched->facts.disabled = es_endpoint_disabled(&endpoints[i]);
    }

    return ES_OK;
}


static es_rc_t
es_watched_stop(void *ctx, const es_stop_t *stop)
{
    es_watched_t  *watched;

    watched = es_watched_get(ctx, stop->endpoint);

    if (watched != NULL && watched->endpoint->revision == stop->revision) {
        watched->facts.stopped = true;
    }

    return ES_OK;
}


static es_rc_t
es_watched_circuit(void *ctx, const es_circuit_t *circuit)
{
    es_watched_t  *watched;

    watched = es_watched_get(ctx, circuit->endpoint);

    if (watched != NULL) {
        watched->facts.failing = true;
    }

    return ES_OK;
}


static es_rc_t
es_watched_failing(void *ctx, const es_failing_t *failing)
{
    es_watched_t  *watched;

    watched = es_watched_get(ctx, failing->endpoint);

    if (watched != NULL) {
        watched->facts.failing |= es_failing_announced(failing);
    }

    return ES_OK;
}


static es_rc_t
es_watched_verification(void *ctx, const es_verification_t *verification)
{
    es_watched_t  *watched;

    watched = es_watched_get(ctx, verification->endpoint);

    if (watched != NULL) {
        watched->facts.unverified = verification->method == ES_VERIFIED_NOT;
    }

    return ES_OK;
}


/* A stall of endpoint 0 is one of all endpoints. */

static es_rc_t
es_watched_stall(void *ctx, const es_stall_t *stall)
{
    size_t              i;
    es_watched_t       *watched;
    es_watched_list_t  *w = ctx;

    if (stall->reason >= ES_STALLS) {
        return ES_OK;
    }

    watched = es_watched_get(w, stall->endpoint);

    if (watched != NULL) {
        watched->facts.stalled
            |= es_stall_is_state((es_stall_reason_t) stall->reason);
    }

    for (i = 0; stall->endpoint == 0 && i < w->n; i++) {
        w->list[i].facts.stalled = true;
    }

    return ES_OK;
}


es_rc_t
es_watched_load(es_store_t *store, const es_registry_t *registry,
    es_watched_list_t *watched)
{
    es_rc_t  rc;

    memset(watched, 0, sizeof(*watched));

    rc = es_watched_endpoints(registry, watched);

    if (rc == ES_OK) {
        rc = es_delivery_each_stop(store, es_watched_stop, watched);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_circuit(store, 0, es_watched_circuit, watched);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_failing(store, es_watched_failing, watched);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_verification(store, es_watched_verification,
                                           watched);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_stall(store, 0, es_watched_stall, watched);
    }

    return rc;
}


void
es_watched_free(es_watched_list_t *watched)
{
    free(watched->list);
    memset(watched, 0, sizeof(*watched));
}
