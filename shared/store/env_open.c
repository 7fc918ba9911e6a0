/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Opens an environment, closes it, and opens a lost one anew.
 *
 * LMDB's open can fail beside another process's open or close, and its handle
 * becomes unusable when a meta page cannot be written.  Callers see neither:
 * opening retries, and a lost environment is opened anew before the next write.
 * So is one that has been scrubbed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/event_loop.h"
#include "base/file.h"
#include "base/reason.h"
#include "store/env.h"
#include "store/env_impl.h"
#include "store/page_reserve.h"
#include "store/reader_table.h"

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
es_env_make(const es_env_t *env, const char *name, unsigned share)
{
    int   fd;
    char  path[4096];

    (void) snprintf(path, sizeof(path), "%s/%s", env->options.dir, name);

    /* A file that exists is not opened, because closing it would release
       LMDB's locks on it. */

    if (access(path, F_OK) != 0
        && es_file_open(path, O_RDWR | O_CREAT, share, &fd) == ES_OK)
    {
        (void) close(fd);
    }
}


static unsigned
es_env_meta(const es_env_db_t *dbs)
{
    unsigned  i;

    for (i = 0; dbs[i].name != NULL; i++) {
        if (strcmp(dbs[i].name, "meta") == 0) {
            return i;
        }
    }

    return ES_ENV_NO_DB;
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
    env->meta = es_env_meta(options->dbs);
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
        es_reserve_init(&env->reserve, env->mdb, options->reserve,
                        options->step, options->map_max);
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

    es_env_make(env, "lock.mdb", ES_FILE_SHARED);
    es_env_allocate_lock(env);

    if (create || env->options.writable) {
        es_env_make(env, "data.mdb", 0);
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
    atomic_store(&env->late, 0);

    for (i = 0; env->options.dbs[i].name != NULL; i++) {
        db = &env->options.dbs[i];

        rc = mdb_dbi_open(txn, db->name,
                          db->flags | (create && !db->late ? MDB_CREATE : 0),
                          &env->dbis[i]);

        if (db->late && (rc == 0 || rc == MDB_NOTFOUND)) {
            atomic_store(&env->late, rc == 0 ? env->dbis[i] : 0);
            break;
        }

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


/* Closes the environment and opens it.  The caller holds the lock
   exclusively. */

static es_rc_t
es_env_reopen(es_env_t *env)
{
    if (env->mdb != NULL) {
        if (env->options.drop != NULL) {
            env->options.drop(env->options.drop_ctx);
        }

        mdb_env_close(env->mdb);
        env->mdb = NULL;
    }

    env->buffers = false;

    return es_env_connect(env, false);
}


es_rc_t
es_env_renew(es_env_t *env, uint64_t scrubs)
{
    es_rc_t  rc;

    rc = ES_OK;

    (void) pthread_rwlock_wrlock(&env->lock);

    /* another thread may have done it meanwhile */

    if (env->buffers && env->scrubs != scrubs && !es_env_lost(env)) {
        rc = es_env_reopen(env);

        if (rc != ES_OK) {
            atomic_store(&env->lost, true);
        }
    }

    (void) pthread_rwlock_unlock(&env->lock);

    return rc;
}


es_rc_t
es_env_recover(es_env_t *env)
{
    es_rc_t  rc;

    ES_ASSERT_NO_EVENT_LOOP();

    if (!es_env_lost(env)) {
        return ES_OK;
    }

    rc = ES_OK;

    (void) pthread_rwlock_wrlock(&env->lock);

    if (es_env_lost(env)) {
        rc = es_env_reopen(env);

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
