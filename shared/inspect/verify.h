/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Verifies the invariants of a store (docs/architecture.md) and reports each
 * fault as a line of text.
 *
 * verify.c runs the checks; verify_events.c, verify_index.c and
 * verify_registry.c contain them.
 */

#ifndef ES_VERIFY_H
#define ES_VERIFY_H

#include "inspect/pace.h"
#include "log/feed.h"
#include "store/faults.h"

/*
 * Verifies for every feed:
 *
 *     - sequences are dense from oldest to last (I1), and times never go back;
 *     - each record and each event matches its hash (I3), and the digest chain
 *       is that of the events (I13);
 *     - each event's text states its own sequence, cursor and prevcursor;
 *     - each event is found by (source, id), by type and by subject (I4, I5,
 *       I12), and each entry of an index has its event;
 *
 * then the registry (es_verify_registry()), the secrets (I14), and with
 * ES_STORE_CHECKPOINT_READ the checkpoints (I16).
 *
 * Needs ES_STORE_PUBLISH for the id index.  Works in short slices, so it is
 * safe beside live traffic.  Calls `fn` for each fault.  ES_OK: no fault.
 * ES_CORRUPT: at least one.  Any other result: it could not go on.
 */
es_rc_t es_verify(es_store_t *store, es_verify_fn fn, void *ctx,
    es_verify_t *totals);

/*
 * Verifies what does not need the indexes: that each record of the log matches
 * its hash and follows the one before; then the registry, the secrets and the
 * checkpoints as es_verify() does.  Reads the log once, at the rate of `pace`,
 * in short read transactions, and writes nothing.  ES_STOP: pace->stop
 * was set.
 */
es_rc_t es_verify_records(es_store_t *store, es_pace_t *pace, es_verify_fn fn,
    void *ctx, es_verify_t *totals);

/* Verifies that each record of the registry can be read and is found by its
   name, and that the partner of each key and endpoint exists.  Calls `fn`
   without a fault for an operations feed that is not one partner's alone, see
   operations.h. */
es_rc_t es_verify_registry(es_store_t *store, es_verify_fn fn, void *ctx,
    es_verify_t *totals);

#endif /* ES_VERIFY_H */
