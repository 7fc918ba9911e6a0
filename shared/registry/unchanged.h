/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which writes to the registry leave partners and keys as they are,
 * and which endpoints as well.
 *
 * A picture for who only admits requests holds partners and keys, and that of
 * the dispatcher endpoints besides; ten thousand of either take 50 ms and more
 * to load.  A write that touches none of them says so in its own transaction.
 * One that says nothing is taken to have changed them, so that no writer can
 * be overlooked, not one of an older version either.
 *
 * Database `meta`: "access", and "endpoints" -> two numbers of transactions, 8
 * bytes big-endian each: partners and keys, and endpoints as well, are the same
 * from the first to the second.
 */

#ifndef ES_UNCHANGED_H
#define ES_UNCHANGED_H

#include "store/store.h"

/* In a write transaction of the registry's that leaves partners and keys as
   they are, and `endpoints` as well; may be called more than once. */
es_rc_t es_unchanged_mark(es_store_t *store, MDB_txn *txn, bool endpoints);

/* True when the transaction sees them as they were at `version`. */
bool es_unchanged_since(es_store_t *store, MDB_txn *txn, uint64_t version,
    bool endpoints);

#endif /* ES_UNCHANGED_H */
