/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sets the owners, groups and modes of a store's files.
 *
 * Users who may write a directory of the store may have put a link there.  So
 * nothing is followed: each entry is opened, and what was opened is changed.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/file.h"
#include "base/reason.h"
#include "open/rights.h"
#include "registry/used_keys.h"
#include "store/store.h"

typedef struct {
    const char  *dir;          /* ".": the store itself */
    size_t       group;        /* offset in es_rights_t */
    mode_t       mode;
    bool         lost;         /* it may be missing, and is then made */
} es_right_t;

static const es_right_t  es_rights[] = {
    { ".", offsetof(es_rights_t, group), 02750, false },
    { "log", offsetof(es_rights_t, publish), 02775, false },
    { "ids", offsetof(es_rights_t, publish), 02770, true },
    { "registry", offsetof(es_rights_t, manage), 02775, false },
    { "checkpoints", offsetof(es_rights_t, ack), 02775, false },
    { "pages", offsetof(es_rights_t, pages), 02770, true },
    { "encrypted", offsetof(es_rights_t, group), 02770, true },
    { "delivery", offsetof(es_rights_t, delivery), 02750, false }
};

/* Files that processes write which only read the rest. */
static const char  *const  es_shared_files[] = { "lock.mdb", "bell",
    "used" };


static es_rc_t
es_rights_refused(es_problem_t *problem, const char *what, const char *path,
    const char *name)
{
    return es_problem_set(problem, ES_IO, -1, NULL, "cannot %s \"%s/%s\": %s",
                          what, path, name, strerror(errno));
}


/* The mode of the file `name` in the directory `path` of the store, which has
   the mode `dir`. */

static mode_t
es_rights_mode(const char *path, const char *name, mode_t dir)
{
    size_t    i;
    unsigned  share;

    share = strcmp(path, ".") == 0 ? ES_FILE_GROUP : 0;

    for (i = 0; i < sizeof(es_shared_files) / sizeof(es_shared_files[0]); i++) {
        if (strcmp(name, es_shared_files[i]) == 0) {
            share |= ES_FILE_SHARED;
        }
    }

    return es_file_mode(dir, share);
}


/* Sets the rights of an entry of the directory `at`. */

static es_rc_t
es_rights_file(int at, const char *path, const char *name, uid_t user,
    gid_t group, mode_t dir, es_problem_t *problem)
{
    int          fd;
    es_rc_t      rc;
    struct stat  st;

    fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd == -1 || fstat(fd, &st) != 0) {
        rc = es_rights_refused(problem, "open", path, name);

    } else if (!S_ISREG(st.st_mode) || st.st_nlink != 1) {
        rc = es_problem_set(problem, ES_IO, -1, NULL, "\"%s/%s\" is no file of "
                            "a store, or has another name, too", path, name);

    } else {
        rc = fchown(fd, user, group) == 0
             && fchmod(fd, es_rights_mode(path, name, dir)) == 0
             ? ES_OK : es_rights_refused(problem, "change", path, name);
    }

    if (fd != -1) {
        (void) close(fd);
    }

    return rc;
}


/* Sets the rights of all entries of a directory.  Takes the descriptor. */

static es_rc_t
es_rights_files(int fd, const char *path, uid_t user, gid_t group, mode_t mode,
    es_problem_t *problem)
{
    DIR            *dir;
    es_rc_t         rc;
    struct dirent  *entry;

    dir = fdopendir(fd);
    if (dir == NULL) {
        (void) close(fd);
        return es_rights_refused(problem, "read", path, ".");
    }

    rc = ES_OK;

    while (rc == ES_OK && (entry = readdir(dir)) != NULL) {

        if (strcmp(entry->d_name, ".") != 0
            && strcmp(entry->d_name, "..") != 0)
        {
            rc = es_rights_file(dirfd(dir), path, entry->d_name, user, group,
                                mode, problem);
        }
    }

    (void) closedir(dir);

    return rc;
}


static es_rc_t
es_rights_dir(int at, const es_right_t *right, const es_rights_t *rights,
    es_problem_t *problem)
{
    int      fd;
    bool     store;
    gid_t    group;
    uid_t    user;
    es_rc_t  rc;

    store = strcmp(right->dir, ".") == 0;
    group = *(const gid_t *) (const void *) ((const char *) rights
                                             + right->group);
    user = strcmp(right->dir, "delivery") == 0 ? rights->dispatcher
                                               : geteuid();

    if (right->lost && mkdirat(at, right->dir, 0700) != 0 && errno != EEXIST) {
        return es_rights_refused(problem, "make", ".", right->dir);
    }

    fd = openat(at, right->dir,
                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd == -1) {
        return es_rights_refused(problem, "open", ".", right->dir);
    }

    if (fchown(fd, user, group) != 0 || fchmod(fd, right->mode) != 0) {
        rc = es_rights_refused(problem, "change", ".", right->dir);
        (void) close(fd);
        return rc;
    }

    if (!store) {
        return es_rights_files(fd, right->dir, user, group, right->mode,
                               problem);
    }

    rc = es_rights_file(fd, ".", "format", user, group, right->mode, problem);

    if (rc == ES_OK) {
        rc = es_rights_file(fd, ".", "bell", user, group, right->mode,
                            problem);
    }

    if (rc == ES_OK) {
        rc = es_rights_file(fd, ".", "used", user, group, right->mode,
                            problem);
    }

    (void) close(fd);

    return rc;
}


es_rc_t
es_store_rights(const char *path, const es_rights_t *rights,
    es_problem_t *problem)
{
    int       at, bell;
    es_rc_t   rc;
    unsigned  i;

    rc = es_store_bell(path, O_WRONLY, &bell);
    if (rc != ES_OK) {
        return es_problem_set(problem, rc, -1, NULL, "%s", es_reason(rc));
    }

    (void) close(bell);

    rc = es_used_keys_make(path);
    if (rc != ES_OK) {
        return es_problem_set(problem, rc, -1, NULL, "%s", es_reason(rc));
    }

    at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at == -1) {
        return es_rights_refused(problem, "open", path, ".");
    }

    for (i = 0; rc == ES_OK && i < sizeof(es_rights) / sizeof(es_rights[0]);
         i++)
    {
        rc = es_rights_dir(at, &es_rights[i], rights, problem);
    }

    (void) close(at);

    return rc;
}


/* ---- the check ---- */

typedef struct {
    const char          *path;     /* of the store */
    const es_rights_t   *rights;
    es_rights_fault_fn   fn;
    void                *ctx;
    es_problem_t        *problem;
} es_rights_check_t;


static void
es_rights_compare(const es_rights_check_t *check, const char *name,
    const struct stat *st, mode_t mode, gid_t group)
{
    char  why[96];

    if ((st->st_mode & 07777) != mode) {
        (void) snprintf(why, sizeof(why), "has mode %04o instead of %04o",
                        (unsigned) (st->st_mode & 07777), (unsigned) mode);
        check->fn(check->ctx, name, why);
    }

    if (st->st_gid != group) {
        (void) snprintf(why, sizeof(why), "belongs to group %u instead of %u",
                        (unsigned) st->st_gid, (unsigned) group);
        check->fn(check->ctx, name, why);
    }
}


/* Compares a file.  One that has vanished meanwhile has no rights. */

static void
es_rights_compare_file(const es_rights_check_t *check, int at,
    const es_right_t *right, const char *file, gid_t group)
{
    char         name[300];
    struct stat  st;

    if (fstatat(at, file, &st, AT_SYMLINK_NOFOLLOW) != 0) {
        return;
    }

    (void) snprintf(name, sizeof(name), "%s%s%s",
                    strcmp(right->dir, ".") == 0 ? "" : right->dir,
                    strcmp(right->dir, ".") == 0 ? "" : "/", file);

    if (!S_ISREG(st.st_mode)) {
        check->fn(check->ctx, name, "is no file of a store");
        return;
    }

    es_rights_compare(check, name, &st,
                      es_rights_mode(right->dir, file, right->mode), group);
}


static es_rc_t
es_rights_check_files(const es_rights_check_t *check, int fd,
    const es_right_t *right, gid_t group)
{
    DIR            *dir;
    struct dirent  *entry;

    if (strcmp(right->dir, ".") == 0) {
        es_rights_compare_file(check, fd, right, "format", group);
        es_rights_compare_file(check, fd, right, "bell", group);
        es_rights_compare_file(check, fd, right, "used", group);
        (void) close(fd);
        return ES_OK;
    }

    dir = fdopendir(fd);
    if (dir == NULL) {
        (void) close(fd);
        return es_rights_refused(check->problem, "read", check->path,
                                 right->dir);
    }

    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0
            && strcmp(entry->d_name, "..") != 0)
        {
            es_rights_compare_file(check, dirfd(dir), right, entry->d_name,
                                   group);
        }
    }

    (void) closedir(dir);

    return ES_OK;
}


static es_rc_t
es_rights_check_dir(const es_rights_check_t *check, int at,
    const es_right_t *right)
{
    int          fd;
    gid_t        group;
    struct stat  st;

    fd = openat(at, right->dir,
                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd == -1 && errno == ENOENT && right->lost) {
        return ES_OK;
    }

    if (fd == -1 || fstat(fd, &st) != 0) {
        if (fd != -1) {
            (void) close(fd);
        }

        return es_rights_refused(check->problem, "open", check->path,
                                 right->dir);
    }

    group = *(const gid_t *) (const void *) ((const char *) check->rights
                                             + right->group);
    es_rights_compare(check, right->dir, &st, right->mode, group);

    return es_rights_check_files(check, fd, right, group);
}


es_rc_t
es_store_rights_check(const char *path, const es_rights_t *rights,
    es_rights_fault_fn fn, void *ctx, es_problem_t *problem)
{
    int                at;
    es_rc_t            rc;
    unsigned           i;
    es_rights_check_t  check = { path, rights, fn, ctx, problem };

    at = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (at == -1) {
        return es_rights_refused(problem, "open", path, ".");
    }

    rc = ES_OK;

    for (i = 0; rc == ES_OK && i < sizeof(es_rights) / sizeof(es_rights[0]);
         i++)
    {
        rc = es_rights_check_dir(&check, at, &es_rights[i]);
    }

    (void) close(at);

    return rc;
}


bool
es_store_rights_read(const char *path, es_rights_t *rights)
{
    char         file[4096];
    size_t       i;
    struct stat  st;

    for (i = 0; i < sizeof(es_rights) / sizeof(es_rights[0]); i++) {
        (void) snprintf(file, sizeof(file), "%s/%s", path, es_rights[i].dir);

        if (stat(file, &st) != 0) {
            if (errno == ENOENT && es_rights[i].lost) {
                continue;
            }

            return false;
        }

        memcpy((char *) rights + es_rights[i].group, &st.st_gid,
               sizeof(st.st_gid));

        if (strcmp(es_rights[i].dir, "delivery") == 0) {
            rights->dispatcher = st.st_uid;
        }
    }

    return true;
}
