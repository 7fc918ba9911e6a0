/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Names of quotas, and their defaults.
 */

#include "base/base.h"
#include "limit/quota.h"

const es_quota_rule_t  es_quota_rules[ES_QUOTAS] = {
    [ES_QUOTA_ENDPOINTS] = { "endpoints", 100, 1000000 },
    [ES_QUOTA_KEYS] = { "keys", 100, 1000000 },
    [ES_QUOTA_FEEDS] = { "feeds", 64, 256 },
    [ES_QUOTA_CONSUMERS] = { "consumers", 1000, 1000000 },
    [ES_QUOTA_REQUESTS] = { "requests", 100, 10000 },
    [ES_QUOTA_BYTES] = { "bytes", 1024 * 1024, 1024 * 1024 * 1024 }
};


es_rc_t
es_quota_find(es_str_t name, es_quota_t *quota)
{
    unsigned  i;

    for (i = 0; i < ES_QUOTAS; i++) {

        if (es_str_eq(es_str(es_quota_rules[i].name), name)) {
            *quota = (es_quota_t) i;
            return ES_OK;
        }
    }

    return ES_NOT_FOUND;
}


es_rc_t
es_quota_problem(es_problem_t *problem, es_quota_t quota, uint64_t limit)
{
    problem->quota = es_quota_rules[quota].name;
    problem->limit = limit;

    return problem->rc;
}
