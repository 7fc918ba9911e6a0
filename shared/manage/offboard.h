/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Offboards a partner: deletes all that a store has of it, but what the audit
 * and the log keep.
 *
 * The plan is a JSON object, which the receipt repeats:
 *
 *     partner, number, operations (its feed, or null), time,
 *     keys: [id], endpoints: [{name, number, positions, retries, attempts,
 *     dead_letters}], checkpoints: N, feeds: [{name, events, bytes}]
 *
 * es_offboard_begin() removes the partner and keeps the plan in one
 * transaction, and es_offboard_clean() does the rest.  Each step can be
 * repeated, so after a crash the same call completes the work.
 */

#ifndef ES_OFFBOARD_H
#define ES_OFFBOARD_H

#include <jansson.h>

#include "base/base.h"
#include "store/scrub.h"

/*
 * Makes the plan.  With `feeds` it also has the partner's private feeds: its
 * feed of operational events, and those that a pattern of its `feeds` other
 * than "*" matches and no other partner may read or publish to.
 *
 * ES_NOT_FOUND: no such partner.  ES_HELD with a problem that names the feed: a
 * hold keeps a private feed.  The caller owns `*plan`.
 */
es_rc_t es_offboard_plan(es_store_t *store, es_str_t partner, bool feeds,
    json_t **plan, es_problem_t *problem);

/* The plan of an offboarding that was interrupted.  ES_NOT_FOUND: there is
   none.  ES_CORRUPT. */
es_rc_t es_offboard_resume(es_store_t *store, es_str_t partner,
    json_t **plan);

/* Keys, endpoints and feeds of the plan. */
uint64_t es_offboard_records(const json_t *plan);

es_rc_t es_offboard_begin(es_store_t *store, const json_t *plan,
    es_problem_t *problem);

/*
 * Deletes the rest and overwrites what the files still have of it.  A feed that
 * is held by now stays, and its entry in the plan gets "kept": true.
 *
 * Needs all environments open for writing.  ES_BUSY with a problem: a dispatcher
 * runs and has not seen the removal; or a process, scrub->reader, keeps free
 * pages from being overwritten.
 */
es_rc_t es_offboard_clean(es_store_t *store, json_t *plan, int64_t wait_ms,
    es_scrub_t *scrub, es_problem_t *problem);

/* Forgets the plan, when the receipt is safe. */
es_rc_t es_offboard_end(es_store_t *store, const json_t *plan);

#endif /* ES_OFFBOARD_H */
