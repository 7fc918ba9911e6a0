/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes, opens and closes a store: its format file and its environments.
 *
 * This file stands above all others of the library, because a store handle owns
 * objects of many folders.  It says for each environment which databases it
 * has and how much room is reserved for deletions (store/page_reserve.h).
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/reason.h"
#include "catalogue/validate.h"
#include "inspect/backup.h"
#include "keys/keyring.h"
#include "log/chunk.h"
#include "log/id_index.h"
#include "open/open.h"
#include "registry/used_keys.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"
#include "store/wake.h"

#define ES_STORE_VERSION   4
#define ES_STORE_OLDER                                                       \
    ": pipe \"tail FEED\" of the old eventsyncctl into \"publish FEED "        \
    "--format=tail\" of this one, for a new store"

#define ES_STORE_MAP       (UINT64_C(1) << 30)
#define ES_STORE_MAP_MAX   (UINT64_C(1) << 40)

typedef struct {
    unsigned  version;
    uint64_t  identity;
    uint64_t  map_initial;
    uint64_t  map_max;
} es_format_t;

static const es_env_db_t  es_log_dbs[] = {
    [ES_LOG_FEEDS] = { "feeds", 0, NULL, false },
    [ES_LOG_EVENTS] = { "events", 0, es_event_key_order, false },
    [ES_LOG_TYPES] = { "types", 0, NULL, false },
    [ES_LOG_BYTYPE] = { "bytype", MDB_DUPSORT | MDB_DUPFIXED, NULL, false },
    [ES_LOG_META] = { "meta", 0, NULL, false },
    [ES_LOG_SUBJECTS] = { "subjects", 0, NULL, false },
    { "audit", 0, NULL, true },
    { NULL, 0, NULL, false }
};

static const es_env_db_t  es_registry_dbs[] = {
    [ES_REGISTRY_OBJECTS] = { "objects", 0, NULL, false },
    [ES_REGISTRY_META] = { "meta", 0, NULL, false },
    [ES_REGISTRY_REQUESTS] = { "requests", 0, NULL, false },
    [ES_REGISTRY_BYPARTNER] = { "bypartner", 0, NULL, false },
    { "audit", 0, NULL, true },
    { NULL, 0, NULL, false }
};

static const es_env_db_t  es_delivery_dbs[] = {
    [ES_DELIVERY_PROGRESS] = { "progress", 0, NULL, false },
    [ES_DELIVERY_RETRIES] = { "retries", 0, NULL, false },
    [ES_DELIVERY_ATTEMPTS] = { "attempts", 0, NULL, false },
    [ES_DELIVERY_DEAD] = { "dead", 0, NULL, false },
    [ES_DELIVERY_STOPS] = { "stops", 0, NULL, false },
    [ES_DELIVERY_META] = { "meta", 0, NULL, false },
    [ES_DELIVERY_CIRCUITS] = { "circuits", 0, NULL, false },
    { "audit", 0, NULL, true },
    { NULL, 0, NULL, false }
};

static const es_env_db_t  es_checkpoints_dbs[] = {
    [ES_CHECKPOINTS_CHECKPOINTS] = { "checkpoints", 0, NULL, false },
    [ES_CHECKPOINTS_META] = { "meta", 0, NULL, false },
    { "audit", 0, NULL, true },
    { NULL, 0, NULL, false }
};

/* An environment of a store: its directory, databases and page reserve, and the
   flags that open it (0: every store handle does) and make it writable. */
typedef struct {
    const char         *name;
    const es_env_db_t  *dbs;
    uint64_t            reserve;       /* bytes */
    uint64_t            step;          /* bytes */
    const char         *remedy;        /* how an operator frees pages */
    unsigned            opens;
    unsigned            writes;
    bool                may_lack;      /* made when a handle opens it */
    size_t              handle;        /* offset of the es_env_t pointer */
} es_store_env_t;

/* The reserve must hold the pages that one deletion writes: a chunk may have a
   hundred events of as many subjects and types.  Checkpoints may be lost. */

static const es_store_env_t  es_store_envs[] = {
    { "log", es_log_dbs, 4 << 20, 512 << 10, "trim or remove feeds",
      0, ES_STORE_PUBLISH, false, offsetof(es_store_t, log) },

    { "registry", es_registry_dbs, 256 << 10, 8 << 10, "remove records",
      0, ES_STORE_ADMIN, false, offsetof(es_store_t, registry) },

    { "delivery", es_delivery_dbs, 1 << 20, 64 << 10,
      "keep attempts and dead letters for a shorter time",
      ES_STORE_DELIVER | ES_STORE_DELIVERY_READ, ES_STORE_DELIVER, false,
      offsetof(es_store_t, delivery) },

    { "checkpoints", es_checkpoints_dbs, 256 << 10, 8 << 10,
      "remove checkpoints", ES_STORE_CHECKPOINT | ES_STORE_CHECKPOINT_READ,
      ES_STORE_CHECKPOINT, true, offsetof(es_store_t, checkpoints) }
};

#define ES_STORE_ENVS  (sizeof(es_store_envs) / sizeof(es_store_envs[0]))

static es_rc_t es_format_read(const char *path, es_format_t *format,
    es_problem_t *problem);
static es_rc_t es_format_write(const char *path, const es_format_t *format);
static es_rc_t es_store_problem(es_problem_t *problem, es_rc_t rc);
static es_rc_t es_store_open_env(const char *path,
    const es_store_env_t *what, const es_format_t *format, bool writable,
    bool create, es_store_t *store, es_env_t **env, es_problem_t *problem);
static uint64_t es_store_limit(void *ctx);


es_rc_t
es_store_create(const char *path, es_problem_t *problem)
{
    int          fd;
    char         file[4096];
    es_rc_t      rc;
    unsigned     i;
    es_env_t    *env;
    es_format_t  format;

    (void) snprintf(file, sizeof(file), "%s/format", path);

    if (access(file, F_OK) == 0) {
        return es_problem_set(problem, ES_EXISTS, -1, NULL,
                              "\"%s\" already is an eventsync store", path);
    }

    rc = es_file_mkdir(path, NULL);
    if (rc != ES_OK) {
        return es_store_problem(problem, rc);
    }

    format.version = ES_STORE_VERSION;
    format.map_initial = ES_STORE_MAP;
    format.map_max = ES_STORE_MAP_MAX;

    if (getrandom(&format.identity, sizeof(format.identity), 0)
        != sizeof(format.identity))
    {
        return es_store_problem(problem, es_refused(errno, "get", "random "
                                                  "bytes"));
    }

    for (i = 0; i < ES_STORE_ENVS; i++) {
        rc = es_store_open_env(path, &es_store_envs[i], &format, true, true,
                               NULL, &env, problem);
        if (rc != ES_OK) {
            return rc;
        }

        es_env_close(env);
    }

    rc = es_store_bell(path, O_WRONLY, &fd);
    if (rc != ES_OK) {
        return es_store_problem(problem, rc);
    }

    (void) close(fd);

    rc = es_used_keys_make(path);
    if (rc != ES_OK) {
        return es_store_problem(problem, rc);
    }

    /* written last: a directory without a format file is not a store */

    rc = es_format_write(path, &format);

    return rc == ES_OK ? ES_OK : es_store_problem(problem, rc);
}


/* Sets the reason that es_refused() recorded as the problem. */

static es_rc_t
es_store_problem(es_problem_t *problem, es_rc_t rc)
{
    return es_problem_set(problem, rc, -1, NULL, "%s", es_reason(rc));
}


static es_rc_t
es_format_write(const char *path, const es_format_t *format)
{
    char     file[4096];
    FILE    *f;
    es_rc_t  rc;

    (void) snprintf(file, sizeof(file), "%s/format", path);

    f = fopen(file, "wxe");
    if (f == NULL) {
        return es_refused(errno, "make", file);
    }

    es_file_share(fileno(f), file, ES_FILE_GROUP);

    (void) fprintf(f, "eventsync-store %u\nidentity %016" PRIx64
                   "\nmap_initial %" PRIu64 "\nmap_max %" PRIu64 "\n",
                   format->version, format->identity, format->map_initial,
                   format->map_max);

    rc = fflush(f) == 0 && fsync(fileno(f)) == 0
         ? ES_OK : es_refused(errno, "write", file);

    if (fclose(f) != 0 && rc == ES_OK) {
        rc = es_refused(errno, "write", file);
    }

    return rc;
}


static es_rc_t
es_format_read(const char *path, es_format_t *format, es_problem_t *problem)
{
    int    n;
    char   file[4096];
    FILE  *f;

    (void) snprintf(file, sizeof(file), "%s/format", path);

    f = fopen(file, "re");
    if (f == NULL) {
        if (errno != ENOENT && errno != ENOTDIR) {
            return es_store_problem(problem, es_refused(errno, "open", file));
        }

        return es_problem_set(problem, ES_NOT_FOUND, -1, NULL,
                              "\"%s\" is not an eventsync store (no file "
                              "\"format\" in it)", path);
    }

    n = fscanf(f, "eventsync-store %u identity %" SCNx64 " map_initial %" SCNu64
               " map_max %" SCNu64, &format->version, &format->identity,
               &format->map_initial, &format->map_max);
    (void) fclose(f);

    if (n < 1) {
        return es_problem_set(problem, ES_FORMAT, -1, NULL,
                              "\"%s\" is not an eventsync format file", file);
    }

    if (format->version != ES_STORE_VERSION) {
        return es_problem_set(problem, ES_FORMAT, -1, NULL,
                              "\"%s\" is a store of format %u, but this "
                              "program reads format %u%s", path,
                              format->version, ES_STORE_VERSION,
                              format->version < ES_STORE_VERSION
                              ? ES_STORE_OLDER : "");
    }

    if (n != 4) {
        return es_problem_set(problem, ES_FORMAT, -1, NULL,
                              "\"%s\" is damaged", file);
    }

    return ES_OK;
}


es_rc_t
es_store_read_identity(const char *path, uint64_t *identity,
    es_problem_t *problem)
{
    es_rc_t      rc;
    es_format_t  format = { 0 };

    rc = es_format_read(path, &format, problem);
    *identity = format.identity;

    return rc;
}


static bool
es_store_has(const char *path, const char *name)
{
    char  file[4096];

    (void) snprintf(file, sizeof(file), "%s/%s", path, name);

    return access(file, F_OK) == 0;
}


/* Backups and unfinished copies have the files of a store, too. */

static es_rc_t
es_store_usable(const char *path, es_problem_t *problem)
{
    if (es_store_has(path, ES_STORE_UNFINISHED)) {
        return es_problem_set(problem, ES_FORMAT, -1, NULL, "\"%s\" is not "
                              "whole: the command that made it was interrupted;"
                              " remove it", path);
    }

    if (es_store_has(path, ES_BACKUP_LIST)) {
        return es_problem_set(problem, ES_FORMAT, -1, NULL, "\"%s\" is a "
                              "backup: make a store of it with \"restore\"",
                              path);
    }

    return ES_OK;
}


es_rc_t
es_store_probe(const char *path, es_problem_t *problem)
{
    es_rc_t      rc;
    es_format_t  format;

    rc = es_format_read(path, &format, problem);

    return rc == ES_OK ? es_store_usable(path, problem) : rc;
}


static es_rc_t
es_store_open_env(const char *path, const es_store_env_t *what,
    const es_format_t *format, bool writable, bool create, es_store_t *store,
    es_env_t **env, es_problem_t *problem)
{
    char              dir[4096], file[4096];
    es_rc_t           rc;
    es_env_options_t  options;

    (void) snprintf(dir, sizeof(dir), "%s/%s", path, what->name);

    if (create) {
        rc = es_file_mkdir(dir, path);
        if (rc != ES_OK) {
            return es_store_problem(problem, rc);
        }
    }

    if (snprintf(file, sizeof(file), "%s/data.mdb", dir) >= (int) sizeof(file))
    {
        return es_store_problem(problem, es_refused(ENAMETOOLONG, "open", dir));
    }

    if (!create && access(file, F_OK) != 0) {
        if (errno != ENOENT && errno != ENOTDIR) {
            return es_store_problem(problem, es_refused(errno, "open", file));
        }

        return es_problem_set(problem, ES_FORMAT, -1, NULL,
                              "\"%s\" of the store is missing",
                              es_refused_path(file));
    }

    options.dir = dir;
    options.writable = writable;
    options.create = create;
    options.map_initial = format->map_initial;
    options.map_max = format->map_max;
    options.reserve = what->reserve;
    options.step = what->step;
    options.remedy = what->remedy;
    options.dbs = what->dbs;
    options.limit = store ? es_store_limit : NULL;
    options.limit_ctx = store;
    options.drop = store && env == &store->log ? es_txn_drop : NULL;
    options.drop_ctx = store;

    rc = es_env_open(&options, env);

    return rc == ES_OK ? ES_OK : es_env_problem(problem, rc, dir);
}


/* Opens the environments that the handle's flags ask for. */

static es_rc_t
es_store_open_envs(es_store_t *store, const es_format_t *format,
    es_problem_t *problem)
{
    bool                   writable;
    es_rc_t                rc;
    unsigned               i;
    es_env_t             **env;
    const es_store_env_t  *what;

    for (i = 0; i < ES_STORE_ENVS; i++) {
        what = &es_store_envs[i];

        if (what->opens != 0 && (store->flags & what->opens) == 0) {
            continue;
        }

        env = (es_env_t **) (void *) ((char *) store + what->handle);
        writable = (store->flags & what->writes) != 0;

        rc = es_store_open_env(store->path, what, format, writable, false,
                               store, env, problem);

        if (rc == ES_FORMAT && what->may_lack) {
            rc = es_store_open_env(store->path, what, format, writable, true,
                                   store, env, problem);
        }

        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


/* NULL: out of memory. */

static es_store_t *
es_store_alloc(const char *path, unsigned flags, const es_format_t *format)
{
    es_store_t  *store;

    store = calloc(1, sizeof(es_store_t));
    if (store == NULL) {
        return NULL;
    }

    store->bell = -1;
    store->flags = flags;
    store->identity = format->identity;
    store->map_max = format->map_max;
    (void) pthread_mutex_init(&store->txns_lock, NULL);
    (void) pthread_mutex_init(&store->said_lock, NULL);
    (void) pthread_mutex_init(&store->rules_lock, NULL);
    es_machine_read(&store->machine);

    store->path = strdup(path);
    store->validator = es_validator_create();

    if (store->path == NULL || store->validator == NULL) {
        es_store_close(store);
        return NULL;
    }

    return store;
}


es_rc_t
es_store_open(const char *path, unsigned flags, es_store_t **out,
    es_problem_t *problem)
{
    es_rc_t      rc;
    es_store_t  *store;
    es_format_t  format;

    rc = es_format_read(path, &format, problem);

    if (rc == ES_OK && (flags & ES_STORE_STAGED) == 0) {
        rc = es_store_usable(path, problem);
    }

    if (rc != ES_OK) {
        return rc;
    }

    store = es_store_alloc(path, flags, &format);
    if (store == NULL) {
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    rc = es_store_open_envs(store, &format, problem);

    if (rc == ES_OK
        && (flags & (ES_STORE_PUBLISH | ES_STORE_ADMIN | ES_STORE_DELIVER)))
    {
        rc = es_store_bell(path, O_WRONLY, &store->bell);
        if (rc != ES_OK) {
            rc = es_store_problem(problem, rc);
        }
    }

    /* Of a store that an earlier version made, a worker could not make it. */

    if (rc == ES_OK && (flags & ES_STORE_ADMIN) != 0) {
        (void) es_used_keys_make(path);
    }

    if (rc != ES_OK) {
        es_store_close(store);
        return rc;
    }

    *out = store;

    return ES_OK;
}


/* An operator may have raised map_max since the store was opened. */

static uint64_t
es_store_limit(void *ctx)
{
    es_store_t   *store = ctx;
    es_format_t   format;

    if (es_format_read(store->path, &format, NULL) == ES_OK) {
        atomic_store(&store->map_max, format.map_max);
    }

    return atomic_load(&store->map_max);
}


void
es_store_close(es_store_t *store)
{
    if (store == NULL) {
        return;
    }

    es_txn_drop(store);

    es_validator_destroy(store->validator);
    es_id_index_close(store->ids);
    es_env_close(store->checkpoints);
    es_env_close(store->delivery);
    es_env_close(store->registry);
    es_env_close(store->log);
    es_keyring_free(store->ring);

    if (store->bell != -1) {
        (void) close(store->bell);
    }

    (void) pthread_mutex_destroy(&store->txns_lock);
    (void) pthread_mutex_destroy(&store->said_lock);
    (void) pthread_mutex_destroy(&store->rules_lock);
    es_deletions_free(store);
    free(store->path);
    free(store);
}
