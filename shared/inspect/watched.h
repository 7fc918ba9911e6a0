/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * All endpoints of a store by number, each with the facts that make its state.
 */

#ifndef ES_WATCHED_H
#define ES_WATCHED_H

#include "base/base.h"
#include "delivery/endpoint_state.h"
#include "delivery/figures.h"
#include "inspect/metrics_certificates.h"
#include "registry/registry.h"

typedef struct {
    const es_endpoint_t  *endpoint;    /* NULL: no endpoint of this number */
    es_endpoint_facts_t   facts;
    uint64_t              backlog;     /* this and the rest are the caller's, 0
                                          at first */
    uint64_t              retries;
    uint64_t              dead;
    es_expiry_t           expiry;
    bool                  expiring;    /* it is near */
    es_figures_total_t    hour;
    bool                  shown;       /* there are series of the endpoint */
    int64_t               lag_ms;      /* the age of its oldest waiting event,
                                          if it is shown */
} es_watched_t;

/* Zeroed: none. */
typedef struct {
    size_t         n;          /* of the list */
    es_watched_t  *list;       /* by the endpoint's number */
} es_watched_list_t;

/* Reads the facts of the registry's endpoints, which must outlive the list.
   The caller frees the list, also after a failure.  Blocks; ES_NOMEM, or the
   outcome of a read. */
es_rc_t es_watched_load(es_store_t *store, const es_registry_t *registry,
    es_watched_list_t *watched);
void es_watched_free(es_watched_list_t *watched);

/* True if an operator, its partner or the dispatcher has halted the endpoint:
   it gets no events. */
static inline bool
es_watched_halted(const es_watched_t *watched)
{
    return watched->facts.disabled || watched->facts.stopped
           || watched->facts.paused || watched->facts.unverified;
}

/* NULL: no endpoint of this number. */
es_watched_t *es_watched_get(const es_watched_list_t *watched,
    uint32_t number);

#endif /* ES_WATCHED_H */
