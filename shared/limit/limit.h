/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What is limited, by which unit, and how a limit is written.
 */

#ifndef ES_LIMIT_H
#define ES_LIMIT_H

#include "limit/gcra.h"

/* The index of a policy's word.  ES_POLICY_ADDRESS is no partner's. */
typedef enum {
    ES_POLICY_POLL = 0,        /* requests that read */
    ES_POLICY_PUBLISH,         /* events */
    ES_POLICY_BACKFILL,        /* bytes of bodies that are streamed */
    ES_POLICY_WAITS,           /* requests under way: only `burst` counts */
    ES_POLICIES,
    ES_POLICY_ADDRESS = ES_POLICIES,   /* requests of a client's address */
    ES_POLICIES_ALL
} es_policy_t;

/* "poll" and so on, NUL-terminated. */
es_str_t es_policy_name(es_policy_t policy);

/* ES_NOT_FOUND: there is no such policy. */
es_rc_t es_policy_find(es_str_t name, es_policy_t *policy);

/*
 * Completes a rate of text: of the policy's unit, with the burst given or, if
 * that is 0, the default: one unit, and for bytes what is earned in a period.
 * ES_INVALID: the text is no rate.  ES_TOO_LARGE: the burst would take more
 * than a hundred years to be earned.  Not for ES_POLICY_WAITS.
 */
es_rc_t es_limit_set(es_policy_t policy, es_str_t text, uint64_t burst,
    es_rate_t *rate);

#endif /* ES_LIMIT_H */
