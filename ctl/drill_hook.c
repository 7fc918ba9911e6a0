/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The receiver of a drill.  A thread for each connection lets it hold one
 * webhook back while it takes others.
 */

#include <arpa/inet.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "drill.h"
#include "incoming.h"

#define DRILL_BODY_MAX   (1024 * 1024)
#define DRILL_DELAY_US   2000000
#define DRILL_SWAP_US    300000


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

    rc = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);

    return rc;
}


static es_str_t
ctl_hook_field(struct MHD_Connection *connection, const char *name)
{
    return es_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                              name));
}


/* The signer is used by one thread at a time. */

static bool
ctl_hook_genuine(ctl_drill_t *d, struct MHD_Connection *connection,
    es_str_t body)
{
    bool      ok;
    es_str_t  id, timestamp, signature;

    id = ctl_hook_field(connection, "webhook-id");
    timestamp = ctl_hook_field(connection, "webhook-timestamp");
    signature = ctl_hook_field(connection, "webhook-signature");

    if (id.len == 0 || timestamp.len == 0 || signature.len == 0) {
        return false;
    }

    (void) pthread_mutex_lock(&d->lock);
    ok = es_signature_verify(d->signer, signature, id, timestamp, body);
    (void) pthread_mutex_unlock(&d->lock);

    return ok;
}


static enum MHD_Result
ctl_hook_event(ctl_drill_t *d, struct MHD_Connection *connection,
    const ctl_event_t *event)
{
    uint64_t  sequence;

    sequence = event->cursor.sequence;

    switch ((ctl_drill_mode_t) atomic_load(&d->mode)) {

    case CTL_DRILL_REFUSE:
        return ctl_hook_answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "",
                               NULL);

    case CTL_DRILL_DROP:
        return ctl_hook_answer(connection, MHD_HTTP_NO_CONTENT, "", NULL);

    case CTL_DRILL_DELAY:
        (void) usleep(DRILL_DELAY_US);
        break;

    case CTL_DRILL_REORDER:
        (void) usleep(sequence % 2 != 0 ? DRILL_SWAP_US : 0);
        break;

    case CTL_DRILL_TAKE:
        break;
    }

    ctl_drill_take(ctl_drill_push(d), sequence);
    (void) atomic_fetch_add(&d->webhooks, 1);

    return ctl_hook_answer(connection, MHD_HTTP_NO_CONTENT, "", NULL);
}


static enum MHD_Result
ctl_hook_take(ctl_drill_t *d, struct MHD_Connection *connection,
    es_str_t body)
{
    char             answer[256];
    char            *challenge;
    ctl_event_t      event;

    if (!ctl_hook_genuine(d, connection, body)) {
        return ctl_hook_answer(connection, MHD_HTTP_UNAUTHORIZED, "", NULL);
    }

    challenge = ctl_event_challenge(body);

    if (challenge != NULL) {
        (void) snprintf(answer, sizeof(answer), "{\"challenge\":\"%s\"}",
                        challenge);
        free(challenge);
        return ctl_hook_answer(connection, MHD_HTTP_OK, answer, NULL);
    }

    if (ctl_event_parse(body, &event) != ES_OK) {
        return ctl_hook_answer(connection, MHD_HTTP_NO_CONTENT, "", NULL);
    }

    return ctl_hook_event(d, connection, &event);
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
        if (body->len + *size > DRILL_BODY_MAX
            || es_buf_append(body, data, *size) != ES_OK)
        {
            return MHD_NO;
        }

        *size = 0;
        return MHD_YES;
    }

    if (strcmp(method, "POST") != 0) {
        sender = ctl_hook_field(connection, "WebHook-Request-Origin");
        return ctl_hook_answer(connection, sender.len > 0
                                           ? MHD_HTTP_NO_CONTENT
                                           : MHD_HTTP_METHOD_NOT_ALLOWED, "",
                               sender.len > 0 ? sender.data : NULL);
    }

    return ctl_hook_take(ctx, connection,
                         (es_str_t) { body->data ? body->data : "",
                                      body->len });
}


static void
ctl_hook_done(void *ctx, struct MHD_Connection *connection, void **context,
    enum MHD_RequestTerminationCode code)
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
ctl_drill_hook(ctl_drill_t *d)
{
    struct MHD_Daemon   *daemon;
    struct sockaddr_in   sin = { .sin_family = AF_INET };

    sin.sin_port = htons(d->port);

    daemon = inet_pton(AF_INET, d->address, &sin.sin_addr) == 1
             ? MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD
                                | MHD_USE_THREAD_PER_CONNECTION, d->port, NULL,
                                NULL, ctl_hook_request, d,
                                MHD_OPTION_SOCK_ADDR, &sin,
                                MHD_OPTION_NOTIFY_COMPLETED, ctl_hook_done,
                                NULL, MHD_OPTION_END)
             : NULL;

    if (daemon == NULL) {
        (void) ctl_fail(CTL_FAILED, "cannot listen on %s:%u", d->address,
                        d->port);
    }

    return daemon;
}
