/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sends the requests of "verify-integration", and the check by which a receiver
 * agrees to be sent events.
 */

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "base/clock.h"
#include "delivery/verification.h"
#include "integration.h"


/* Header fields count only in the last answer, after those of 1xx. */

static size_t
ctl_integration_head(char *data, size_t size, size_t n, void *ctx)
{
    es_str_t       line = { data, size * n };
    ctl_answer_t  *answer = &((ctl_integration_t *) ctx)->answer;

    if (line.len > 5 && memcmp(data, "HTTP/", 5) == 0) {
        memset(answer, 0, sizeof(ctl_answer_t));
    }

    (void) (ctl_http_field(line, "WebHook-Allowed-Origin", answer->allowed,
                           sizeof(answer->allowed))
            || ctl_http_field(line, "Content-Type", answer->type,
                              sizeof(answer->type))
            || ctl_http_field(line, "WWW-Authenticate", answer->credential,
                              sizeof(answer->credential))
            || ctl_http_field(line, "Location", answer->location,
                              sizeof(answer->location)));

    return line.len;
}


static void
ctl_integration_answered(ctl_integration_t *in, ctl_trial_t *trial)
{
    (void) curl_easy_getinfo(in->http.curl, CURLINFO_RESPONSE_CODE,
                             &trial->status);

    if (trial->status / 100 == 3 && in->answer.location[0] != '\0') {
        (void) snprintf(trial->came, sizeof(trial->came), "%ld to %s",
                        trial->status, ctl_printable(in->answer.location));
    } else {
        (void) snprintf(trial->came, sizeof(trial->came), "%ld",
                        trial->status);
    }
}


/* The classes are those that the dispatcher records. */

static es_attempt_class_t
ctl_integration_class(CURLcode rc)
{
    switch (rc) {

    case CURLE_COULDNT_RESOLVE_HOST:
        return ES_ATTEMPT_DNS;

    case CURLE_COULDNT_CONNECT:
        return ES_ATTEMPT_CONNECT;

    case CURLE_OPERATION_TIMEDOUT:
        return ES_ATTEMPT_TIMEOUT;

    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return ES_ATTEMPT_TLS;

    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2_STREAM:
        return ES_ATTEMPT_RESET;

    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        return ES_ATTEMPT_PROTOCOL;

    default:
        return ES_ATTEMPT_INTERNAL;
    }
}


static void
ctl_integration_unanswered(const ctl_integration_t *in, CURLcode rc,
    ctl_trial_t *trial)
{
    trial->status = 0;
    trial->class = ctl_integration_class(rc);

    if (rc == CURLE_OPERATION_TIMEDOUT) {
        (void) snprintf(trial->came, sizeof(trial->came), "no answer in %"
                        PRIu32 " ms", in->timeout_ms);
        return;
    }

    (void) snprintf(trial->came, sizeof(trial->came), "no answer: %s",
                    trial->error[0] != '\0' ? trial->error
                                            : curl_easy_strerror(rc));
}


void
ctl_integration_send(ctl_integration_t *in, ctl_trial_t *trial)
{
    CURL      *curl = in->http.curl;
    int64_t    began_us;
    CURLcode   rc;

    if (in->unreachable) {
        (void) snprintf(trial->came, sizeof(trial->came), "nothing: not sent");
        return;
    }

    in->http.body.len = 0;
    memset(&in->answer, 0, sizeof(in->answer));
    trial->error[0] = '\0';

    (void) curl_easy_setopt(curl, CURLOPT_URL, in->url);
    (void) curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION,
                            ctl_integration_head);
    (void) curl_easy_setopt(curl, CURLOPT_HEADERDATA, in);
    (void) curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, trial->error);
    (void) curl_easy_setopt(curl, CURLOPT_HTTPHEADER, trial->fields);
    (void) curl_easy_setopt(curl, CURLOPT_POST, 1L);
    (void) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, trial->body.data);
    (void) curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t) trial->body.len);
    (void) curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) in->timeout_ms);

    began_us = es_clock_mono_us();
    rc = curl_easy_perform(curl);
    trial->took_ms = (es_clock_mono_us() - began_us) / 1000;

    (void) curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    (void) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);
    (void) curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);

    if (rc == CURLE_OK) {
        ctl_integration_answered(in, trial);

    } else {
        ctl_integration_unanswered(in, rc, trial);
    }

    if (trial->took_ms > in->slowest_ms) {
        in->slowest_ms = trial->took_ms;
    }
}


/* Sends the handshake.  False: the answer says nothing about senders, so that
   the dispatcher would send a challenge. */

static bool
ctl_integration_handshake(ctl_integration_t *in, ctl_trial_t *trial)
{
    char                nothing[] = "";
    bool                allows;
    CURL               *curl = in->http.curl;
    es_buf_t            body;
    struct curl_slist  *fields;

    fields = trial->fields;
    body = trial->body;
    trial->fields = NULL;
    trial->body = (es_buf_t) { .data = nothing };

    if (ctl_integration_field(trial, "WebHook-Request-Origin: ",
                              es_str(in->sender)) == ES_OK)
    {
        (void) curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "OPTIONS");
        ctl_integration_send(in, trial);
        (void) curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL);
    }

    curl_slist_free_all(trial->fields);
    trial->fields = fields;
    trial->body = body;

    if (in->answer.allowed[0] == '\0') {
        return false;
    }

    allows = strcmp(in->answer.allowed, "*") == 0
             || strcasecmp(in->answer.allowed, in->sender) == 0;

    if (!allows) {
        trial->status = 0;
        (void) snprintf(trial->came, sizeof(trial->came), "only \"%.60s\" is "
                        "allowed", in->answer.allowed);
    }

    return true;
}


void
ctl_integration_agrees(ctl_integration_t *in, ctl_trial_t *trial)
{
    json_t      *answer;
    const char  *text;

    if (ctl_integration_handshake(in, trial)) {
        return;
    }

    ctl_integration_send(in, trial);

    answer = json_loadb(in->http.body.data ? in->http.body.data : "",
                        in->http.body.len, 0, NULL);
    text = json_string_value(json_object_get(answer, "challenge"));

    if (trial->status / 100 == 2
        && (text == NULL
            || strcmp(text, trial->id + sizeof("test-") - 1) != 0))
    {
        (void) snprintf(trial->came, sizeof(trial->came), "%ld, without the "
                        "challenge", trial->status);
        trial->status = 0;
    }

    json_decref(answer);
}
