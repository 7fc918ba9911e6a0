/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The server of a receiver of webhooks.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "hook.h"
#include "incoming.h"

#define HOOK_BODY_MAX     (1024 * 1024)
#define HOOK_TOLERANCE_S  300      /* as in all Standard Webhooks libraries */
#define HOOK_FAULT_MAX    256


static es_str_t
ctl_hook_field(struct MHD_Connection *connection, const char *name)
{
    return es_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                              name));
}


/* `sender` is NULL, or the one that the answer allows. */

static enum MHD_Result
ctl_hook_answer(struct MHD_Connection *connection, unsigned status,
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


static void
ctl_hook_fault(ctl_hook_t *hook, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
ctl_hook_fault(ctl_hook_t *hook, const char *fmt, ...)
{
    char     text[HOOK_FAULT_MAX];
    va_list  args;

    if (hook->fault == NULL) {
        return;
    }

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    hook->fault(hook->ctx, text);
}


/* A request without fields of a webhook is a stranger's, and no fault. */

static bool
ctl_hook_genuine(ctl_hook_t *hook, struct MHD_Connection *connection,
    es_str_t body)
{
    bool       ok;
    long long  at;
    es_str_t   id, timestamp, signature;

    id = ctl_hook_field(connection, "webhook-id");
    timestamp = ctl_hook_field(connection, "webhook-timestamp");
    signature = ctl_hook_field(connection, "webhook-signature");

    if (id.len == 0 || timestamp.len == 0 || signature.len == 0) {
        return false;
    }

    at = strtoll(timestamp.data, NULL, 10);

    if (llabs(at - es_clock_ms() / 1000) > HOOK_TOLERANCE_S) {
        ctl_hook_fault(hook, "the timestamp %s is not within %d s of now",
                       timestamp.data, HOOK_TOLERANCE_S);
        return false;
    }

    (void) pthread_mutex_lock(&hook->lock);
    ok = es_signature_verify(hook->signer, signature, id, timestamp, body);
    (void) pthread_mutex_unlock(&hook->lock);

    if (!ok) {
        ctl_hook_fault(hook, "the signature of %s is not valid: the secret was "
                       "rotated since the setup, or somebody else sends",
                       id.data);
    }

    return ok;
}


static enum MHD_Result
ctl_hook_take(ctl_hook_t *hook, struct MHD_Connection *connection,
    es_str_t body)
{
    char   answer[256];
    char  *challenge;

    if (!ctl_hook_genuine(hook, connection, body)) {
        return ctl_hook_answer(connection, MHD_HTTP_UNAUTHORIZED, "", NULL);
    }

    challenge = ctl_event_challenge(body);

    if (challenge != NULL) {
        (void) snprintf(answer, sizeof(answer), "{\"challenge\":\"%s\"}",
                        challenge);
        free(challenge);
        return ctl_hook_answer(connection, MHD_HTTP_OK, answer, NULL);
    }

    return ctl_hook_answer(connection, hook->take(hook->ctx, body), "", NULL);
}


static enum MHD_Result
ctl_hook_request(void *ctx, struct MHD_Connection *connection,
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
        if (body->len + *size > HOOK_BODY_MAX
            || es_buf_append(body, data, *size) != ES_OK)
        {
            return MHD_NO;
        }

        *size = 0;
        return MHD_YES;
    }

    if (strcmp(method, "OPTIONS") == 0) {
        sender = ctl_hook_field(connection, "WebHook-Request-Origin");
        return ctl_hook_answer(connection, MHD_HTTP_NO_CONTENT, "",
                                     sender.data);
    }

    if (strcmp(method, "POST") != 0) {
        return ctl_hook_answer(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
                                     "", NULL);
    }

    return ctl_hook_take(ctx, connection,
                               (es_str_t) { body->data ? body->data : "",
                                            body->len });
}


static void
ctl_hook_done(void *ctx, struct MHD_Connection *connection,
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


bool
ctl_hook_begin(ctl_hook_t *hook, const char *address, uint16_t port)
{
    unsigned             flags;
    struct sockaddr_in   sin = { .sin_family = AF_INET };

    sin.sin_port = htons(port);
    flags = MHD_USE_INTERNAL_POLLING_THREAD
            | (hook->threads ? MHD_USE_THREAD_PER_CONNECTION : 0);

    if (inet_pton(AF_INET, address, &sin.sin_addr) != 1
        || pthread_mutex_init(&hook->lock, NULL) != 0)
    {
        return false;
    }

    hook->daemon = MHD_start_daemon(flags, port, NULL, NULL, ctl_hook_request,
                                    hook, MHD_OPTION_SOCK_ADDR, &sin,
                                    MHD_OPTION_NOTIFY_COMPLETED, ctl_hook_done,
                                    NULL, MHD_OPTION_END);

    return hook->daemon != NULL;
}


void
ctl_hook_end(ctl_hook_t *hook)
{
    if (hook->daemon != NULL) {
        MHD_stop_daemon(hook->daemon);
        (void) pthread_mutex_destroy(&hook->lock);
        hook->daemon = NULL;
    }
}
