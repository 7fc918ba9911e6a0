/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * http_load keeps N connections busy with requests from a template and checks
 * that each answer has the same status.
 *
 *   http_load --port P --request FILE [--connections 64] [--seconds 5]
 *             [--status 201] [--start 1] [--rate 0]
 *
 * The file is a whole request, head and body.  Each run of 12 '@' in it is
 * replaced by a number that no request has used (from --start on).  Each run of
 * '#' is replaced by a random number of the same length, at least a hundred
 * below the largest of that length.  Each '~' is replaced by a random hexadecimal
 * digit.
 *
 * With --rate, requests begin at that even rate per second instead, and the
 * time of one that found all connections busy runs from when it was due.
 */

#include "bench.h"

#include <sys/epoll.h>
#include <sys/uio.h>

#define MARK      12
#define SAMPLES   (16u << 20)

typedef struct {
    int        fd;
    char      *request;        /* the connection's copy of the template */
    size_t     sent;
    char      *answer;
    size_t     answer_len;
    size_t     answer_cap;
    uint64_t   began_ns;
} conn_t;

typedef struct {
    size_t    *at;             /* offsets of runs in the template */
    size_t    *len;
    size_t     n;
} marks_t;

typedef struct {
    char      *text;
    size_t     len;
    marks_t    unique;
    marks_t    random;
    marks_t    hex;
    uint64_t   counter;
    uint64_t   state;          /* xorshift */
    int        epoll;
    int        status;
    uint64_t   end_ns;
    uint64_t   every_ns;       /* between requests; 0: no rate */
    uint64_t   due_ns;         /* of the next request */
    conn_t   **idle;
    long       nidle;
    bool       late;           /* all connections are busy, and one is due */
    uint64_t   done;
    long       busy;
    uint32_t  *samples;        /* microseconds */
} load_t;

static void
read_template(load_t *load, const char *name)
{
    FILE  *f = fopen(name, "rb");
    long   len;

    if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (len = ftell(f)) < 0) {
        bench_die("%s: %s", name, strerror(errno));
    }
    rewind(f);
    load->len = (size_t) len;
    load->text = bench_alloc(1, load->len + 1);
    if (fread(load->text, 1, load->len, f) != load->len) {
        bench_die("%s: short read", name);
    }
    fclose(f);
}

static void
find_marks(const load_t *load, char mark, size_t min, size_t max,
    marks_t *marks)
{
    size_t  i, n;

    for (i = 0; i < load->len; i += n ? n : 1) {
        for (n = 0; i + n < load->len && load->text[i + n] == mark && n < max;
             n++) { /* void */ }
        if (n < min || n == 0) {
            continue;
        }
        marks->at = reallocarray(marks->at, marks->n + 1, sizeof(size_t));
        marks->len = reallocarray(marks->len, marks->n + 1, sizeof(size_t));
        if (marks->at == NULL || marks->len == NULL) {
            bench_die("out of memory");
        }
        marks->at[marks->n] = i;
        marks->len[marks->n++] = n;
    }
}

static void
print_digits(char *out, size_t width, uint64_t n)
{
    while (width-- > 0) {
        out[width] = (char) ('0' + n % 10);
        n /= 10;
    }
}

static uint64_t
random_bits(load_t *load)
{
    load->state ^= load->state << 13;
    load->state ^= load->state >> 7;
    load->state ^= load->state << 17;
    return load->state;
}

static uint64_t
random_of_width(load_t *load, size_t width)
{
    size_t    i;
    uint64_t  low = 1;

    for (i = 1; i < width; i++) {
        low *= 10;
    }
    return low + random_bits(load) % (low * 9 > 100 ? low * 9 - 100 : 1);
}

static void
fill_request(load_t *load, conn_t *conn)
{
    size_t  i;

    for (i = 0; i < load->unique.n; i++) {
        print_digits(conn->request + load->unique.at[i], MARK,
                     load->counter++);
    }
    for (i = 0; i < load->random.n; i++) {
        print_digits(conn->request + load->random.at[i], load->random.len[i],
                     random_of_width(load, load->random.len[i]));
    }
    for (i = 0; i < load->hex.n; i++) {
        conn->request[load->hex.at[i]]
            = "0123456789abcdef"[random_bits(load) >> 32 & 15];
    }
}

static void
want(load_t *load, conn_t *conn, uint32_t events, int op)
{
    struct epoll_event  ev;

    memset(&ev, 0, sizeof(ev));
    ev.events = events;
    ev.data.ptr = conn;
    if (epoll_ctl(load->epoll, op, conn->fd, &ev) != 0) {
        bench_die("epoll_ctl: %s", strerror(errno));
    }
}

static void
send_some(load_t *load, conn_t *conn)
{
    ssize_t  n;
    size_t   before = conn->sent;

    while (conn->sent < load->len) {
        n = send(conn->fd, conn->request + conn->sent, load->len - conn->sent,
                 MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            want(load, conn, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
            return;
        }
        if (n <= 0) {
            bench_die("send: %s", strerror(errno));
        }
        conn->sent += (size_t) n;
    }
    if (before != 0) {
        want(load, conn, EPOLLIN, EPOLL_CTL_MOD);
    }
}

static void
start_request(load_t *load, conn_t *conn, uint64_t began_ns)
{
    fill_request(load, conn);
    conn->sent = 0;
    conn->answer_len = 0;
    conn->began_ns = began_ns;
    load->busy++;
    send_some(load, conn);
}

/* Starts what is due.  Returns the milliseconds until the next one is. */

static int
start_due(load_t *load)
{
    uint64_t  now;

    for (now = bench_now_ns();
         load->due_ns <= now && load->due_ns < load->end_ns && load->nidle > 0;
         load->due_ns += load->every_ns)
    {
        start_request(load, load->idle[--load->nidle],
                      load->late ? load->due_ns : now);
    }
    load->late = load->due_ns <= now && load->nidle == 0;

    return load->nidle == 0 || load->due_ns >= load->end_ns ? 30000
           : (int) ((load->due_ns - now) / 1000000) + 1;
}

static void
receive(load_t *load, conn_t *conn)
{
    int       status;
    ssize_t   n;
    uint64_t  now;

    if (conn->answer_cap - conn->answer_len < 65536) {
        conn->answer_cap = conn->answer_cap * 2 + 131072;
        conn->answer = realloc(conn->answer, conn->answer_cap);
        if (conn->answer == NULL) {
            bench_die("out of memory");
        }
    }
    n = recv(conn->fd, conn->answer + conn->answer_len,
             conn->answer_cap - conn->answer_len - 1, 0);
    if (n < 0 && errno == EAGAIN) {
        return;
    }
    if (n <= 0) {
        bench_die("the server closed a connection");
    }
    conn->answer_len += (size_t) n;
    conn->answer[conn->answer_len] = '\0';
    if (bench_answer(conn->answer, conn->answer_len, &status) == 0) {
        return;
    }
    if (status != load->status) {
        bench_die("status %d: %.600s", status, conn->answer);
    }

    now = bench_now_ns();
    if (load->done < SAMPLES) {
        load->samples[load->done] = (uint32_t) ((now - conn->began_ns) / 1000);
    }
    load->done++;
    load->busy--;
    if (load->every_ns > 0) {
        load->idle[load->nidle++] = conn;

    } else if (now < load->end_ns) {
        start_request(load, conn, bench_now_ns());
    }
}

static void
report(const load_t *load, uint64_t ns)
{
    size_t  n = load->done < SAMPLES ? load->done : SAMPLES;

    qsort(load->samples, n, sizeof(uint32_t), bench_cmp_u32);
    printf("{\"requests\":%llu,\"seconds\":%.3f,\"rate\":%.1f,"
           "\"p50_us\":%u,\"p99_us\":%u,\"next\":%llu}\n",
           (unsigned long long) load->done, (double) ns / 1e9,
           (double) load->done * 1e9 / (double) ns,
           bench_quantile(load->samples, n, 0.5),
           bench_quantile(load->samples, n, 0.99),
           (unsigned long long) load->counter);
}

int
main(int argc, char **argv)
{
    int                 i, n, port;
    long                connections, rate;
    conn_t             *conns;
    load_t              load;
    uint64_t            began;
    struct epoll_event  events[256];

    memset(&load, 0, sizeof(load));
    port = (int) bench_arg_n(argc, argv, "--port", NULL);
    connections = bench_arg_n(argc, argv, "--connections", "64");
    load.status = (int) bench_arg_n(argc, argv, "--status", "201");
    load.counter = (uint64_t) bench_arg_n(argc, argv, "--start", "1");
    load.state = bench_now_ns() | 1;
    load.samples = bench_alloc(SAMPLES, sizeof(uint32_t));
    read_template(&load, bench_arg(argc, argv, "--request", NULL));
    find_marks(&load, '@', MARK, MARK, &load.unique);
    find_marks(&load, '#', 1, 18, &load.random);
    find_marks(&load, '~', 1, 1, &load.hex);

    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    conns = bench_alloc((size_t) connections, sizeof(conn_t));
    for (i = 0; i < connections; i++) {
        conns[i].fd = bench_connect(port);
        conns[i].request = bench_alloc(1, load.len + 1);
        memcpy(conns[i].request, load.text, load.len);
        want(&load, &conns[i], EPOLLIN, EPOLL_CTL_ADD);
    }

    began = bench_now_ns();
    load.end_ns = began + (uint64_t) bench_arg_n(argc, argv, "--seconds", "5")
                          * 1000000000;
    load.due_ns = began;
    rate = bench_arg_n(argc, argv, "--rate", "0");
    load.every_ns = rate ? UINT64_C(1000000000) / (uint64_t) rate : 0;
    load.idle = bench_alloc((size_t) connections, sizeof(conn_t *));
    for (i = 0; i < connections; i++) {
        if (rate) {
            load.idle[load.nidle++] = &conns[i];
        } else {
            start_request(&load, &conns[i], bench_now_ns());
        }
    }
    while (load.busy > 0 || (rate && load.due_ns < load.end_ns)) {
        n = epoll_wait(load.epoll, events, 256, rate ? start_due(&load)
                                                     : 30000);
        if (n == 0 && (!rate || load.nidle == 0)) {
            bench_die("no answer arrived in 30 s");
        }
        for (i = 0; i < n; i++) {
            if (events[i].events & EPOLLOUT) {
                send_some(&load, events[i].data.ptr);
            }
            if (events[i].events & ~(uint32_t) EPOLLOUT) {
                receive(&load, events[i].data.ptr);
            }
        }
    }
    report(&load, bench_now_ns() - began);
    free(load.idle);
    return 0;
}
