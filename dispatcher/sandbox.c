/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the process may still do in its sandbox.
 *
 * It writes the files of the log, of the delivery state, of the id index and of
 * encrypted fields, the reader tables of the other environments, the bell, and
 * the directory of the signed heads.  It removes its PID file.  It reads the
 * store, the files of its options, and what libcurl,
 * OpenSSL and the name services need.
 *
 * A rule holds for a file, and not for another one that gets its name.  Files
 * may be replaced while the process runs, so a rule is for their directory.
 * Where links lead to a file, the directory of each target is allowed.  A
 * directory that is missing may be made later, so the one above it is allowed.
 */

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/file.h"

#include "dispatcher.h"
#include "landlock.h"
#include "log.h"
#include "options.h"
#include "sandbox.h"
#include "syscalls.h"

#define ESD_SANDBOX_LINKS  16      /* of one path */

typedef struct {
    const char  *path;
    unsigned     rights;
} esd_sandbox_path_t;

/* Below the store, which may be read as a whole.  Each file is named, too,
   because it may be a link to another disk. */
static const esd_sandbox_path_t  esd_sandbox_store[] = {
    { ".", ESD_LANDLOCK_READ },
    { "log", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE },
    { "log/data.mdb", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE },
    { "log/lock.mdb", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE },
    { "delivery", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE },
    { "delivery/data.mdb", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE },
    { "delivery/lock.mdb", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE },
    { "registry", ESD_LANDLOCK_READ },
    { "registry/data.mdb", ESD_LANDLOCK_READ },
    { "registry/lock.mdb", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE },
    { "checkpoints", ESD_LANDLOCK_READ },
    { "checkpoints/data.mdb", ESD_LANDLOCK_READ },
    { "checkpoints/lock.mdb", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE },
    { "ids", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE | ESD_LANDLOCK_MAKE
             | ESD_LANDLOCK_REMOVE },
    { "encrypted", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE | ESD_LANDLOCK_MAKE
                   | ESD_LANDLOCK_REMOVE },
    { "bell", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE },
    { "format", ESD_LANDLOCK_READ }
};

/* Libraries and modules of the name services, their configuration and caches;
   trusted certificates; what the C library asks the kernel. */
static const esd_sandbox_path_t  esd_sandbox_system[] = {
    { "/etc", ESD_LANDLOCK_READ },
    { "/usr", ESD_LANDLOCK_READ },
    { "/lib", ESD_LANDLOCK_READ },
    { "/lib32", ESD_LANDLOCK_READ },
    { "/lib64", ESD_LANDLOCK_READ },
    { "/run", ESD_LANDLOCK_READ },
    { "/proc", ESD_LANDLOCK_READ },
    { "/sys/devices/system/cpu", ESD_LANDLOCK_READ },
    { "/var/lib/sss/mc", ESD_LANDLOCK_READ },
    { "/dev/null", ESD_LANDLOCK_READ | ESD_LANDLOCK_WRITE },
    { "/dev/zero", ESD_LANDLOCK_READ },
    { "/dev/random", ESD_LANDLOCK_READ },
    { "/dev/urandom", ESD_LANDLOCK_READ }
};

/* Files that may be links to elsewhere. */
static const char *const  esd_sandbox_links[] = {
    "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf",
    "/etc/ssl/openssl.cnf", "/etc/ssl/certs/ca-certificates.crt"
};


/* Cuts a path after its directory.  "" and "." stand for the present one. */

static void
esd_sandbox_cut(char *path)
{
    char  *slash;

    slash = strrchr(path, '/');

    if (slash == NULL) {
        memcpy(path, ".", sizeof("."));
    } else {
        slash[slash == path] = '\0';
    }
}


/* Allows to read below the directory of a path, or below the nearest one above
   that exists, but not below the root. */

static int
esd_sandbox_above(const esd_landlock_t *landlock, const char *name)
{
    char         path[PATH_MAX];
    struct stat  sb;

    if (snprintf(path, sizeof(path), "%s", name) >= (int) sizeof(path)) {
        return 0;
    }

    do {
        esd_sandbox_cut(path);
    } while (stat(path, &sb) != 0 && strcmp(path, "/") != 0
             && strcmp(path, ".") != 0);

    return strcmp(path, "/") == 0
           ? 0 : esd_landlock_allow(landlock, path, ESD_LANDLOCK_READ);
}


/* The target of a link, from the directory of the link.  False: it is none. */

static bool
esd_sandbox_follow(char *path)
{
    char     target[PATH_MAX], dir[PATH_MAX];
    ssize_t  n;

    n = readlink(path, target, sizeof(target) - 1);
    if (n <= 0) {
        return false;
    }

    target[n] = '\0';
    memcpy(dir, path, strlen(path) + 1);
    esd_sandbox_cut(dir);

    return (target[0] == '/'
            ? snprintf(path, PATH_MAX, "%s", target)
            : snprintf(path, PATH_MAX, "%s/%s", dir, target)) < PATH_MAX;
}


/* Follows the links of one component of a path. */

static int
esd_sandbox_component(const esd_landlock_t *landlock, const char *name,
    size_t len)
{
    int       err;
    char      path[PATH_MAX];
    unsigned  i;

    (void) snprintf(path, sizeof(path), "%.*s", (int) len, name);

    for (i = 0, err = 0; i < ESD_SANDBOX_LINKS && err == 0; i++) {
        if (!esd_sandbox_follow(path)) {
            break;
        }

        err = esd_sandbox_above(landlock, path);
    }

    return err;
}


/* Allows to read a directory of an option, or a file and whatever gets its name
   later; also what the links on the way lead to later. */

static int
esd_sandbox_name(const esd_landlock_t *landlock, const char *name)
{
    int          err;
    size_t       i, len;
    struct stat  sb;

    if (name == NULL) {
        return 0;
    }

    len = strlen(name);
    err = stat(name, &sb) == 0 && S_ISDIR(sb.st_mode)
          ? 0 : esd_sandbox_above(landlock, name);

    for (i = 1; i <= len && err == 0; i++) {
        if (i == len || name[i] == '/') {
            err = esd_sandbox_component(landlock, name, i);
        }
    }

    return err != 0 ? err
           : esd_landlock_allow(landlock, name, ESD_LANDLOCK_READ);
}


static int
esd_sandbox_options(const esd_landlock_t *landlock, const esd_options_t *o)
{
    int     err;
    char    dir[PATH_MAX];
    size_t  i;

    const char *const  names[] = {
        o->key_file, o->ca_file, o->tls_dir, o->otlp_ca_file, o->audit_key
    };

    for (i = 0, err = 0; i < sizeof(names) / sizeof(char *) && err == 0; i++) {
        err = esd_sandbox_name(landlock, names[i]);
    }

    if (err == 0 && o->pid_file != NULL
        && snprintf(dir, sizeof(dir), "%s", o->pid_file) < (int) sizeof(dir))
    {
        esd_sandbox_cut(dir);
        err = esd_landlock_allow(landlock, dir, ESD_LANDLOCK_REMOVE);
    }

    if (err == 0 && o->audit_heads != NULL
        && snprintf(dir, sizeof(dir), "%s", o->audit_heads)
           < (int) sizeof(dir))
    {
        esd_sandbox_cut(dir);
        err = esd_landlock_allow(landlock, dir,
                                 ESD_LANDLOCK_WRITE | ESD_LANDLOCK_MAKE
                                 | ESD_LANDLOCK_REMOVE);
    }

    return err;
}


static int
esd_sandbox_paths(const esd_landlock_t *landlock, const esd_options_t *o)
{
    int     err;
    char    path[PATH_MAX];
    size_t  i, n;

    n = sizeof(esd_sandbox_store) / sizeof(esd_sandbox_path_t);

    for (i = 0, err = 0; i < n && err == 0; i++) {
        (void) snprintf(path, sizeof(path), "%s/%s", o->store,
                        esd_sandbox_store[i].path);
        err = esd_landlock_allow(landlock, path, esd_sandbox_store[i].rights);
    }

    n = sizeof(esd_sandbox_system) / sizeof(esd_sandbox_path_t);

    for (i = 0; i < n && err == 0; i++) {
        err = esd_landlock_allow(landlock, esd_sandbox_system[i].path,
                                 esd_sandbox_system[i].rights);
    }

    n = sizeof(esd_sandbox_links) / sizeof(char *);

    for (i = 0; i < n && err == 0; i++) {
        err = esd_sandbox_name(landlock, esd_sandbox_links[i]);
    }

    return err != 0 ? err : esd_sandbox_options(landlock, o);
}


/* The scope of abstract sockets would exclude that of the service manager. */

static int
esd_sandbox_files(const esd_options_t *o)
{
    int              err;
    const char      *manager;
    esd_landlock_t   landlock;

    manager = getenv("NOTIFY_SOCKET");
    err = esd_landlock_open(&landlock, manager == NULL || manager[0] != '@');

    if (err == 0) {
        err = esd_sandbox_paths(&landlock, o);
    }

    if (err == 0) {
        err = esd_landlock_enter(&landlock);
    }

    esd_landlock_close(&landlock);

    return err;
}


/* Both directories are made when they are first needed, which the sandbox would
   not allow. */

static void
esd_sandbox_prepare(const esd_options_t *o)
{
    char    path[PATH_MAX];
    size_t  i;

    static const char *const  late[] = { "ids", "encrypted" };

    for (i = 0; i < sizeof(late) / sizeof(late[0]); i++) {
        (void) snprintf(path, sizeof(path), "%s/%s", o->store, late[i]);
        (void) es_file_mkdir(path, o->store);
    }
}


void
esd_sandbox_enter(const esd_dispatcher_t *d)
{
    int                   files, calls;
    char                  no_files[128], no_calls[128];
    const esd_options_t  *o;

    o = &d->options;
    files = 0;
    calls = 0;
    no_files[0] = '\0';
    no_calls[0] = '\0';

    if (o->sandbox & ESD_SANDBOX_LANDLOCK) {
        esd_sandbox_prepare(o);
        files = esd_sandbox_files(o);
    }

    if (o->sandbox & ESD_SANDBOX_SECCOMP) {
        calls = esd_syscalls_filter();
    }

    if (files == 0 && calls == 0) {
        return;
    }

    if (files != 0) {
        (void) snprintf(no_files, sizeof(no_files), "Landlock cannot restrict "
                        "files (%s)", strerror(files));
    }

    if (calls != 0) {
        (void) snprintf(no_calls, sizeof(no_calls), "seccomp cannot filter "
                        "system calls (%s)", strerror(calls));
    }

    esd_log_line(ESD_LOG_WARN, "the sandbox is incomplete: %s%s%s", no_files,
                 files != 0 && calls != 0 ? ", and " : "", no_calls);
}
