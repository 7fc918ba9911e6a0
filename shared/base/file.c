/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes files and directories within a store, with the modes and owners that
 * their directories ask for.
 *
 * Workers make the same ones at once.  Each is made under a name of its own
 * and renamed when it has its rights: a process that finds it before that
 * would be refused, or would give its own files the rights of a moment.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reason.h"
#include "base/file.h"

#define ES_FILE_MODE      0660    /* where the directory is not known */
#define ES_FILE_DIR_MODE  0770
#define ES_FILE_PATH      4096


/* Root also gives a file to the user of the directory.  A process without
   that right keeps the file; others then get an error when they open it. */

static void
es_file_give(int fd, const struct stat *made, const struct stat *parent)
{
    uid_t  user;

    user = geteuid() == 0 ? parent->st_uid : (uid_t) -1;

    if (made->st_gid != parent->st_gid || user != (uid_t) -1) {
        (void) !fchown(fd, user, parent->st_gid);
    }
}


/* Writes a name that nobody else has: `path`, and six characters to be
   replaced by mkdtemp() or mkostemp(). */

static es_rc_t
es_file_fresh(const char *path, char fresh[ES_FILE_PATH])
{
    size_t  len;

    len = strlen(path);

    while (len > 1 && path[len - 1] == '/') {
        len--;
    }

    if (len + sizeof(".XXXXXX") > ES_FILE_PATH) {
        return es_refused(ENAMETOOLONG, "make", path);
    }

    (void) snprintf(fresh, ES_FILE_PATH, "%.*s.XXXXXX", (int) len, path);

    return ES_OK;
}


/*
 * Gives the finished file or directory its name, unless another process was
 * first: EEXIST.  Some filesystems know no such rename.  There a file gets a
 * second name instead, and a directory may take the place of an empty one.
 */

static int
es_file_publish(const char *fresh, const char *path, bool dir)
{
    if (renameat2(AT_FDCWD, fresh, AT_FDCWD, path, RENAME_NOREPLACE) == 0) {
        return 0;
    }

    if (errno != EINVAL && errno != ENOSYS) {
        return errno;
    }

    if (dir) {
        return rename(fresh, path) == 0 ? 0
               : errno == ENOTEMPTY ? EEXIST : errno;
    }

    if (link(fresh, path) != 0) {
        return errno;
    }

    (void) unlink(fresh);

    return 0;
}


static void
es_file_mkdir_rights(int fd, const char *parent)
{
    mode_t       mode, inherited;
    struct stat  made, above;

    mode = ES_FILE_DIR_MODE;
    inherited = fstat(fd, &made) == 0 ? made.st_mode & S_ISGID : 0;

    if (parent != NULL && stat(parent, &above) == 0) {
        mode = S_IRWXU | (above.st_mode & S_IRWXG);
        inherited |= above.st_mode & S_ISGID;
        es_file_give(fd, &made, &above);
    }

    /* A change of the group may clear the bit, so the mode comes after it. */

    (void) fchmod(fd, mode | inherited);
}


es_rc_t
es_file_mkdir(const char *dir, const char *parent)
{
    int      fd, err;
    char     fresh[ES_FILE_PATH];
    es_rc_t  rc;

    if (access(dir, F_OK) == 0) {
        return ES_OK;
    }

    rc = es_file_fresh(dir, fresh);
    if (rc != ES_OK) {
        return rc;
    }

    if (mkdtemp(fresh) == NULL) {
        return es_refused(errno, "make", dir);
    }

    fd = open(fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd == -1) {
        err = errno;

    } else {
        es_file_mkdir_rights(fd, parent);
        (void) close(fd);
        err = es_file_publish(fresh, dir, true);
    }

    if (err != 0) {
        (void) rmdir(fresh);
    }

    return err == 0 || err == EEXIST ? ES_OK : es_refused(err, "make", dir);
}


mode_t
es_file_mode(mode_t dir, unsigned share)
{
    mode_t  mode;

    mode = dir & (share & ES_FILE_GROUP ? 0660 : 0666);

    return share & ES_FILE_SHARED ? mode | (mode & 0444) >> 1 : mode;
}


void
es_file_share(int fd, const char *path, unsigned share)
{
    char         dir[4096];
    char        *slash;
    mode_t       mode;
    struct stat  made, parent;

    mode = ES_FILE_MODE;

    (void) snprintf(dir, sizeof(dir), "%s", path);

    slash = strrchr(dir, '/');
    if (slash != NULL) {
        *slash = '\0';
    }

    if (slash != NULL && fstat(fd, &made) == 0 && stat(dir, &parent) == 0) {
        es_file_give(fd, &made, &parent);
        mode = es_file_mode(parent.st_mode, share);
    }

    (void) fchmod(fd, mode);
}


/* Makes a file.  EEXIST: another process made it first. */

static int
es_file_make(const char *path, int flags, unsigned share, int *out)
{
    int   fd, err;
    char  fresh[ES_FILE_PATH];

    if (es_file_fresh(path, fresh) != ES_OK) {
        return ENAMETOOLONG;
    }

    flags &= ~(O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC);

    fd = mkostemp(fresh, flags | O_CLOEXEC);
    if (fd == -1) {
        return errno;
    }

    es_file_share(fd, path, share);

    err = es_file_publish(fresh, path, false);

    if (err != 0) {
        (void) unlink(fresh);
        (void) close(fd);
        return err;
    }

    *out = fd;
    return 0;
}


es_rc_t
es_file_open(const char *path, int flags, unsigned share, int *out)
{
    int  fd, err;

    do {
        fd = open(path, (flags & ~O_CREAT) | O_CLOEXEC);

        if (fd != -1) {
            *out = fd;
            return ES_OK;
        }

        if (errno != ENOENT) {
            return es_refused(errno, "open", path);
        }

        if (!(flags & O_CREAT)) {
            return ES_NOT_FOUND;
        }

        err = es_file_make(path, flags, share, out);

    } while (err == EEXIST);

    return err == 0 ? ES_OK : es_refused(err, "make", path);
}


bool
es_file_owner(const char *text, uint32_t *id)
{
    char           *end;
    unsigned long   n;

    errno = 0;
    n = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0
        || n >= UINT32_MAX)
    {
        return false;
    }

    *id = (uint32_t) n;

    return true;
}


es_rc_t
es_file_replace(const char *path, const es_buf_t *text, mode_t mode)
{
    int    fd;
    bool   ok;
    char  *temp;

    if (asprintf(&temp, "%s.new", path) < 0) {
        return ES_NOMEM;
    }

    fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
              mode);

    ok = fd != -1
         && write(fd, text->data, text->len) == (ssize_t) text->len
         && fsync(fd) == 0;

    if (fd != -1) {
        ok = close(fd) == 0 && ok;
    }

    ok = ok && rename(temp, path) == 0;
    free(temp);

    return ok ? ES_OK : es_refused(errno, "write", path);
}
