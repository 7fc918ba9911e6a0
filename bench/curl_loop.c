/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * curl_loop measures how fast libcurl alone can post, as the upper bound of the
 * dispatcher: a bare multi loop with N requests in flight, kept connections and
 * reused easy handles.  Two files give the header fields, one per line, and the
 * body.
 *
 *   curl_loop --url U --headers FILE --body FILE [--in-flight 32]
 *             [--seconds 5] [--loop poll|socket]
 *
 * `poll` uses curl_multi_perform() and curl_multi_poll(); `socket` uses
 * curl_multi_socket_action() on epoll.
 */

#include "bench.h"

#include <curl/curl.h>
#include <sys/epoll.h>

#define BYTES_MAX  65536

typedef struct {
    CURLM     *multi;
    int        epoll;
    uint64_t   timer_ns;       /* 0: none */
    uint64_t   done;
    uint64_t   end_ns;
    long       running;
} loop_t;

static size_t
on_body(char *data, size_t size, size_t n, void *ctx)
{
    (void) data;
    (void) ctx;
    return size * n;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *sockp)
{
    loop_t              *loop = ctx;
    struct epoll_event   ev;

    (void) easy;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(loop->epoll, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }

    memset(&ev, 0, sizeof(ev));
    ev.data.fd = fd;
    ev.events = (what & CURL_POLL_IN ? EPOLLIN : 0)
                | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
    if (sockp == NULL) {
        epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &ev);
        curl_multi_assign(loop->multi, fd, loop);

    } else {
        epoll_ctl(loop->epoll, EPOLL_CTL_MOD, fd, &ev);
    }
    return 0;
}

static int
on_timer(CURLM *multi, long ms, void *ctx)
{
    loop_t  *loop = ctx;

    (void) multi;
    loop->timer_ns = ms < 0 ? 0 : bench_now_ns() + (uint64_t) ms * 1000000 + 1;
    return 0;
}

/* Counts finished requests and, until the time is up, sends each one again. */
static void
reap(loop_t *loop)
{
    int       left;
    long      status;
    CURL     *easy;
    CURLMsg  *msg;

    while ((msg = curl_multi_info_read(loop->multi, &left)) != NULL) {
        easy = msg->easy_handle;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        if (msg->data.result != CURLE_OK || status / 100 != 2) {
            bench_die("%s, status %ld", curl_easy_strerror(msg->data.result),
                      status);
        }
        loop->done++;
        curl_multi_remove_handle(loop->multi, easy);
        loop->running--;
        if (bench_now_ns() < loop->end_ns) {
            curl_multi_add_handle(loop->multi, easy);
            loop->running++;
        }
    }
}

static void
run_poll(loop_t *loop)
{
    int  running;

    while (loop->running > 0) {
        curl_multi_perform(loop->multi, &running);
        reap(loop);
        if (loop->running > 0) {
            curl_multi_poll(loop->multi, NULL, 0, 1000, NULL);
        }
    }
}

static void
run_socket(loop_t *loop)
{
    int                 i, n, running, wait_ms;
    struct epoll_event  events[64];

    while (loop->running > 0) {
        wait_ms = 1000;
        if (loop->timer_ns != 0 && loop->timer_ns <= bench_now_ns()) {
            loop->timer_ns = 0;
            curl_multi_socket_action(loop->multi, CURL_SOCKET_TIMEOUT, 0,
                                     &running);
            reap(loop);
        }
        if (loop->timer_ns != 0) {
            wait_ms = loop->timer_ns <= bench_now_ns() ? 0 : 1;
        }

        n = epoll_wait(loop->epoll, events, 64, wait_ms);
        for (i = 0; i < n; i++) {
            curl_multi_socket_action(loop->multi, events[i].data.fd,
                ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                 ? CURL_CSELECT_IN : 0)
                | ((events[i].events & EPOLLOUT) ? CURL_CSELECT_OUT : 0),
                &running);
        }
        reap(loop);
    }
}

static char *
read_file(const char *name, long *size)
{
    char  *text = bench_alloc(1, BYTES_MAX + 1);
    FILE  *f = name != NULL ? fopen(name, "r") : NULL;

    if (f == NULL) {
        bench_die("cannot read %s", name != NULL ? name : "the file: no name");
    }
    *size = (long) fread(text, 1, BYTES_MAX, f);
    fclose(f);
    return text;
}

static struct curl_slist *
read_headers(const char *name)
{
    long                size;
    char               *text = read_file(name, &size), *line, *rest;
    struct curl_slist  *headers = NULL;

    for (line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
    {
        headers = curl_slist_append(headers, line);
    }
    free(text);
    return headers;
}

static CURL *
make_easy(const char *url, struct curl_slist *headers, const char *body,
    long size)
{
    CURL  *easy = curl_easy_init();

    if (easy == NULL) {
        bench_die("curl_easy_init failed");
    }
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, size);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    return easy;
}

int
main(int argc, char **argv)
{
    char               *body;
    long                i, inflight, size;
    CURL              **easy;
    loop_t              loop;
    uint64_t            began, ns;
    const char         *url, *how;
    struct curl_slist  *headers;

    url = bench_arg(argc, argv, "--url", NULL);
    how = bench_arg(argc, argv, "--loop", "socket");
    inflight = bench_arg_n(argc, argv, "--in-flight", "32");

    curl_global_init(CURL_GLOBAL_DEFAULT);
    headers = read_headers(bench_arg(argc, argv, "--headers", NULL));
    body = read_file(bench_arg(argc, argv, "--body", NULL), &size);

    memset(&loop, 0, sizeof(loop));
    loop.multi = curl_multi_init();
    loop.epoll = epoll_create1(EPOLL_CLOEXEC);
    curl_multi_setopt(loop.multi, CURLMOPT_MAXCONNECTS, inflight);
    if (strcmp(how, "socket") == 0) {
        curl_multi_setopt(loop.multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(loop.multi, CURLMOPT_SOCKETDATA, &loop);
        curl_multi_setopt(loop.multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(loop.multi, CURLMOPT_TIMERDATA, &loop);
    }

    began = bench_now_ns();
    loop.end_ns = began + (uint64_t) bench_arg_n(argc, argv, "--seconds", "5")
                          * 1000000000;
    easy = bench_alloc((size_t) inflight, sizeof(CURL *));
    for (i = 0; i < inflight; i++) {
        easy[i] = make_easy(url, headers, body, size);
        curl_multi_add_handle(loop.multi, easy[i]);
        loop.running++;
    }

    if (strcmp(how, "socket") == 0) {
        run_socket(&loop);

    } else {
        run_poll(&loop);
    }

    ns = bench_now_ns() - began;
    printf("{\"requests\":%llu,\"seconds\":%.3f,\"rate\":%.1f}\n",
           (unsigned long long) loop.done, (double) ns / 1e9,
           (double) loop.done * 1e9 / (double) ns);

    for (i = 0; i < inflight; i++) {
        curl_easy_cleanup(easy[i]);
    }
    curl_multi_cleanup(loop.multi);
    curl_slist_free_all(headers);
    close(loop.epoll);
    free(easy);
    free(body);
    return 0;
}
