/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The probe's receiver of webhooks.
 *
 * It verifies each request, and agrees to be sent events when the dispatcher
 * asks.
 */

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "incoming.h"
#include "probe.h"

#define PROBE_HOOK_BODY_MAX  (1024 * 1024)
#define PROBE_TOLERANCE_S    300   /* as in all Standard Webhooks libraries */


static es_str_t
ctl_probe_hook_field(struct MHD_Connection *connection, const char *name)
{
    return es_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                              name));
}


/* `sender` is NULL, or the one that the answer allows. */

static enum MHD_Result
ctl_probe_hook_answer(struct MHD_Connection *connection, unsigned status,
    const char *body, const char *sender)
{
    enum MHD_Result       rc;
    struct MHD_Response  *response;

    response = MHD_create_response_from_buffer(strlen(body), (void *) body,
                                               MHD_RESPMEM_MUST_COPY);
    if (response == NULL) {
        return MHD_NO;
    }

    if (sender != NULL) {
        (void) MHD_add_response_header(response, "WebHook-Allowed-Origin",
                                       sender);
        (void) MHD_add_response_header(response, "WebHook-Allowed-Rate", "*");
    }

    if (body[0] != '\0') {
        (void) MHD_add_response_header(response, "Content-Type",
                                       "application/json");
    }

    rc = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);

    return rc;
}


/* The signer is one thread's: that of the server. */

static bool
ctl_probe_hook_genuine(ctl_probe_t *p, struct MHD_Connection *connection,
    es_str_t body)
{
    long long  at;
    es_str_t   id, timestamp, signature;

    id = ctl_probe_hook_field(connection, "webhook-id");
    timestamp = ctl_probe_hook_field(connection, "webhook-timestamp");
    signature = ctl_probe_hook_field(connection, "webhook-signature");

    if (id.len == 0 || timestamp.len == 0 || signature.len == 0) {
        return false;
    }

    at = strtoll(timestamp.data, NULL, 10);

    if (llabs(at - es_clock_ms() / 1000) > PROBE_TOLERANCE_S) {
        ctl_probe_fault(p, CTL_PROBE_WEBHOOK, "the timestamp %s is not within "
                        "%d s of now", timestamp.data, PROBE_TOLERANCE_S);
        return false;
    }

    if (!es_signature_verify(p->signer, signature, id, timestamp, body)) {
        ctl_probe_fault(p, CTL_PROBE_WEBHOOK, "the signature of %s is not "
                        "valid: the secret was rotated since the setup, or "
                        "somebody else sends", id.data);
        return false;
    }

    return true;
}


/* A request without headers of a webhook is a stranger's, and no fault. */

static enum MHD_Result
ctl_probe_hook_take(ctl_probe_t *p, struct MHD_Connection *connection,
    es_str_t body)
{
    char             answer[256];
    char            *challenge;
    enum MHD_Result  rc;

    if (!ctl_probe_hook_genuine(p, connection, body)) {
        return ctl_probe_hook_answer(connection, MHD_HTTP_UNAUTHORIZED, "",
                                     NULL);
    }

    challenge = ctl_event_challenge(body);

    if (challenge != NULL) {
        (void) snprintf(answer, sizeof(answer), "{\"challenge\":\"%s\"}",
                        challenge);
        free(challenge);
        rc = ctl_probe_hook_answer(connection, MHD_HTTP_OK, answer, NULL);

    } else {
        ctl_probe_seen(p, CTL_PROBE_WEBHOOK, body);
        rc = ctl_probe_hook_answer(connection, MHD_HTTP_NO_CONTENT, "", NULL);
    }

    return rc;
}


static enum MHD_Result
ctl_probe_hook_request(void *ctx, struct MHD_Connection *connection,
    const char *url, const char *method, const char *version, const char *data,
    size_t *size, void **context)
{
    es_str_t   sender;
    es_buf_t  *body;

    (void) url;
    (void) version;

    body = *context;

    if (body == NULL) {
        *context = calloc(1, sizeof(es_buf_t));
        return *context ? MHD_YES : MHD_NO;
    }

    if (*size > 0) {
        if (body->len + *size > PROBE_HOOK_BODY_MAX
            || es_buf_append(body, data, *size) != ES_OK)
        {
            return MHD_NO;
        }

        *size = 0;
        return MHD_YES;
    }

    if (strcmp(method, "OPTIONS") == 0) {
        sender = ctl_probe_hook_field(connection, "WebHook-Request-Origin");
        return ctl_probe_hook_answer(connection, MHD_HTTP_NO_CONTENT, "",
                                     sender.data);
    }

    if (strcmp(method, "POST") != 0) {
        return ctl_probe_hook_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                                     "", NULL);
    }

    return ctl_probe_hook_take(ctx, connection,
                               (es_str_t) { body->data ? body->data : "",
                                            body->len });
}


static void
ctl_probe_hook_done(void *ctx, struct MHD_Connection *connection,
    void **context, enum MHD_RequestTerminationCode code)
{
    es_buf_t  *body = *context;

    (void) ctx;
    (void) connection;
    (void) code;

    if (body != NULL) {
        es_buf_free(body);
        free(body);
    }
}


struct MHD_Daemon *
ctl_probe_hook_begin(ctl_probe_t *p)
{
    struct MHD_Daemon   *daemon;
    struct sockaddr_in   sin = { .sin_family = AF_INET };

    sin.sin_port = htons(p->state.port);

    daemon = inet_pton(AF_INET, p->state.address, &sin.sin_addr) == 1
             ? MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD,
                                p->state.port, NULL, NULL,
                                ctl_probe_hook_request, p,
                                MHD_OPTION_SOCK_ADDR, &sin,
                                MHD_OPTION_NOTIFY_COMPLETED,
                                ctl_probe_hook_done, NULL, MHD_OPTION_END)
             : NULL;

    if (daemon == NULL) {
        ctl_probe_fault(p, CTL_PROBE_WEBHOOK, "cannot listen on %s:%u",
                        p->state.address, p->state.port);
        return NULL;
    }

    ctl_probe_ready(p, CTL_PROBE_WEBHOOK);

    return daemon;
}


void
ctl_probe_hook_end(struct MHD_Daemon *daemon)
{
    if (daemon != NULL) {
        MHD_stop_daemon(daemon);
    }
}
