/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * streams holds many requests open and times how an event reaches all of them.
 *
 *   streams --port P --request FILE --connections N [--silent 0]
 *
 * It sends the request on each connection, and prints "ready" when all answers
 * have begun; with --silent 1, when all requests are sent.  For each line on
 * stdin it then prints "armed", waits until every connection has received the
 * text of that line, and prints the microseconds since "armed".
 */

#include "bench.h"

#include <sys/epoll.h>

#define MARK_MAX  64
#define PIECE     65536

typedef struct {
    int     fd;
    size_t  kept;              /* bytes before the next ones, at most a mark */
    bool    done;
    char    last[MARK_MAX];
} stream_t;

typedef struct {
    int        epoll;
    long       n;
    stream_t  *streams;
    char       mark[MARK_MAX];
    char       buf[MARK_MAX + PIECE];
} load_t;

static void
open_streams(load_t *load, int port, const char *name)
{
    long                i;
    char                text[4096];
    FILE               *f = fopen(name, "rb");
    size_t              len;
    struct epoll_event  ev;

    if (f == NULL) {
        bench_die("%s: %s", name, strerror(errno));
    }
    len = fread(text, 1, sizeof(text), f);
    fclose(f);

    for (i = 0; i < load->n; i++) {
        load->streams[i].fd = bench_connect(port);
        if (send(load->streams[i].fd, text, len, MSG_NOSIGNAL)
            != (ssize_t) len)
        {
            bench_die("send: %s", strerror(errno));
        }
        memset(&ev, 0, sizeof(ev));
        ev.events = EPOLLIN;
        ev.data.ptr = &load->streams[i];
        if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->streams[i].fd, &ev)
            != 0)
        {
            bench_die("epoll_ctl: %s", strerror(errno));
        }
    }
}

/* True if the mark has arrived on this stream. */

static bool
receive(load_t *load, stream_t *stream)
{
    bool     found;
    size_t   len = strlen(load->mark);
    ssize_t  n;

    memcpy(load->buf, stream->last, stream->kept);
    n = recv(stream->fd, load->buf + stream->kept, PIECE, 0);
    if (n < 0 && errno == EAGAIN) {
        return false;
    }
    if (n <= 0) {
        bench_die("the server closed a stream");
    }
    n += (ssize_t) stream->kept;
    found = memmem(load->buf, (size_t) n, load->mark, len) != NULL;

    stream->kept = len > 0 && !found ? len - 1 : 0;
    if (stream->kept > (size_t) n) {
        stream->kept = (size_t) n;
    }
    memcpy(stream->last, load->buf + n - stream->kept, stream->kept);
    return found;
}

/* Waits until the mark has arrived on all streams; an empty one is there with
   the first byte. */

static void
await(load_t *load)
{
    int                 i, n;
    long                left;
    stream_t           *stream;
    struct epoll_event  events[512];

    for (left = 0; left < load->n; left++) {
        load->streams[left].done = false;
    }
    while (left > 0) {
        n = epoll_wait(load->epoll, events, 512, 60000);
        if (n == 0) {
            bench_die("%ld streams got nothing in a minute", left);
        }
        for (i = 0; i < n; i++) {
            stream = events[i].data.ptr;
            if (receive(load, stream) && !stream->done) {
                stream->done = true;
                left--;
            }
        }
    }
}

int
main(int argc, char **argv)
{
    static load_t  load;
    uint64_t       began;

    load.n = bench_arg_n(argc, argv, "--connections", NULL);
    load.streams = bench_alloc((size_t) load.n, sizeof(stream_t));
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    setvbuf(stdout, NULL, _IOLBF, 0);

    open_streams(&load, (int) bench_arg_n(argc, argv, "--port", NULL),
                 bench_arg(argc, argv, "--request", NULL));
    if (bench_arg_n(argc, argv, "--silent", "0") == 0) {
        await(&load);
    }
    puts("ready");

    while (fgets(load.mark, sizeof(load.mark), stdin) != NULL) {
        load.mark[strcspn(load.mark, "\n")] = '\0';
        puts("armed");
        began = bench_now_ns();
        await(&load);
        printf("%llu\n",
               (unsigned long long) (bench_now_ns() - began) / 1000);
    }
    return 0;
}
