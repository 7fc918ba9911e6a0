/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * drain reads answers to their end, as fast as they arrive or slowly.
 *
 *   drain --port P --request FILE [--connections 1]
 *         [--rate 0] [--buffer 8192] [--last TEXT]
 *
 * The request must have "Connection: close".  Without --rate, drain reads each
 * answer to its end and checks that the status is 200 and, with --last, that
 * the last kilobyte contains the text.  With --rate N, each connection has a
 * receive buffer of --buffer bytes and is read at N bytes per second.  When all
 * answers have begun, drain prints "ready"; it then runs until it is killed.
 */

#include "bench.h"

#include <poll.h>
#include <signal.h>

#define TICKS   10             /* per second */
#define BUFFER  (1u << 20)
#define TAIL    1024

typedef struct {
    char      *text;
    size_t     len;
    char      *buf;            /* the last TAIL bytes, then new ones */
    size_t     tail;
    uint64_t   bytes;
} drain_t;

static volatile sig_atomic_t  ended;

static void
on_signal(int signo)
{
    (void) signo;
    ended = 1;
}

static void
read_request(drain_t *drain, const char *name)
{
    FILE  *f = fopen(name, "rb");
    long   len;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) < 0) {
        bench_die("%s: %s", name, strerror(errno));
    }
    rewind(f);
    drain->text = bench_alloc((size_t) len + 1, 1);
    drain->len = fread(drain->text, 1, (size_t) len, f);
    if (drain->len != (size_t) len) {
        bench_die("%s: cannot be read", name);
    }
    fclose(f);
}

static int
begin(const drain_t *drain, int port, int buffer)
{
    int                 fd;
    struct sockaddr_in  sin;

    if (buffer == 0) {
        fd = bench_connect(port);

    } else {
        memset(&sin, 0, sizeof(sin));
        sin.sin_family = AF_INET;
        sin.sin_port = htons((uint16_t) port);
        sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

        /* after connect() the window would already be large */

        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0
            || setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer))
               != 0
            || connect(fd, (struct sockaddr *) &sin, sizeof(sin)) != 0
            || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        {
            bench_die("cannot connect to port %d: %s", port, strerror(errno));
        }
    }

    if (send(fd, drain->text, drain->len, MSG_NOSIGNAL)
        != (ssize_t) drain->len)
    {
        bench_die("cannot send: %s", strerror(errno));
    }

    return fd;
}

/* Reads the available bytes, up to `max`; false at the end. */
static bool
take(drain_t *drain, int fd, size_t max)
{
    size_t   len;
    ssize_t  n;

    n = recv(fd, drain->buf + TAIL, max < BUFFER ? max : BUFFER, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (n < 0) {
        bench_die("recv: %s", strerror(errno));
    }

    /* keep the last bytes in front of the next ones */

    drain->bytes += (uint64_t) n;
    len = (size_t) n < TAIL ? (size_t) n : TAIL;
    memmove(drain->buf, drain->buf + len, TAIL - len);
    memcpy(drain->buf + TAIL - len, drain->buf + TAIL + n - len, len);
    drain->tail = drain->tail + len < TAIL ? drain->tail + len : TAIL;

    return n > 0;
}

static void
read_all(drain_t *drain, int fd, const char *last)
{
    bool           first = true;
    struct pollfd  pfd = { .fd = fd, .events = POLLIN };

    for ( ;; ) {
        if (poll(&pfd, 1, 30000) != 1) {
            bench_die("no byte arrived in 30 s");
        }
        if (!take(drain, fd, BUFFER)) {
            break;
        }
        if (first && memcmp(drain->buf + TAIL, "HTTP/1.1 200 ", 13) != 0) {
            bench_die("the status is not 200: %.60s", drain->buf + TAIL);
        }
        first = false;
    }

    if (memmem(drain->buf + TAIL - drain->tail, drain->tail, last,
               strlen(last))
        == NULL)
    {
        bench_die("the answer does not end in \"%s\"", last);
    }
}

static void
trickle(drain_t *drain, int *fds, long connections, long rate)
{
    long           i, left;
    bool          *begun;
    struct pollfd  pfd = { .events = POLLIN };

    begun = bench_alloc((size_t) connections, sizeof(bool));
    left = connections;

    while (!ended) {
        for (i = 0; i < connections; i++) {
            pfd.fd = fds[i];
            if (fds[i] < 0 || poll(&pfd, 1, 0) != 1) {
                continue;
            }
            if (!begun[i]) {
                begun[i] = true;
                if (--left == 0) {
                    printf("ready\n");
                    fflush(stdout);
                }
            }
            if (!take(drain, fds[i], (size_t) rate / TICKS)) {
                bench_die("an answer ended early");
            }
        }
        usleep(1000000 / TICKS);
    }

    free(begun);
}

int
main(int argc, char **argv)
{
    int               *fds;
    long               i, connections, rate;
    drain_t            drain;
    uint64_t           began;
    struct sigaction   sa;

    memset(&drain, 0, sizeof(drain));
    read_request(&drain, bench_arg(argc, argv, "--request", NULL));
    connections = bench_arg_n(argc, argv, "--connections", "1");
    rate = bench_arg_n(argc, argv, "--rate", "0");
    drain.buf = bench_alloc(TAIL + BUFFER, 1);

    memset(&sa, 0, sizeof(sa));
    sa.sa_handler = on_signal;
    sigaction(SIGTERM, &sa, NULL);

    fds = bench_alloc((size_t) connections, sizeof(int));
    began = bench_now_ns();

    for (i = 0; i < connections; i++) {
        fds[i] = begin(&drain, (int) bench_arg_n(argc, argv, "--port", NULL),
                       rate ? (int) bench_arg_n(argc, argv, "--buffer", "8192")
                            : 0);
    }

    if (rate) {
        trickle(&drain, fds, connections, rate);
    } else {
        for (i = 0; i < connections; i++) {
            read_all(&drain, fds[i], bench_arg(argc, argv, "--last", ""));
        }
    }

    printf("{\"bytes\":%llu,\"seconds\":%.6f}\n",
           (unsigned long long) drain.bytes,
           (double) (bench_now_ns() - began) / 1e9);

    free(fds);
    free(drain.buf);
    free(drain.text);
    return 0;
}
