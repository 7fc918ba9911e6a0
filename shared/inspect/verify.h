/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Walks a store and proves its invariants.
 */

#ifndef ES_VERIFY_H
#define ES_VERIFY_H

#include "log/feed.h"
#include "store/faults.h"

/*
 * Proves for every feed: sequences dense from oldest to last; each record's
 * and each event's hash; times never backwards; the events' own `sequence`,
 * `cursor` and `prevcursor` text; every event found by (source, id) and by
 * type, and no index entry without its event; what es_verify_registry() does;
 * with ES_STORE_CHECKPOINT, also what checkpoint.h says.  Needs
 * ES_STORE_PUBLISH for the id index.  Reads in bounded slices; safe beside live
 * traffic.  ES_OK when there is no fault, ES_CORRUPT otherwise.
 */
es_rc_t es_verify(es_store_t *store, es_verify_fn fn, void *ctx,
    es_verify_t *totals);

/* Proves that each record of the registry can be read and is found by its
   name, and that keys and endpoints have their partners. */
es_rc_t es_verify_registry(es_store_t *store, es_verify_fn fn, void *ctx,
    es_verify_t *totals);

#endif /* ES_VERIFY_H */
