/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes files and directories within a store, with the modes and owners that
 * their directories ask for.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reason.h"
#include "base/file.h"

#define ES_FILE_MODE      0660    /* until es_file_share() */
#define ES_FILE_DIR_MODE  0770


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


es_rc_t
es_file_mkdir(const char *dir, const char *parent)
{
    int          fd;
    mode_t       mode, inherited;
    struct stat  made, above;

    if (mkdir(dir, ES_FILE_DIR_MODE) != 0) {
        return errno == EEXIST ? ES_OK : es_refused(errno, "make", dir);
    }

    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1 || fstat(fd, &made) != 0) {
        (void) es_refused(errno, "open", dir);

        if (fd != -1) {
            (void) close(fd);
        }

        return ES_IO;
    }

    mode = ES_FILE_DIR_MODE;
    inherited = made.st_mode & S_ISGID;

    if (parent != NULL && stat(parent, &above) == 0) {
        mode = S_IRWXU | (above.st_mode & S_IRWXG);
        inherited |= above.st_mode & S_ISGID;
        es_file_give(fd, &made, &above);
    }

    /* A change of the group may clear the bit, so the mode comes after it. */

    (void) fchmod(fd, mode | inherited);
    (void) close(fd);

    return ES_OK;
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


es_rc_t
es_file_open(const char *path, int flags, unsigned share, int *out)
{
    int  fd, made;

    /* Of two processes that make the file at once, the second opens the
       first's. */

    do {
        made = 0;
        fd = open(path, (flags & ~O_CREAT) | O_CLOEXEC);

        if (fd == -1 && errno == ENOENT && (flags & O_CREAT)) {
            made = 1;
            fd = open(path, flags | O_CREAT | O_EXCL | O_CLOEXEC,
                      ES_FILE_MODE);
        }

    } while (fd == -1 && made && errno == EEXIST);

    if (fd == -1) {
        return errno == ENOENT && !made ? ES_NOT_FOUND
                                        : es_refused(errno, made ? "make"
                                                               : "open", path);
    }

    if (made) {
        es_file_share(fd, path, share);
    }

    *out = fd;
    return ES_OK;
}
