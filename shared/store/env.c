/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An open environment: outcomes of LMDB, read transactions, copies, and growth
 * by other processes.
 *
 * env_open.c opens, closes and recovers an environment; env_write.c has the
 * write transactions.
 */

#include <errno.h>

#include "base/base.h"
#include "base/reason.h"
#include "store/env.h"
#include "store/env_impl.h"

static _Thread_local unsigned  es_env_depth;    /* transactions open */
static _Thread_local uint64_t  es_env_eras;


es_rc_t
es_env_rc(int mdb_rc)
{
    switch (mdb_rc) {

    case 0:
        return ES_OK;

    case MDB_NOTFOUND:
        return ES_NOT_FOUND;

    case MDB_KEYEXIST:
        return ES_EXISTS;

    case MDB_MAP_FULL:
        errno = 0;
        return ES_FULL;

    case ENOSPC:
    case EDQUOT:
        errno = mdb_rc;
        return ES_FULL;

    case MDB_READERS_FULL:
    case MDB_MAP_RESIZED:
    case MDB_PANIC:
    case EAGAIN:
        return ES_BUSY;

    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
        return ES_CORRUPT;

    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return ES_FORMAT;

    case ENOMEM:
        return ES_NOMEM;

    default:
        errno = mdb_rc > 0 ? mdb_rc : EIO;
        return es_refused_text(ES_IO, "LMDB: %s", mdb_strerror(mdb_rc));
    }
}


es_rc_t
es_env_failed(const es_env_t *env, int mdb_rc, const char *what)
{
    es_rc_t  rc;

    rc = es_env_rc(mdb_rc);

    return rc == ES_IO || (rc == ES_FULL && mdb_rc != MDB_MAP_FULL)
           ? es_refused(mdb_rc, what, env->options.dir) : rc;
}


es_rc_t
es_env_problem(es_problem_t *problem, es_rc_t rc, const char *dir)
{
    if (rc == ES_IO || rc == ES_FULL || rc == ES_TAKEN) {
        return es_problem_set(problem, rc, -1, NULL, "%s", es_reason(rc));
    }

    /* All other reasons are permanent for this open. */

    return es_problem_set(problem, rc, -1, NULL, "cannot open \"%s\": %s",
                          es_refused_path(dir),
                          rc == ES_BUSY ? "its reader table is full"
                                        : es_strerror(rc));
}


bool
es_env_lost(es_env_t *env)
{
    return atomic_load(&env->lost);
}


MDB_dbi
es_env_dbi(const es_env_t *env, unsigned i)
{
    return env->dbis[i];
}


static const es_env_db_t *
es_env_late_db(const es_env_t *env)
{
    const es_env_db_t  *db;

    db = &env->options.dbs[env->ndbs];

    return db->name != NULL && db->late ? db : NULL;
}


es_rc_t
es_env_late_find(es_env_t *env, MDB_txn *txn, unsigned flags)
{
    int                 rc;
    const es_env_db_t  *db;

    db = es_env_late_db(env);

    if (db == NULL || env->making != 0 || atomic_load(&env->late) != 0) {
        return ES_OK;
    }

    rc = mdb_dbi_open(txn, db->name, db->flags | flags, &env->making);

    if (rc != 0) {
        env->making = 0;
    }

    return es_env_rc(rc);
}


es_rc_t
es_env_late_make(es_env_t *env, MDB_txn *txn, MDB_dbi *dbi)
{
    es_rc_t  rc;

    rc = es_env_late_find(env, txn, MDB_CREATE);
    *dbi = env->making ? env->making : atomic_load(&env->late);

    return rc;
}


/* No other transaction of this process may be open while one opens a
   handle, so the caller holds the lock. */

static int
es_env_late_read(es_env_t *env, const es_env_db_t *db, MDB_dbi *dbi)
{
    int       rc;
    MDB_txn  *txn;

    *dbi = atomic_load(&env->late);

    if (*dbi != 0) {
        return 0;
    }

    if (env->mdb == NULL || es_env_lost(env)) {
        return MDB_PANIC;
    }

    rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &txn);
    if (rc != 0) {
        return rc;
    }

    rc = mdb_dbi_open(txn, db->name, db->flags, dbi);

    if (rc != 0) {
        mdb_txn_abort(txn);
        return rc;
    }

    rc = mdb_txn_commit(txn);
    atomic_store(&env->late, rc == 0 ? *dbi : 0);

    return rc;
}


es_rc_t
es_env_late_open(es_env_t *env, MDB_dbi *dbi)
{
    int                 rc;
    es_rc_t             result;
    const es_env_db_t  *db;

    db = es_env_late_db(env);
    *dbi = atomic_load(&env->late);

    if (db == NULL) {
        return ES_NOT_FOUND;
    }

    if (*dbi != 0) {
        return ES_OK;
    }

    (void) pthread_rwlock_wrlock(&env->lock);
    rc = es_env_late_read(env, db, dbi);
    (void) pthread_rwlock_unlock(&env->lock);

    if (rc == MDB_MAP_RESIZED) {
        result = es_env_remap(env, 0);

        return result == ES_OK ? es_env_late_open(env, dbi) : result;
    }

    return es_env_rc(rc);
}


MDB_env *
es_env_handle(es_env_t *env)
{
    return env->mdb;
}


/* While the environment is opened anew, readers get ES_BUSY and do not
   wait. */

es_rc_t
es_env_enter(es_env_t *env)
{
    if (pthread_rwlock_tryrdlock(&env->lock) != 0) {
        if (es_env_lost(env)) {
            return ES_BUSY;
        }

        (void) pthread_rwlock_rdlock(&env->lock);
    }

    if (es_env_lost(env)) {
        (void) pthread_rwlock_unlock(&env->lock);
        return ES_BUSY;
    }

    es_env_depth++;

    return ES_OK;
}


void
es_env_leave(es_env_t *env)
{
    if (--es_env_depth == 0) {
        es_env_eras++;
    }

    (void) pthread_rwlock_unlock(&env->lock);
}


uint64_t
es_env_era(void)
{
    return es_env_eras;
}


bool
es_env_again(es_env_t *env, int mdb_rc, es_rc_t *rc)
{
    int  dead;

    if (mdb_rc == MDB_PANIC) {
        atomic_store(&env->lost, true);
    }

    /* Slots of dead processes may fill the table. */

    dead = 0;

    if (mdb_rc == MDB_READERS_FULL) {
        (void) mdb_reader_check(env->mdb, &dead);
    }

    es_env_leave(env);

    if (dead > 0) {
        *rc = ES_OK;
        return true;
    }

    *rc = mdb_rc == MDB_MAP_RESIZED ? es_env_remap(env, 0)
                                    : es_env_failed(env, mdb_rc, "use");

    return *rc == ES_OK;
}


es_rc_t
es_env_read_begin(es_env_t *env, MDB_txn **txn)
{
    int      mdb_rc;
    es_rc_t  rc;

    do {
        rc = es_env_enter(env);
        if (rc != ES_OK) {
            return rc;
        }

        mdb_rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, txn);
        if (mdb_rc == 0) {
            return ES_OK;
        }

    } while (es_env_again(env, mdb_rc, &rc));

    return rc;
}


void
es_env_read_end(es_env_t *env, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    es_env_leave(env);
}


es_rc_t
es_env_copy(es_env_t *env, int fd)
{
    int      mdb_rc;
    es_rc_t  rc;

    do {
        rc = es_env_enter(env);
        if (rc != ES_OK) {
            return rc;
        }

        /* All errors that are worth a retry come before the first byte is
           written. */

        mdb_rc = mdb_env_copyfd2(env->mdb, fd, MDB_CP_COMPACT);
        if (mdb_rc == 0) {
            es_env_leave(env);
            return ES_OK;
        }

    } while (es_env_again(env, mdb_rc, &rc));

    return rc;
}


/* Size 0 takes the size that another process has set. */

es_rc_t
es_env_remap(es_env_t *env, uint64_t size)
{
    int  rc;

    (void) pthread_rwlock_wrlock(&env->lock);
    rc = env->mdb ? mdb_env_set_mapsize(env->mdb, size) : MDB_PANIC;
    (void) pthread_rwlock_unlock(&env->lock);

    return es_env_failed(env, rc, "map");
}


uint64_t
es_env_bytes(es_env_t *env)
{
    uint64_t     bytes;
    MDB_stat     stat;
    MDB_envinfo  info;

    if (es_env_enter(env) != ES_OK) {
        return 0;
    }

    (void) mdb_env_info(env->mdb, &info);
    (void) mdb_env_stat(env->mdb, &stat);
    bytes = (uint64_t) (info.me_last_pgno + 1) * stat.ms_psize;
    es_env_leave(env);

    return bytes;
}


uint64_t
es_env_version(es_env_t *env)
{
    MDB_envinfo  info;

    if (pthread_rwlock_tryrdlock(&env->lock) == 0) {
        if (env->mdb != NULL) {
            (void) mdb_env_info(env->mdb, &info);
            atomic_store_explicit(&env->version, info.me_last_txnid,
                                  memory_order_relaxed);
        }

        (void) pthread_rwlock_unlock(&env->lock);
    }

    return atomic_load_explicit(&env->version, memory_order_relaxed);
}


int
es_env_reap(es_env_t *env)
{
    int  dead;

    if (es_env_enter(env) != ES_OK) {
        return 0;
    }

    dead = 0;
    (void) mdb_reader_check(env->mdb, &dead);
    es_env_leave(env);

    return dead;
}
