/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The probe's requests.
 *
 * A fault is a text of the channel and no message, so that the command prints
 * one line at its end.
 */

#include <stdio.h>
#include <stdlib.h>

#include "http.h"
#include "probe.h"

#define PROBE_TIMEOUT_MS  15000        /* beyond the wait of a long poll */
#define PROBE_BODY_MAX    (16 * 1024 * 1024)
#define PROBE_PROBLEM     160


/* Takes whole lines of a stream out of the body.  A line with data is an event,
   or the position of one. */

static void
ctl_probe_http_lines(ctl_probe_http_t *http)
{
    size_t       at, len;
    es_str_t     event;
    const char  *end;

    at = 0;

    while ((end = memchr(http->body.data + at, '\n', http->body.len - at))
           != NULL)
    {
        len = (size_t) (end - http->body.data) - at;

        if (len > 6 && memcmp(http->body.data + at, "data: ", 6) == 0) {
            event.data = http->body.data + at + 6;
            event.len = len - 6;
            ctl_probe_ready(http->p, http->channel);
            ctl_probe_seen(http->p, http->channel, event);
        }

        at += len + 1;
    }

    memmove(http->body.data, http->body.data + at, http->body.len - at);
    http->body.len -= at;
}


static size_t
ctl_probe_http_body(char *data, size_t size, size_t n, void *ctx)
{
    ctl_probe_http_t  *http = ctx;

    if (http->body.len + size * n > PROBE_BODY_MAX
        || es_buf_append(&http->body, data, size * n) != ES_OK)
    {
        return 0;
    }

    (void) curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE,
                             &http->status);

    if (http->stream && http->status == 200) {
        ctl_probe_http_lines(http);
    }

    return size * n;
}


static size_t
ctl_probe_http_head(char *data, size_t size, size_t n, void *ctx)
{
    char               value[ES_CURSOR_MAX];
    es_str_t           line = { data, size * n };
    ctl_probe_http_t  *http = ctx;

    if (ctl_http_field(line, "Eventsync-Next", value, sizeof(value))) {
        memcpy(http->next, value, sizeof(value));
    }

    return size * n;
}


/* Not 0: the request is interrupted. */

static int
ctl_probe_http_progress(void *ctx, curl_off_t total, curl_off_t now,
    curl_off_t up, curl_off_t sent)
{
    ctl_probe_http_t  *http = ctx;

    (void) total;
    (void) now;
    (void) up;
    (void) sent;

    return http->stream ? ctl_probe_ended(http->p, http->channel)
                        : atomic_load(&http->p->stop);
}


bool
ctl_probe_http_open(ctl_probe_http_t *http, ctl_probe_t *p,
    ctl_probe_channel_name_t channel)
{
    CURL  *curl;

    memset(http, 0, sizeof(ctl_probe_http_t));
    http->p = p;
    http->channel = channel;
    http->curl = curl = curl_easy_init();

    if (curl == NULL) {
        return false;
    }

    (void) curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void) curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(curl, CURLOPT_PROXY, "");
    (void) curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ctl_probe_http_body);
    (void) curl_easy_setopt(curl, CURLOPT_WRITEDATA, http);
    (void) curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, ctl_probe_http_head);
    (void) curl_easy_setopt(curl, CURLOPT_HEADERDATA, http);
    (void) curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION,
                            ctl_probe_http_progress);
    (void) curl_easy_setopt(curl, CURLOPT_XFERINFODATA, http);
    (void) curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);

    return true;
}


void
ctl_probe_http_close(ctl_probe_http_t *http)
{
    curl_slist_free_all(http->fields);
    curl_easy_cleanup(http->curl);
    es_buf_free(&http->body);
}


static void
ctl_probe_http_field(ctl_probe_http_t *http, const char *field)
{
    struct curl_slist  *longer;

    longer = curl_slist_append(http->fields, field);
    http->fields = longer != NULL ? longer : http->fields;
}


/* The detail of a problem document, or nothing. */

static void
ctl_probe_http_detail(const ctl_probe_http_t *http, char out[PROBE_PROBLEM])
{
    json_t      *problem;
    const char  *detail;

    problem = json_loadb(http->body.data ? http->body.data : "",
                         http->body.len, 0, NULL);
    detail = json_string_value(json_object_get(problem, "detail"));
    (void) snprintf(out, PROBE_PROBLEM, "%s%s", detail != NULL ? ": " : "",
                    detail != NULL ? detail : "");
    json_decref(problem);
}


static bool
ctl_probe_http_perform(ctl_probe_http_t *http, const char *url,
    long timeout_ms)
{
    char      detail[PROBE_PROBLEM], auth[CTL_PROBE_TEXT_MAX + 32];
    CURLcode  rc;

    (void) snprintf(auth, sizeof(auth), "Authorization: Bearer %s",
                    http->p->state.key);
    ctl_probe_http_field(http, auth);

    http->body.len = 0;
    http->next[0] = '\0';
    http->status = 0;

    (void) curl_easy_setopt(http->curl, CURLOPT_URL, url);
    (void) curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, http->fields);
    (void) curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS, timeout_ms);

    rc = curl_easy_perform(http->curl);
    (void) curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE,
                             &http->status);

    curl_slist_free_all(http->fields);
    http->fields = NULL;
    explicit_bzero(auth, sizeof(auth));

    if (rc == CURLE_ABORTED_BY_CALLBACK) {
        return false;
    }

    if (rc != CURLE_OK) {
        ctl_probe_fault(http->p, http->channel, "%s", curl_easy_strerror(rc));
        return false;
    }

    if (http->status < 200 || http->status > 299) {
        ctl_probe_http_detail(http, detail);
        ctl_probe_fault(http->p, http->channel, "nginx answered %ld%s%s",
                        http->status, detail,
                        http->status == 406
                        ? " Turn eventsync_sse on there, or leave sse out of "
                          "--channels" : "");
        return false;
    }

    return true;
}


bool
ctl_probe_http_publish(ctl_probe_http_t *http, es_str_t batch)
{
    char  url[CTL_PROBE_TEXT_MAX + 128];

    (void) snprintf(url, sizeof(url), "%s/feeds/%s/events",
                    http->p->state.url, http->p->state.feed);
    ctl_probe_http_field(http, "Content-Type: "
                         "application/cloudevents-batch+json");
    ctl_probe_http_field(http, "Expect:");
    (void) curl_easy_setopt(http->curl, CURLOPT_POST, 1L);
    (void) curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, batch.data);
    (void) curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t) batch.len);

    return ctl_probe_http_perform(http, url, PROBE_TIMEOUT_MS);
}


/* Without a cursor, the answer has only the one to begin with. */

bool
ctl_probe_http_poll(ctl_probe_http_t *http, const char *after, unsigned wait_s)
{
    char  url[CTL_PROBE_TEXT_MAX + 192];

    (void) snprintf(url, sizeof(url), "%s/feeds/%s/events?%s%s&wait=%u",
                    http->p->state.url, http->p->state.feed,
                    after != NULL ? "after=" : "from=latest",
                    after != NULL ? after : "", wait_s);
    ctl_probe_http_field(http, "Accept: application/x-ndjson");
    (void) curl_easy_setopt(http->curl, CURLOPT_HTTPGET, 1L);

    if (!ctl_probe_http_perform(http, url,
                                PROBE_TIMEOUT_MS + (long) wait_s * 1000))
    {
        return false;
    }

    if (http->next[0] == '\0') {
        ctl_probe_fault(http->p, http->channel, "the answer has no cursor: the "
                        "server is not eventsync");
        return false;
    }

    return true;
}


bool
ctl_probe_http_stream(ctl_probe_http_t *http, const char *after)
{
    char  url[CTL_PROBE_TEXT_MAX + 192];

    (void) snprintf(url, sizeof(url), "%s/feeds/%s/events?after=%s",
                    http->p->state.url, http->p->state.feed, after);
    ctl_probe_http_field(http, "Accept: text/event-stream");
    (void) curl_easy_setopt(http->curl, CURLOPT_HTTPGET, 1L);
    http->stream = true;

    return ctl_probe_http_perform(http, url, 0);
}


void
ctl_probe_http_ack(ctl_probe_http_t *http, const char *cursor)
{
    char  url[CTL_PROBE_TEXT_MAX + 192], body[ES_CURSOR_MAX + 16];
    char  auth[CTL_PROBE_TEXT_MAX + 32];

    (void) snprintf(url, sizeof(url), "%s/feeds/%s/checkpoints/"
                    CTL_PROBE_CONSUMER, http->p->state.url,
                    http->p->state.feed);
    (void) snprintf(body, sizeof(body), "{\"cursor\":\"%s\"}", cursor);
    (void) snprintf(auth, sizeof(auth), "Authorization: Bearer %s",
                    http->p->state.key);

    ctl_probe_http_field(http, auth);
    ctl_probe_http_field(http, "Content-Type: application/json");
    (void) curl_easy_setopt(http->curl, CURLOPT_URL, url);
    (void) curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, http->fields);
    (void) curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, body);
    (void) curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t) strlen(body));
    (void) curl_easy_setopt(http->curl, CURLOPT_CUSTOMREQUEST, "PUT");
    (void) curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS,
                            (long) PROBE_TIMEOUT_MS);
    (void) curl_easy_perform(http->curl);
    explicit_bzero(auth, sizeof(auth));
}
