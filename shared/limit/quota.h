/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Quotas: how much of each kind a partner may have.  docs/registry.md lists
 * them.  The transaction that adds counts what is there.
 */

#ifndef ES_QUOTA_H
#define ES_QUOTA_H

#include "base/base.h"

typedef enum {
    ES_QUOTA_ENDPOINTS = 0,
    ES_QUOTA_KEYS,
    ES_QUOTA_FEEDS,            /* items of `feeds`, and of `publish` */
    ES_QUOTA_CONSUMERS,        /* checkpoints, on all feeds */
    ES_QUOTA_REQUESTS,         /* control requests that wait */
    ES_QUOTA_BYTES,            /* of the texts of keys and endpoints */
    ES_QUOTAS
} es_quota_t;

typedef struct {
    const char  *name;
    uint64_t     usual;        /* unless the partner's record says otherwise */
    uint64_t     max;          /* that the record may say */
} es_quota_rule_t;

extern const es_quota_rule_t  es_quota_rules[ES_QUOTAS];

/* ES_NOT_FOUND: there is no such quota. */
es_rc_t es_quota_find(es_str_t name, es_quota_t *quota);

/* Adds the quota to a problem that has been set, and returns the problem's
   outcome. */
es_rc_t es_quota_problem(es_problem_t *problem, es_quota_t quota,
    uint64_t limit);

#endif /* ES_QUOTA_H */
