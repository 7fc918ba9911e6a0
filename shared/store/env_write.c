/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Write transactions: turns at the writer lock, the page reserve, and growth
 * of the map.
 *
 * LMDB gives its writer lock to whichever process takes it first, lets a full
 * map fail, and can use its last page for an insertion.  es_env_update() and
 * es_env_shrink() add fairness, growth and the reserve.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/reason.h"
#include "store/env.h"
#include "store/env_impl.h"
#include "store/page_reserve.h"
#include "store/scrub.h"

#define ES_ENV_ROOM      (4 * 1024 * 1024)    /* bytes; a disk with less is
                                                 full */

#define ES_ENV_AGAIN_US  10000    /* a process that committed within this
                                     time ... */
#define ES_ENV_YIELD_US  10000    /* ... lets others write first, for at
                                     most this time */
#define ES_ENV_POLL_US   100

#define ES_ENV_REAP_US   10000000

#define ES_ENV_PATIENCE     40    /* tries to free pages ... */
#define ES_ENV_PAUSE_US   5000    /* ... and the pause between two tries */
#define ES_ENV_TOUCH_MAX   512    /* bytes */

/* One write and its result. */
typedef struct {
    es_env_fn   fn;
    void       *ctx;
    bool        frees;         /* frees pages: may use the reserve */
    bool        again;         /* must run once more */
} es_env_write_t;

static es_rc_t es_env_grow(es_env_t *env);


/* LMDB reports a short write as EIO, and a disk that has just filled up
   causes short writes. */

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


/* Finds out whether the commit that just failed has left the handle usable. */

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
 * The process that has just released LMDB's writer lock is the first to take
 * it again.  While cores are busy, a process that writes in a loop could
 * therefore keep all others from writing for as long as it likes.
 *
 * So a thread that waits for the lock holds a shared lock on a byte of the
 * environment's directory, at the offset of its thread id.  Nothing else locks
 * that file, and the lock dies with its process.  A process that has just
 * committed lets waiting ones write first.  It polls for a limited time only,
 * because a waiting process may be stopped.
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
         us += ES_ENV_POLL_US)
    {
        (void) usleep(ES_ENV_POLL_US);
    }
}


/* Pages of all databases that this process knows. */

static uint64_t
es_env_used(es_env_t *env, MDB_txn *txn)
{
    MDB_dbi   late;
    uint64_t  pages;

    late = env->making ? env->making : atomic_load(&env->late);
    pages = es_reserve_used(txn, env->dbis, env->ndbs);

    return late ? pages + es_reserve_used(txn, &late, 1) : pages;
}


/* Runs `fn`, and commits its changes if the reserve stays free. */

static es_rc_t
es_env_write_txn(es_env_t *env, const es_env_write_t *w, MDB_txn *txn)
{
    int      rc;
    int64_t  grown;
    es_rc_t  result;

    env->making = 0;
    result = es_env_late_find(env, txn, 0);
    grown = w->frees ? 0 : -(int64_t) es_env_used(env, txn);

    errno = 0;

    if (result == ES_OK || result == ES_NOT_FOUND) {
        result = w->fn(txn, w->ctx);
    }

    if (result == ES_OK && !w->frees) {
        grown += (int64_t) es_env_used(env, txn);
        rc = es_reserve_check(&env->reserve, env->mdb, grown,
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

    /* LMDB forgets a handle whose transaction fails. */

    if (result == ES_OK && env->making != 0) {
        atomic_store(&env->late, env->making);
    }

    if (result != ES_OK) {
        rc = errno;
        es_env_probe(env);
        errno = rc;
    }

    return result;
}


/* A dead reader keeps pages from reuse, which only writers need, so writers
   free the slots of dead readers. */

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


/* True if LMDB's page buffers of this process may have what was erased: they
   must not get into pages. */

static bool
es_env_stale(es_env_t *env, MDB_txn *txn, uint64_t *scrubs)
{
    *scrubs = es_env_scrubs(env, txn);

    if (!env->buffers) {
        env->buffers = true;
        env->scrubs = *scrubs;
    }

    return env->scrubs != *scrubs;
}


static es_rc_t
es_env_write_once(es_env_t *env, es_env_write_t *w)
{
    int       rc, err;
    es_rc_t   result;
    MDB_txn  *txn;
    uint64_t  scrubs;

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

    if (es_env_stale(env, txn, &scrubs)) {
        mdb_txn_abort(txn);
        es_env_leave(env);

        result = es_env_renew(env, scrubs);
        w->again = result == ES_OK;

        return result;
    }

    result = es_env_write_txn(env, w, txn);

    err = errno;
    es_env_leave(env);
    errno = err;

    /* ES_FULL with an errno means the disk, without one the map. */

    if (result == ES_FULL && err == 0) {
        result = es_env_grow(env);
        w->again = result == ES_OK;
    }

    return result;
}


/* Records which of the two is full and what gives room back.  `pid` is the
   process of a reader that keeps pages from reuse; 0: there is none. */

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
es_env_write(es_env_t *env, es_env_fn fn, void *ctx, bool frees)
{
    int             err;
    es_rc_t         rc;
    es_env_write_t  w = { fn, ctx, frees, false };

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
    ES_ASSERT_NO_EVENT_LOOP();

    return es_env_write(env, fn, ctx, false);
}


/* Rewrites some record as it is.  Pages that earlier commits have freed can
   be reused after one more commit. */

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


int
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


/*
 * Called when a deletion found no free pages.  A dead reader's slot, another
 * commit or the end of a reader may free some.  False: it is time to give up.
 */

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

    ES_ASSERT_NO_EVENT_LOOP();

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


uint64_t
es_env_limit(const es_env_t *env)
{
    return env->options.limit != NULL
           ? env->options.limit(env->options.limit_ctx)
           : atomic_load(&env->map_max);
}


/* `map_max` may have been lowered below the map's size.  Then only the
   limit grows, and the map stays. */

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
        max = es_env_limit(env);
        atomic_store(&env->map_max, max);
    }

    if (info.me_mapsize < max) {
        size = info.me_mapsize * 2;

        return es_env_remap(env, size < max ? size : max);
    }

    errno = 0;

    return max > old ? ES_OK : ES_FULL;
}
