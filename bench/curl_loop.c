/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * curl_loop measures how fast libcurl alone can post, as the upper bound of the
 * dispatcher: a bare multi loop with N requests in flight, kept connections and
 * reused easy handles.  Two files give the header fields, one per line, and the
 * body.
 *
 *   curl_loop --url U --headers FILE --body FILE [--in-flight 32]
 *             [--seconds 5] [--loop poll|socket] [--sign 0] [--ca-file FILE]
 *
 * `poll` uses curl_multi_perform() and curl_multi_poll(); `socket` uses
 * curl_multi_socket_action() on epoll.  With --sign N, the loop makes N
 * HMAC-SHA256 signatures of Standard Webhooks for each request and writes them
 * into its `webhook-signature`, which must have as many.
 */

#include "bench.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#define BYTES_MAX  65536
#define SIGNERS    4
#define HMAC_LEN   32
#define HMAC_TEXT  44          /* its base64 */

/* What all requests have in common. */
typedef struct {
    const char  *url;
    const char  *ca_file;
    const char  *headers;
    char        *body;
    long         size;
    char        *message;      /* what is signed: id, timestamp, body */
    size_t       message_len;
    EVP_MAC_CTX *signers[SIGNERS];
    long         nsigners;
} common_t;

/* A request, with header fields of its own. */
typedef struct {
    CURL               *easy;
    struct curl_slist  *headers;
    char               *signatures[SIGNERS];
    const common_t     *common;
} request_t;

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

static void
sign(request_t *request)
{
    long             i;
    size_t           len;
    char             text[HMAC_TEXT + 1];
    unsigned char    hmac[HMAC_LEN];
    const common_t  *common = request->common;

    for (i = 0; i < common->nsigners; i++) {
        if (EVP_MAC_init(common->signers[i], NULL, 0, NULL) != 1
            || EVP_MAC_update(common->signers[i],
                              (unsigned char *) common->message,
                              common->message_len) != 1
            || EVP_MAC_final(common->signers[i], hmac, &len, sizeof(hmac))
               != 1)
        {
            bench_die("cannot sign");
        }
        EVP_EncodeBlock((unsigned char *) text, hmac, (int) len);
        memcpy(request->signatures[i], text, HMAC_TEXT);
    }
}

/* Counts finished requests and, until the time is up, sends each one again. */
static void
reap(loop_t *loop)
{
    int         left;
    long        status;
    char       *request;
    CURL       *easy;
    CURLMsg    *msg;

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
            curl_easy_getinfo(easy, CURLINFO_PRIVATE, &request);
            sign((request_t *) (void *) request);
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

/* Finds the places of the signatures in a header field. */
static void
find_signatures(request_t *request, char *line)
{
    long   i;
    char  *p = line;

    for (i = 0; i < request->common->nsigners; i++) {
        p = strstr(p, "v1,");
        if (p == NULL || strlen(p) < 3 + HMAC_TEXT) {
            bench_die("the request has only %ld signatures", i);
        }
        p += 3;
        request->signatures[i] = p;
    }
}

static void
make_headers(request_t *request)
{
    char               *text, *line, *rest;
    struct curl_slist  *last;

    text = strdup(request->common->headers);
    for (line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
    {
        request->headers = curl_slist_append(request->headers, line);
        for (last = request->headers; last->next != NULL; last = last->next) {
            /* void */
        }
        if (strncasecmp(line, "webhook-signature:", 18) == 0) {
            find_signatures(request, last->data);
        }
    }
    free(text);
    if (request->common->nsigners > 0 && request->signatures[0] == NULL) {
        bench_die("the request has no signature");
    }
}

static void
make_request(request_t *request, const common_t *common)
{
    CURL  *easy = curl_easy_init();

    if (easy == NULL) {
        bench_die("curl_easy_init failed");
    }
    request->common = common;
    request->easy = easy;
    make_headers(request);
    sign(request);
    curl_easy_setopt(easy, CURLOPT_URL, common->url);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, common->body);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, common->size);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    if (common->ca_file[0] != '\0') {
        curl_easy_setopt(easy, CURLOPT_CAINFO, common->ca_file);
    }
}

static void
make_signers(common_t *common)
{
    long           i;
    EVP_MAC       *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    OSSL_PARAM     params[2];
    unsigned char  key[HMAC_LEN] = "an arbitrary key, 32 bytes long";

    params[0] = OSSL_PARAM_construct_utf8_string("digest", (char *) "SHA256",
                                                 0);
    params[1] = OSSL_PARAM_construct_end();
    for (i = 0; i < common->nsigners; i++) {
        common->signers[i] = EVP_MAC_CTX_new(mac);
        if (common->signers[i] == NULL
            || EVP_MAC_init(common->signers[i], key, sizeof(key), params) != 1)
        {
            bench_die("cannot make a signer");
        }
    }
    EVP_MAC_free(mac);

    common->message = bench_alloc(1, (size_t) common->size + 64);
    common->message_len = (size_t) snprintf(common->message,
        (size_t) common->size + 64, "grow-123456.1700000000.%s", common->body);
}

static void
read_common(common_t *common, int argc, char **argv)
{
    long  size;

    memset(common, 0, sizeof(common_t));
    common->url = bench_arg(argc, argv, "--url", NULL);
    common->ca_file = bench_arg(argc, argv, "--ca-file", "");
    common->nsigners = bench_arg_n(argc, argv, "--sign", "0");
    if (common->nsigners > SIGNERS) {
        bench_die("--sign must be at most %d", SIGNERS);
    }
    common->headers = read_file(bench_arg(argc, argv, "--headers", NULL),
                                &size);
    common->body = read_file(bench_arg(argc, argv, "--body", NULL),
                             &common->size);
    make_signers(common);
}

/* User and system time of this process. */
static double
cpu_seconds(void)
{
    struct rusage  usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
           + (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
make_loop(loop_t *loop, const char *how, long inflight)
{
    memset(loop, 0, sizeof(loop_t));
    loop->multi = curl_multi_init();
    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, inflight);
    if (strcmp(how, "socket") == 0) {
        curl_multi_setopt(loop->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(loop->multi, CURLMOPT_SOCKETDATA, loop);
        curl_multi_setopt(loop->multi, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(loop->multi, CURLMOPT_TIMERDATA, loop);
    }
}

int
main(int argc, char **argv)
{
    long         i, inflight;
    double       cpu;
    loop_t       loop;
    common_t     common;
    uint64_t     began, ns;
    request_t   *requests;
    const char  *how;

    how = bench_arg(argc, argv, "--loop", "socket");
    inflight = bench_arg_n(argc, argv, "--in-flight", "32");

    curl_global_init(CURL_GLOBAL_DEFAULT);
    read_common(&common, argc, argv);
    make_loop(&loop, how, inflight);
    requests = bench_alloc((size_t) inflight, sizeof(request_t));

    cpu = cpu_seconds();
    began = bench_now_ns();
    loop.end_ns = began + (uint64_t) bench_arg_n(argc, argv, "--seconds", "5")
                          * 1000000000;
    for (i = 0; i < inflight; i++) {
        make_request(&requests[i], &common);
        curl_multi_add_handle(loop.multi, requests[i].easy);
        loop.running++;
    }

    if (strcmp(how, "socket") == 0) {
        run_socket(&loop);

    } else {
        run_poll(&loop);
    }

    ns = bench_now_ns() - began;
    cpu = cpu_seconds() - cpu;
    printf("{\"requests\":%llu,\"seconds\":%.3f,\"rate\":%.1f,"
           "\"cpu_us\":%.3f}\n",
           (unsigned long long) loop.done, (double) ns / 1e9,
           (double) loop.done * 1e9 / (double) ns,
           cpu * 1e6 / (double) loop.done);

    for (i = 0; i < inflight; i++) {
        curl_easy_cleanup(requests[i].easy);
        curl_slist_free_all(requests[i].headers);
    }
    curl_multi_cleanup(loop.multi);
    close(loop.epoll);
    free(requests);
    return 0;
}
