/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Feeds of operational events belong to one partner and the dispatcher alone.
 *
 * A partner trusts what such a feed says about its endpoints, and it may be
 * confidential.  So no two partners share one, and no partner may publish to
 * one.
 */

#ifndef ES_OPERATIONS_H
#define ES_OPERATIONS_H

#include "registry/registry.h"
#include "store/store.h"

/*
 * Checks a partner against itself and all other partners, within a transaction
 * of the registry.  ES_INVALID with the pointer "/operations" or "/publish":
 * the feed of `operations` is also another partner's, or a partner may publish
 * to it.
 */
es_rc_t es_operations_check(es_store_t *store, MDB_txn *txn, es_str_t name,
    const es_partner_t *partner, es_problem_t *problem);

#endif /* ES_OPERATIONS_H */
