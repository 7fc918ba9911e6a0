/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * mire is a receiver that holds connections: it answers the first request of
 * each path at once, so that the dispatcher trusts the endpoint.  After that:
 *
 *   mire --port P --after 25        it answers each request after 25 s
 *   mire --port P --after 0         it sends the header at once, and then one
 *                                   byte of the body per second without end
 *
 * It runs until it is killed.
 */

#include "bench.h"

#include <sys/epoll.h>
#include <sys/queue.h>
#include <sys/resource.h>

#define PATHS  4096

typedef struct held {
    TAILQ_ENTRY(held)  link;
    int                fd;
    bool               listed;
    uint64_t           due_ns;     /* slow: when to answer */
    size_t             len;
    char               buf[16384];
} held_t;

static const char  answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
static const char  head[] = "HTTP/1.1 200 OK\r\n"
                            "Content-Length: 1000000\r\n\r\n";

static TAILQ_HEAD(conns, held)  waiting = TAILQ_HEAD_INITIALIZER(waiting);
static bool                known[PATHS];
static uint64_t            after_ns;

static void
drop(held_t *conn)
{
    if (conn->listed) {
        TAILQ_REMOVE(&waiting, conn, link);
    }
    close(conn->fd);
    free(conn);
}

static bool
put(const held_t *conn, const char *text, size_t len)
{
    return send(conn->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT)
           == (ssize_t) len;
}

/* Length of the request, or 0; requests are not pipelined. */
static size_t
request(const held_t *conn)
{
    size_t       len;
    const char  *end, *field;

    end = strstr(conn->buf, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }
    field = strcasestr(conn->buf, "\r\nContent-Length:");
    len = (size_t) (end - conn->buf) + 4
          + (field ? strtoul(field + 17, NULL, 10) : 0);
    return len <= conn->len ? len : 0;
}

/* POST /hook/17 HTTP/1.1 */
static bool
first(const held_t *conn)
{
    size_t  path;

    path = strtoul(conn->buf + strcspn(conn->buf, "0123456789"), NULL, 10);
    if (path >= PATHS || known[path]) {
        return false;
    }
    return known[path] = true;
}

/* False when the connection has ended. */
static bool
take(held_t *conn)
{
    ssize_t  n;

    n = recv(conn->fd, conn->buf + conn->len,
             sizeof(conn->buf) - 1 - conn->len, MSG_DONTWAIT);
    if (n <= 0) {
        return n < 0 && errno == EAGAIN;
    }
    conn->len += (size_t) n;
    conn->buf[conn->len] = '\0';

    if (request(conn) == 0) {
        return conn->len < sizeof(conn->buf) - 1;
    }
    conn->len = 0;

    if (first(conn)) {
        return put(conn, answer, sizeof(answer) - 1);
    }
    if (after_ns == 0 && !put(conn, head, sizeof(head) - 1)) {
        return false;
    }
    conn->due_ns = bench_now_ns() + after_ns;
    if (!conn->listed) {
        conn->listed = true;
        TAILQ_INSERT_TAIL(&waiting, conn, link);
    }
    return true;
}

/* Answers the requests that are due, or sends one byte to each. */
static void
tick(void)
{
    held_t  *conn, *next;

    for (conn = TAILQ_FIRST(&waiting); conn != NULL; conn = next) {
        next = TAILQ_NEXT(conn, link);

        if (after_ns == 0) {
            (void) put(conn, "x", 1);
            continue;
        }
        if (conn->due_ns > bench_now_ns()) {
            break;
        }
        TAILQ_REMOVE(&waiting, conn, link);
        conn->listed = false;
        (void) put(conn, answer, sizeof(answer) - 1);
    }
}

static void
take_in(int poll, int listener)
{
    held_t              *conn;
    struct epoll_event   ev;

    conn = bench_alloc(1, sizeof(held_t));
    conn->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (conn->fd < 0) {
        free(conn);
        return;
    }
    ev.events = EPOLLIN;
    ev.data.ptr = conn;
    if (epoll_ctl(poll, EPOLL_CTL_ADD, conn->fd, &ev) != 0) {
        bench_die("epoll_ctl: %s", strerror(errno));
    }
}

static int
listen_on(long port)
{
    int                 fd, one = 1;
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *) &sin, sizeof(sin)) != 0
        || listen(fd, 4096) != 0)
    {
        bench_die("port %ld: %s", port, strerror(errno));
    }
    return fd;
}

int
main(int argc, char **argv)
{
    int                  i, n, poll, listener;
    uint64_t             ticked;
    struct rlimit        limit;
    struct epoll_event   ev, events[256];

    after_ns = (uint64_t) bench_arg_n(argc, argv, "--after", NULL)
               * 1000000000;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
    }

    listener = listen_on(bench_arg_n(argc, argv, "--port", NULL));
    poll = epoll_create1(EPOLL_CLOEXEC);
    ev.events = EPOLLIN;
    ev.data.ptr = NULL;
    if (poll < 0 || epoll_ctl(poll, EPOLL_CTL_ADD, listener, &ev) != 0) {
        bench_die("epoll: %s", strerror(errno));
    }
    ticked = bench_now_ns();

    for ( ;; ) {
        n = epoll_wait(poll, events, 256, 100);

        for (i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL) {
                take_in(poll, listener);

            } else if (!take(events[i].data.ptr)) {
                drop(events[i].data.ptr);
            }
        }
        if (bench_now_ns() - ticked > 1000000000) {
            ticked = bench_now_ns();
            tick();
        }
    }
}
