/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Copies a store into a backup and makes a store of a backup.
 *
 * Every file is synced, and then its directory, before the list of files is
 * written: a backup with a list is complete on disk.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "inspect/backup.h"
#include "inspect/backup_stream.h"
#include "store/env.h"
#include "store/store.h"

#define ES_BACKUP_DIR_MODE   0700
#define ES_UNPACK_DIR_MODE   0770
#define ES_UNPACK_MODE       0660


es_rc_t
es_backup_fault(es_problem_t *problem, const char *what, const char *dir,
    const char *name)
{
    int  err;

    err = errno;

    return es_problem_set(problem, err == ENOSPC ? ES_FULL : ES_IO, -1, NULL,
                          "cannot %s \"%s/%s\": %s", what, dir, name,
                          strerror(err));
}


/* A file's name is on disk only after a sync of its directory. */

es_rc_t
es_backup_sync(const char *dir, const char *name, es_problem_t *problem)
{
    int   fd;
    bool  ok;
    char  path[4096];

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);

    fd = open(path, O_RDONLY | O_CLOEXEC);
    ok = fd != -1 && fsync(fd) == 0;

    if (fd != -1) {
        (void) close(fd);
    }

    return ok ? ES_OK : es_backup_fault(problem, "sync", dir, name);
}


/* Opens a file of the copy.  The hasher takes it over if there is one. */

static es_rc_t
es_backup_open(const char *dir, es_backup_file_t *file, mode_t mode, bool hash,
    es_pace_t *pace, int *fd, es_problem_t *problem)
{
    char  path[4096];

    (void) snprintf(path, sizeof(path), "%s/%s", dir, file->name);

    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (*fd == -1) {
        return es_backup_fault(problem, "make", dir, file->name);
    }

    file->hasher = hash ? es_hasher_begin(*fd, pace) : NULL;

    if (hash && file->hasher == NULL) {
        (void) close(*fd);
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    return ES_OK;
}


/* Copies dir/name to to/name with the mode, and sets its hash. */

static es_rc_t
es_backup_file(const char *dir, const char *to, es_backup_file_t *file,
    mode_t mode, es_pace_t *pace, es_problem_t *problem)
{
    int      in, out;
    char     path[4096];
    es_rc_t  rc;

    (void) snprintf(path, sizeof(path), "%s/%s", dir, file->name);

    in = open(path, O_RDONLY | O_CLOEXEC);
    if (in == -1) {
        return es_backup_fault(problem, "read", dir, file->name);
    }

    rc = es_backup_open(to, file, mode, true, pace, &out, problem);

    if (rc == ES_OK && es_stream_file(in, out) != ES_OK) {
        rc = es_backup_fault(problem, "copy to", to, file->name);

    } else if (rc == ES_OK && fsync(out) == -1) {
        rc = es_backup_fault(problem, "sync", to, file->name);
    }

    if (es_hasher_end(file->hasher, file->sha256) != ES_OK && rc == ES_OK) {
        rc = es_backup_fault(problem, "read", to, file->name);
    }

    file->hasher = NULL;
    (void) close(in);

    return rc;
}


static es_backup_file_t *
es_backup_add(es_backup_t *backup, const char *env, const char *name)
{
    es_backup_file_t  *file;

    file = &backup->files[backup->nfiles++];

    (void) snprintf(file->name, sizeof(file->name), "%s%s%s", env,
                    env[0] ? "/" : "", name);

    return file;
}


/* Syncs the directory as well, which has the file's name. */

static es_rc_t
es_backup_env(es_env_t *env, const char *name, const char *dir, bool hash,
    es_pace_t *pace, es_backup_t *backup, es_problem_t *problem)
{
    int                fd;
    char               path[4096];
    es_rc_t            rc;
    uint64_t           before;
    es_backup_file_t  *file;

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);

    if (mkdir(path, ES_BACKUP_DIR_MODE) == -1) {
        return es_backup_fault(problem, "make", dir, name);
    }

    file = es_backup_add(backup, name, "data.mdb");

    rc = es_backup_open(dir, file, ES_BACKUP_MODE, hash, pace, &fd, problem);
    if (rc != ES_OK) {
        return rc;
    }

    before = es_env_bytes(env);
    rc = es_stream_env(env, fd, pace);

    if (rc == ES_IO || rc == ES_FULL) {
        rc = es_backup_fault(problem, "write", dir, file->name);

    } else if (rc != ES_OK) {
        rc = es_problem_set(problem, rc, -1, NULL, "cannot copy \"%s\" of the "
                            "store: %s", name, es_reason(rc));

    } else if (fsync(fd) == -1) {
        rc = es_backup_fault(problem, "sync", dir, file->name);
    }

    backup->grown += es_env_bytes(env) - before;

    if (file->hasher != NULL) {
        es_hasher_whole(file->hasher);
    } else {
        (void) close(fd);
    }

    return rc == ES_OK ? es_backup_sync(dir, name, problem) : rc;
}


es_rc_t
es_backup_copy(es_store_t *store, const char *dir, bool hash, es_pace_t *pace,
    es_backup_t *backup, es_problem_t *problem)
{
    size_t   i;
    es_rc_t  rc;

    const struct {
        const char  *name;
        es_env_t    *env;
    } envs[] = {
        { "checkpoints", store->checkpoints },
        { "delivery", store->delivery },
        { "log", store->log },
        { "registry", store->registry }
    };

    memset(backup, 0, sizeof(es_backup_t));
    backup->identity = store->identity;
    rc = ES_OK;

    for (i = 0; rc == ES_OK && i < sizeof(envs) / sizeof(envs[0]); i++) {
        if (envs[i].env == store->log) {
            backup->made_ms = es_clock_ms();
        }

        if (envs[i].env != NULL) {
            rc = es_backup_env(envs[i].env, envs[i].name, dir, hash, pace,
                               backup, problem);
        }
    }

    /* an operator may have edited `map_max` in the file */

    return rc == ES_OK
           ? es_backup_file(store->path, dir,
                            es_backup_add(backup, "", "format"),
                            ES_BACKUP_MODE, pace, problem)
           : rc;
}


/* Makes the directory of a name such as "log/data.mdb". */

static es_rc_t
es_backup_directory(const char *to, const char *name, es_problem_t *problem)
{
    int   len;
    char  path[4096];

    len = (int) strcspn(name, "/");

    if (name[len] == '\0') {
        return ES_OK;
    }

    (void) snprintf(path, sizeof(path), "%s/%.*s", to, len, name);

    return mkdir(path, ES_UNPACK_DIR_MODE) == 0
           ? ES_OK : es_backup_fault(problem, "make", to, name);
}


void
es_backup_free(es_backup_t *backup)
{
    uint8_t   sha256[ES_BACKUP_HASH];
    unsigned  i;

    for (i = 0; i < backup->nfiles; i++) {
        (void) es_hasher_end(backup->files[i].hasher, sha256);
        backup->files[i].hasher = NULL;
    }

    es_buf_free(&backup->keys);
}


uint64_t
es_backup_bytes(const char *dir, const es_backup_t *backup)
{
    char         path[4096];
    unsigned     i;
    uint64_t     bytes;
    struct stat  st;

    bytes = 0;

    for (i = 0; i < backup->nfiles; i++) {
        (void) snprintf(path, sizeof(path), "%s/%s", dir,
                        backup->files[i].name);
        bytes += stat(path, &st) == 0 ? (uint64_t) st.st_size : 0;
    }

    return bytes;
}


uint64_t
es_backup_store_bytes(const es_store_t *store)
{
    return es_env_bytes(store->log) + es_env_bytes(store->registry)
           + (store->delivery ? es_env_bytes(store->delivery) : 0)
           + (store->checkpoints ? es_env_bytes(store->checkpoints) : 0);
}


es_rc_t
es_backup_unpack(const char *dir, const es_backup_t *backup, const char *to,
    es_pace_t *pace, es_problem_t *problem)
{
    int               fd;
    es_rc_t           rc;
    unsigned          i;
    es_backup_file_t  file;

    for (i = 0; i < backup->nfiles; i++) {
        file = backup->files[i];

        rc = es_backup_directory(to, file.name, problem);
        if (rc == ES_OK) {
            rc = es_backup_file(dir, to, &file, ES_UNPACK_MODE, pace,
                                problem);
        }

        if (rc != ES_OK) {
            return rc;
        }

        if (memcmp(file.sha256, backup->files[i].sha256, ES_BACKUP_HASH) != 0)
        {
            return es_problem_set(problem, ES_CORRUPT, -1, NULL, "\"%s/%s\" "
                                  "is not the file that was backed up", dir,
                                  file.name);
        }
    }

    rc = es_store_bell(to, O_WRONLY, &fd);
    if (rc != ES_OK) {
        return es_problem_set(problem, rc, -1, NULL, "%s", es_reason(rc));
    }

    (void) close(fd);

    return es_backup_sync(to, ".", problem);
}
