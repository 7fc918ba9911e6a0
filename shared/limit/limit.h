/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Policies: the requests that a limit counts, its unit, and its text.
 */

#ifndef ES_LIMIT_H
#define ES_LIMIT_H

#include "limit/gcra.h"

/* Indices of policies.  A partner cannot have a limit for
   ES_POLICY_ADDRESS. */
typedef enum {
    ES_POLICY_POLL = 0,        /* requests that read */
    ES_POLICY_PUBLISH,         /* events */
    ES_POLICY_BACKFILL,        /* bytes of streamed bodies */
    ES_POLICY_WAITS,           /* requests under way; only `burst` is used */
    ES_POLICY_MANAGE,          /* requests that manage endpoints */
    ES_POLICIES,
    ES_POLICY_ADDRESS = ES_POLICIES,   /* requests from one address */
    ES_POLICIES_ALL
} es_policy_t;

/* Returns "poll" and so on, NUL-terminated. */
es_str_t es_policy_name(es_policy_t policy);

/* ES_NOT_FOUND: there is no such policy. */
es_rc_t es_policy_find(es_str_t name, es_policy_t *policy);

/*
 * Parses a rate in the policy's unit and sets its burst.  If `burst` is 0, the
 * default applies: one unit, or for bytes the bytes of one period.
 *
 * ES_INVALID: the text is no rate.  ES_TOO_LARGE: the burst would take more
 * than a hundred years to be earned.  Not for ES_POLICY_WAITS.
 */
es_rc_t es_limit_set(es_policy_t policy, es_str_t text, uint64_t burst,
    es_rate_t *rate);

#endif /* ES_LIMIT_H */
