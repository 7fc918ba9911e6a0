/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Copies a store into a backup and makes a store of a backup.
 *
 * Every file is synced, and then its directory, before the list of files is
 * written: a backup with a list is complete on disk.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/base.h"
#include "base/clock.h"
#include "inspect/backup.h"
#include "registry/secrets.h"
#include "store/env.h"
#include "store/store.h"

#define ES_BACKUP_VERSION    1
#define ES_BACKUP_DIR_MODE   0700
#define ES_BACKUP_MODE       0600
#define ES_BACKUP_PIECE      (1024 * 1024)
#define ES_UNPACK_DIR_MODE   0770
#define ES_UNPACK_MODE       0660

/* A file while it is read or copied. */
typedef struct {
    int             in;
    int             out;           /* -1: only read */
    XXH3_state_t   *state;
    char           *piece;
    uint64_t        size;          /* bytes so far */
} es_backup_stream_t;


static es_rc_t
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

static es_rc_t
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


static void
es_backup_close(es_backup_stream_t *s)
{
    if (s->in != -1) {
        (void) close(s->in);
    }

    if (s->out != -1) {
        (void) close(s->out);
    }

    (void) XXH3_freeState(s->state);
    free(s->piece);
}


/* Reads all of `in`, and writes it to `out` if that is open. */

static es_rc_t
es_backup_run(es_backup_stream_t *s)
{
    size_t   done;
    ssize_t  n, m;

    while ((n = read(s->in, s->piece, ES_BACKUP_PIECE)) > 0) {
        (void) XXH3_64bits_update(s->state, s->piece, (size_t) n);
        s->size += (uint64_t) n;

        for (done = 0; s->out != -1 && done < (size_t) n; done += (size_t) m) {
            m = write(s->out, s->piece + done, (size_t) n - done);

            if (m == -1) {
                return ES_IO;
            }
        }
    }

    return n == 0 ? ES_OK : ES_IO;
}


/* Sets the size and hash of dir/name; with `to`, also copies the file there. */

static es_rc_t
es_backup_stream(const char *dir, const char *to, es_backup_file_t *file,
    es_problem_t *problem)
{
    char                path[4096];
    es_rc_t             rc;
    es_backup_stream_t  s = { .in = -1, .out = -1 };

    (void) snprintf(path, sizeof(path), "%s/%s", dir, file->name);
    s.in = open(path, O_RDONLY | O_CLOEXEC);

    s.piece = malloc(ES_BACKUP_PIECE);
    s.state = XXH3_createState();

    if (s.in == -1) {
        rc = es_backup_fault(problem, "read", dir, file->name);

    } else if (s.piece == NULL || s.state == NULL) {
        rc = es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");

    } else {
        rc = ES_OK;
    }

    if (rc == ES_OK && to != NULL) {
        (void) snprintf(path, sizeof(path), "%s/%s", to, file->name);
        s.out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                     ES_UNPACK_MODE);

        if (s.out == -1) {
            rc = es_backup_fault(problem, "make", to, file->name);
        }
    }

    if (rc == ES_OK) {
        (void) XXH3_64bits_reset(s.state);
        rc = es_backup_run(&s);

        if (rc != ES_OK) {
            rc = es_backup_fault(problem, to ? "copy to" : "read",
                                 to ? to : dir, file->name);
        }
    }

    if (rc == ES_OK && s.out != -1 && fsync(s.out) == -1) {
        rc = es_backup_fault(problem, "sync", to, file->name);
    }

    if (rc == ES_OK) {
        file->size = s.size;
        file->hash = XXH3_64bits_digest(s.state);
    }

    es_backup_close(&s);

    return rc;
}


/* ---- making one ---- */

static void
es_backup_add(es_backup_t *backup, const char *env, const char *name)
{
    es_backup_file_t  *file;

    file = &backup->files[backup->nfiles++];

    (void) snprintf(file->name, sizeof(file->name), "%s%s%s", env,
                    env[0] ? "/" : "", name);
}


static es_rc_t
es_backup_env(es_env_t *env, const char *name, const char *dir,
    es_backup_t *backup, es_problem_t *problem)
{
    int          fd;
    char         path[4096];
    es_rc_t      rc;
    const char  *file;

    if (env == NULL) {
        return ES_OK;
    }

    (void) snprintf(path, sizeof(path), "%s/%s", dir, name);

    if (mkdir(path, ES_BACKUP_DIR_MODE) == -1) {
        return es_backup_fault(problem, "make", dir, name);
    }

    es_backup_add(backup, name, "data.mdb");
    file = backup->files[backup->nfiles - 1].name;

    (void) snprintf(path, sizeof(path), "%s/%s", dir, file);

    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, ES_BACKUP_MODE);
    if (fd == -1) {
        return es_backup_fault(problem, "make", dir, file);
    }

    rc = es_env_copy(env, fd);

    if (rc == ES_IO || rc == ES_FULL) {
        rc = es_backup_fault(problem, "write", dir, file);

    } else if (rc != ES_OK) {
        rc = es_problem_set(problem, rc, -1, NULL, "cannot copy \"%s\" of the "
                            "store: %s", name, es_reason(rc));

    } else if (fsync(fd) == -1) {
        rc = es_backup_fault(problem, "sync", dir, file);
    }

    (void) close(fd);

    return rc == ES_OK ? es_backup_sync(dir, name, problem) : rc;
}


/* Copies the file itself, because an operator may have edited `map_max`. */

static es_rc_t
es_backup_format(es_store_t *store, const char *dir, es_backup_t *backup,
    es_problem_t *problem)
{
    char              path[4096];
    es_rc_t           rc;
    es_backup_file_t  file = { .name = "format" };

    es_backup_add(backup, "", "format");

    rc = es_backup_stream(store->path, dir, &file, problem);

    (void) snprintf(path, sizeof(path), "%s/format", dir);

    return rc == ES_OK && chmod(path, ES_BACKUP_MODE) == -1
           ? es_backup_fault(problem, "make", dir, "format") : rc;
}


es_rc_t
es_backup_copy(es_store_t *store, const char *dir, es_backup_t *backup,
    es_problem_t *problem)
{
    es_rc_t  rc;

    memset(backup, 0, sizeof(es_backup_t));
    backup->identity = store->identity;

    rc = es_backup_env(store->checkpoints, "checkpoints", dir, backup,
                       problem);

    if (rc == ES_OK) {
        rc = es_backup_env(store->delivery, "delivery", dir, backup, problem);
    }

    backup->made_ms = es_clock_ms();

    if (rc == ES_OK) {
        rc = es_backup_env(store->log, "log", dir, backup, problem);
    }

    if (rc == ES_OK) {
        rc = es_backup_env(store->registry, "registry", dir, backup, problem);
    }

    return rc == ES_OK ? es_backup_format(store, dir, backup, problem) : rc;
}


static es_rc_t
es_backup_text(const es_backup_t *backup, es_buf_t *out)
{
    char                     at[ES_TIME_LEN];
    es_rc_t                  rc;
    unsigned                 i;
    const es_backup_file_t  *file;

    es_time_print(backup->made_ms, at);

    rc = es_buf_printf(out, "eventsync-backup %u\nmade %.*s\nidentity %016"
                       PRIx64 "\nkeys %.*s\n", ES_BACKUP_VERSION,
                       (int) sizeof(at), at, backup->identity,
                       (int) backup->keys.len,
                       backup->keys.len ? backup->keys.data : "");

    for (i = 0; rc == ES_OK && i < backup->nfiles; i++) {
        file = &backup->files[i];
        rc = es_buf_printf(out, "file %s %" PRIu64 " %016" PRIx64 "\n",
                           file->name, file->size, file->hash);
    }

    return rc == ES_OK ? es_buf_printf(out, "end\n") : rc;
}


es_rc_t
es_backup_seal(const char *dir, es_backup_t *backup, es_problem_t *problem)
{
    int       fd;
    bool      ok;
    char      path[4096];
    es_rc_t   rc;
    es_buf_t  text = { 0 };
    unsigned  i;

    rc = ES_OK;

    for (i = 0; rc == ES_OK && i < backup->nfiles; i++) {
        rc = es_backup_stream(dir, NULL, &backup->files[i], problem);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (es_backup_text(backup, &text) != ES_OK) {
        es_buf_free(&text);
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    (void) snprintf(path, sizeof(path), "%s/backup", dir);

    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, ES_BACKUP_MODE);
    ok = fd != -1
         && write(fd, text.data, text.len) == (ssize_t) text.len
         && fsync(fd) == 0;

    rc = ok ? ES_OK : es_backup_fault(problem, "write", dir, "backup");

    if (fd != -1) {
        (void) close(fd);
    }

    es_buf_free(&text);

    return rc == ES_OK ? es_backup_sync(dir, ".", problem) : rc;
}


/* ---- reading one ---- */

/* Reads one line of the list.  False: es_backup_seal() never writes this line.
   Only known names pass, so that a list cannot lead to another path. */

static bool
es_backup_line(es_backup_t *backup, const char *line)
{
    int                n;
    unsigned           i;
    es_backup_file_t  *file;

    static const char  *const names[ES_BACKUP_FILES] = {
        "checkpoints/data.mdb", "delivery/data.mdb", "registry/data.mdb",
        "log/data.mdb", "format"
    };

    if (backup->nfiles == ES_BACKUP_FILES) {
        return false;
    }

    file = &backup->files[backup->nfiles];
    n = 0;

    if (sscanf(line, "file %31s %" SCNu64 " %" SCNx64 "%n", file->name,
               &file->size, &file->hash, &n) != 3
        || line[n] != '\0')
    {
        return false;
    }

    for (i = 0; i < ES_BACKUP_FILES; i++) {
        if (strcmp(file->name, names[i]) == 0) {
            backup->nfiles++;
            return true;
        }
    }

    return false;
}


static bool
es_backup_lines(es_backup_t *backup, FILE *f)
{
    bool      ok, whole;
    char     *line, at[64];
    size_t    cap;
    ssize_t   n;
    unsigned  number;

    ok = true;
    cap = 0;
    line = NULL;
    whole = false;

    for (number = 2; ok && !whole && (n = getline(&line, &cap, f)) > 0;
         number++)
    {
        line[n - 1] = line[n - 1] == '\n' ? '\0' : line[n - 1];

        if (number == 2) {
            ok = sscanf(line, "made %63s", at) == 1
                 && es_time_parse(es_str(at), &backup->made_ms) == ES_OK;

        } else if (number == 3) {
            ok = sscanf(line, "identity %" SCNx64, &backup->identity) == 1;

        } else if (number == 4) {
            ok = strncmp(line, "keys ", 5) == 0
                 && es_buf_str(&backup->keys, es_str(line + 5)) == ES_OK;

        } else if (strcmp(line, "end") == 0) {
            whole = backup->nfiles > 0;

        } else {
            ok = es_backup_line(backup, line);
        }
    }

    free(line);

    return ok && whole;
}


es_rc_t
es_backup_read(const char *dir, es_backup_t *backup, es_problem_t *problem)
{
    bool      ok;
    char      path[4096], first[64];
    FILE     *f;
    unsigned  version;

    memset(backup, 0, sizeof(es_backup_t));
    (void) snprintf(path, sizeof(path), "%s/backup", dir);

    f = fopen(path, "re");
    if (f == NULL) {
        return errno == ENOENT || errno == ENOTDIR
               ? es_problem_set(problem, ES_NOT_FOUND, -1, NULL, "\"%s\" is "
                                "not a backup (no file \"backup\" in it)", dir)
               : es_backup_fault(problem, "read", dir, "backup");
    }

    if (fgets(first, sizeof(first), f) == NULL
        || sscanf(first, "eventsync-backup %u", &version) != 1)
    {
        (void) fclose(f);
        return es_problem_set(problem, ES_NOT_FOUND, -1, NULL, "\"%s\" is not "
                              "a list of an eventsync backup", path);
    }

    if (version != ES_BACKUP_VERSION) {
        (void) fclose(f);
        return es_problem_set(problem, ES_FORMAT, -1, NULL, "\"%s\" is a "
                              "backup of version %u, but this program reads "
                              "version %u", dir, version, ES_BACKUP_VERSION);
    }

    ok = es_backup_lines(backup, f);
    (void) fclose(f);

    if (!ok) {
        es_buf_free(&backup->keys);
        return es_problem_set(problem, ES_FORMAT, -1, NULL, "\"%s\" is cut "
                              "short or changed: the backup is not whole",
                              path);
    }

    return ES_OK;
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


es_rc_t
es_backup_unpack(const char *dir, const es_backup_t *backup, const char *to,
    es_problem_t *problem)
{
    int               fd;
    es_rc_t           rc;
    unsigned          i;
    es_backup_file_t  file;

    for (i = 0; i < backup->nfiles; i++) {
        file = backup->files[i];

        rc = es_backup_directory(to, file.name, problem);
        if (rc == ES_OK) {
            rc = es_backup_stream(dir, to, &file, problem);
        }

        if (rc != ES_OK) {
            return rc;
        }

        if (file.size != backup->files[i].size
            || file.hash != backup->files[i].hash)
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
