/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Overwrites free pages with records of zeros, and the end of the file.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/reason.h"
#include "store/env.h"
#include "store/env_impl.h"
#include "store/page_reserve.h"
#include "store/scrub_impl.h"

#define ES_SCRUB_WAIT_US   20000
#define ES_SCRUB_ROOM      (UINT64_C(256) << 20)   /* bytes */
#define ES_SCRUB_FREE_DBI  0


static size_t
es_scrub_record(const es_env_t *env)
{
    return env->reserve.page - 16;         /* a page without its head */
}


/* The database of the records of zeros.  Nobody walks all of it. */

static MDB_dbi
es_scrub_dbi(const es_env_t *env)
{
    return env->dbis[env->meta];
}


static MDB_val
es_scrub_name(uint64_t number, uint8_t name[16])
{
    unsigned  i;

    memcpy(name, ES_SCRUB_NAME, 7);

    for (i = 0; i < sizeof(number); i++) {
        name[7 + i] = (uint8_t) (number >> (56 - 8 * i));
    }

    return (MDB_val) { 15, name };
}


/* Counts the free pages up to the transaction `txnid`, and notes the process
   that keeps them from use. */

static es_rc_t
es_scrub_free(es_env_t *env, size_t txnid, uint64_t *pages, int *reader)
{
    int          rc;
    size_t       id, n;
    MDB_txn     *txn;
    es_rc_t      result;
    MDB_val      key, value;
    MDB_cursor  *cursor;

    *pages = 0;

    result = es_env_read_begin(env, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, ES_SCRUB_FREE_DBI, &cursor);

    if (rc == 0) {
        for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
             rc == 0;
             rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        {
            memcpy(&id, key.mv_data, sizeof(id));
            memcpy(&n, value.mv_data, sizeof(n));

            if (id > txnid) {
                break;
            }

            *pages += n;
        }

        mdb_cursor_close(cursor);
    }

    es_env_read_end(env, txn);

    if (reader != NULL) {
        *reader = es_env_lagging(env);
    }

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


/* Puts records that fill a page each, so that the next transaction uses other
   pages, and deletes those of transactions before that it need not hold. */

static es_rc_t
es_scrub_fill_txn(MDB_txn *txn, void *ctx)
{
    int             rc;
    MDB_dbi         dbi;
    uint8_t         name[16];
    MDB_val         key, value;
    uint64_t        i;
    es_scrubber_t  *s = ctx;

    dbi = es_scrub_dbi(s->env);
    rc = 0;

    for (i = 0; rc == 0 && i < s->slice.max && i < s->n; i++) {
        key = es_scrub_name(s->number + i, name);
        value.mv_data = NULL;
        value.mv_size = es_scrub_record(s->env);

        rc = mdb_put(txn, dbi, &key, &value, MDB_RESERVE);

        if (rc == 0) {
            memset(value.mv_data, 0, value.mv_size);
        }
    }

    s->put = i;
    s->txnid = mdb_txn_id(txn);

    for (i = s->oldest; rc == 0 && !s->hold && i < s->number; i++) {
        key = es_scrub_name(i, name);
        rc = mdb_del(txn, dbi, &key, NULL);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }

    return es_env_rc(rc);
}


static es_rc_t
es_scrub_fill_once(es_scrubber_t *s, uint64_t pages)
{
    es_rc_t  rc;

    s->n = pages < s->duty.items ? (unsigned) pages : s->duty.items;
    rc = es_scrub_write(s, es_scrub_fill_txn);

    if (rc == ES_OK) {
        s->oldest = s->hold ? s->oldest : s->number;
        s->number += s->put;
    }

    return rc;
}


/* A page that is held is filled once only.  Without room for other writers
   beside those pages, each page is given back at once. */

static bool
es_scrub_room(es_env_t *env)
{
    uint64_t          used;
    MDB_envinfo       info;
    struct statvfs    fs;
    mdb_filehandle_t  fd;

    if (es_env_enter(env) != ES_OK) {
        return false;
    }

    (void) mdb_env_info(env->mdb, &info);
    (void) mdb_env_get_fd(env->mdb, &fd);
    used = (uint64_t) (info.me_last_pgno + 1) * env->reserve.page;

    if (fstatvfs(fd, &fs) != 0) {
        fs.f_bavail = 0;
    }

    es_env_leave(env);

    return used + ES_SCRUB_ROOM <= es_env_limit(env)
           && fs.f_bavail * fs.f_frsize >= ES_SCRUB_ROOM;
}


/* Uses every page that is free up to the present transaction. */

es_rc_t
es_scrub_fill(es_scrubber_t *s, int64_t wait_ms, es_scrub_t *scrub)
{
    size_t    until;
    es_rc_t   rc;
    int64_t   progress_us;
    uint64_t  pages, before;

    s->hold = es_scrub_room(s->env);

    /* After two commits all pages that were freed before them can be used. */

    rc = es_scrub_fill_once(s, 1);
    until = s->txnid;

    if (rc == ES_OK) {
        rc = es_scrub_fill_once(s, 1);
    }

    progress_us = es_clock_mono_us();
    before = UINT64_MAX;

    while (rc == ES_OK) {
        rc = es_scrub_free(s->env, until, &pages, &scrub->reader);

        if (rc != ES_OK || pages == 0) {
            break;
        }

        if (pages < before) {
            scrub->filled += before == UINT64_MAX ? 0 : before - pages;
            progress_us = es_clock_mono_us();

        } else if (es_clock_mono_us() - progress_us > wait_ms * 1000) {
            return ES_BUSY;

        } else {
            (void) es_env_reap(s->env);
            (void) usleep(ES_SCRUB_WAIT_US);
        }

        before = pages;
        rc = es_scrub_fill_once(s, scrub->reader != 0 ? 1 : pages);
    }

    scrub->filled += rc == ES_OK && before != UINT64_MAX ? before : 0;

    return rc;
}


/* Ends the records of zeros, also those of a run that was killed. */

static es_rc_t
es_scrub_end_txn(MDB_txn *txn, void *ctx)
{
    int             rc;
    uint8_t         name[16];
    MDB_val         key, value;
    unsigned        n;
    MDB_cursor     *cursor;
    es_scrubber_t  *s = ctx;

    s->put = 0;

    rc = mdb_cursor_open(txn, es_scrub_dbi(s->env), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key = es_scrub_name(0, name);
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

    for (n = 0; rc == 0 && n < s->slice.max; n++) {
        if (key.mv_size != 15 || memcmp(key.mv_data, name, 7) != 0) {
            break;
        }

        rc = mdb_cursor_del(cursor, 0);
        s->put++;

        if (rc == 0) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


/* Clears the file after LMDB's last page.  The writer lock keeps others from
   using that room. */

static es_rc_t
es_scrub_tail_txn(MDB_txn *txn, void *ctx)
{
    off_t             from;
    es_scrubber_t    *s = ctx;
    struct stat       sb;
    MDB_envinfo       info;
    mdb_filehandle_t  fd;

    (void) mdb_env_info(mdb_txn_env(txn), &info);
    (void) mdb_env_get_fd(mdb_txn_env(txn), &fd);

    from = (off_t) ((info.me_last_pgno + 1) * s->env->reserve.page);

    if (fstat(fd, &sb) != 0 || sb.st_size <= from) {
        return ES_STOP;
    }

    if (fallocate(fd, FALLOC_FL_ZERO_RANGE, from, sb.st_size - from) == 0
        || (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from,
                      sb.st_size - from) == 0
            && fallocate(fd, 0, from, sb.st_size - from) == 0))
    {
        return ES_STOP;
    }

    return es_refused(errno, "clear the end of", s->env->options.dir);
}


es_rc_t
es_scrub_ends(es_scrubber_t *s)
{
    es_rc_t  rc;

    do {
        rc = es_scrub_write(s, es_scrub_end_txn);
    } while (rc == ES_OK && s->put > 0);

    return rc;
}


es_rc_t
es_scrub_tail(es_scrubber_t *s)
{
    es_rc_t  rc;

    rc = es_env_shrink(s->env, es_scrub_tail_txn, s, &s->slice);

    return rc == ES_STOP ? ES_OK : rc;
}


/* LMDB's own list of free pages takes pages, too; a large one goes through
   states that the first pass does not see. */

bool
es_scrub_large(es_env_t *env)
{
    bool      large;
    MDB_txn  *txn;
    MDB_stat  stat;

    if (es_env_read_begin(env, &txn) != ES_OK) {
        return true;
    }

    large = mdb_stat(txn, ES_SCRUB_FREE_DBI, &stat) != 0
            || stat.ms_depth > 1 || stat.ms_overflow_pages != 0;
    es_env_read_end(env, txn);

    return large;
}
