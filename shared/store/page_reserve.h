/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The pages of an environment that only deletions may use.
 *
 * LMDB changes nothing in place.  A deletion first takes a new page for each
 * page that it changes, and the old pages are free two transactions later,
 * once no reader sees them.  So a deletion needs free pages, and an
 * environment that is full to the last page could never be made smaller.  An
 * insertion may therefore commit only if a reserve of pages stays free, both
 * below the limit of the map and in blocks that the file has on disk:
 *
 *     0            next              tail           limit
 *     |------------|.................|               |
 *      in use, and   blocks on        LMDB may go
 *      free pages    disk             this far
 *
 * fallocate() moves the tail in steps, before a commit needs it.  Free pages
 * between the used ones count as well, unless a reader that lags behind still
 * sees them.  Where the file system cannot allocate, the free space that it
 * reports must do; another program may still take that.
 *
 * Nothing of this is stored: all numbers are LMDB's own.
 */

#ifndef ES_PAGE_RESERVE_H
#define ES_PAGE_RESERVE_H

#include <lmdb.h>
#include <stdatomic.h>

#include "base/base.h"

typedef struct {
    uint64_t          pages;       /* that only deletions may use */
    uint64_t          step;        /* pages that the tail grows by beyond
                                      the need */
    size_t            page;        /* bytes of one */
    _Atomic uint64_t  tail;        /* pages */
} es_reserve_t;

/*
 * Sets the reserve and allocates the file's tail if the disk has room.  The
 * reserve has `bytes` bytes, but at most a sixteenth of the disk and an
 * eighth of `map_max` (a quarter, up to 1 MB, of a smaller map).
 */
void es_reserve_init(es_reserve_t *reserve, MDB_env *mdb, uint64_t bytes,
    uint64_t step, uint64_t map_max);

/* Returns the number of pages of these databases, as the transaction sees
   them. */
uint64_t es_reserve_used(MDB_txn *txn, const MDB_dbi *dbis, unsigned n);

/*
 * Decides whether a transaction may commit whose databases have grown by
 * `grown` pages.  Called within the transaction.  0: it may.  MDB_MAP_FULL:
 * not within `limit` bytes of map.  ENOSPC: not on this disk.  The call mostly
 * compares numbers; in steps it moves the tail, and as a last resort it reads
 * the list of free pages.
 */
int es_reserve_check(es_reserve_t *reserve, MDB_env *mdb, int64_t grown,
    uint64_t limit);

/* Returns the process of the reader that lags behind most and so keeps
   pages from reuse; 0: no reader lags behind. */
int es_reserve_reader(MDB_env *mdb);

#endif /* ES_PAGE_RESERVE_H */
