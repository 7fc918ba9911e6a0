/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Records what the process that LD_PRELOADs it writes to the data.mdb of log/.
 *
 * ES_WRITES names the file, to which each call appends a header, and the bytes
 * of a write:
 *
 *     "write OFFSET SIZE\n", "meta OFFSET SIZE\n" (a descriptor with O_DSYNC),
 *     "sync\n"
 *
 * A test makes of it the states that a power loss can leave.
 */

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t  writes_lock = PTHREAD_MUTEX_INITIALIZER;


static int
writes_wanted(int fd)
{
    char     link[64], path[4096];
    ssize_t  n;

    if (getenv("ES_WRITES") == NULL) {
        return 0;
    }

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';

    return strstr(path, "/log/data.mdb") != NULL;
}


static void
writes_record(int fd, const struct iovec *iov, int n, off_t at)
{
    int         i;
    FILE       *f;
    size_t      size;
    const char *what;

    (void) pthread_mutex_lock(&writes_lock);

    f = fopen(getenv("ES_WRITES"), "ae");
    if (f == NULL) {
        abort();
    }

    if (iov == NULL) {
        (void) fprintf(f, "sync\n");

    } else {
        for (size = 0, i = 0; i < n; i++) {
            size += iov[i].iov_len;
        }

        what = fcntl(fd, F_GETFL) & O_DSYNC ? "meta" : "write";
        (void) fprintf(f, "%s %lld %zu\n", what, (long long) at, size);

        for (i = 0; i < n; i++) {
            (void) fwrite(iov[i].iov_base, 1, iov[i].iov_len, f);
        }
    }

    if (fclose(f) != 0) {
        abort();
    }

    (void) pthread_mutex_unlock(&writes_lock);
}


ssize_t
pwrite(int fd, const void *buf, size_t size, off_t at)
{
    struct iovec  iov = { (void *) (uintptr_t) buf, size };
    ssize_t     (*next)(int, const void *, size_t, off_t);

    next = (ssize_t (*)(int, const void *, size_t, off_t))
           dlsym(RTLD_NEXT, "pwrite");

    if (writes_wanted(fd)) {
        writes_record(fd, &iov, 1, at);
    }

    return next(fd, buf, size, at);
}


ssize_t
writev(int fd, const struct iovec *iov, int n)
{
    ssize_t  (*next)(int, const struct iovec *, int);

    next = (ssize_t (*)(int, const struct iovec *, int))
           dlsym(RTLD_NEXT, "writev");

    if (writes_wanted(fd)) {
        writes_record(fd, iov, n, lseek(fd, 0, SEEK_CUR));
    }

    return next(fd, iov, n);
}


int
fdatasync(int fd)
{
    int  rc;
    int  (*next)(int);

    next = (int (*)(int)) dlsym(RTLD_NEXT, "fdatasync");
    rc = next(fd);

    if (writes_wanted(fd)) {
        writes_record(fd, NULL, 0, 0);
    }

    return rc;
}
