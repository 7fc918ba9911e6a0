/* SPDX-License-Identifier: BSD-2-Clause */

/* The state of an endpoint: its names, and which of several applies. */

#include <string.h>

#include "delivery/stall.h"
#include "delivery/endpoint_state.h"
#include "tap.h"


/* The first of the words whose fact is true, for each combination of them. */

static void
test_precedence(void)
{
    bool                 all;
    unsigned             bits, i;
    es_endpoint_facts_t  facts;

    static const char *const  words[] = {
        "disabled", "stopped", "paused", "unverified", "failing", "stalled",
        "active"
    };

    all = true;

    for (bits = 0; bits < 64; bits++) {
        facts.disabled = bits & 1;
        facts.stopped = bits & 2;
        facts.paused = bits & 4;
        facts.unverified = bits & 8;
        facts.failing = bits & 16;
        facts.stalled = bits & 32;

        for (i = 0; i < 6 && (bits & 1u << i) == 0; i++) {
            /* void */
        }

        all &= strcmp(es_endpoint_state_name(es_endpoint_state(&facts)),
                      words[i]) == 0;
    }

    ok(all, "of 64 combinations each has the state of its most lasting fact");

    for (i = 0; i < ES_STATES; i++) {
        ok(strcmp(es_endpoint_state_name((es_endpoint_state_t) i),
                  words[i]) == 0,
           "state %u is \"%s\"", i, words[i]);
    }
}


static void
test_reasons(void)
{
    unsigned  i, k;
    bool      unique;

    unique = true;

    for (i = 0; i < ES_STALLS; i++) {
        for (k = 0; k < i; k++) {
            unique &= strcmp(es_stall_name((es_stall_reason_t) i),
                             es_stall_name((es_stall_reason_t) k)) != 0;
        }

        ok(es_stall_is_state((es_stall_reason_t) i)
           == (i != ES_STALL_NONE && i != ES_STALL_SUBJECT),
           "\"%s\" is a state of the endpoint, or not",
           es_stall_name((es_stall_reason_t) i));
    }

    ok(unique, "each reason has a word of its own");
}


int
main(void)
{
    test_precedence();
    test_reasons();

    return done();
}
