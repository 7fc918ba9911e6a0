/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Functions for all measuring programs: time, arguments, sockets.
 *
 * Each program prints one line of JSON on stdout for bench/run.  When an answer
 * is not the expected one, it exits with 1 and prints a sentence on stderr,
 * because a figure with failures in it means nothing.
 */

#ifndef BENCH_H
#define BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline uint64_t
bench_now_ns(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

__attribute__((noreturn, format(printf, 1, 2)))
static inline void
bench_die(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static inline void *
bench_alloc(size_t n, size_t size)
{
    void  *p = calloc(n, size);

    if (p == NULL) {
        bench_die("out of memory");
    }
    return p;
}

/* The value of "--name value", or the default. */
static inline const char *
bench_arg(int argc, char **argv, const char *name, const char *value)
{
    int  i;

    for (i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return argv[i + 1];
        }
    }
    if (value == NULL) {
        bench_die("%s: %s is needed", argv[0], name);
    }
    return value;
}

static inline long
bench_arg_n(int argc, char **argv, const char *name, const char *value)
{
    char        *end;
    const char  *text = bench_arg(argc, argv, name, value);
    long         n = strtol(text, &end, 10);

    if (*end != '\0' || n < 0) {
        bench_die("%s: \"%s\" is not a number", name, text);
    }
    return n;
}

static inline int
bench_connect(int port)
{
    int                 fd, one = 1;
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *) &sin, sizeof(sin)) != 0) {
        bench_die("cannot connect to port %d: %s", port, strerror(errno));
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        bench_die("fcntl: %s", strerror(errno));
    }
    return fd;
}

/*
 * Length of the HTTP answer at the front of `buf` (NUL-terminated).  0: it is
 * not complete yet, and `status` is not set.
 */
static inline size_t
bench_answer(const char *buf, size_t len, int *status)
{
    size_t       head, body;
    const char  *end, *field;

    end = strstr(buf, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }
    head = (size_t) (end - buf) + 4;
    if (strncmp(buf, "HTTP/1.1 ", 9) != 0) {
        bench_die("not an HTTP answer: %.60s", buf);
    }
    *status = (int) strtol(buf + 9, NULL, 10);

    body = 0;
    field = strcasestr(buf, "\r\nContent-Length:");
    if (field != NULL && field < end) {
        body = (size_t) strtoul(field + 17, NULL, 10);

    } else if (*status != 304 && *status != 204) {
        bench_die("an answer without Content-Length: %.200s", buf);
    }
    return head + body <= len ? head + body : 0;
}

static inline int
bench_cmp_u32(const void *a, const void *b)
{
    uint32_t  x = *(const uint32_t *) a, y = *(const uint32_t *) b;

    return x < y ? -1 : x > y;
}

/* The p-th part (0..1) of sorted samples. */
static inline uint32_t
bench_quantile(const uint32_t *sorted, size_t n, double p)
{
    return n == 0 ? 0 : sorted[(size_t) ((double) (n - 1) * p)];
}

#endif /* BENCH_H */
