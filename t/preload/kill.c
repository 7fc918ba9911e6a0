/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Kills the process that LD_PRELOADs it at a chosen call.
 *
 * ES_KILL is "WHEN STEP N": the process kills itself before or after (WHEN)
 * the N-th call, over all threads, that is the STEP:
 *
 *     connect, send, recv           on a socket of IPv4 or IPv6
 *     delivery-write, log-write     pwrite() or writev() to data.mdb in a
 *                                   directory of that name
 *     delivery-sync, log-sync       fdatasync() of the same
 *     mkdir, unlink, rename, fsync  of any path or file
 *
 * ES_KILL_COUNT names a file to which a normal end writes lines of "STEP
 * calls".
 */

#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    KILL_CONNECT,
    KILL_SEND,
    KILL_RECV,
    KILL_DELIVERY_WRITE,
    KILL_DELIVERY_SYNC,
    KILL_LOG_WRITE,
    KILL_LOG_SYNC,
    KILL_MKDIR,
    KILL_UNLINK,
    KILL_RENAME,
    KILL_FSYNC,
    KILL_STEPS
};

static const char  *kill_names[KILL_STEPS] = {
    "connect", "send", "recv", "delivery-write", "delivery-sync", "log-write",
    "log-sync", "mkdir", "unlink", "rename", "fsync"
};

static atomic_uint  kill_calls[KILL_STEPS];
static int          kill_step = -1;
static bool         kill_after;
static unsigned     kill_n;


__attribute__((constructor)) static void
kill_init(void)
{
    int          i;
    char         when[8], step[16];
    const char  *text;

    text = getenv("ES_KILL");
    if (text == NULL) {
        return;
    }

    if (sscanf(text, "%7s %15s %u", when, step, &kill_n) != 3) {
        abort();
    }

    kill_after = strcmp(when, "after") == 0;

    for (i = 0; i < KILL_STEPS; i++) {
        if (strcmp(step, kill_names[i]) == 0) {
            kill_step = i;
        }
    }

    if (kill_step == -1) {
        abort();
    }
}


__attribute__((destructor)) static void
kill_count(void)
{
    int          i;
    FILE        *f;
    const char  *name;

    name = getenv("ES_KILL_COUNT");
    f = name ? fopen(name, "we") : NULL;

    if (f == NULL) {
        return;
    }

    for (i = 0; i < KILL_STEPS; i++) {
        (void) fprintf(f, "%s %u\n", kill_names[i],
                       atomic_load(&kill_calls[i]));
    }

    (void) fclose(f);
}


static void
kill_now(void)
{
    (void) kill(getpid(), SIGKILL);

    for ( ;; ) {
        (void) pause();
    }
}


/* Counts a call that is about to be made; true if the end is to follow it. */

static bool
kill_begin(int step)
{
    bool  it;

    if (step == -1) {
        return false;
    }

    it = atomic_fetch_add(&kill_calls[step], 1) + 1 == kill_n
         && step == kill_step;

    if (it && !kill_after) {
        kill_now();
    }

    return it;
}


static int
kill_socket(int fd, int step)
{
    socklen_t                len;
    struct sockaddr_storage  addr;

    len = sizeof(addr);

    return getsockname(fd, (struct sockaddr *) &addr, &len) == 0
           && (addr.ss_family == AF_INET || addr.ss_family == AF_INET6)
           ? step : -1;
}


static int
kill_file(int fd, int delivery, int log)
{
    char     link[64], path[4096];
    ssize_t  n;

    (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';

    return strstr(path, "/delivery/data.mdb") ? delivery
           : strstr(path, "/log/data.mdb") ? log : -1;
}


/* The function itself, and what is counted as which step. */

#define kill_wrap(type, name, params, args, step)                             \
    type                                                                      \
    name params                                                               \
    {                                                                         \
        bool    it;                                                           \
        type    rc;                                                           \
        type  (*next) params;                                                 \
                                                                              \
        next = (type (*) params) dlsym(RTLD_NEXT, #name);                     \
        it = kill_begin(step);                                                \
        rc = next args;                                                       \
                                                                              \
        if (it) {                                                             \
            kill_now();                                                       \
        }                                                                     \
                                                                              \
        return rc;                                                            \
    }

kill_wrap(int, connect, (int fd, __CONST_SOCKADDR_ARG addr, socklen_t len),
          (fd, addr, len), kill_socket(fd, KILL_CONNECT))

kill_wrap(ssize_t, send, (int fd, const void *buf, size_t size, int flags),
          (fd, buf, size, flags), kill_socket(fd, KILL_SEND))

kill_wrap(ssize_t, recv, (int fd, void *buf, size_t size, int flags),
          (fd, buf, size, flags), kill_socket(fd, KILL_RECV))

kill_wrap(ssize_t, pwrite, (int fd, const void *buf, size_t size, off_t at),
          (fd, buf, size, at),
          kill_file(fd, KILL_DELIVERY_WRITE, KILL_LOG_WRITE))

kill_wrap(ssize_t, writev, (int fd, const struct iovec *iov, int n),
          (fd, iov, n), kill_file(fd, KILL_DELIVERY_WRITE, KILL_LOG_WRITE))

kill_wrap(int, fdatasync, (int fd), (fd),
          kill_file(fd, KILL_DELIVERY_SYNC, KILL_LOG_SYNC))

kill_wrap(int, mkdir, (const char *path, mode_t mode), (path, mode),
          KILL_MKDIR)

kill_wrap(int, unlink, (const char *path), (path), KILL_UNLINK)

kill_wrap(int, rename, (const char *from, const char *to), (from, to),
          KILL_RENAME)

kill_wrap(int, fsync, (int fd), (fd), KILL_FSYNC)
