/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "compact": makes a copy of a store without its free pages, to take the place
 * of the store.
 *
 * What is written to the store after the copy would be lost, so no process may
 * have it open, and nothing may be committed until the copy has its name.  The
 * store itself is never changed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "copy.h"
#include "open/open.h"
#include "stage.h"
#include "store/store.h"

#define COMPACT_UMASK  007
#define COMPACT_ENVS   4

static const char  *const ctl_compact_envs[COMPACT_ENVS] = {
    "log", "registry", "delivery", "checkpoints"
};

typedef struct {
    ctl_t        *ctl;
    ctl_stage_t   stage;
    int           locks[COMPACT_ENVS];     /* lock.mdb; -1: there is none */
    uint64_t      versions[COMPACT_ENVS];
    es_backup_t   copied;
    es_verify_t   totals;
} ctl_compact_t;


/* LMDB's locks of this process would be released when it closes lock.mdb, so
   the files stay open until the store has been closed. */

static void
ctl_compact_locks(ctl_compact_t *c)
{
    char    file[PATH_MAX];
    size_t  i;

    for (i = 0; i < COMPACT_ENVS; i++) {
        (void) snprintf(file, sizeof(file), "%s/%s/lock.mdb",
                        c->ctl->store_path, ctl_compact_envs[i]);
        c->locks[i] = open(file, O_RDWR | O_CLOEXEC);
    }
}


/* Every process that has an environment open holds a lock on its lock.mdb. */

static int
ctl_compact_unused(const ctl_compact_t *c)
{
    size_t        i;
    struct flock  lock;

    for (i = 0; i < COMPACT_ENVS; i++) {
        memset(&lock, 0, sizeof(lock));
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;

        if (c->locks[i] != -1 && fcntl(c->locks[i], F_GETLK, &lock) == 0
            && lock.l_type != F_UNLCK)
        {
            return ctl_fail(CTL_FAILED, "process %ld has \"%s/%s\" open: stop "
                            "nginx, the dispatcher and all producers first",
                            (long) lock.l_pid, c->ctl->store_path,
                            ctl_compact_envs[i]);
        }
    }

    return CTL_OK;
}


static void
ctl_compact_versions(const ctl_compact_t *c, uint64_t versions[COMPACT_ENVS])
{
    size_t       i;
    es_store_t  *store = c->ctl->store;

    es_env_t  *const  envs[COMPACT_ENVS] = {
        store->log, store->registry, store->delivery, store->checkpoints
    };

    for (i = 0; i < COMPACT_ENVS; i++) {
        versions[i] = envs[i] ? es_env_version(envs[i]) : 0;
    }
}


/* True if a process came and went, or is there now. */

static int
ctl_compact_unchanged(const ctl_compact_t *c)
{
    int       rc;
    uint64_t  versions[COMPACT_ENVS];

    rc = ctl_compact_unused(c);
    if (rc != CTL_OK) {
        return rc;
    }

    ctl_compact_versions(c, versions);

    return memcmp(versions, c->versions, sizeof(versions)) == 0
           ? CTL_OK
           : ctl_fail(CTL_FAILED, "\"%s\" was changed while it was copied: "
                      "stop nginx, the dispatcher and all producers first",
                      c->ctl->store_path);
}


/* A file that no backup has, and that the store would miss. */

static int
ctl_compact_keep(const ctl_compact_t *c, const char *name)
{
    int      from, to;
    bool     ok;
    char     path[PATH_MAX + 16], bytes[4096];
    ssize_t  n;

    (void) snprintf(path, sizeof(path), "%s/%s", c->ctl->store_path, name);

    from = open(path, O_RDONLY | O_CLOEXEC);
    if (from == -1) {
        return errno == ENOENT ? CTL_OK
                               : ctl_fail(CTL_FAILED, "cannot open \"%s\": %s",
                                          path, strerror(errno));
    }

    (void) snprintf(path, sizeof(path), "%s/%s", c->stage.path, name);

    to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ok = to != -1;

    while (ok && (n = read(from, bytes, sizeof(bytes))) != 0) {
        ok = n > 0 && write(to, bytes, (size_t) n) == n;
    }

    ok = ok && fsync(to) == 0;
    (void) close(from);

    if (to != -1) {
        (void) close(to);
    }

    return ok ? CTL_OK : ctl_fail(CTL_FAILED, "cannot write \"%s\": %s", path,
                                  strerror(errno));
}


/* The copy gets what a store makes by itself, with the rights that it had. */

/* Makes a directory of the copy if the store has it. */

static int
ctl_compact_mkdir(const ctl_compact_t *c, const char *name)
{
    char  from[PATH_MAX + 16], to[PATH_MAX + 16];

    (void) snprintf(from, sizeof(from), "%s/%s", c->ctl->store_path, name);
    (void) snprintf(to, sizeof(to), "%s/%s", c->stage.path, name);

    return access(from, F_OK) != 0 || mkdir(to, 0700) == 0
           ? CTL_OK
           : ctl_fail(CTL_FAILED, "cannot create \"%s\": %s", to,
                      strerror(errno));
}


/* Ciphertexts are kept, so that partners are sent the same ones as before. */

static int
ctl_compact_verify(ctl_compact_t *c)
{
    int    rc;
    ctl_t  copy;

    rc = ctl_copy_open(c->ctl, c->stage.path, ES_STORE_PUBLISH, &copy);

    if (rc == CTL_OK) {
        rc = ctl_verify_store(&copy, &c->totals);
    }

    es_store_close(copy.store);

    if (rc == CTL_OK) {
        rc = ctl_compact_mkdir(c, "pages");
    }

    if (rc == CTL_OK) {
        rc = ctl_compact_mkdir(c, "encrypted");
    }

    if (rc == CTL_OK) {
        rc = ctl_compact_keep(c, "encrypted/data.mdb");
    }

    if (rc == CTL_OK) {
        rc = ctl_compact_keep(c, "used");
    }

    if (rc == CTL_OK) {
        rc = ctl_compact_keep(c, "staging");
    }

    if (rc == CTL_OK) {
        rc = ctl_stage_mirror(&c->stage, c->ctl->store_path);
    }

    return rc == CTL_OK ? ctl_stage_adopt(&c->stage) : rc;
}


static int
ctl_compact_make(ctl_compact_t *c)
{
    int        rc;
    es_pace_t  pace = { 0 };

    ctl_compact_versions(c, c->versions);

    rc = ctl_copy_make(c->ctl, c->stage.path, false, &pace, &c->copied);

    if (rc == CTL_OK) {
        rc = ctl_compact_verify(c);
    }

    if (rc == CTL_OK) {
        rc = ctl_compact_unchanged(c);
    }

    return rc == CTL_OK ? ctl_stage_finish(&c->stage, "format") : rc;
}


/* Bytes of the environments on disk. */

static uint64_t
ctl_compact_bytes(const char *path)
{
    char         file[PATH_MAX];
    size_t       i;
    uint64_t     bytes;
    struct stat  st;

    bytes = 0;

    for (i = 0; i < COMPACT_ENVS; i++) {
        (void) snprintf(file, sizeof(file), "%s/%s/data.mdb", path,
                        ctl_compact_envs[i]);

        if (stat(file, &st) == 0) {
            bytes += (uint64_t) st.st_blocks * 512;
        }
    }

    return bytes;
}


static void
ctl_compact_print(const ctl_compact_t *c)
{
    uint64_t  before, after, won;

    before = ctl_compact_bytes(c->ctl->store_path);
    after = ctl_compact_bytes(c->stage.target);
    won = before > after ? before - after : 0;

    ctl_result(c->ctl, json_pack("{s:s, s:I, s:I}", "store", c->stage.target,
                                 "bytes", (json_int_t) after, "won",
                                 (json_int_t) won));

    if (!c->ctl->json) {
        (void) printf("the store in \"%s\" takes %llu bytes, %llu fewer than "
                      "\"%s\"\n", c->stage.target, (unsigned long long) after,
                      (unsigned long long) won, c->ctl->store_path);
    }
}


static int
ctl_compact_run(ctl_compact_t *c, const char *target)
{
    int  rc;

    (void) umask(COMPACT_UMASK);

    rc = ctl_stage_open(&c->stage, target);
    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_compact_make(c);

    if (rc == CTL_OK) {
        ctl_compact_print(c);
    } else {
        ctl_stage_remove(c->stage.path);
    }

    return rc;
}


int
ctl_compact(ctl_t *ctl, int argc, char **argv)
{
    int            rc;
    size_t         i;
    ctl_compact_t  c = { .ctl = ctl, .locks = { -1, -1, -1, -1 } };

    rc = ctl_args(ctl, &argc, argv, NULL);

    if (rc == CTL_OK && ctl->store_path != NULL) {
        ctl_compact_locks(&c);
        rc = ctl_compact_unused(&c);
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_DELIVERY_READ
                           | (ctl->store_path
                              ? ctl_copy_checkpoints(ctl->store_path) : 0));
    }

    if (rc == CTL_OK) {
        rc = ctl_compact_run(&c, argv[0]);
    }

    es_store_close(ctl->store);
    ctl->store = NULL;

    for (i = 0; i < COMPACT_ENVS; i++) {
        if (c.locks[i] != -1) {
            (void) close(c.locks[i]);
        }
    }

    return rc;
}
