/*
 * access.h - which writes to the registry leave partners and keys as they are.
 *
 * A picture for who only admits requests holds nothing else, and ten thousand
 * keys take 50 ms and more to load.  A write that touches neither says so in
 * its own transaction.  One that says nothing is taken to have changed them,
 * so that no writer can be overlooked, not one of an older version either.
 *
 * Database `meta`: "access" -> two numbers of transactions, 8 bytes big-endian
 * each: partners and keys are the same from the first to the second.
 */

#ifndef ES_ACCESS_H
#define ES_ACCESS_H

#include "store.h"

/* In a write transaction of the registry's that leaves them as they are; may
   be called more than once. */
es_rc_t es_access_keep(es_store_t *store, MDB_txn *txn);

/* True when the transaction sees them as they were at `version`. */
bool es_access_kept(es_store_t *store, MDB_txn *txn, uint64_t version);

#endif /* ES_ACCESS_H */
