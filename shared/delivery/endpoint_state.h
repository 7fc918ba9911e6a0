/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The state of an endpoint: one table, and one rule of precedence,
 * for the command line, the HTTP API, metrics, operational events and the
 * documentation.
 */

#ifndef ES_ENDPOINT_STATE_H
#define ES_ENDPOINT_STATE_H

#include <stdbool.h>

/* The most lasting first: of those that are true, the first is the state. */
typedef enum {
    ES_STATE_DISABLED,         /* its partner is */
    ES_STATE_STOPPED,          /* until its record changes: 410, disable,
                                  no success for too long */
    ES_STATE_PAUSED,
    ES_STATE_FAILING,          /* its circuit is open, or it was announced to
                                  fail, and no success has come since */
    ES_STATE_STALLED,          /* it, or one of its feeds, takes nothing new */
    ES_STATE_ACTIVE,
    ES_STATES
} es_endpoint_state_t;

typedef struct {
    bool  disabled;
    bool  stopped;
    bool  paused;
    bool  failing;
    bool  stalled;
} es_endpoint_facts_t;

es_endpoint_state_t es_endpoint_state(const es_endpoint_facts_t *facts);

/* The state as a stable word. */
const char *es_endpoint_state_name(es_endpoint_state_t state);

#endif /* ES_ENDPOINT_STATE_H */
