/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes registry records, JSON objects, into typed structs.
 *
 * Only these files know the members of docs/registry.md.  The same code checks
 * what operators and partners write and reads what is stored.
 */

#ifndef ES_RECORD_H
#define ES_RECORD_H

#include <jansson.h>

#include "base/pool.h"
#include "registry/member.h"
#include "registry/registry.h"

/* ES_INVALID with a pointer: the kind does not have the member, or the library
   sets it. */
es_rc_t es_record_members(es_kind_t kind, json_t *object,
    es_problem_t *problem);

/*
 * Fill `out`, which the caller has zeroed, from an object.  Texts are copied
 * to the pool.  `partner` is the name of the partner of a key or endpoint; the
 * caller looks it up.  ES_INVALID with a problem, ES_NOMEM.
 */
es_rc_t es_partner_decode(json_t *object, es_pool_t *pool, es_partner_t *out,
    es_problem_t *problem);
/* The partner's quotas alone. */
es_rc_t es_partner_quotas(json_t *object, uint64_t quotas[ES_QUOTAS],
    es_problem_t *problem);
es_rc_t es_key_decode(json_t *object, es_pool_t *pool, es_key_t *out,
    es_str_t *partner, es_problem_t *problem);
es_rc_t es_endpoint_decode(json_t *object, es_pool_t *pool,
    es_endpoint_t *out, es_str_t *partner, es_problem_t *problem);

es_rc_t es_feed_rule_decode(json_t *object, es_pool_t *pool,
    es_feed_rule_t *out, es_problem_t *problem);

/* peer_cert.c.  Take the member `certificate` once `digest` is known, and
   check the id of a key with one. */
es_rc_t es_peer_cert_take(es_record_t *r, es_key_t *out);
es_rc_t es_peer_cert_check(const es_key_t *key, es_str_t id,
    es_problem_t *problem);

/* endpoint_simulate.c.  A write checks that the failure ends within a day. */
es_rc_t es_simulate_check(const es_simulation_t *simulate, int64_t now_ms,
    es_problem_t *problem);

/* endpoint_secrets.c.  A write checks URL and secrets. */
es_rc_t es_endpoint_check(const es_endpoint_t *endpoint,
    es_problem_t *problem);

#endif /* ES_RECORD_H */
