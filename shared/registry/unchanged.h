/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Notes which writes leave partners and keys unchanged, and which leave
 * endpoints unchanged too, so that processes do not read the registry again.
 *
 * Workers only authenticate, so they remember partners and keys (access.h);
 * the dispatcher loads endpoints as well, and ten thousand take 50 ms and more.
 * A write that leaves them unchanged notes it in its own transaction.  A write
 * without a note counts as a change of everything, so that readers miss no
 * writer, not even one of an older version.
 *
 * The database `meta` holds under "access" (partners and keys) and "endpoints"
 * (endpoints as well) two transaction numbers of 8 bytes big-endian: nothing
 * of these changed from the first to the second.
 */

#ifndef ES_UNCHANGED_H
#define ES_UNCHANGED_H

#include "store/store.h"

/* Notes in a write transaction of the registry that it leaves partners and
   keys unchanged, and with `endpoints` these too.  May be called more than
   once. */
es_rc_t es_unchanged_mark(es_store_t *store, MDB_txn *txn, bool endpoints);

/* True if partners, keys and endpoints are in this transaction the same as at
   `version`. */
bool es_unchanged_since(es_store_t *store, MDB_txn *txn, uint64_t version);

/* The number of the transaction since which partners and keys are the same as
   in this one. */
es_rc_t es_unchanged_from(es_store_t *store, MDB_txn *txn, uint64_t *from);

#endif /* ES_UNCHANGED_H */
