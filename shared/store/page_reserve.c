/* SPDX-License-Identifier: BSD-2-Clause */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "store/reader_table.h"
#include "store/page_reserve.h"

#define ES_ROOM_MAP_PART   8       /* of the map, the reserve at most ... */
#define ES_ROOM_SMALL_PART 4       /* ... and of one that is so small that ... */
#define ES_ROOM_SMALL  (1 << 20)   /* ... this would be more, in bytes */
#define ES_ROOM_DISK_PART 16       /* of the disk */
#define ES_ROOM_LAG        8       /* commits; readers are seldom so slow */
#define ES_ROOM_FREE_DBI   0       /* LMDB's own list of free pages */


static uint64_t
es_room_next(MDB_env *mdb, size_t *txnid)
{
    MDB_envinfo  info;

    (void) mdb_env_info(mdb, &info);

    if (txnid != NULL) {
        *txnid = info.me_last_txnid;
    }

    return info.me_last_pgno + 1;
}


static uint64_t
es_room_over(uint64_t end, uint64_t next)
{
    return end > next ? end - next : 0;
}


/* Gives the file places on disk up to page `end`; on failure the tail is
   where it was. */

static int
es_room_extend(es_room_t *room, MDB_env *mdb, uint64_t from, uint64_t end)
{
    int               rc;
    mdb_filehandle_t  fd;
    struct statvfs    fs;

    (void) mdb_env_get_fd(mdb, &fd);

    do {
        rc = fallocate(fd, 0, (off_t) (from * room->page),
                       (off_t) ((end - from) * room->page));
    } while (rc == -1 && errno == EINTR);

    if (rc == -1) {
        if (errno == ENOSPC || errno == EDQUOT) {
            return ENOSPC;
        }

        /* The file system cannot promise: take it at its word. */

        if (fstatvfs(fd, &fs) == 0
            && fs.f_bavail * fs.f_frsize < (end - from) * room->page)
        {
            return ENOSPC;
        }
    }

    atomic_store(&room->tail, end);

    return 0;
}


/* How much of the map the reserve may be.  What one deletion needs grows far
   more slowly than the map. */

static uint64_t
es_room_part(uint64_t map_max)
{
    uint64_t  part, small;

    part = map_max / ES_ROOM_MAP_PART;
    small = map_max / ES_ROOM_SMALL_PART;
    small = small < ES_ROOM_SMALL ? small : ES_ROOM_SMALL;

    return part > small ? part : small;
}


void
es_room_init(es_room_t *room, MDB_env *mdb, uint64_t reserve, uint64_t step,
    uint64_t map_max)
{
    uint64_t          next;
    MDB_stat          stat;
    struct statvfs    fs;
    mdb_filehandle_t  fd;

    (void) mdb_env_stat(mdb, &stat);
    (void) mdb_env_get_fd(mdb, &fd);

    if (reserve > es_room_part(map_max)) {
        reserve = es_room_part(map_max);
    }

    if (fstatvfs(fd, &fs) == 0 && fs.f_blocks != 0
        && reserve > fs.f_blocks * fs.f_frsize / ES_ROOM_DISK_PART)
    {
        reserve = fs.f_blocks * fs.f_frsize / ES_ROOM_DISK_PART;
    }

    room->page = stat.ms_psize;
    room->reserve = reserve / room->page;
    room->step = (step < reserve ? step : reserve) / room->page;

    next = es_room_next(mdb, NULL);
    atomic_store(&room->tail, next);

    (void) es_room_extend(room, mdb, next, next + room->reserve + room->step);
}


uint64_t
es_room_used(MDB_txn *txn, const MDB_dbi *dbis, unsigned n)
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


/* The process of the reader that lags behind most, or 0; and the commit that it
   sees, which is beyond all if none lags behind. */

static int
es_room_lag(MDB_env *mdb, size_t *oldest)
{
    size_t        last;
    es_readers_t  readers;

    (void) es_room_next(mdb, &last);
    es_readers_look(mdb, &readers);

    if (readers.oldest == 0 || readers.oldest + ES_ROOM_LAG >= last) {
        *oldest = SIZE_MAX;
        return 0;
    }

    *oldest = readers.oldest;

    return readers.slowest;
}


/*
 * Counts the free pages that no reader keeps, until there are `wanted`.  LMDB
 * has a list of pages for each commit that freed some; it begins with their
 * number.  A transaction that writes may not read these lists.
 */

static uint64_t
es_room_free(MDB_env *mdb, size_t oldest, uint64_t wanted)
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

    if (mdb_cursor_open(txn, ES_ROOM_FREE_DBI, &cursor) == 0) {
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
es_room_check(es_room_t *room, MDB_env *mdb, int64_t grown, uint64_t limit)
{
    size_t    oldest;
    uint64_t  next, need, map, disk, least;

    if (grown <= 0) {
        return 0;
    }

    next = es_room_next(mdb, NULL);
    need = room->reserve + (uint64_t) grown;
    map = es_room_over(limit / room->page, next);
    disk = es_room_over(atomic_load(&room->tail), next);

    if (disk < need
        && es_room_extend(room, mdb, next, next + need + room->step) == 0)
    {
        disk = need + room->step;
    }

    least = map < disk ? map : disk;

    if (least >= need) {
        return 0;
    }

    (void) es_room_lag(mdb, &oldest);
    least += es_room_free(mdb, oldest, need - least);

    if (least >= need) {
        return 0;
    }

    return map <= disk ? MDB_MAP_FULL : ENOSPC;
}


int
es_room_reader(MDB_env *mdb)
{
    size_t  oldest;

    return es_room_lag(mdb, &oldest);
}
