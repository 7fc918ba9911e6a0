/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Overwrites what LMDB leaves of deleted and replaced records in `data.mdb`.
 *
 * A commit of LMDB changes nothing in place, and so leaves old bytes:
 *
 *   1. in free pages, until they are used again;
 *   2. in the unused part of pages in use: a node that was deleted or moved
 *      leaves its bytes there, and each process keeps its page buffers and
 *      writes a page with whatever a buffer had before;
 *   3. in branch pages, which keep the key of a deleted record as a bound;
 *   4. after the last page, where a process was killed before its commit.
 *
 * Nobody but LMDB writes to pages that it knows.  es_env_scrub() first counts
 * itself in `meta`.  Each process that finds another count at its next write
 * opens the environment anew, which frees its buffers, and LMDB clears those
 * that it makes (env.h).  So no later page has old bytes in its unused part.
 * The call then rewrites each page whose unused part is not empty by a put of
 * one of its records as it is, and takes every free page for a record of zeros,
 * which it deletes again.  All steps are short transactions, so other writers
 * go on beside it.  After a crash they can be run again.
 *
 * LMDB copies pages by words.  So up to seven bytes beside the used part of a
 * page may stay.
 *
 * The layout of pages is LMDB's MDB_DATA_VERSION 1 (mdb.c, "MDB_page"); an
 * environment with another one is refused.
 */

#ifndef ES_SCRUB_H
#define ES_SCRUB_H

#include "store/env.h"

typedef struct {
    uint64_t  rewritten;       /* pages */
    uint64_t  filled;          /* free pages */
    int       reader;          /* process that reads an old state, so that free
                                  pages cannot be used; 0: none */
} es_scrub_t;

/*
 * Scrubs the environment, which must be writable and have `meta`.  ES_BUSY: a reader has kept
 * free pages from use for `wait_ms`; it is in `scrub->reader`.
 */
es_rc_t es_env_scrub(es_env_t *env, int64_t wait_ms, es_scrub_t *scrub);

/* Removes a key of the i-th database from branch pages, after its record was
   deleted. */
es_rc_t es_env_scrub_key(es_env_t *env, unsigned db, es_str_t key);

/* How often the environment was scrubbed, within a transaction.  After a
   change a process must free its page buffers before it writes (env.h). */
uint64_t es_env_scrubs(const es_env_t *env, MDB_txn *txn);

#endif /* ES_SCRUB_H */
