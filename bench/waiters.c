/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * waiters measures the time from a commit to the answers of N long-polls.
 *
 *   waiters --mode eventsync --port P --store D --feed F --key K
 *   waiters --mode nchan --port P
 *           [--waiters 500] [--rounds 100] [--size 300] [--settle-ms 50]
 *
 * In each round, every waiter sends its poll; after --settle-ms the program
 * publishes one event, and it takes the time when each answer is complete.
 *
 * eventsync: the program publishes with the library, and the time runs from
 * the return of es_publish(), after the commit and the bell.  Waiters follow
 * `next`. nchan: the program publishes by POST to /pub, and the time runs from
 * just before the request.  Waiters follow Last-Modified and Etag on /sub.
 */

#include "bench.h"
#include "eventsync.h"

#include <sys/epoll.h>

#define ANSWER_MAX   8192
#define POLL_MAX     1024

typedef struct {
    int     fd;
    char    request[POLL_MAX];
    char    answer[ANSWER_MAX];
    size_t  len;
} waiter_t;

typedef struct {
    bool         nchan;
    int          port;
    int          pub_fd;
    int          epoll;
    const char  *feed;
    const char  *key;
    es_store_t  *store;
    waiter_t    *waiters;
    size_t       nwaiters;
    char        *payload;
    uint32_t    *samples;      /* microseconds */
    size_t       nsamples;
} bench_t;

static void
value_of(const char *answer, const char *before, char until, char *out,
    size_t size)
{
    size_t       len;
    const char  *start, *end;

    start = strcasestr(answer, before);
    end = start ? strchr(start + strlen(before), until) : NULL;
    if (end == NULL) {
        bench_die("no %s in: %.400s", before, answer);
    }
    start += strlen(before);
    len = (size_t) (end - start);
    if (len >= size) {
        bench_die("%s is too long", before);
    }
    memcpy(out, start, len);
    out[len] = '\0';
}

static void
make_request(const bench_t *b, waiter_t *w, const char *next,
    const char *modified, const char *etag)
{
    int  n;

    if (b->nchan) {
        n = snprintf(w->request, POLL_MAX,
                     "GET /sub HTTP/1.1\r\nHost: localhost\r\n%s%s%s%s%s%s\r\n",
                     modified ? "If-Modified-Since: " : "",
                     modified ? modified : "", modified ? "\r\n" : "",
                     etag ? "If-None-Match: " : "", etag ? etag : "",
                     etag ? "\r\n" : "");

    } else {
        n = snprintf(w->request, POLL_MAX,
                     "GET /v1/feeds/%s/events?%s%s&wait=60 HTTP/1.1\r\n"
                     "Host: localhost\r\nAuthorization: Bearer %s\r\n\r\n",
                     b->feed, next ? "after=" : "from=latest",
                     next ? next : "", b->key);
    }
    if (n >= POLL_MAX) {
        bench_die("the request is too long");
    }
}

static void
send_request(waiter_t *w)
{
    size_t  len = strlen(w->request);

    w->len = 0;
    if (send(w->fd, w->request, len, MSG_NOSIGNAL) != (ssize_t) len) {
        bench_die("send: %s", strerror(errno));
    }
}

/* Makes the next request from this answer. */
static void
follow(const bench_t *b, waiter_t *w)
{
    char  next[128], modified[128], etag[128];

    if (b->nchan) {
        value_of(w->answer, "\r\nLast-Modified: ", '\r', modified,
                 sizeof(modified));
        value_of(w->answer, "\r\nEtag: ", '\r', etag, sizeof(etag));
        make_request(b, w, NULL, modified, etag);

    } else {
        value_of(w->answer, "\"next\":\"", '"', next, sizeof(next));
        make_request(b, w, next, NULL, NULL);
    }
}

/* True when the answer of this waiter is complete. */
static bool
receive(waiter_t *w)
{
    int      status;
    ssize_t  n;

    n = recv(w->fd, w->answer + w->len, ANSWER_MAX - 1 - w->len, 0);
    if (n < 0 && errno == EAGAIN) {
        return false;
    }
    if (n <= 0) {
        bench_die("a waiter's connection was lost: %s",
                  n ? strerror(errno) : "closed");
    }
    w->len += (size_t) n;
    w->answer[w->len] = '\0';
    if (bench_answer(w->answer, w->len, &status) == 0) {
        return false;
    }
    if (status != 200) {
        bench_die("status %d: %.400s", status, w->answer);
    }
    return true;
}

/* Waits until `n` waiters have an answer; with t0, samples the times from it.
   */
static void
collect(bench_t *b, size_t n, uint64_t t0)
{
    int                 i, ready;
    size_t              left = n;
    waiter_t           *w;
    struct epoll_event  events[512];

    while (left > 0) {
        ready = epoll_wait(b->epoll, events, 512, 10000);
        if (ready == 0) {
            bench_die("%zu of %zu waiters had no answer in 10 s", left, n);
        }
        for (i = 0; i < ready; i++) {
            w = events[i].data.ptr;
            if (!receive(w)) {
                continue;
            }
            if (t0 != 0) {
                b->samples[b->nsamples++]
                    = (uint32_t) ((bench_now_ns() - t0) / 1000);
            }
            left--;
        }
    }
}

static uint64_t
publish_eventsync(bench_t *b, unsigned long round)
{
    int            n;
    char           json[ANSWER_MAX / 2];
    es_str_t       feed = { b->feed, strlen(b->feed) };
    uint64_t       t0;
    es_batch_t    *batch;
    es_problem_t   problem;

    n = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                 "\"id\":\"wake-%d-%lu\",\"source\":\"/bench\","
                 "\"type\":\"bench.wake\",\"data\":{\"text\":\"%s\"}}",
                 (int) getpid(), round, b->payload);
    batch = es_batch_create(feed, NULL);
    if (batch == NULL
        || es_batch_add(batch, json, (size_t) n, &problem) != ES_OK)
    {
        bench_die("the event was refused");
    }
    es_publish(b->store, &batch, 1);
    t0 = bench_now_ns();
    if (es_batch_rc(batch) != ES_OK) {
        bench_die("publish: %s", es_strerror(es_batch_rc(batch)));
    }
    es_batch_destroy(batch);
    return t0;
}

static uint64_t
publish_nchan(bench_t *b)
{
    char      text[ANSWER_MAX];
    int       n;
    uint64_t  t0;

    n = snprintf(text, sizeof(text), "POST /pub HTTP/1.1\r\n"
                 "Host: localhost\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(b->payload), b->payload);
    t0 = bench_now_ns();
    if (send(b->pub_fd, text, (size_t) n, MSG_NOSIGNAL) != n) {
        bench_die("send: %s", strerror(errno));
    }
    return t0;
}

/* Reads the answer to the publisher. */
static void
drain_publisher(const bench_t *b)
{
    char     text[ANSWER_MAX];
    int      status, tries;
    size_t   len = 0;
    ssize_t  n;

    for (tries = 0; tries < 5000; tries++) {
        n = recv(b->pub_fd, text + len, sizeof(text) - 1 - len, 0);
        if (n > 0) {
            len += (size_t) n;
            text[len] = '\0';
            if (bench_answer(text, len, &status) != 0) {
                if (status / 100 != 2) {
                    bench_die("publisher: status %d", status);
                }
                return;
            }
        }
        usleep(1000);
    }
    bench_die("the publisher had no answer");
}

static uint64_t
publish(bench_t *b, unsigned long round)
{
    return b->nchan ? publish_nchan(b) : publish_eventsync(b, round);
}

static void
connect_all(bench_t *b)
{
    size_t              i;
    waiter_t           *w;
    struct epoll_event  ev;

    b->epoll = epoll_create1(EPOLL_CLOEXEC);
    for (i = 0; i < b->nwaiters; i++) {
        w = &b->waiters[i];
        w->fd = bench_connect(b->port);
        memset(&ev, 0, sizeof(ev));
        ev.events = EPOLLIN;
        ev.data.ptr = w;
        if (epoll_ctl(b->epoll, EPOLL_CTL_ADD, w->fd, &ev) != 0) {
            bench_die("epoll_ctl: %s", strerror(errno));
        }
        make_request(b, w, NULL, NULL, NULL);
    }
}

int
main(int argc, char **argv)
{
    long          rounds, settle_ms, r;
    size_t        i;
    bench_t       b;
    uint64_t      t0;
    es_problem_t  problem;

    memset(&b, 0, sizeof(b));
    b.nchan = strcmp(bench_arg(argc, argv, "--mode", NULL), "nchan") == 0;
    b.port = (int) bench_arg_n(argc, argv, "--port", NULL);
    b.nwaiters = (size_t) bench_arg_n(argc, argv, "--waiters", "500");
    rounds = bench_arg_n(argc, argv, "--rounds", "100");
    settle_ms = bench_arg_n(argc, argv, "--settle-ms", "50");
    i = (size_t) bench_arg_n(argc, argv, "--size", "300");
    if (i > ANSWER_MAX / 4) {
        bench_die("--size must be at most %d", ANSWER_MAX / 4);
    }
    b.payload = bench_alloc(1, i + 1);
    memset(b.payload, 'x', i);
    b.waiters = bench_alloc(b.nwaiters, sizeof(waiter_t));
    b.samples = bench_alloc((size_t) rounds * b.nwaiters, sizeof(uint32_t));

    if (b.nchan) {
        b.pub_fd = bench_connect(b.port);

    } else {
        b.feed = bench_arg(argc, argv, "--feed", NULL);
        b.key = bench_arg(argc, argv, "--key", NULL);
        if (es_store_open(bench_arg(argc, argv, "--store", NULL),
                          ES_STORE_PUBLISH, &b.store, &problem) != ES_OK)
        {
            bench_die("%s", problem.detail);
        }
    }

    /* Round 0 gives every waiter its position and is not counted. */
    connect_all(&b);
    for (r = 0; r <= rounds; r++) {
        for (i = 0; i < b.nwaiters; i++) {
            send_request(&b.waiters[i]);
        }
        usleep((useconds_t) (settle_ms + (r == 0 ? 500 : 0)) * 1000);
        t0 = publish(&b, (unsigned long) r);
        collect(&b, b.nwaiters, r == 0 ? 0 : t0);
        if (b.nchan) {
            drain_publisher(&b);
        }
        for (i = 0; i < b.nwaiters; i++) {
            follow(&b, &b.waiters[i]);
        }
    }

    qsort(b.samples, b.nsamples, sizeof(uint32_t), bench_cmp_u32);
    printf("{\"samples\":%zu,\"p50_us\":%u,\"p99_us\":%u,\"max_us\":%u}\n",
           b.nsamples, bench_quantile(b.samples, b.nsamples, 0.5),
           bench_quantile(b.samples, b.nsamples, 0.99),
           bench_quantile(b.samples, b.nsamples, 1.0));
    if (b.store != NULL) {
        es_store_close(b.store);
    }
    return 0;
}
