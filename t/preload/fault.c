/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Simulates a failing disk, for programs that LD_PRELOAD it and unit tests
 * that include it.
 *
 * The environment variable ES_FAULT names a file.  While it exists, each of
 * its lines fails or delays calls on files whose path contains WORD.  A call
 * that fails sets EIO.
 *
 *     meta WORD    fails pwrite() through an O_DSYNC descriptor, with which LMDB
 *                  writes the page that completes a commit
 *     start WORD   fails pwrite() to the first byte, with which both such pages
 *                  are written again
 *     sync WORD    fails fdatasync()
 *     slow WORD    delays pwrite() as of meta by three seconds
 *     hang WORD    delays pwrite() as of meta for as long as the line is there
 *     stat WORD    delays statvfs() for as long as the line is there, and makes
 *                  the file that is named like this one with ".held"
 *     late WORD    delays the return of pwrite() as of meta by half a second, in
 *                  which other processes see the data
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

typedef ssize_t (*fault_pwrite_t)(int, const void *, size_t, off_t);
typedef int (*fault_sync_t)(int);
typedef int (*fault_stat_t)(const char *, struct statvfs *);


static bool
fault_wanted_path(const char *what, const char *path)
{
    bool         wanted;
    char         kind[16], word[256];
    FILE        *f;
    const char  *name;

    name = getenv("ES_FAULT");
    if (name == NULL) {
        return false;
    }

    f = fopen(name, "re");
    if (f == NULL) {
        return false;
    }

    wanted = false;

    while (!wanted && fscanf(f, "%15s %255s", kind, word) == 2) {
        wanted = strcmp(kind, what) == 0 && strstr(path, word) != NULL;
    }

    (void) fclose(f);

    return wanted;
}


static bool
fault_wanted(const char *what, int fd)
{
    char     link[64], path[4096];
    ssize_t  n;

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';

    return fault_wanted_path(what, path);
}


ssize_t
pwrite(int fd, const void *buf, size_t size, off_t offset)
{
    bool     late;
    ssize_t  n;

    static fault_pwrite_t  next;

    if ((fcntl(fd, F_GETFL) & O_DSYNC) && fault_wanted("slow", fd)) {
        (void) sleep(3);
    }

    while ((fcntl(fd, F_GETFL) & O_DSYNC) && fault_wanted("hang", fd)) {
        (void) usleep(10000);
    }

    if (((fcntl(fd, F_GETFL) & O_DSYNC) && fault_wanted("meta", fd))
        || (offset == 0 && fault_wanted("start", fd)))
    {
        errno = EIO;
        return -1;
    }

    if (next == NULL) {
        next = (fault_pwrite_t) dlsym(RTLD_NEXT, "pwrite");
    }

    late = (fcntl(fd, F_GETFL) & O_DSYNC) && fault_wanted("late", fd);

    n = next(fd, buf, size, offset);

    if (late) {
        (void) usleep(500000);
    }

    return n;
}


int
fdatasync(int fd)
{
    static fault_sync_t  next;

    if (fault_wanted("sync", fd)) {
        errno = EIO;
        return -1;
    }

    if (next == NULL) {
        next = (fault_sync_t) dlsym(RTLD_NEXT, "fdatasync");
    }

    return next(fd);
}


int
statvfs(const char *path, struct statvfs *buf)
{
    int   fd;
    char  held[4096];

    static fault_stat_t  next;

    while (fault_wanted_path("stat", path)) {
        (void) snprintf(held, sizeof(held), "%s.held", getenv("ES_FAULT"));
        fd = open(held, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        if (fd != -1) {
            (void) close(fd);
        }

        (void) usleep(10000);
    }

    if (next == NULL) {
        next = (fault_stat_t) dlsym(RTLD_NEXT, "statvfs");
    }

    return next(path, buf);
}
