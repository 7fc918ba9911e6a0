/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Read transactions as scoped objects, and where the environments are.
 *
 * A read transaction is one consistent view of the event log.  Pointers that
 * readers hand out point into the map and die with es_txn_end().  Keep it for
 * one response or one slice, never across a wait: an open one stops LMDB from
 * reusing pages.  A transaction belongs to one thread at a time.
 */

#ifndef ES_TXN_H
#define ES_TXN_H

#include "base/base.h"

typedef struct es_txn  es_txn_t;

/*
 * Begins a read of the event log.  Cheap (a renewed transaction).  Adapts to
 * a map that another process has grown.  ES_BUSY: reader table full, or the
 * log is lost.
 */
es_rc_t es_txn_begin(es_store_t *store, es_txn_t **txn);
void es_txn_end(es_txn_t *txn);

/* Number of the last commit that the transaction sees. */
uint64_t es_txn_version(const es_txn_t *txn);

/*
 * Number of the last commit seen in shared memory; a plain memory read.  It
 * can be there some milliseconds before a transaction sees the commit: what
 * was read is as of es_txn_version(), whatever this has said before.
 */
uint64_t es_store_version(es_store_t *store);

/* Of this store and its copies: random, made with it. */
uint64_t es_store_identity(const es_store_t *store);

/*
 * A commit failed in such a way that LMDB's handle can no longer be used
 * (env.h).  Reads answer ES_BUSY until the next publish, or this recovery,
 * has opened the store anew; it waits for the disk.  Whatever but ES_OK: still
 * lost, to be tried again.  es_store_lost() is a memory read.
 */
bool es_store_lost(es_store_t *store);
es_rc_t es_store_recover(es_store_t *store);

/* Frees reader slots of dead processes; returns how many. */
int es_store_reap_readers(es_store_t *store);

/* When it was opened a dead process with the number of this one had slots: see
   es_env_shadows(). */
bool es_store_shadows(const es_store_t *store);

/*
 * Creates an empty store in `path` (made if missing) owned by the caller,
 * directories 0770 and files 0660.  ES_EXISTS if there is one.
 */
es_rc_t es_store_create(const char *path, es_problem_t *problem);

/* Checks the `format` file only; opens no environment: for `nginx -t`. */
es_rc_t es_store_probe(const char *path, es_problem_t *problem);

const char *es_store_path(const es_store_t *store);

#endif /* ES_TXN_H */
