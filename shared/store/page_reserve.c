/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Measures the free pages of an environment from LMDB's own numbers.
 *
 * The common case compares two numbers.  Only near a limit does a commit
 * allocate more of the file, or read LMDB's list of free pages.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "store/reader_table.h"
#include "store/page_reserve.h"

/* The reserve is at most an eighth of the map, or of a small map a quarter, up
   to 1 MB; and at most a sixteenth of the disk. */
#define ES_RESERVE_MAP_PART    8
#define ES_RESERVE_SMALL_PART  4
#define ES_RESERVE_SMALL       (1 << 20)
#define ES_RESERVE_DISK_PART   16

#define ES_RESERVE_LAG         8      /* commits; a reader is seldom further
                                         behind */
#define ES_RESERVE_FREE_DBI    0      /* LMDB's own list of free pages */


static uint64_t
es_reserve_next(MDB_env *mdb, size_t *txnid)
{
    MDB_envinfo  info;

    (void) mdb_env_info(mdb, &info);

    if (txnid != NULL) {
        *txnid = info.me_last_txnid;
    }

    return info.me_last_pgno + 1;
}


static uint64_t
es_reserve_over(uint64_t end, uint64_t next)
{
    return end > next ? end - next : 0;
}


/* Allocates the file's blocks up to page `end`.  On failure the tail stays. */

static int
es_reserve_extend(es_reserve_t *reserve, MDB_env *mdb, uint64_t from,
    uint64_t end)
{
    int               rc;
    mdb_filehandle_t  fd;
    struct statvfs    fs;

    (void) mdb_env_get_fd(mdb, &fd);

    do {
        rc = fallocate(fd, 0, (off_t) (from * reserve->page),
                       (off_t) ((end - from) * reserve->page));
    } while (rc == -1 && errno == EINTR);

    if (rc == -1) {
        if (errno == ENOSPC || errno == EDQUOT) {
            return ENOSPC;
        }

        /* This file system cannot allocate, so its free space must do. */

        if (fstatvfs(fd, &fs) == 0
            && fs.f_bavail * fs.f_frsize < (end - from) * reserve->page)
        {
            return ENOSPC;
        }
    }

    atomic_store(&reserve->tail, end);

    return 0;
}


/* Returns the most that the reserve may be.  The need of one deletion grows
   far more slowly than the map. */

static uint64_t
es_reserve_part(uint64_t map_max)
{
    uint64_t  part, small;

    part = map_max / ES_RESERVE_MAP_PART;
    small = map_max / ES_RESERVE_SMALL_PART;
    small = small < ES_RESERVE_SMALL ? small : ES_RESERVE_SMALL;

    return part > small ? part : small;
}


void
es_reserve_init(es_reserve_t *reserve, MDB_env *mdb, uint64_t bytes,
    uint64_t step, uint64_t map_max)
{
    uint64_t          next;
    MDB_stat          stat;
    struct statvfs    fs;
    mdb_filehandle_t  fd;

    (void) mdb_env_stat(mdb, &stat);
    (void) mdb_env_get_fd(mdb, &fd);

    if (bytes > es_reserve_part(map_max)) {
        bytes = es_reserve_part(map_max);
    }

    if (fstatvfs(fd, &fs) == 0 && fs.f_blocks != 0
        && bytes > fs.f_blocks * fs.f_frsize / ES_RESERVE_DISK_PART)
    {
        bytes = fs.f_blocks * fs.f_frsize / ES_RESERVE_DISK_PART;
    }

    reserve->page = stat.ms_psize;
    reserve->pages = bytes / reserve->page;
    reserve->step = (step < bytes ? step : bytes) / reserve->page;

    next = es_reserve_next(mdb, NULL);
    atomic_store(&reserve->tail, next);

    (void) es_reserve_extend(reserve, mdb, next,
                             next + reserve->pages + reserve->step);
}


uint64_t
es_reserve_used(MDB_txn *txn, const MDB_dbi *dbis, unsigned n)
{
    unsigned  i;
    uint64_t  pages;
    MDB_stat  stat;

    pages = 0;

    for (i = 0; i < n; i++) {
        if (mdb_stat(txn, dbis[i], &stat) == 0) {
            pages += stat.ms_branch_pages + stat.ms_leaf_pages
                     + stat.ms_overflow_pages;
        }
    }

    return pages;
}


/* Returns the process of the reader that lags behind most, or 0.  `*oldest`
   is the commit that it reads, or SIZE_MAX if none lags behind. */

static int
es_reserve_lag(MDB_env *mdb, size_t *oldest)
{
    size_t             last;
    es_reader_table_t  readers;

    (void) es_reserve_next(mdb, &last);
    es_reader_table_read(mdb, &readers);

    if (readers.oldest == 0 || readers.oldest + ES_RESERVE_LAG >= last) {
        *oldest = SIZE_MAX;
        return 0;
    }

    *oldest = readers.oldest;

    return readers.slowest;
}


/*
 * Counts the free pages that no reader keeps from reuse, up to `wanted`.  LMDB
 * has a list of pages for each commit that freed some; the list begins with
 * their number.  A write transaction must not read these lists.
 */

static uint64_t
es_reserve_free(MDB_env *mdb, size_t oldest, uint64_t wanted)
{
    int          rc;
    size_t       txnid, n;
    MDB_txn     *txn;
    MDB_val      key, value;
    uint64_t     pages;
    MDB_cursor  *cursor;

    if (mdb_txn_begin(mdb, NULL, MDB_RDONLY, &txn) != 0) {
        return 0;
    }

    pages = 0;

    if (mdb_cursor_open(txn, ES_RESERVE_FREE_DBI, &cursor) == 0) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);

        while (rc == 0 && pages < wanted) {
            memcpy(&txnid, key.mv_data, sizeof(txnid));
            memcpy(&n, value.mv_data, sizeof(n));

            if (txnid >= oldest) {
                break;
            }

            pages += n;
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }

        mdb_cursor_close(cursor);
    }

    mdb_txn_abort(txn);

    return pages;
}


int
es_reserve_check(es_reserve_t *reserve, MDB_env *mdb, int64_t grown,
    uint64_t limit)
{
    size_t    oldest;
    uint64_t  next, need, map, disk, least;

    if (grown <= 0) {
        return 0;
    }

    next = es_reserve_next(mdb, NULL);
    need = reserve->pages + (uint64_t) grown;
    map = es_reserve_over(limit / reserve->page, next);
    disk = es_reserve_over(atomic_load(&reserve->tail), next);

    if (disk < need
        && es_reserve_extend(reserve, mdb, next,
                             next + need + reserve->step) == 0)
    {
        disk = need + reserve->step;
    }

    least = map < disk ? map : disk;

    if (least >= need) {
        return 0;
    }

    (void) es_reserve_lag(mdb, &oldest);
    least += es_reserve_free(mdb, oldest, need - least);

    if (least >= need) {
        return 0;
    }

    return map <= disk ? MDB_MAP_FULL : ENOSPC;
}


int
es_reserve_reader(MDB_env *mdb)
{
    size_t  oldest;

    return es_reserve_lag(mdb, &oldest);
}
