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


void
ctl_integration_send(ctl_integration_t *in, ctl_trial_t *trial)
{
    CURL      *curl = in->http.curl;
    int64_t    began_us;
    CURLcode   rc;

    in->http.body.len = 0;

    (void) curl_easy_setopt(curl, CURLOPT_URL, in->url);
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

    if (rc == CURLE_OK) {
        (void) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &trial->status);
        (void) snprintf(trial->came, sizeof(trial->came), "%ld",
                        trial->status);

    } else if (rc == CURLE_OPERATION_TIMEDOUT) {
        (void) snprintf(trial->came, sizeof(trial->came), "no answer in %"
                        PRIu32 " ms", in->timeout_ms);

    } else {
        (void) snprintf(trial->came, sizeof(trial->came), "no answer: %s",
                        curl_easy_strerror(rc));
    }

    if (trial->took_ms > in->slowest_ms) {
        in->slowest_ms = trial->took_ms;
    }
}


static size_t
ctl_integration_head(char *data, size_t size, size_t n, void *ctx)
{
    es_str_t            name = es_lit("webhook-allowed-origin:");
    ctl_integration_t  *in = ctx;

    n *= size;

    if (n > name.len && strncasecmp(data, name.data, name.len) == 0) {
        (void) snprintf(in->allowed, sizeof(in->allowed), "%.*s",
                        (int) (n - name.len), data + name.len);
        in->allowed[strcspn(in->allowed, "\r\n")] = '\0';
        memmove(in->allowed, in->allowed + strspn(in->allowed, " \t"),
                strlen(in->allowed + strspn(in->allowed, " \t")) + 1);
    }

    return n;
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
    in->allowed[0] = '\0';

    if (ctl_integration_field(trial, "WebHook-Request-Origin: ",
                              es_str(in->sender)) == ES_OK)
    {
        (void) curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION,
                                ctl_integration_head);
        (void) curl_easy_setopt(curl, CURLOPT_HEADERDATA, in);
        (void) curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "OPTIONS");
        ctl_integration_send(in, trial);
        (void) curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL);
        (void) curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, NULL);
        (void) curl_easy_setopt(curl, CURLOPT_HEADERDATA, NULL);
    }

    curl_slist_free_all(trial->fields);
    trial->fields = fields;
    trial->body = body;

    if (in->allowed[0] == '\0') {
        return false;
    }

    allows = strcmp(in->allowed, "*") == 0
             || strcasecmp(in->allowed, in->sender) == 0;

    if (!allows) {
        trial->status = 0;
        (void) snprintf(trial->came, sizeof(trial->came), "only \"%.60s\" is "
                        "allowed", in->allowed);
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
