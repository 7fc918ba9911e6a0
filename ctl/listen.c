/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "listen": a webhook receiver over HTTP.
 *
 * It verifies each request, hands its events to the receiver (receiver.h), and
 * polls every feed from time to time, because no webhook reveals a loss at the
 * end of a feed.  Failures can be simulated with --status and --fail-rate.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "keys/signature.h"
#include "listen.h"
#include "receiver.h"
#include "registry/values.h"

#define LISTEN_BODY_MAX     (4 * 1024 * 1024)
#define LISTEN_MEMORY       (256 * 1024)   /* of a request without its body */
#define LISTEN_POLL_EVERY   "1m"

/* The options as they were given, NULL when they were not. */
typedef struct {
    const char  *port;
    const char  *address;
    const char  *secret;
    const char  *poll;
    const char  *key;
    const char  *feeds;
    const char  *poll_every;
    const char  *status;
    const char  *fail_rate;
    const char  *data_only;
} ctl_listen_options_t;


/* `sender` is NULL, or the one that the answer allows. */

static enum MHD_Result
ctl_listen_answer(struct MHD_Connection *connection, unsigned status,
    ctl_listen_request_t *request, const char *sender)
{
    char                  text[16];
    enum MHD_Result       rc;
    struct MHD_Response  *response;

    response = MHD_create_response_from_buffer(request->answer.len,
                                               request->answer.data,
                                               MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }

    if (request->wait_s > 0) {
        (void) snprintf(text, sizeof(text), "%u", request->wait_s);
        (void) MHD_add_response_header(response, "Retry-After", text);
    }

    if (request->answer.len > 0) {
        (void) MHD_add_response_header(response, "Content-Type",
                                       "application/json");
    }

    if (sender != NULL) {
        (void) MHD_add_response_header(response, "Allow", "POST");
        (void) MHD_add_response_header(response, "WebHook-Allowed-Origin",
                                       sender);
        (void) MHD_add_response_header(response, "WebHook-Allowed-Rate", "*");
    }

    rc = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);

    return rc;
}


/* Agrees to the handshake of a sender, which the person who started "listen"
   wants to hear. */

static enum MHD_Result
ctl_listen_handshake(struct MHD_Connection *connection,
    ctl_listen_request_t *request)
{
    es_str_t  sender;

    sender = ctl_listen_header(connection, "WebHook-Request-Origin");

    if (sender.len == 0) {
        return ctl_listen_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                                 request, NULL);
    }

    ctl_happened("handshake", json_pack("{s:s}", "sender", sender.data), "%s",
                 sender.data);
    (void) fflush(stdout);

    return ctl_listen_answer(connection, MHD_HTTP_NO_CONTENT, request,
                             sender.data);
}


static enum MHD_Result
ctl_listen_request(void *ctx, struct MHD_Connection *connection,
    const char *url, const char *method, const char *version, const char *data,
    size_t *size, void **context)
{
    ctl_listen_request_t  *request;

    (void) url;
    (void) version;

    request = *context;

    if (request == NULL) {
        *context = calloc(1, sizeof(ctl_listen_request_t));
        return *context ? MHD_YES : MHD_NO;
    }

    if (*size > 0) {
        request->too_large |= request->body.len + *size > LISTEN_BODY_MAX;

        if (!request->too_large
            && es_buf_append(&request->body, data, *size) != ES_OK)
        {
            return MHD_NO;
        }

        *size = 0;
        return MHD_YES;
    }

    if (strcmp(method, "OPTIONS") == 0) {
        return ctl_listen_handshake(connection, request);
    }

    if (strcmp(method, "POST") != 0) {
        return ctl_listen_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                                 request, NULL);
    }

    if (request->too_large) {
        return ctl_listen_answer(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                                 request, NULL);
    }

    return ctl_listen_answer(connection,
                             ctl_listen_take(ctx, connection, request),
                             request, NULL);
}


static void
ctl_listen_done(void *ctx, struct MHD_Connection *connection, void **context,
    enum MHD_RequestTerminationCode code)
{
    ctl_listen_request_t  *request = *context;

    (void) ctx;
    (void) connection;
    (void) code;

    if (request != NULL) {
        es_buf_free(&request->body);
        es_buf_free(&request->answer);
        free(request);
    }
}


/* Polls every feed.  A poll that fails is reported and repeated next time. */

static void
ctl_listen_poll(ctl_listen_t *l)
{
    size_t  i;

    (void) pthread_mutex_lock(&l->lock);

    for (i = 0; i < l->receiver.helds.n
                && ctl_receiver_wait_s(&l->receiver) == 0; i++)
    {
        (void) ctl_receiver_heal(&l->receiver, l->receiver.helds.list[i].feed);
    }

    (void) fflush(stdout);
    (void) pthread_mutex_unlock(&l->lock);
}


static void
ctl_listen_wait(ctl_listen_t *l, const sigset_t *set)
{
    struct timespec  ts;

    if (l->receiver.http == NULL || l->poll_every_ms == 0) {
        (void) sigwaitinfo(set, NULL);
        return;
    }

    ts.tv_sec = l->poll_every_ms / 1000;
    ts.tv_nsec = (long) (l->poll_every_ms % 1000) * 1000000;

    while (sigtimedwait(set, NULL, &ts) == -1) {
        if (errno == EAGAIN) {
            ctl_listen_poll(l);
        }
    }
}


/* Serves until SIGTERM or SIGINT. */

static int
ctl_listen_serve(ctl_listen_t *l, const char *address, uint16_t port)
{
    sigset_t            set;
    struct MHD_Daemon  *daemon;
    struct sockaddr_in  sin = { 0 };

    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);

    if (inet_pton(AF_INET, address, &sin.sin_addr) != 1) {
        return ctl_fail(CTL_USAGE, "\"--address=%s\" is not an IPv4 address",
                        address);
    }

    /* The server's thread inherits the mask, so that it is set first. */

    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGTERM);
    (void) sigaddset(&set, SIGINT);
    (void) sigprocmask(SIG_BLOCK, &set, NULL);

    daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, port,
                              NULL, NULL, ctl_listen_request, l,
                              MHD_OPTION_SOCK_ADDR, &sin,
                              MHD_OPTION_NOTIFY_COMPLETED, ctl_listen_done,
                              NULL, MHD_OPTION_CONNECTION_TIMEOUT, 30U,
                              MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                              (size_t) LISTEN_MEMORY,
                              MHD_OPTION_END);
    if (daemon == NULL) {
        return ctl_fail(CTL_FAILED, "cannot listen on %s:%u", address, port);
    }

    ctl_listen_wait(l, &set);

    MHD_stop_daemon(daemon);

    return CTL_OK;
}


/* Prints the counts since the start.  Unsigned requests have no known feed. */

static void
ctl_listen_report(const ctl_listen_t *l)
{
    size_t             i;
    const ctl_held_t  *held;

    for (i = 0; i < l->receiver.helds.n; i++) {
        held = &l->receiver.helds.list[i];

        ctl_happened("report",
                     json_pack("{s:s, s:I, s:I, s:I, s:I}", "feed", held->feed,
                               "processed", (json_int_t) held->processed,
                               "duplicates", (json_int_t) held->duplicates,
                               "healed", (json_int_t) held->healed,
                               "late", (json_int_t) held->late),
                     "%s processed=%" PRIu64 " duplicates=%" PRIu64
                     " healed=%" PRIu64 " late=%" PRIu64, held->feed,
                     held->processed, held->duplicates, held->healed,
                     held->late);
    }

    ctl_happened("report",
                 json_pack("{s:I}", "refused", (json_int_t) l->unsigned_n),
                 "refused=%" PRIu64, l->unsigned_n);
}


/* Polls the events that were missed while the receiver did not run.  A failure
   is only reported, because the next webhook reveals the gap again. */

static void
ctl_listen_catch_up(ctl_listen_t *l, const char *feeds)
{
    size_t        i;
    json_t       *list;
    const char   *name;

    for (i = 0; i < l->receiver.helds.n; i++) {
        (void) ctl_receiver_heal(&l->receiver, l->receiver.helds.list[i].feed);
    }

    list = ctl_list(feeds ? feeds : "");

    for (i = 0; i < json_array_size(list); i++) {
        name = json_string_value(json_array_get(list, i));

        if (ctl_held_find(&l->receiver.helds, name) == NULL) {
            (void) ctl_receiver_heal(&l->receiver, name);
        }
    }

    json_decref(list);
    (void) fflush(stdout);
}


static int
ctl_listen_polls(ctl_listen_t *l, const ctl_listen_options_t *options)
{
    int          rc;
    bool         filtered;
    size_t       i;
    json_t      *list, *name;
    const char  *text;

    filtered = false;

    for (i = 0; i < ES_FILTER_PARAMS; i++) {
        filtered = filtered || l->receiver.filter[i] != NULL;
    }

    if (options->poll == NULL) {
        return options->key || options->feeds || options->poll_every || filtered
               ? ctl_fail(CTL_USAGE, "\"--key\", \"--feeds\", \"--types\", "
                          "\"--subject\" and \"--poll-every\" need "
                          "\"--poll\"")
               : CTL_OK;
    }

    text = options->poll_every ? options->poll_every : LISTEN_POLL_EVERY;

    if (es_duration_parse(es_str(text), &l->poll_every_ms) != ES_OK) {
        return ctl_fail(CTL_USAGE, "\"--poll-every=%s\" is not a duration of "
                        "at most 30 days", text);
    }

    rc = CTL_OK;
    list = ctl_list(options->feeds ? options->feeds : "");

    json_array_foreach(list, i, name) {
        if (!es_feed_name_ok(es_str(json_string_value(name)))) {
            rc = ctl_fail(CTL_USAGE, "\"--feeds\": \"%s\" is not a feed's "
                          "name", json_string_value(name));
            break;
        }
    }

    json_decref(list);

    if (rc == CTL_OK) {
        l->receiver.http = &l->http;
        rc = ctl_http_open(&l->http, "poll", options->poll, options->key);
    }

    return rc;
}


static int
ctl_listen_failures(ctl_listen_t *l, const ctl_listen_options_t *options)
{
    int       rc;
    uint64_t  percent, status;

    rc = CTL_OK;
    status = MHD_HTTP_SERVICE_UNAVAILABLE;
    percent = options->status != NULL ? 100 : 0;

    if (options->status != NULL) {
        rc = ctl_number("status", options->status, 300, 599, &status);
    }

    if (rc == CTL_OK && options->fail_rate != NULL) {
        rc = ctl_number("fail-rate", options->fail_rate, 0, 100, &percent);
    }

    l->fail_status = (unsigned) status;
    l->fail_percent = (unsigned) percent;

    return rc;
}


static int
ctl_listen_run(ctl_listen_t *l, const ctl_listen_options_t *options)
{
    int       rc;
    uint64_t  port;

    rc = ctl_number("port", options->port, 1, 65535, &port);
    if (rc != CTL_OK) {
        return rc;
    }

    if (es_signer_create(es_str(options->secret), &l->signer) != ES_OK) {
        return ctl_fail(CTL_USAGE, "\"--secret\" is not a whsec_ or whsk_ "
                        "secret");
    }

    rc = ctl_listen_failures(l, options);

    if (rc == CTL_OK) {
        rc = ctl_listen_polls(l, options);
    }

    if (rc == CTL_OK) {
        rc = l->receiver.journal.file
             ? ctl_journal_open(&l->receiver.journal, &l->receiver.helds)
             : ctl_held_load(&l->receiver.helds);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    if (l->receiver.http != NULL) {
        ctl_listen_catch_up(l, options->feeds);
    }

    rc = ctl_listen_serve(l, options->address, (uint16_t) port);

    if (rc == CTL_OK) {
        ctl_listen_report(l);
    }

    return rc;
}


int
ctl_listen(ctl_t *ctl, int argc, char **argv)
{
    int                   rc;
    ctl_listen_t          l = { .lock = PTHREAD_MUTEX_INITIALIZER };
    ctl_listen_options_t  o = { .address = "127.0.0.1" };

    ctl_option_t  options[13 + ES_FILTER_PARAMS] = {
        { "port", &o.port },
        { "address", &o.address },
        { "secret", &o.secret },
        { "poll", &o.poll },
        { "key", &o.key },
        { "feeds", &o.feeds },
        { "poll-every", &o.poll_every },
        { "state", &l.receiver.helds.file },
        { "log", &l.receiver.journal.file },
        { "status", &o.status },
        { "fail-rate", &o.fail_rate },
        { "data-only", &o.data_only }
    };

    ctl_filter_options(options, l.receiver.filter);

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (o.port == NULL || o.secret == NULL) {
        return ctl_fail(CTL_USAGE, "\"--port\" and \"--secret\" are needed");
    }

    if (l.receiver.journal.file != NULL && l.receiver.helds.file != NULL) {
        return ctl_fail(CTL_USAGE, "\"--log\" and \"--state\" exclude each "
                        "other: the log contains the state");
    }

    l.data_only = o.data_only != NULL;

    if (l.data_only && (l.receiver.journal.file != NULL
                        || l.receiver.helds.file != NULL || o.poll != NULL))
    {
        return ctl_fail(CTL_USAGE, "\"--data-only\" excludes \"--log\", "
                        "\"--state\" and \"--poll\": data has no cursor");
    }

    rc = ctl_listen_run(&l, &o);

    ctl_http_close(&l.http);
    ctl_journal_close(&l.receiver.journal);
    ctl_held_free(&l.receiver.helds);
    es_signer_destroy(l.signer);

    return rc;
}
