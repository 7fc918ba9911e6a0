/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decides the state of an endpoint by one table.
 */

#include <stddef.h>

#include "delivery/endpoint_state.h"

static const struct {
    const char  *name;
    size_t       fact;         /* offset in es_endpoint_facts_t; the last has
                                  none */
} es_states[ES_STATES] = {
    [ES_STATE_DISABLED] = { "disabled", offsetof(es_endpoint_facts_t,
                                                 disabled) },
    [ES_STATE_STOPPED] = { "stopped", offsetof(es_endpoint_facts_t, stopped) },
    [ES_STATE_PAUSED] = { "paused", offsetof(es_endpoint_facts_t, paused) },
    [ES_STATE_UNVERIFIED] = { "unverified", offsetof(es_endpoint_facts_t,
                                                     unverified) },
    [ES_STATE_FAILING] = { "failing", offsetof(es_endpoint_facts_t, failing) },
    [ES_STATE_STALLED] = { "stalled", offsetof(es_endpoint_facts_t, stalled) },
    [ES_STATE_ACTIVE] = { "active", 0 }
};


es_endpoint_state_t
es_endpoint_state(const es_endpoint_facts_t *facts)
{
    unsigned  state;

    for (state = 0; state < ES_STATE_ACTIVE; state++) {
        if (*(const bool *) ((const char *) facts + es_states[state].fact)) {
            break;
        }
    }

    return (es_endpoint_state_t) state;
}


const char *
es_endpoint_state_name(es_endpoint_state_t state)
{
    return es_states[state].name;
}
