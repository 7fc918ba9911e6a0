#include <arpa/inet.h>
#include <curl/curl.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "ctl.h"
#include "receiver.h"
#include "signature.h"

#define LISTEN_BODY_MAX     (4 * 1024 * 1024)
#define LISTEN_TOLERANCE_S  300    /* as every Standard Webhooks library */

typedef struct {
    receiver_t    receiver;
    es_signer_t  *signer;
} listen_t;

/* 0 when the signature is right, otherwise the status to answer. */

static unsigned
listen_judge(const listen_t *l, struct MHD_Connection *connection,
    const es_buf_t *body)
{
    char        *end;
    es_str_t     id, timestamp, signature, text;
    long long    at;

    id = es_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                            "webhook-id"));
    timestamp = es_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                   "webhook-timestamp"));
    signature = es_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                   "webhook-signature"));

    if (id.len == 0 || timestamp.len == 0 || signature.len == 0) {
        (void) ctl_fail(CTL_FAILED, "a request without webhook headers");
        return MHD_HTTP_BAD_REQUEST;
    }

    at = strtoll(timestamp.data, &end, 10);

    if (*end != '\0' || llabs(at - es_clock_ms() / 1000) > LISTEN_TOLERANCE_S)
    {
        (void) ctl_fail(CTL_FAILED, "webhook %s: timestamp %s is not of now",
                        id.data, timestamp.data);
        return MHD_HTTP_BAD_REQUEST;
    }

    text.data = body->data ? body->data : "";
    text.len = body->len;

    if (!es_signature_verify(l->signer, signature, id, timestamp, text)) {
        (void) ctl_fail(CTL_FAILED, "webhook %s: the signature is wrong",
                        id.data);
        return MHD_HTTP_UNAUTHORIZED;
    }

    return 0;
}


static unsigned
listen_take(listen_t *l, struct MHD_Connection *connection,
    const es_buf_t *body)
{
    int       rc;
    json_t   *event;
    unsigned  status;

    status = listen_judge(l, connection, body);
    if (status != 0) {
        return status;
    }

    event = json_loadb(body->data, body->len, 0, NULL);
    if (event == NULL) {
        (void) ctl_fail(CTL_FAILED, "a signed webhook that is not JSON");
        return MHD_HTTP_BAD_REQUEST;
    }

    rc = receiver_take(&l->receiver, event);
    json_decref(event);

    /* What could not be kept now is to be sent again. */

    switch (rc) {

    case CTL_OK:
        return MHD_HTTP_NO_CONTENT;

    case CTL_USAGE:
        return MHD_HTTP_BAD_REQUEST;

    default:
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    }
}


static enum MHD_Result
listen_answer(struct MHD_Connection *connection, unsigned status)
{
    enum MHD_Result       rc;
    struct MHD_Response  *response;

    response = MHD_create_response_from_buffer(0, NULL,
                                               MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        return MHD_NO;
    }

    rc = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);

    return rc;
}


static enum MHD_Result
listen_request(void *ctx, struct MHD_Connection *connection, const char *url,
    const char *method, const char *version, const char *data, size_t *size,
    void **request)
{
    es_buf_t  *body;

    (void) url;
    (void) version;

    body = *request;

    if (body == NULL) {
        *request = calloc(1, sizeof(es_buf_t));
        return *request ? MHD_YES : MHD_NO;
    }

    if (*size > 0) {
        if (body->len + *size <= LISTEN_BODY_MAX
            && es_buf_append(body, data, *size) != ES_OK)
        {
            return MHD_NO;
        }

        *size = 0;
        return MHD_YES;
    }

    if (strcmp(method, "POST") != 0) {
        return listen_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED);
    }

    return listen_answer(connection, listen_take(ctx, connection, body));
}


static void
listen_done(void *ctx, struct MHD_Connection *connection, void **request,
    enum MHD_RequestTerminationCode code)
{
    (void) ctx;
    (void) connection;
    (void) code;

    if (*request != NULL) {
        es_buf_free(*request);
        free(*request);
    }
}


/* Serves until SIGTERM or SIGINT. */

static int
listen_serve(listen_t *l, const char *address, uint16_t port)
{
    int                 caught;
    sigset_t            set;
    struct MHD_Daemon  *daemon;
    struct sockaddr_in  sin = { 0 };

    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);

    if (inet_pton(AF_INET, address, &sin.sin_addr) != 1) {
        return ctl_fail(CTL_USAGE, "\"--address=%s\" is not an IPv4 address",
                        address);
    }

    /* Before the server's thread is there, so that it inherits the mask. */

    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGTERM);
    (void) sigaddset(&set, SIGINT);
    (void) sigprocmask(SIG_BLOCK, &set, NULL);

    daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, port,
                              NULL, NULL, listen_request, l,
                              MHD_OPTION_SOCK_ADDR, &sin,
                              MHD_OPTION_NOTIFY_COMPLETED, listen_done, NULL,
                              MHD_OPTION_CONNECTION_TIMEOUT, 30U,
                              MHD_OPTION_END);
    if (daemon == NULL) {
        return ctl_fail(CTL_FAILED, "cannot listen on %s:%u", address, port);
    }

    (void) sigwait(&set, &caught);

    MHD_stop_daemon(daemon);

    return CTL_OK;
}


/* What was missed while it was not running. */

static int
listen_catch_up(listen_t *l)
{
    int     rc;
    size_t  i;

    rc = CTL_OK;

    for (i = 0; rc == CTL_OK && l->receiver.url && i < l->receiver.nheld; i++)
    {
        rc = receiver_heal(&l->receiver, l->receiver.held[i].feed);
    }

    return rc;
}


int
ctl_listen(ctl_t *ctl, int argc, char **argv)
{
    int          rc;
    listen_t     l = { 0 };
    uint64_t     number;
    const char  *port = NULL, *secret = NULL, *address = "127.0.0.1";

    const ctl_option_t  options[] = {
        { "port", false, &port },
        { "address", false, &address },
        { "secret", false, &secret },
        { "poll", false, &l.receiver.url },
        { "key", false, &l.receiver.key },
        { "state", false, &l.receiver.state },
        { NULL, false, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, 0, 0, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (port == NULL || secret == NULL) {
        return ctl_fail(CTL_USAGE, "\"--port\" and \"--secret\" are needed");
    }

    rc = ctl_number("port", port, 1, 65535, &number);
    if (rc != CTL_OK) {
        return rc;
    }

    if (es_signer_create(es_str(secret), &l.signer) != ES_OK) {
        return ctl_fail(CTL_USAGE, "\"--secret\" is not a whsec_ or whsk_ "
                        "secret");
    }

    (void) curl_global_init(CURL_GLOBAL_DEFAULT);

    rc = receiver_load(&l.receiver);

    if (rc == CTL_OK) {
        rc = listen_catch_up(&l);
    }

    if (rc == CTL_OK) {
        rc = listen_serve(&l, address, (uint16_t) number);
    }

    receiver_free(&l.receiver);
    es_signer_destroy(l.signer);
    curl_global_cleanup();

    return rc;
}
