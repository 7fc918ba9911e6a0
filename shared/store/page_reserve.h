/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The pages of an environment that only deletions may use.
 *
 * LMDB changes nothing in place.  A deletion first takes a new page for each
 * page that it changes, and the old ones are free two transactions later, once
 * no reader sees them.  So a deletion needs reserve, and an environment that is
 * full to the last page can never be made smaller.  Therefore a reserve is
 * kept.  Who adds may commit only when so many pages stay free afterwards,
 * both below the limit of the map and in places that the file has on disk:
 *
 *     0            next              tail           limit
 *     |------------|.................|               |
 *      in use, and   has a place on   LMDB may go
 *      free pages    disk already     so far
 *
 * `tail` is moved on with fallocate(), in steps, before a commit needs it.
 * Free pages between those in use count as well, unless a reader that lags
 * behind still sees them.  Where the file system cannot allocate, the space
 * that it says to have free must do; then another program may still take it.
 *
 * All of it works on LMDB's own numbers: nothing is stored.
 */

#ifndef ES_PAGE_RESERVE_H
#define ES_PAGE_RESERVE_H

#include <lmdb.h>
#include <stdatomic.h>

#include "base/base.h"

typedef struct {
    uint64_t          pages;       /* that only deletions may use */
    uint64_t          step;        /* pages that the tail grows by, besides */
    size_t            page;        /* bytes of one */
    _Atomic uint64_t  tail;        /* pages */
} es_reserve_t;

/*
 * Sets the reserve: `bytes` bytes, but no more than an eighth of `map_max` (a
 * quarter, up to 1 MB, of a smaller one) and a sixteenth of the disk; and gives
 * the file its tail, if there is room.
 */
void es_reserve_init(es_reserve_t *reserve, MDB_env *mdb, uint64_t bytes,
    uint64_t step, uint64_t map_max);

/* Pages that these databases have, as the transaction sees them. */
uint64_t es_reserve_used(MDB_txn *txn, const MDB_dbi *dbis, unsigned n);

/*
 * May a transaction be committed whose databases have grown by `grown` pages?
 * Called in it.  0; MDB_MAP_FULL: not within `limit` bytes of map; ENOSPC: not
 * on this disk.  Mostly it only compares; it moves the tail in steps, and
 * reads the list of free pages where nothing else is left.
 */
int es_reserve_check(es_reserve_t *reserve, MDB_env *mdb, int64_t grown,
    uint64_t limit);

/* The process of the reader that lags behind most and so keeps pages from
   being used again; 0: no reader lags behind. */
int es_reserve_reader(MDB_env *mdb);

#endif /* ES_PAGE_RESERVE_H */
