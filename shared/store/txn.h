/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Read transactions as scoped objects, and facts about an open store.
 *
 * A read transaction is one consistent view of the event log.  Pointers that
 * readers return point into the map and are invalid after es_txn_end().  A
 * transaction lives for one response or one slice, and never across a wait: an
 * open one keeps LMDB from reusing pages.  It belongs to one thread at a time.
 */

#ifndef ES_TXN_H
#define ES_TXN_H

#include "base/base.h"

typedef struct es_txn  es_txn_t;

/*
 * Begins a read of the event log; es_txn_end() ends it.  This mostly renews a
 * transaction that was kept.  It adapts to a map that another process has
 * grown.  ES_BUSY: the reader table is full, or the log is lost.
 */
es_rc_t es_txn_begin(es_store_t *store, es_txn_t **txn);
void es_txn_end(es_txn_t *txn);

/* Returns the number of the last commit that the transaction sees. */
uint64_t es_txn_version(const es_txn_t *txn);

/*
 * Returns the number of the last commit.  A memory read.  The number may
 * change some milliseconds before a transaction sees the commit, so a reader
 * must remember es_txn_version() of its transaction, and not this number.
 */
uint64_t es_store_version(es_store_t *store);

/* Returns a random number that the store and all its copies have. */
uint64_t es_store_identity(const es_store_t *store);

/*
 * es_store_lost(): a commit failed so that LMDB's handle is unusable (env.h).
 * Reads return ES_BUSY until the next publish or es_store_recover() has opened
 * the store anew.  es_store_lost() is a memory read; es_store_recover() waits
 * for the disk.  After an outcome other than ES_OK the store is still lost,
 * and the caller may try again.
 */
bool es_store_lost(es_store_t *store);
es_rc_t es_store_recover(es_store_t *store);

/* Frees reader slots of dead processes and returns their number. */
int es_store_reap_readers(es_store_t *store);

/* See es_env_shadows(): true if one of the environments has such slots. */
bool es_store_shadows(const es_store_t *store);

#endif /* ES_TXN_H */
