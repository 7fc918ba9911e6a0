/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An LMDB environment: how it is opened, closed, recovered, read and copied.
 *
 * LMDB's open can fail beside another process's open or close, and its handle
 * becomes unusable when a meta page cannot be written.  Callers see neither:
 * opening retries, and a lost environment is opened anew.  env_write.c has the
 * write transactions.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/file.h"
#include "base/reason.h"
#include "store/env.h"
#include "store/env_impl.h"
#include "store/reader_table.h"
#include "store/page_reserve.h"

#define ES_ENV_READERS    1022
#define ES_ENV_OPEN_TRIES  250
#define ES_ENV_OPEN_US    2000
#define ES_ENV_TAKEN_TRIES   5    /* the process that has the id may be
                                     about to end */
#define ES_ENV_MODE       0660
#define ES_ENV_LOCK      (ES_ENV_READERS * 64)    /* bytes of lock.mdb */

static es_rc_t es_env_connect(es_env_t *env, bool create);
static int es_env_open_once(es_env_t *env, bool create, MDB_txn **txn);
static int es_env_register(es_env_t *env, bool create, MDB_txn **txn);
static int es_env_begin(es_env_t *env, unsigned flags, MDB_txn **txn);
static es_rc_t es_env_open_dbs(es_env_t *env, bool create, MDB_txn *txn);
static es_rc_t es_env_settle(es_env_t *env);


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


/* Finds out why LMDB could not open the environment: LMDB does not say
   which of the files the system refused. */

static es_rc_t
es_env_refused(const es_env_t *env, int err)
{
    char    path[4096];
    size_t  i;

    const struct {
        const char  *name;
        int          mode;
    } files[] = {
        { "", X_OK },
        { "/lock.mdb", R_OK | W_OK },
        { "/data.mdb", env->options.writable ? R_OK | W_OK : R_OK },
    };

    if (err == EACCES || err == EPERM || err == EROFS || err == ENOENT) {

        for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
            (void) snprintf(path, sizeof(path), "%s%s", env->options.dir,
                            files[i].name);

            if (faccessat(AT_FDCWD, path, files[i].mode, AT_EACCESS) != 0) {
                return es_refused(err, "open", path);
            }
        }
    }

    return es_env_failed(env, err, "open");
}


/* docs/operations.md, "Containers", explains this message. */

static es_rc_t
es_env_taken(const es_env_t *env)
{
    return es_refused_text(ES_TAKEN, "cannot open \"%s\": a process in "
                           "another PID namespace has the same process id, "
                           "%ld; run both in one PID namespace",
                           es_refused_path(env->options.dir),
                           (long) getpid());
}


/* Makes a file that LMDB would make with a smaller mode and its maker's
   group.  If this fails, LMDB's own open reports the error. */

static void
es_env_make(const es_env_t *env, const char *name)
{
    int   fd;
    char  path[4096];

    (void) snprintf(path, sizeof(path), "%s/%s", env->options.dir, name);

    /* A file that exists is not opened, because closing it would release
       LMDB's locks on it. */

    if (access(path, F_OK) != 0
        && es_file_open(path, O_RDWR | O_CREAT, &fd) == ES_OK)
    {
        (void) close(fd);
    }
}


es_rc_t
es_env_open(const es_env_options_t *options, es_env_t **out)
{
    es_rc_t    rc;
    es_env_t  *env;

    env = calloc(1, sizeof(es_env_t));
    if (env == NULL) {
        return ES_NOMEM;
    }

    env->options = *options;
    env->map_max = options->map_max;
    env->queue = -1;
    (void) pthread_rwlock_init(&env->lock, NULL);

    env->options.dir = strdup(options->dir);
    rc = env->options.dir ? es_env_connect(env, options->create) : ES_NOMEM;

    if (rc != ES_OK) {
        es_env_close(env);
        return rc;
    }

    /* Without the queue writes work too, but less fairly. */

    env->queue = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (options->writable) {
        es_reserve_init(&env->room, env->mdb, options->reserve, options->step,
                        options->map_max);
    }

    *out = env;
    return ES_OK;
}


/*
 * LMDB makes the file of its reader table with holes, and every process maps
 * the file.  The first reader in a hole of a full disk would get a SIGBUS, so
 * this function allocates the file's blocks first.  LMDB must not have the
 * file open in this process yet, because closing a file releases the process's
 * locks on it.
 */

static void
es_env_allocate_lock(const es_env_t *env)
{
    int          fd;
    char         path[4096];
    struct stat  st;

    (void) snprintf(path, sizeof(path), "%s/lock.mdb", env->options.dir);

    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd == -1) {
        return;
    }

    /* A file that exists keeps its size: other processes may have mapped
       it. */

    if (fstat(fd, &st) == 0) {
        (void) fallocate(fd, 0, 0, st.st_size != 0 ? st.st_size : ES_ENV_LOCK);
    }

    (void) close(fd);
}


static es_rc_t
es_env_connect(es_env_t *env, bool create)
{
    int       rc;
    es_rc_t   result;
    MDB_txn  *txn;
    unsigned  tries;

    es_env_make(env, "lock.mdb");
    es_env_allocate_lock(env);

    if (create || env->options.writable) {
        es_env_make(env, "data.mdb");
    }

    for (tries = 0; ; tries++) {
        rc = es_env_open_once(env, create, &txn);
        if (rc == 0) {
            break;
        }

        if (rc == EAGAIN && tries == ES_ENV_TAKEN_TRIES) {
            return es_env_taken(env);
        }

        if ((rc != EAGAIN && rc != EBUSY && rc != EINVAL)
            || tries == ES_ENV_OPEN_TRIES)
        {
            return es_env_refused(env, rc);
        }

        usleep(ES_ENV_OPEN_US);
    }

    result = es_env_open_dbs(env, create, txn);
    if (result != ES_OK) {
        mdb_env_close(env->mdb);
        env->mdb = NULL;
    }

    return result;
}


/*
 * Opens the environment and begins a transaction.  On failure it closes the
 * environment and returns LMDB's result.
 *
 * Both steps can fail when another process opens or closes at that moment.
 * The last process to close destroys the mutexes in the lock file; with LMDB
 * 0.9.31 an open beside that succeeds, and its first transaction fails with
 * EINVAL.  LMDB cannot open a failed environment again, so each try makes a
 * new one.
 */

static int
es_env_open_once(es_env_t *env, bool create, MDB_txn **txn)
{
    int                      rc;
    unsigned                 flags;
    const es_env_options_t  *options;

    options = &env->options;

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
        flags = MDB_NOTLS | (options->writable || create ? 0 : MDB_RDONLY);
        rc = mdb_env_open(env->mdb, options->dir, flags, ES_ENV_MODE);
    }

    if (rc == 0) {
        rc = es_env_register(env, create, txn);
    }

    if (rc != 0) {
        mdb_env_close(env->mdb);
        env->mdb = NULL;
    }

    return rc;
}


/*
 * The first read transaction locks this process's id in the reader table, for
 * as long as the environment is open.  EAGAIN: another process has the lock.
 */

static int
es_env_register(es_env_t *env, bool create, MDB_txn **txn)
{
    int                rc;
    es_reader_table_t  readers;

    es_reader_table_read(env->mdb, &readers);

    rc = es_env_begin(env, MDB_RDONLY, txn);
    if (rc != 0) {
        return rc;
    }

    env->shadows = readers.own > 0;
    (void) mdb_reader_check(env->mdb, NULL);

    if (!create) {
        return 0;
    }

    mdb_txn_abort(*txn);

    return es_env_begin(env, 0, txn);
}


static int
es_env_begin(es_env_t *env, unsigned flags, MDB_txn **txn)
{
    int  rc;

    rc = mdb_txn_begin(env->mdb, NULL, flags, txn);

    if (rc == MDB_READERS_FULL) {
        (void) mdb_reader_check(env->mdb, NULL);
        rc = mdb_txn_begin(env->mdb, NULL, flags, txn);
    }

    if (rc == MDB_MAP_RESIZED) {
        rc = mdb_env_set_mapsize(env->mdb, 0);
        if (rc == 0) {
            rc = mdb_txn_begin(env->mdb, NULL, flags, txn);
        }
    }

    return rc;
}


/* Ends the transaction in any case. */

static es_rc_t
es_env_open_dbs(es_env_t *env, bool create, MDB_txn *txn)
{
    int                 rc;
    unsigned            i;
    const es_env_db_t  *db;

    env->ndbs = 0;

    for (i = 0; env->options.dbs[i].name != NULL; i++) {
        db = &env->options.dbs[i];

        rc = mdb_dbi_open(txn, db->name, db->flags | (create ? MDB_CREATE : 0),
                          &env->dbis[i]);

        if (rc == 0 && db->order != NULL) {
            rc = mdb_set_compare(txn, env->dbis[i], db->order);
        }

        if (rc != 0) {
            mdb_txn_abort(txn);
            return rc == MDB_NOTFOUND ? ES_FORMAT
                                      : es_env_failed(env, rc, "open");
        }

        env->ndbs++;
    }

    return es_env_failed(env, mdb_txn_commit(txn), "write");
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

    if (env->queue != -1) {
        (void) close(env->queue);
    }

    (void) pthread_rwlock_destroy(&env->lock);
    free((char *) env->options.dir);
    free(env);
}


bool
es_env_shadows(const es_env_t *env)
{
    return env->shadows;
}


bool
es_env_lost(es_env_t *env)
{
    return atomic_load(&env->lost);
}


es_rc_t
es_env_recover(es_env_t *env)
{
    es_rc_t  rc;

    if (!es_env_lost(env)) {
        return ES_OK;
    }

    rc = ES_OK;

    (void) pthread_rwlock_wrlock(&env->lock);

    if (es_env_lost(env)) {
        if (env->mdb != NULL) {
            if (env->options.drop != NULL) {
                env->options.drop(env->options.drop_ctx);
            }

            mdb_env_close(env->mdb);
            env->mdb = NULL;
        }

        rc = es_env_connect(env, false);
        if (rc == ES_OK && env->options.writable) {
            rc = es_env_settle(env);
        }

        if (rc == ES_OK) {
            atomic_store(&env->lost, false);
        }
    }

    (void) pthread_rwlock_unlock(&env->lock);

    return rc;
}


/*
 * After a failed write of a meta page, LMDB writes the old page back without a
 * sync.  The disk may still have the new page, which refers to pages that the
 * next commit overwrites; after a power loss the tree would be broken.  So
 * this function writes both meta pages as they are, under the writer lock, and
 * syncs them, before anything else is written.  A sync alone is not enough:
 * the sync that failed before has marked pages as clean that are not.
 */

static es_rc_t
es_env_settle(es_env_t *env)
{
    int               rc;
    char             *pages;
    size_t            size;
    MDB_txn          *txn;
    MDB_stat          stat;
    mdb_filehandle_t  fd;

    rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
    if (rc != 0) {
        return es_env_failed(env, rc, "write");
    }

    (void) mdb_env_stat(env->mdb, &stat);
    (void) mdb_env_get_fd(env->mdb, &fd);

    size = 2 * (size_t) stat.ms_psize;

    errno = 0;
    pages = malloc(size);
    if (pages == NULL) {
        rc = ENOMEM;

    } else if (pread(fd, pages, size, 0) != (ssize_t) size
               || pwrite(fd, pages, size, 0) != (ssize_t) size
               || fdatasync(fd) == -1)
    {
        rc = errno != 0 ? errno : EIO;
    }

    free(pages);
    mdb_txn_abort(txn);

    return es_env_failed(env, rc, "write");
}


MDB_dbi
es_env_dbi(const es_env_t *env, unsigned i)
{
    return env->dbis[i];
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

    return ES_OK;
}


void
es_env_leave(es_env_t *env)
{
    (void) pthread_rwlock_unlock(&env->lock);
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
