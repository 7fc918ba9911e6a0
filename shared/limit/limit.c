/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Names of policies, and the defaults of a limit.
 */

#include "base/base.h"
#include "limit/gcra.h"
#include "limit/limit.h"

static const es_str_t  es_policy_names[ES_POLICIES_ALL] = {
    [ES_POLICY_POLL] = { "poll", 4 },
    [ES_POLICY_PUBLISH] = { "publish", 7 },
    [ES_POLICY_BACKFILL] = { "backfill", 8 },
    [ES_POLICY_WAITS] = { "waits", 5 },
    [ES_POLICY_MANAGE] = { "manage", 6 },
    [ES_POLICY_ADDRESS] = { "address", 7 }
};


es_str_t
es_policy_name(es_policy_t policy)
{
    return es_policy_names[policy];
}


es_rc_t
es_policy_find(es_str_t name, es_policy_t *policy)
{
    unsigned  i;

    for (i = 0; i < ES_POLICIES_ALL; i++) {

        if (es_str_eq(es_policy_names[i], name)) {
            *policy = (es_policy_t) i;
            return ES_OK;
        }
    }

    return ES_NOT_FOUND;
}


es_rc_t
es_limit_set(es_policy_t policy, es_str_t text, uint64_t burst,
    es_rate_t *rate)
{
    bool  bytes;

    bytes = policy == ES_POLICY_BACKFILL;

    if (es_rate_parse(text, bytes, rate) != ES_OK) {
        return ES_INVALID;
    }

    rate->burst = burst > 0 ? burst : bytes ? rate->units : 1;

    return es_rate_ok(rate) ? ES_OK : ES_TOO_LARGE;
}
