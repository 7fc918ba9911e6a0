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

#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "keys/signature.h"
#include "receiver.h"
#include "registry/values.h"

#define LISTEN_BODY_MAX     (4 * 1024 * 1024)
#define LISTEN_TOLERANCE_S  300    /* as in all Standard Webhooks libraries */
#define LISTEN_POLL_EVERY   "1m"

typedef struct {
    pthread_mutex_t  lock;         /* protects all that follows except
                                      `fail_...`: the server's thread takes
                                      webhooks while the main thread polls */
    ctl_receiver_t   receiver;
    ctl_http_t       http;
    es_signer_t     *signer;
    unsigned         fail_percent; /* to refuse, with `fail_status` */
    unsigned         fail_status;
    uint32_t         poll_every_ms; /* 0: only to heal gaps */
    char            *challenge;    /* to repeat, or NULL */
    uint64_t         unsigned_n;   /* requests with invalid headers or
                                      signatures */
} ctl_listen_t;

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
} ctl_listen_options_t;

/* One request while its body is received. */
typedef struct {
    es_buf_t  body;
    es_buf_t  answer;      /* a body, or empty */
    unsigned  wait_s;      /* of Retry-After; 0: none */
    bool      too_large;
} ctl_listen_request_t;


static es_str_t
ctl_listen_header(struct MHD_Connection *connection, const char *name)
{
    return es_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                              name));
}


/* The timestamp must be whole decimal seconds, and not too far from now. */

static bool
ctl_listen_timely(es_str_t timestamp)
{
    char       *end;
    long long   at;

    if (timestamp.data[0] < '0' || timestamp.data[0] > '9') {
        return false;
    }

    at = strtoll(timestamp.data, &end, 10);

    return *end == '\0'
           && llabs(at - es_clock_ms() / 1000) <= LISTEN_TOLERANCE_S;
}


/* Returns 0 if the signature is valid, and otherwise the status to answer. */

static unsigned
ctl_listen_verify(const ctl_listen_t *l, struct MHD_Connection *connection,
    es_str_t body)
{
    es_str_t  id, timestamp, signature;

    id = ctl_listen_header(connection, "webhook-id");
    timestamp = ctl_listen_header(connection, "webhook-timestamp");
    signature = ctl_listen_header(connection, "webhook-signature");

    if (id.len == 0 || timestamp.len == 0 || signature.len == 0) {
        (void) ctl_fail(CTL_FAILED, "a request lacks the webhook headers");
        return MHD_HTTP_BAD_REQUEST;
    }

    if (!ctl_listen_timely(timestamp)) {
        (void) ctl_fail(CTL_FAILED, "webhook %s: timestamp %s is not within "
                        "%d s of now", id.data, timestamp.data,
                        LISTEN_TOLERANCE_S);
        return MHD_HTTP_BAD_REQUEST;
    }

    if (!es_signature_verify(l->signer, signature, id, timestamp, body)) {
        (void) ctl_fail(CTL_FAILED, "webhook %s: the signature is invalid",
                        id.data);
        return MHD_HTTP_UNAUTHORIZED;
    }

    return 0;
}


static bool
ctl_listen_fails(const ctl_listen_t *l)
{
    uint32_t  random;

    return l->fail_percent == 100
           || (l->fail_percent > 0
               && es_random(&random, sizeof(random)) == ES_OK
               && random % 100 < l->fail_percent);
}


/* A nudge is acknowledged when its feed has been polled. */

static unsigned
ctl_listen_nudge(ctl_listen_t *l, const char *feed)
{
    ctl_happened("nudge", json_pack("{s:s}", "feed", feed), "%s", feed);

    if (l->receiver.http == NULL) {
        (void) ctl_fail(CTL_FAILED, "feed \"%s\": a nudge needs \"--poll\"",
                        feed);
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    }

    return ctl_receiver_heal(&l->receiver, feed) == CTL_OK
           ? MHD_HTTP_NO_CONTENT : MHD_HTTP_SERVICE_UNAVAILABLE;
}


/* Returns the status for one event.  With `fails` the event is refused. */

static unsigned
ctl_listen_event(ctl_listen_t *l, es_str_t text, bool fails)
{
    char         feed[ES_FEED_MAX + 1];
    ctl_event_t  event;

    if (ctl_event_is_nudge(text, feed)) {
        if (!fails) {
            return ctl_listen_nudge(l, feed);
        }

        ctl_happened("refused", json_pack("{s:s}", "webhook", "nudge"),
                     "a nudge");
        return l->fail_status;
    }

    l->challenge = ctl_event_challenge(text);

    if (l->challenge != NULL) {
        ctl_happened("challenge", json_object(), NULL);
        return MHD_HTTP_OK;
    }

    if (ctl_event_is_test(text)) {
        if (fails) {
            ctl_happened("refused", json_pack("{s:s}", "webhook", "test"),
                         "a test event");
        } else {
            ctl_happened("test", json_object(), NULL);
        }

        return fails ? l->fail_status : MHD_HTTP_NO_CONTENT;
    }

    if (ctl_event_parse(text, &event) != ES_OK) {
        (void) ctl_fail(CTL_FAILED, "a signed webhook is not an event of a "
                        "feed");
        return MHD_HTTP_BAD_REQUEST;
    }

    if (fails) {
        ctl_event_print("refused", &event);
        return l->fail_status;
    }

    /* After a failure to store the event, the sender must send it again. */

    return ctl_receiver_take(&l->receiver, &event) == CTL_OK
           ? MHD_HTTP_NO_CONTENT : MHD_HTTP_SERVICE_UNAVAILABLE;
}


/* Takes the events of a batch in order, up to the first that is refused.  Those
   before it are duplicates when the batch is sent again. */

static unsigned
ctl_listen_batch(ctl_listen_t *l, es_str_t text, bool fails)
{
    bool             first;
    es_rc_t          rc;
    unsigned         status;
    es_json_t        json;
    es_json_value_t  value;

    es_json_init(&json, text.data, text.len);

    if (es_json_enter(&json, '[') != ES_OK) {
        return ctl_listen_event(l, text, fails);
    }

    status = MHD_HTTP_BAD_REQUEST;

    for (first = true; (rc = es_json_item(&json, first, &value)) == ES_OK;
         first = false)
    {
        status = ctl_listen_event(l, value.text, fails);
        if (status != MHD_HTTP_NO_CONTENT) {
            return status;
        }
    }

    return rc == ES_NOT_FOUND ? status : MHD_HTTP_BAD_REQUEST;
}


static unsigned
ctl_listen_take(ctl_listen_t *l, struct MHD_Connection *connection,
    ctl_listen_request_t *request)
{
    es_str_t  text;
    unsigned  status;

    text.data = request->body.data ? request->body.data : "";
    text.len = request->body.len;

    (void) pthread_mutex_lock(&l->lock);

    status = ctl_listen_verify(l, connection, text);

    l->unsigned_n += status != 0;

    if (status == 0) {
        status = ctl_listen_batch(l, text, ctl_listen_fails(l));
        (void) fflush(stdout);
    }

    if (l->challenge != NULL
        && es_buf_printf(&request->answer, "{\"challenge\":\"%s\"}",
                         l->challenge) != ES_OK)
    {
        status = MHD_HTTP_SERVICE_UNAVAILABLE;
    }

    free(l->challenge);
    l->challenge = NULL;

    request->wait_s = status == MHD_HTTP_SERVICE_UNAVAILABLE
                      ? ctl_receiver_wait_s(&l->receiver) : 0;

    (void) pthread_mutex_unlock(&l->lock);

    return status;
}


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

    ctl_option_t  options[12 + ES_FILTER_PARAMS] = {
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
        { "fail-rate", &o.fail_rate }
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

    rc = ctl_listen_run(&l, &o);

    ctl_http_close(&l.http);
    ctl_journal_close(&l.receiver.journal);
    ctl_held_free(&l.receiver.helds);
    es_signer_destroy(l.signer);

    return rc;
}
