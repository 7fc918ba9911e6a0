#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "env.h"

#define ES_ENV_READERS    1022
#define ES_ENV_OPEN_TRIES   50
#define ES_ENV_MODE       0660
#define ES_ENV_ROOM      (4 * 1024 * 1024)    /* bytes: less is a full disk */

struct es_env {
    MDB_env           *mdb;
    MDB_dbi            dbis[ES_ENV_DBS_MAX];
    uint64_t           map_max;
    /* Shared by whoever has a transaction open; exclusive to remap. */
    pthread_rwlock_t   map_lock;
};

static es_rc_t es_env_open_dbs(es_env_t *env, const es_env_options_t *options);
static es_rc_t es_env_remap(es_env_t *env, uint64_t size);
static es_rc_t es_env_grow(es_env_t *env);


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
        return ES_IO;
    }
}


es_rc_t
es_env_open(const es_env_options_t *options, es_env_t **out)
{
    int        rc;
    unsigned   flags, tries;
    es_env_t  *env;
    es_rc_t    result;

    env = calloc(1, sizeof(es_env_t));
    if (env == NULL) {
        return ES_NOMEM;
    }

    env->map_max = options->map_max;
    (void) pthread_rwlock_init(&env->map_lock, NULL);

    flags = MDB_NOTLS | (options->writable || options->create ? 0 : MDB_RDONLY);

    /* An open can fail when another process opens or closes at that very
       moment; a failed environment cannot be opened again. */

    for (tries = 0; ; tries++) {
        rc = mdb_env_create(&env->mdb);
        if (rc == 0) {
            rc = mdb_env_set_maxdbs(env->mdb, ES_ENV_DBS_MAX);
        }

        if (rc == 0) {
            rc = mdb_env_set_maxreaders(env->mdb, ES_ENV_READERS);
        }

        if (rc == 0 && options->map_initial != 0) {
            rc = mdb_env_set_mapsize(env->mdb, options->map_initial);
        }

        if (rc == 0) {
            rc = mdb_env_open(env->mdb, options->dir, flags, ES_ENV_MODE);
        }

        if (rc == 0) {
            break;
        }

        mdb_env_close(env->mdb);
        env->mdb = NULL;

        if ((rc != EAGAIN && rc != EBUSY && rc != EINVAL)
            || tries == ES_ENV_OPEN_TRIES)
        {
            result = es_env_rc(rc);
            goto failed;
        }

        usleep(2000);
    }

    result = es_env_open_dbs(env, options);
    if (result != ES_OK) {
        goto failed;
    }

    *out = env;
    return ES_OK;

failed:

    es_env_close(env);
    return result;
}


static es_rc_t
es_env_open_dbs(es_env_t *env, const es_env_options_t *options)
{
    int        rc;
    unsigned   i;
    MDB_txn   *txn;

    rc = mdb_txn_begin(env->mdb, NULL, options->create ? 0 : MDB_RDONLY, &txn);
    if (rc == MDB_MAP_RESIZED) {
        rc = mdb_env_set_mapsize(env->mdb, 0);
        if (rc == 0) {
            rc = mdb_txn_begin(env->mdb, NULL,
                               options->create ? 0 : MDB_RDONLY, &txn);
        }
    }

    if (rc != 0) {
        return es_env_rc(rc);
    }

    for (i = 0; options->dbs[i].name != NULL; i++) {
        rc = mdb_dbi_open(txn, options->dbs[i].name,
                          options->dbs[i].flags
                          | (options->create ? MDB_CREATE : 0),
                          &env->dbis[i]);
        if (rc != 0) {
            mdb_txn_abort(txn);
            return rc == MDB_NOTFOUND ? ES_FORMAT : es_env_rc(rc);
        }
    }

    return es_env_rc(mdb_txn_commit(txn));
}


void
es_env_close(es_env_t *env)
{
    if (env == NULL) {
        return;
    }

    if (env->mdb != NULL) {
        mdb_env_close(env->mdb);
    }

    (void) pthread_rwlock_destroy(&env->map_lock);
    free(env);
}


MDB_dbi
es_env_dbi(const es_env_t *env, unsigned i)
{
    return env->dbis[i];
}


es_rc_t
es_env_read_begin(es_env_t *env, MDB_txn **txn)
{
    int      rc;
    es_rc_t  result;

    for ( ;; ) {
        (void) pthread_rwlock_rdlock(&env->map_lock);

        rc = mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, txn);
        if (rc == 0) {
            return ES_OK;
        }

        (void) pthread_rwlock_unlock(&env->map_lock);

        if (rc != MDB_MAP_RESIZED) {
            return es_env_rc(rc);
        }

        result = es_env_remap(env, 0);
        if (result != ES_OK) {
            return result;
        }
    }
}


void
es_env_read_end(es_env_t *env, MDB_txn *txn)
{
    mdb_txn_abort(txn);
    (void) pthread_rwlock_unlock(&env->map_lock);
}


es_rc_t
es_env_read_renew(es_env_t *env, MDB_txn *txn)
{
    int      rc;
    es_rc_t  result;

    for ( ;; ) {
        (void) pthread_rwlock_rdlock(&env->map_lock);

        rc = mdb_txn_renew(txn);
        if (rc == 0) {
            return ES_OK;
        }

        (void) pthread_rwlock_unlock(&env->map_lock);

        if (rc != MDB_MAP_RESIZED) {
            return es_env_rc(rc);
        }

        result = es_env_remap(env, 0);
        if (result != ES_OK) {
            return result;
        }
    }
}


void
es_env_read_park(es_env_t *env, MDB_txn *txn)
{
    mdb_txn_reset(txn);
    (void) pthread_rwlock_unlock(&env->map_lock);
}


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

    return es_env_rc(mdb_rc);
}


es_rc_t
es_env_update(es_env_t *env, es_env_fn fn, void *ctx)
{
    int       rc;
    es_rc_t   result;
    MDB_txn  *txn;

    for ( ;; ) {
        (void) pthread_rwlock_rdlock(&env->map_lock);

        rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
        if (rc != 0) {
            (void) pthread_rwlock_unlock(&env->map_lock);

            if (rc != MDB_MAP_RESIZED) {
                return es_env_rc(rc);
            }

            result = es_env_remap(env, 0);
            if (result != ES_OK) {
                return result;
            }

            continue;
        }

        errno = 0;
        result = fn(txn, ctx);

        if (result == ES_OK) {
            errno = 0;
            result = es_env_commit_rc(env, mdb_txn_commit(txn));
        } else {
            mdb_txn_abort(txn);
        }

        (void) pthread_rwlock_unlock(&env->map_lock);

        /* ES_FULL with an errno is the disk; without, the map. */

        if (result != ES_FULL || errno != 0) {
            return result;
        }

        result = es_env_grow(env);
        if (result != ES_OK) {
            return result;
        }
    }
}


static es_rc_t
es_env_grow(es_env_t *env)
{
    uint64_t     size;
    MDB_envinfo  info;

    (void) mdb_env_info(env->mdb, &info);

    if (info.me_mapsize >= env->map_max) {
        return ES_FULL;
    }

    size = info.me_mapsize * 2;

    return es_env_remap(env, size < env->map_max ? size : env->map_max);
}


/* Size 0 takes the size that another process has set. */

static es_rc_t
es_env_remap(es_env_t *env, uint64_t size)
{
    int  rc;

    (void) pthread_rwlock_wrlock(&env->map_lock);
    rc = mdb_env_set_mapsize(env->mdb, size);
    (void) pthread_rwlock_unlock(&env->map_lock);

    return es_env_rc(rc);
}


uint64_t
es_env_version(const es_env_t *env)
{
    MDB_envinfo  info;

    (void) mdb_env_info(env->mdb, &info);

    return info.me_last_txnid;
}


int
es_env_reap(es_env_t *env)
{
    int  dead;

    dead = 0;
    (void) mdb_reader_check(env->mdb, &dead);

    return dead;
}
