/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * latency measures the time from the publishing of an event to its delivery.
 *
 *   latency --store D --feed F --port P [--rate 1000] [--seconds 10]
 *           [--receivers 1] [--warm 0]
 *
 * Four threads publish single events at an even rate with the library.  The
 * program also receives the webhooks, on port P, and answers 204 at once.  The
 * time runs from just before es_publish(), so that it includes the commit,
 * until the request has arrived completely.  Every event must arrive once for
 * each receiver.  Events of the first --warm seconds do not count, because the
 * dispatcher then still opens connections.
 */

#include "bench.h"
#include "eventsync.h"

#include <pthread.h>
#include <sys/epoll.h>

#define DELIVERY_MAX     8192
#define CONNECTIONS_MAX  4096
#define PRODUCERS        4
#define PATIENCE_NS      UINT64_C(30000000000)

typedef struct {
    int     fd;
    char    request[DELIVERY_MAX];
    size_t  len;
} peer_t;

typedef struct {
    es_store_t     *store;
    const char     *feed;
    long            rate;
    uint64_t        total;         /* events of all producers */
    uint64_t        first;         /* of this producer: every fourth one */
    uint64_t        published_ns;  /* time of the last event */
} publisher_t;

typedef struct {
    int         epoll;
    int         listener;
    uint32_t   *samples;           /* microseconds */
    uint64_t    nsamples;
    uint64_t    taken;
    uint64_t    expected;
    uint64_t    from_ns;           /* events published later are sampled */
} receiver_t;

static const char  answer[] = "HTTP/1.1 204 No Content\r\n\r\n";


static void
publish_one(publisher_t *p, uint64_t i)
{
    int            n;
    char           json[512];
    es_str_t       feed = { p->feed, strlen(p->feed) };
    es_batch_t    *batch;
    es_problem_t   problem;

    n = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                 "\"id\":\"latency-%d-%llu\",\"source\":\"/bench\","
                 "\"type\":\"bench.latency\",\"data\":{\"sent\":%llu}}",
                 (int) getpid(), (unsigned long long) i,
                 (unsigned long long) bench_now_ns());

    batch = es_batch_create(feed, NULL);

    if (batch == NULL
        || es_batch_add(batch, json, (size_t) n, &problem) != ES_OK)
    {
        bench_die("the event was refused");
    }

    es_publish(p->store, &batch, 1);

    if (es_batch_rc(batch) != ES_OK) {
        bench_die("publish: %s", es_strerror(es_batch_rc(batch)));
    }

    es_batch_destroy(batch);
}


static void *
publish(void *data)
{
    uint64_t          i, at, began;
    publisher_t      *p = data;
    struct timespec   ts;

    began = bench_now_ns();

    for (i = p->first; i < p->total; i += PRODUCERS) {
        at = began + i * 1000000000 / (uint64_t) p->rate;
        ts.tv_sec = (time_t) (at / 1000000000);
        ts.tv_nsec = (long) (at % 1000000000);
        (void) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);

        publish_one(p, i);
    }

    p->published_ns = bench_now_ns() - began;

    return NULL;
}


static void
watch(receiver_t *r, int fd, void *data)
{
    struct epoll_event  ev;

    memset(&ev, 0, sizeof(ev));
    ev.events = EPOLLIN;
    ev.data.ptr = data;

    if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        bench_die("epoll_ctl: %s", strerror(errno));
    }
}


static void
listen_on(receiver_t *r, int port)
{
    int                 one = 1;
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons((uint16_t) port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    r->epoll = epoll_create1(EPOLL_CLOEXEC);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
                         0);
    (void) setsockopt(r->listener, SOL_SOCKET, SO_REUSEADDR, &one,
                      sizeof(one));

    if (bind(r->listener, (struct sockaddr *) &sin, sizeof(sin)) != 0
        || listen(r->listener, CONNECTIONS_MAX) != 0)
    {
        bench_die("cannot listen on port %d: %s", port, strerror(errno));
    }

    watch(r, r->listener, NULL);
}


static void
accept_all(receiver_t *r)
{
    int      fd, one = 1;
    peer_t  *peer;

    while ((fd = accept4(r->listener, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
    {
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        peer = bench_alloc(1, sizeof(peer_t));
        peer->fd = fd;
        watch(r, fd, peer);
    }
}


/* Length of the request at the front; 0: it is not complete yet. */

static size_t
request_len(const peer_t *peer)
{
    size_t       len;
    const char  *end, *field;

    end = strstr(peer->request, "\r\n\r\n");
    if (end == NULL) {
        return 0;
    }

    field = strcasestr(peer->request, "\r\nContent-Length:");
    if (field == NULL || field > end) {
        bench_die("a request without Content-Length");
    }

    len = (size_t) (end - peer->request) + 4
          + strtoul(field + sizeof("\r\nContent-Length:") - 1, NULL, 10);

    return len <= peer->len ? len : 0;
}


static void
take(receiver_t *r, peer_t *peer)
{
    size_t       len;
    uint64_t     now, at;
    const char  *sent;

    while ((len = request_len(peer)) > 0) {
        now = bench_now_ns();
        sent = strstr(peer->request, "\"sent\":");

        if (sent == NULL || r->taken == r->expected) {
            bench_die("unexpected delivery: %.400s",
                      peer->request);
        }

        r->taken++;
        at = strtoull(sent + 7, NULL, 10);

        if (at >= r->from_ns) {
            r->samples[r->nsamples++] = (uint32_t) ((now - at) / 1000);
        }

        if (send(peer->fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL)
            != sizeof(answer) - 1)
        {
            bench_die("send: %s", strerror(errno));
        }

        memmove(peer->request, peer->request + len, peer->len - len + 1);
        peer->len -= len;
    }
}


static void
receive(receiver_t *r, peer_t *peer)
{
    ssize_t  n;

    n = recv(peer->fd, peer->request + peer->len,
             DELIVERY_MAX - 1 - peer->len, 0);

    if (n < 0 && errno == EAGAIN) {
        return;
    }

    if (n <= 0) {
        (void) close(peer->fd);
        free(peer);
        return;
    }

    peer->len += (size_t) n;
    peer->request[peer->len] = '\0';
    take(r, peer);
}


static void
receive_all(receiver_t *r)
{
    int                 i, n;
    uint64_t            heard;
    struct epoll_event  events[512];

    heard = bench_now_ns();

    while (r->taken < r->expected) {
        n = epoll_wait(r->epoll, events, 512, 1000);

        if (n > 0) {
            heard = bench_now_ns();

        } else if (bench_now_ns() - heard > PATIENCE_NS) {
            bench_die("%llu of %llu deliveries arrived",
                      (unsigned long long) r->taken,
                      (unsigned long long) r->expected);
        }

        for (i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL) {
                accept_all(r);
            } else {
                receive(r, events[i].data.ptr);
            }
        }
    }
}


int
main(int argc, char **argv)
{
    int            i;
    uint64_t       ns;
    pthread_t      threads[PRODUCERS];
    receiver_t     r = { 0 };
    publisher_t    p = { 0 }, producers[PRODUCERS];
    es_problem_t   problem;

    p.feed = bench_arg(argc, argv, "--feed", NULL);
    p.rate = bench_arg_n(argc, argv, "--rate", "1000");
    p.total = (uint64_t) (p.rate
                          * bench_arg_n(argc, argv, "--seconds", "10"));

    r.expected = p.total
                 * (uint64_t) bench_arg_n(argc, argv, "--receivers", "1");
    r.from_ns = bench_now_ns()
                + (uint64_t) bench_arg_n(argc, argv, "--warm", "0")
                  * 1000000000;
    r.samples = bench_alloc(r.expected, sizeof(uint32_t));

    if (es_store_open(bench_arg(argc, argv, "--store", NULL),
                      ES_STORE_PUBLISH, &p.store, &problem) != ES_OK)
    {
        bench_die("%s", problem.detail);
    }

    listen_on(&r, (int) bench_arg_n(argc, argv, "--port", NULL));

    for (i = 0; i < PRODUCERS; i++) {
        producers[i] = p;
        producers[i].first = (uint64_t) i;

        if (pthread_create(&threads[i], NULL, publish, &producers[i]) != 0) {
            bench_die("cannot create a thread");
        }
    }

    receive_all(&r);

    for (i = 0, ns = 0; i < PRODUCERS; i++) {
        (void) pthread_join(threads[i], NULL);
        ns = producers[i].published_ns > ns ? producers[i].published_ns : ns;
    }

    qsort(r.samples, r.nsamples, sizeof(uint32_t), bench_cmp_u32);
    printf("{\"deliveries\":%llu,\"rate\":%.1f,\"p50_us\":%u,\"p99_us\":%u,"
           "\"max_us\":%u}\n", (unsigned long long) r.nsamples,
           (double) p.total * 1e9 / (double) ns,
           bench_quantile(r.samples, r.nsamples, 0.5),
           bench_quantile(r.samples, r.nsamples, 0.99),
           bench_quantile(r.samples, r.nsamples, 1.0));

    free(r.samples);
    es_store_close(p.store);

    return 0;
}
