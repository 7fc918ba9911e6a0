/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Removes a partner from the registry with all that it owns, in one
 * transaction: its keys, endpoints, the memory of removed endpoints, and its
 * record.  So its access ends at once, and no crash leaves a part of it.
 *
 * The transaction also keeps the plan of what other environments still have to
 * delete, because nothing else names it any more.  The plan is a text of the
 * caller's, in the registry's `meta` under "offboard" and the partner's name.
 * Each removed record has its entry in the audit, and the plan has one.
 */

#ifndef ES_REGISTRY_OFFBOARD_H
#define ES_REGISTRY_OFFBOARD_H

#include "registry/registry.h"

/* Removes the partner and keeps the plan.  ES_NOT_FOUND: no such partner. */
es_rc_t es_registry_offboard(es_store_t *store, es_str_t partner,
    es_str_t plan, es_problem_t *problem);

/* Appends the plan.  ES_NOT_FOUND: there is none. */
es_rc_t es_registry_offboard_plan(es_store_t *store, es_str_t partner,
    es_buf_t *plan);

/* The first partner that has a plan; NUL-terminated.  ES_NOT_FOUND: none. */
es_rc_t es_registry_offboard_first(es_store_t *store,
    char partner[ES_FEED_MAX + 1]);

/* Forgets the plan, which was carried out. */
es_rc_t es_registry_offboard_end(es_store_t *store, es_str_t partner);

#endif /* ES_REGISTRY_OFFBOARD_H */
