/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Write transactions: turns, room, growth of the map.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/reason.h"
#include "store/env.h"
#include "store/env_impl.h"
#include "store/page_reserve.h"

#define ES_ENV_ROOM      (4 * 1024 * 1024)    /* bytes: less is a full disk */

#define ES_ENV_AGAIN_US  10000    /* who wrote just now and would again ... */
#define ES_ENV_YIELD_US  10000    /* ... lets others go first, so long */
#define ES_ENV_LOOK_US   100

#define ES_ENV_REAP_US   10000000

#define ES_ENV_PATIENCE     40    /* tries of what gives room back ... */
#define ES_ENV_PAUSE_US   5000    /* ... so far apart */
#define ES_ENV_TOUCH_MAX   512    /* bytes */

/* One write, and what it finds. */
typedef struct {
    es_env_fn   fn;
    void       *ctx;
    bool        gives;         /* room back: may use the reserve */
    bool        again;         /* is to be run once more */
} es_env_write_t;

static es_rc_t es_env_grow(es_env_t *env);


/* LMDB calls a short write EIO, which is what a disk that just got full
   gives. */

static es_rc_t
es_env_commit_rc(es_env_t *env, int mdb_rc)
{
    mdb_filehandle_t  fd;
    struct statvfs    fs;

    if (mdb_rc == EIO
        && mdb_env_get_fd(env->mdb, &fd) == 0
        && fstatvfs(fd, &fs) == 0
        && fs.f_bavail * fs.f_frsize < ES_ENV_ROOM)
    {
        mdb_rc = ENOSPC;
    }

    return es_env_failed(env, mdb_rc, "write");
}


/* Has the commit that just failed left the handle usable? */

static void
es_env_probe(es_env_t *env)
{
    int       rc;
    MDB_txn  *txn;

    rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);

    if (rc == 0) {
        mdb_txn_abort(txn);

    } else if (rc == MDB_PANIC) {
        atomic_store(&env->lost, true);
    }
}


/*
 * LMDB's writer lock goes to who asks first when it is let go, which is the
 * process that has just let it go and wants it again: one that writes in a
 * loop keeps all others from writing, for as long as it likes when cores are
 * busy.  So who waits for the lock says so, by a shared lock on a byte of the
 * environment's directory (its thread's number: a process may have several
 * that wait), which nothing else locks and which dies with its process; and
 * who has written just now lets those go first.  It looks and does not wait
 * for them without bound: they may be stopped.
 */

static void
es_env_queue(const es_env_t *env, short type)
{
    struct flock  lock = { 0 };

    if (env->queue != -1) {
        lock.l_type = type;
        lock.l_whence = SEEK_SET;
        lock.l_start = gettid();
        lock.l_len = 1;

        (void) fcntl(env->queue, F_OFD_SETLK, &lock);
    }
}


static bool
es_env_others_wait(const es_env_t *env)
{
    struct flock  lock = { 0 };

    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;

    return env->queue != -1
           && fcntl(env->queue, F_OFD_GETLK, &lock) == 0
           && lock.l_type != F_UNLCK;
}


static void
es_env_give_way(es_env_t *env)
{
    int  us;

    if (es_clock_mono_us() - atomic_load(&env->wrote_us) > ES_ENV_AGAIN_US) {
        return;
    }

    for (us = 0; us < ES_ENV_YIELD_US && es_env_others_wait(env);
         us += ES_ENV_LOOK_US)
    {
        (void) usleep(ES_ENV_LOOK_US);
    }
}


/* Runs `fn` and, if it may be committed, commits it. */

static es_rc_t
es_env_write_txn(es_env_t *env, const es_env_write_t *w, MDB_txn *txn)
{
    int      rc;
    int64_t  grown;
    es_rc_t  result;

    grown = w->gives ? 0 : -(int64_t) es_reserve_used(txn, env->dbis,
                                                      env->ndbs);

    errno = 0;
    result = w->fn(txn, w->ctx);

    if (result == ES_OK && !w->gives) {
        grown += (int64_t) es_reserve_used(txn, env->dbis, env->ndbs);
        rc = es_reserve_check(&env->room, env->mdb, grown,
                              atomic_load(&env->map_max));
        result = es_env_rc(rc);
    }

    if (result != ES_OK) {
        rc = errno;
        mdb_txn_abort(txn);
        errno = rc;

        return result;
    }

    errno = 0;
    result = es_env_commit_rc(env, mdb_txn_commit(txn));
    atomic_store(&env->wrote_us, es_clock_mono_us());

    if (result != ES_OK) {
        rc = errno;
        es_env_probe(env);
        errno = rc;
    }

    return result;
}


/* A dead reader keeps what is written from using pages again, so that it is
   whoever writes who clears them away. */

static void
es_env_reap_due(es_env_t *env)
{
    int64_t  now_us;

    now_us = es_clock_mono_us();

    if (now_us - atomic_load(&env->reaped_us) >= ES_ENV_REAP_US) {
        atomic_store(&env->reaped_us, now_us);
        (void) mdb_reader_check(env->mdb, NULL);
    }
}


static es_rc_t
es_env_write_once(es_env_t *env, es_env_write_t *w)
{
    int       rc, err;
    es_rc_t   result;
    MDB_txn  *txn;

    w->again = false;

    es_env_give_way(env);

    result = es_env_enter(env);
    if (result != ES_OK) {
        w->again = true;
        return result;
    }

    es_env_reap_due(env);

    es_env_queue(env, F_RDLCK);
    rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
    es_env_queue(env, F_UNLCK);

    if (rc != 0) {
        w->again = es_env_again(env, rc, &result) || rc == MDB_PANIC;
        return result;
    }

    result = es_env_write_txn(env, w, txn);

    err = errno;
    es_env_leave(env);
    errno = err;

    /* ES_FULL with an errno is the disk; without, the map. */

    if (result == ES_FULL && err == 0) {
        result = es_env_grow(env);
        w->again = result == ES_OK;
    }

    return result;
}


/* Says what was full, and what gives room back; and, if there is one, the
   process that keeps it from doing so. */

static void
es_env_full(const es_env_t *env, bool disk, int pid)
{
    char         more[80];
    const char  *name, *remedy;

    name = strrchr(env->options.dir, '/');
    name = name ? name + 1 : env->options.dir;
    remedy = env->options.remedy;
    more[0] = '\0';

    if (pid != 0) {
        (void) snprintf(more, sizeof(more), "; process %d reads an old state "
                        "and keeps freed pages from use", pid);
    }

    if (disk) {
        (void) es_refused_text(ES_FULL, "store full: %s/ has no room on its "
                               "disk: make room there, or %s%s", name, remedy,
                               more);
        return;
    }

    (void) es_refused_text(ES_FULL, "store full: %s/ has reached map_max (%llu "
                           "bytes): %s, or raise it in the file \"format\"%s",
                           name,
                           (unsigned long long) atomic_load(&env->map_max),
                           remedy, more);
}


static es_rc_t
es_env_write(es_env_t *env, es_env_fn fn, void *ctx, bool gives)
{
    int             err;
    es_rc_t         rc;
    es_env_write_t  w = { fn, ctx, gives, false };

    do {
        rc = es_env_recover(env);
        if (rc != ES_OK) {
            return rc;
        }

        rc = es_env_write_once(env, &w);

    } while (w.again);

    err = errno;

    if (rc == ES_FULL) {
        es_env_full(env, err != 0, 0);
    }

    /* Readers should not have to wait for the next writer. */

    (void) es_env_recover(env);
    errno = err;

    return rc;
}


es_rc_t
es_env_update(es_env_t *env, es_env_fn fn, void *ctx)
{
    return es_env_write(env, fn, ctx, false);
}


/* Writes some record as it is: what commits before have freed can be used
   after one more of them. */

static es_rc_t
es_env_touch(MDB_txn *txn, void *ctx)
{
    int          rc;
    char         bytes[ES_ENV_TOUCH_MAX];
    MDB_val      key, value;
    unsigned     i;
    es_env_t    *env = ctx;
    MDB_cursor  *cursor;

    for (i = 0; i < env->ndbs; i++) {
        if (env->options.dbs[i].flags & MDB_DUPSORT) {
            continue;
        }

        rc = mdb_cursor_open(txn, env->dbis[i], &cursor);
        if (rc != 0) {
            return es_env_rc(rc);
        }

        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);

        if (rc == 0 && value.mv_size <= sizeof(bytes)) {
            memcpy(bytes, value.mv_data, value.mv_size);
            value.mv_data = bytes;
            rc = mdb_cursor_put(cursor, &key, &value, MDB_CURRENT);
            mdb_cursor_close(cursor);

            return es_env_rc(rc);
        }

        mdb_cursor_close(cursor);
    }

    return ES_OK;
}


/* The process of a reader that lags behind and keeps pages from being used
   again; 0: there is none. */

static int
es_env_lagging(es_env_t *env)
{
    int  pid;

    if (es_env_enter(env) != ES_OK) {
        return 0;
    }

    pid = es_reserve_reader(env->mdb);
    es_env_leave(env);

    return pid;
}


/* What gives room back found none.  Free pages may come by a dead reader's
   slot, by another commit, or when a reader is done; false: by none of them. */

static bool
es_env_wait_room(es_env_t *env, unsigned tries)
{
    if (tries == ES_ENV_PATIENCE) {
        return false;
    }

    (void) es_env_reap(env);

    if (es_env_lagging(env) == 0) {
        (void) es_env_write(env, es_env_touch, env, true);
    }

    (void) usleep(ES_ENV_PAUSE_US);

    return true;
}


es_rc_t
es_env_shrink(es_env_t *env, es_env_fn fn, void *ctx, es_slice_t *slice)
{
    int       err;
    es_rc_t   rc;
    unsigned  tries;

    for (tries = 0; ; ) {
        rc = es_env_write(env, fn, ctx, true);

        if (rc != ES_FULL) {
            break;
        }

        err = errno;

        if (slice->max > 1) {
            slice->max = slice->max / 4 ? slice->max / 4 : 1;

        } else if (!es_env_wait_room(env, tries++)) {
            es_env_full(env, err != 0, es_env_lagging(env));
            errno = err;
            return rc;
        }
    }

    if (rc == ES_OK) {
        slice->max = slice->max < slice->most / 2 ? slice->max * 2
                                                  : slice->most;
    }

    return rc;
}


/* A map can be larger than `map_max`, which was lowered then: what is raised
   now is the limit alone. */

static es_rc_t
es_env_grow(es_env_t *env)
{
    es_rc_t      rc;
    uint64_t     size, max, old;
    MDB_envinfo  info;

    rc = es_env_enter(env);
    if (rc != ES_OK) {
        return rc;
    }

    (void) mdb_env_info(env->mdb, &info);
    es_env_leave(env);

    old = atomic_load(&env->map_max);
    max = old;

    if (info.me_mapsize >= max && env->options.limit != NULL) {
        max = env->options.limit(env->options.limit_ctx);
        atomic_store(&env->map_max, max);
    }

    if (info.me_mapsize < max) {
        size = info.me_mapsize * 2;

        return es_env_remap(env, size < max ? size : max);
    }

    errno = 0;

    return max > old ? ES_OK : ES_FULL;
}
