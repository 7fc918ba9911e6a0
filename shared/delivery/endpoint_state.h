/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The state of an endpoint: one list of states and one rule of precedence for
 * the command line, the HTTP API, metrics and operational events.
 */

#ifndef ES_ENDPOINT_STATE_H
#define ES_ENDPOINT_STATE_H

#include <stdbool.h>

/* The first of these whose fact is true is the state. */
typedef enum {
    ES_STATE_DISABLED,         /* its partner is disabled */
    ES_STATE_STOPPED,          /* until its record changes, after a 410 or no
                                  success for `disable_after` */
    ES_STATE_PAUSED,
    ES_STATE_UNVERIFIED,       /* it has not agreed to be sent events */
    ES_STATE_FAILING,          /* its circuit is open, or a failure was
                                  announced, and no success has come since */
    ES_STATE_STALLED,          /* it, or one of its feeds, takes no new
                                  events */
    ES_STATE_ACTIVE,
    ES_STATES
} es_endpoint_state_t;

typedef struct {
    bool  disabled;
    bool  stopped;
    bool  paused;
    bool  unverified;
    bool  failing;
    bool  stalled;
} es_endpoint_facts_t;

es_endpoint_state_t es_endpoint_state(const es_endpoint_facts_t *facts);

/* The state as a word, which never changes. */
const char *es_endpoint_state_name(es_endpoint_state_t state);

#endif /* ES_ENDPOINT_STATE_H */
