/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The HTTP server of "verify-poller": reads requests and sends answers, also
 * late ones and cut ones.
 */

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/query.h"
#include "poller.h"

#define SERVE_MEMORY       (64 * 1024)
#define SERVE_SLICE_MS     50
#define SERVE_BODY_MAX     (64 * 1024)
#define SERVE_PIECE        4096
#define SERVE_LIMIT        100
#define SERVE_LIMIT_MAX    1000
#define SERVE_WAIT_MAX     60

/* The rest of an answer that is sent in pieces. */
typedef struct {
    es_buf_t  body;
    size_t    end;                 /* as far as it is sent */
    bool      whole;
    size_t    piece;
    unsigned  pause_ms;
} ctl_serve_rest_t;


static const char *
ctl_serve_header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}


static ssize_t
ctl_serve_piece(void *ctx, uint64_t pos, char *out, size_t max)
{
    size_t            n;
    ctl_serve_rest_t  *rest = ctx;

    if (pos >= rest->end) {
        return rest->whole ? MHD_CONTENT_READER_END_OF_STREAM
                           : MHD_CONTENT_READER_END_WITH_ERROR;
    }

    /* only this connection waits */

    if (rest->pause_ms > 0) {
        (void) poll(NULL, 0, (int) rest->pause_ms);
    }

    n = rest->end - (size_t) pos;
    n = n < max ? n : max;
    n = rest->piece > 0 && rest->piece < n ? rest->piece : n;
    memcpy(out, rest->body.data + pos, n);

    return (ssize_t) n;
}


static void
ctl_serve_rest_free(void *ctx)
{
    ctl_serve_rest_t  *rest = ctx;

    es_buf_free(&rest->body);
    free(rest);
}


/* Takes the body of the reply. */

static struct MHD_Response *
ctl_serve_response(ctl_reply_t *reply)
{
    ctl_serve_rest_t      *rest;
    struct MHD_Response  *response;

    rest = calloc(1, sizeof(ctl_serve_rest_t));
    if (rest == NULL) {
        return NULL;
    }

    rest->body = reply->body;
    rest->end = reply->cut > 0 ? reply->cut : reply->body.len;
    rest->whole = reply->cut == 0;
    rest->piece = reply->piece;
    rest->pause_ms = reply->pause_ms;
    reply->body = (es_buf_t) { 0 };

    response = MHD_create_response_from_callback(
        reply->chunked ? MHD_SIZE_UNKNOWN : rest->body.len, SERVE_PIECE,
        ctl_serve_piece, rest, ctl_serve_rest_free);

    if (response == NULL) {
        ctl_serve_rest_free(rest);
    }

    return response;
}


static void
ctl_serve_links(struct MHD_Response *response, const ctl_reply_t *reply)
{
    char  text[POLLER_CURSOR + 32];

    (void) snprintf(text, sizeof(text), "<?after=%s>; rel=\"next\"",
                    reply->next);
    (void) MHD_add_response_header(response, "Link", text);
    (void) MHD_add_response_header(response, "Eventsync-Next", reply->next);
    (void) MHD_add_response_header(response, "Eventsync-Has-More",
                                   reply->more ? "true" : "false");
}


static enum MHD_Result
ctl_serve_send(struct MHD_Connection *connection, ctl_reply_t *reply)
{
    enum MHD_Result       rc;
    struct MHD_Response  *response;

    response = ctl_serve_response(reply);
    if (response == NULL) {
        return MHD_NO;
    }

    if (reply->status != MHD_HTTP_NOT_MODIFIED && reply->type != NULL) {
        (void) MHD_add_response_header(response, "Content-Type", reply->type);
    }

    (void) MHD_add_response_header(response, "Cache-Control",
                                   reply->etag[0] != '\0' ? "private, no-cache"
                                                          : "no-store");
    if (reply->etag[0] != '\0') {
        (void) MHD_add_response_header(response, "ETag", reply->etag);
        (void) MHD_add_response_header(response, "Vary", "Accept");
    }

    if (reply->gzip) {
        (void) MHD_add_response_header(response, "Content-Encoding", "gzip");
    }

    if (reply->retry_after[0] != '\0') {
        (void) MHD_add_response_header(response, "Retry-After",
                                       reply->retry_after);
    }

    if (reply->status == MHD_HTTP_UNAUTHORIZED) {
        (void) MHD_add_response_header(response, "WWW-Authenticate",
            "Bearer realm=\"eventsync\", error=\"invalid_token\"");
    }

    if (reply->next[0] != '\0') {
        ctl_serve_links(response, reply);
    }

    rc = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);

    return rc;
}


/* ---- requests ---- */

/* A request that the product would refuse, too. */

static es_rc_t
ctl_serve_bad(ctl_poller_t *p, ctl_reply_t *reply, unsigned status,
    const char *type, const char *cause, const char *detail)
{
    ctl_poller_wrong(p, cause, "%s", detail);
    ctl_poller_step_over(p, POLLER_UNKNOWN);

    p->added = false;
    p->done = 0;
    p->expect = CTL_EXPECT_ANY;

    return ctl_poller_problem(reply, status, type, "%s", detail);
}


/* Reads a whole decimal number; false: it is none, or over the maximum. */

static bool
ctl_serve_number(const char *text, uint64_t max, uint64_t *value)
{
    char  *end;

    *value = strtoull(text, &end, 10);

    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && *value <= max;
}


/* A text that becomes part of an event. */

static bool
ctl_serve_plain(const char *text)
{
    for ( /* void */ ; *text != '\0'; text++) {
        if ((unsigned char) *text < ' ' || *text == '"' || *text == '\\') {
            return false;
        }
    }

    return true;
}


typedef struct {
    const ctl_poller_t  *p;
    ctl_asked_t         *asked;
    const char          *seen[16];
    unsigned             n;
    char                 wrong[192];
} ctl_serve_query_t;


static bool
ctl_serve_from(ctl_asked_t *asked, const ctl_poller_t *p, const char *value)
{
    int64_t  ms;

    asked->latest = strcmp(value, "latest") == 0;

    if (asked->latest) {
        asked->at = p->feed.n - 1;
    }

    return asked->latest || strcmp(value, "oldest") == 0
           || es_time_parse(es_str(value), &ms) == ES_OK;
}


/* One parameter, in the order of docs/http-read.md; false: it is wrong. */

static bool
ctl_serve_take(ctl_serve_query_t *query, const char *name, const char *value)
{
    bool          stream;
    ctl_asked_t  *asked = query->asked;

    stream = asked->format == CTL_FORMAT_STREAM;

    if (strcmp(name, "after") == 0) {
        asked->after = true;
        asked->at = ctl_poll_feed_find(&query->p->feed, value);
        (void) snprintf(asked->cursor, sizeof(asked->cursor), "%s", value);
        return true;
    }

    if (strcmp(name, "from") == 0) {
        return ctl_serve_from(asked, query->p, value);
    }

    if (strcmp(name, "types") == 0) {
        (void) snprintf(asked->type, sizeof(asked->type), "%.*s",
                        (int) strcspn(value, ","), value);
        return ctl_serve_plain(value);
    }

    if (strcmp(name, "subject") == 0) {
        (void) snprintf(asked->subject, sizeof(asked->subject), "%s", value);
        return ctl_serve_plain(value);
    }

    if (stream) {
        return strcasecmp(name, "lastEventId") == 0
               || strcasecmp(name, "Last-Event-ID") == 0;
    }

    return (strcmp(name, "limit") == 0
            && ctl_serve_number(value, SERVE_LIMIT_MAX, &asked->limit)
            && asked->limit > 0)
           || (strcmp(name, "wait") == 0
               && ctl_serve_number(value, SERVE_WAIT_MAX, &asked->wait_s));
}


static enum MHD_Result
ctl_serve_param(void *ctx, enum MHD_ValueKind kind, const char *name,
    const char *value)
{
    unsigned           i;
    ctl_serve_query_t  *query = ctx;

    (void) kind;

    for (i = 0; i < query->n; i++) {
        if (strcmp(query->seen[i], name) == 0 && strcmp(name, "types") != 0) {
            (void) snprintf(query->wrong, sizeof(query->wrong),
                            "the parameter \"%.60s\" is given twice", name);
            return MHD_NO;
        }
    }

    if (query->n < sizeof(query->seen) / sizeof(query->seen[0])) {
        query->seen[query->n++] = name;
    }

    if (!ctl_serve_take(query, name, value ? value : "")) {
        (void) snprintf(query->wrong, sizeof(query->wrong), "the parameter "
                        "\"%.60s=%.60s\" is unknown or not valid", name,
                        value ? value : "");
        return MHD_NO;
    }

    return MHD_YES;
}


/* The first format that the field names; JSON where it names none. */

static ctl_format_t
ctl_serve_format(const char *accept)
{
    if (accept == NULL) {
        return CTL_FORMAT_JSON;
    }

    if (strstr(accept, "text/event-stream") != NULL) {
        return CTL_FORMAT_STREAM;
    }

    if (strstr(accept, "application/json") != NULL) {
        return CTL_FORMAT_JSON;
    }

    if (strstr(accept, "ndjson") != NULL || strstr(accept, "jsonl") != NULL) {
        return CTL_FORMAT_LINES;
    }

    return strstr(accept, "cloudevents-batch+json") != NULL ? CTL_FORMAT_BATCH
                                                            : CTL_FORMAT_JSON;
}


static bool
ctl_serve_gzip(const char *accept)
{
    const char  *at;

    at = accept != NULL ? strstr(accept, "gzip") : NULL;

    return at != NULL && strncmp(at, "gzip;q=0", 8) != 0;
}


/* The id that a stream gives: the header field overrules the parameter, and
   both overrule `after`. */

static void
ctl_serve_last_id(const ctl_poller_t *p, struct MHD_Connection *connection,
    ctl_asked_t *asked)
{
    const char  *id;

    id = ctl_serve_header(connection, "Last-Event-ID");

    if (id == NULL) {
        id = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND,
                                         "lastEventId");
    }

    if (id == NULL) {
        id = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND,
                                         "Last-Event-ID");
    }

    if (id != NULL && id[0] != '\0') {
        asked->after = true;
        asked->back = true;
        asked->latest = false;
        asked->at = ctl_poll_feed_find(&p->feed, id);
        (void) snprintf(asked->cursor, sizeof(asked->cursor), "%s", id);
    }
}


static es_rc_t
ctl_serve_events(ctl_poller_t *p, struct MHD_Connection *connection,
    ctl_reply_t *reply)
{
    const char        *match;
    ctl_asked_t        asked = { 0 };
    ctl_serve_query_t   query = { .p = p, .asked = &asked };

    asked.came_us = es_clock_mono_us();
    asked.at = p->feed.oldest;
    asked.limit = SERVE_LIMIT;
    asked.format = ctl_serve_format(ctl_serve_header(connection, "Accept"));
    asked.gzip = ctl_serve_gzip(ctl_serve_header(connection,
                                                 "Accept-Encoding"));

    match = ctl_serve_header(connection, "If-None-Match");
    (void) snprintf(asked.match, sizeof(asked.match), "%s", match ? match : "");

    (void) MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND,
                                     ctl_serve_param, &query);

    if (query.wrong[0] != '\0') {
        return ctl_serve_bad(p, reply, MHD_HTTP_BAD_REQUEST,
                             "invalid-parameter", "bad-request", query.wrong);
    }

    if ((asked.format == CTL_FORMAT_STREAM) != p->sse) {
        return ctl_serve_bad(p, reply, MHD_HTTP_NOT_ACCEPTABLE,
                             "not-acceptable", "bad-request", p->sse
                             ? "Accept is not text/event-stream; --sse is for "
                               "streams"
                             : "Accept is text/event-stream; that needs "
                               "--sse");
    }

    if (p->sse) {
        asked.limit = SERVE_LIMIT_MAX;
        ctl_serve_last_id(p, connection, &asked);
    }

    if (p->revoked_us == 0) {
        ctl_poller_judge(p, &asked);
    }

    if (p->ending) {
        return ctl_poller_problem(reply, MHD_HTTP_SERVICE_UNAVAILABLE,
                                  "unavailable", "all steps are over");
    }

    return ctl_poller_answer(p, &asked, reply);
}


static es_rc_t
ctl_serve_unknown(ctl_poller_t *p, const char *path, ctl_reply_t *reply)
{
    char  detail[256];

    (void) snprintf(detail, sizeof(detail), "there is no %.80s; the events are "
                    "at " POLLER_PREFIX "/feeds/%s/events", path, p->feed.name);

    return ctl_serve_bad(p, reply, MHD_HTTP_NOT_FOUND, "not-found",
                         "bad-request", detail);
}


static es_rc_t
ctl_serve_route(ctl_poller_t *p, struct MHD_Connection *connection,
    const char *path, const char *method, es_str_t body, ctl_reply_t *reply)
{
    char         events[128];
    es_rc_t      rc;
    const char  *auth;

    (void) snprintf(events, sizeof(events), POLLER_PREFIX "/feeds/%s/events",
                    p->feed.name);
    auth = ctl_serve_header(connection, "Authorization");

    if (strcmp(path, POLLER_PREFIX "/token") == 0) {
        return ctl_poller_token(p, reply);
    }

    if (auth == NULL || strncasecmp(auth, "Bearer ", 7) != 0
        || auth[7] == '\0')
    {
        return ctl_serve_bad(p, reply, MHD_HTTP_UNAUTHORIZED, "unauthorized",
                             "no-credential", "no \"Authorization: Bearer\"");
    }

    if (strcmp(path, events) != 0) {
        rc = ctl_poller_other(p, method, path, body, reply);
        return rc == ES_NOT_FOUND ? ctl_serve_unknown(p, path, reply) : rc;
    }

    if (strcmp(method, "GET") != 0) {
        return ctl_serve_bad(p, reply, MHD_HTTP_METHOD_NOT_ALLOWED,
                             "method-not-allowed", "bad-request",
                             "the method must be GET");
    }

    return ctl_serve_events(p, connection, reply);
}


/* Holds the answer back.  The lock is free meanwhile.  False: the client has
   left. */

static bool
ctl_serve_hold(ctl_poller_t *p, int fd, int64_t delay_ms)
{
    bool           left;
    int64_t        until_us;
    struct pollfd  set = { .fd = fd, .events = POLLRDHUP };

    until_us = es_clock_mono_us() + delay_ms * 1000;
    p->pending = fd;
    left = false;

    while (!left && !p->ending && p->pending == fd
           && es_clock_mono_us() < until_us)
    {
        (void) pthread_mutex_unlock(&p->lock);
        left = poll(&set, 1, SERVE_SLICE_MS) == 1;
        (void) pthread_mutex_lock(&p->lock);
        p->heard_us = es_clock_mono_us();
    }

    if (left && p->pending == fd && !p->ending) {
        ctl_poller_wrong(p, "short-timeout", "the poller closed the connection "
                         "before the answer");
    }

    if (p->pending == fd) {
        p->pending = -1;
    }

    return !left;
}


/* Holds what a command asks that is about to be killed.  Many HTTP clients send
   a request again at once when its connection is closed, and would be answered
   in the place of the command that is started next. */

static void
ctl_serve_hold_killed(ctl_poller_t *p, int fd)
{
    struct pollfd  set = { .fd = fd, .events = POLLRDHUP };

    while (p->restart && !p->ending) {
        (void) pthread_mutex_unlock(&p->lock);
        (void) poll(&set, 1, SERVE_SLICE_MS);
        (void) pthread_mutex_lock(&p->lock);
    }
}


/* Judges and answers a request of which all has come. */

static enum MHD_Result
ctl_serve_answer(ctl_poller_t *p, struct MHD_Connection *connection,
    const char *path, const char *method, es_str_t body)
{
    int                              fd;
    bool                             ok;
    es_rc_t                          rc;
    ctl_reply_t                      reply = { 0 };
    enum MHD_Result                  result;
    const union MHD_ConnectionInfo  *info;

    info = MHD_get_connection_info(connection,
                                   MHD_CONNECTION_INFO_CONNECTION_FD);
    fd = info != NULL ? info->connect_fd : -1;

    (void) pthread_mutex_lock(&p->lock);

    p->heard_us = es_clock_mono_us();
    rc = p->ending ? ctl_poller_problem(&reply, MHD_HTTP_SERVICE_UNAVAILABLE,
                                        "unavailable", "all steps are over")
         : p->restart ? ES_OK
         : ctl_serve_route(p, connection, path, method, body, &reply);
    ok = rc == ES_OK && reply.status != 0;

    ctl_serve_hold_killed(p, fd);

    if (ok && reply.delay_ms > 0) {
        ok = ctl_serve_hold(p, fd, reply.delay_ms);
    }

    (void) pthread_mutex_unlock(&p->lock);

    result = ok ? ctl_serve_send(connection, &reply) : MHD_NO;
    es_buf_free(&reply.body);

    return result;
}


static enum MHD_Result
ctl_serve_request(void *ctx, struct MHD_Connection *connection,
    const char *path, const char *method, const char *version,
    const char *data, size_t *size, void **context)
{
    bool       fits;
    es_buf_t  *body;

    (void) version;

    if (*context == NULL) {
        *context = calloc(1, sizeof(es_buf_t));
        return *context != NULL ? MHD_YES : MHD_NO;
    }

    body = *context;

    if (*size > 0) {
        fits = body->len + *size <= SERVE_BODY_MAX
               && es_buf_append(body, data, *size) == ES_OK;
        *size = 0;
        return fits ? MHD_YES : MHD_NO;
    }

    return ctl_serve_answer(ctx, connection, path, method,
                            (es_str_t) { body->data, body->len });
}


static void
ctl_serve_done(void *ctx, struct MHD_Connection *connection, void **context,
    enum MHD_RequestTerminationCode code)
{
    (void) ctx;
    (void) connection;
    (void) code;

    if (*context != NULL) {
        es_buf_free(*context);
        free(*context);
    }
}


int
ctl_poller_serve(ctl_poller_t *p, const char *address, uint16_t *port)
{
    struct sockaddr_in           sin = { 0 };
    const union MHD_DaemonInfo  *info;

    sin.sin_family = AF_INET;
    sin.sin_port = htons(*port);

    if (inet_pton(AF_INET, address, &sin.sin_addr) != 1) {
        return ctl_fail(CTL_USAGE, "\"--address=%s\" is not an IPv4 address",
                        address);
    }

    p->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD
                                 | MHD_USE_THREAD_PER_CONNECTION, *port, NULL,
                                 NULL, ctl_serve_request, p,
                                 MHD_OPTION_SOCK_ADDR, &sin,
                                 MHD_OPTION_NOTIFY_COMPLETED, ctl_serve_done,
                                 NULL,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                 (size_t) SERVE_MEMORY, MHD_OPTION_END);
    if (p->daemon == NULL) {
        return ctl_fail(CTL_FAILED, "cannot listen on %s:%u", address, *port);
    }

    info = MHD_get_daemon_info(p->daemon, MHD_DAEMON_INFO_BIND_PORT);
    *port = info != NULL ? info->port : *port;

    return CTL_OK;
}
