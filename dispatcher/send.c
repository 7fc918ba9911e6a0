/*
 * send.c - one attempt: body, signature, headers, libcurl.
 *
 * A send is made once for an endpoint and used again: its handle keeps what
 * does not change.  libcurl looks through its whole list of headers a dozen
 * times for each request, so all of ours are one element of it: lines, with
 * what separates them, in memory of the send's own.
 */

#include <limits.h>
#include <stdio.h>
#include <strings.h>

#include "dispatcher.h"

#define ES_TRACEPARENT      "\"traceparent\":\""
#define ES_TRACEPARENT_LEN  55
#define ES_BODY_KEEP        65536  /* bigger buffers are not kept */
#define ES_BODY_ASKED       500000
#define ES_BUFFER           4096   /* libcurl's, for reading */
#define ES_CONN_IDLE_S      60L
#define ES_CONN_LIFE_S      600L

static const char  es_send_expect[] = "Expect:";



/* Parsed once: libcurl would parse the text again for each request, which is a
   tenth of all its work. */

static bool
es_send_url(es_send_t *send, const char *url)
{
    if (curl_easy_setopt(send->easy, CURLOPT_URL, url) != CURLE_OK) {
        return false;
    }

    send->url = curl_url();
    if (send->url == NULL) {
        return false;
    }

    /* The text stays for a URL that libcurl does not accept: attempts say so
       then. */

    return curl_url_set(send->url, CURLUPART_URL, url, 0) != CURLUE_OK
           || curl_easy_setopt(send->easy, CURLOPT_CURLU, send->url)
              == CURLE_OK;
}


static bool
es_send_file(es_send_t *send, CURLoption option, es_str_t name)
{
    char  path[PATH_MAX];

    if (name.len == 0) {
        return true;
    }

    return snprintf(path, sizeof(path), "%s/%s", send->d->options.tls_dir,
                    name.data) < (int) sizeof(path)
           && curl_easy_setopt(send->easy, option, path) == CURLE_OK;
}


/* What is missing or not good fails the attempts: nothing goes out by another
   identity. */

static bool
es_send_identity(es_send_t *send)
{
    const char           *ca_file;
    const es_endpoint_t  *conf;

    conf = send->target->conf;
    ca_file = send->d->options.ca_file;

    if (ca_file != NULL
        && curl_easy_setopt(send->easy, CURLOPT_CAINFO, ca_file) != CURLE_OK)
    {
        return false;
    }

    return es_send_file(send, CURLOPT_CAINFO, conf->ca_file)
           && es_send_file(send, CURLOPT_SSLCERT, conf->client_cert)
           && es_send_file(send, CURLOPT_SSLKEY,
                           conf->client_key.len > 0 ? conf->client_key
                                                    : conf->client_cert);
}


/* With QUICK_EXIT the end of an attempt leaves a name's look-up to its thread:
   otherwise the loop would wait for a resolver that does not answer. */

static es_rc_t
es_send_setup(es_send_t *send)
{
    bool                   ok;
    CURL                  *easy;
    const es_options_t    *options;
    const es_endpoint_t   *conf;

    easy = send->easy;
    options = &send->d->options;
    conf = send->target->conf;
    send->revision = send->target->revision;

#define es_set(option, value)                                                 \
    (curl_easy_setopt(easy, (option), (value)) == CURLE_OK)

    ok = es_send_url(send, conf->url.data)
         && es_set(CURLOPT_PRIVATE, send)
         && es_set(CURLOPT_NOSIGNAL, 1L)
         && es_set(CURLOPT_QUICK_EXIT, 1L)
         && es_set(CURLOPT_PROXY, "")
         && es_set(CURLOPT_NOPROXY, "*")
         && es_set(CURLOPT_FOLLOWLOCATION, 0L)
         && es_set(CURLOPT_PROTOCOLS_STR,
                   options->allow_http ? "http,https" : "https")
         && es_set(CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1)
         && es_set(CURLOPT_CONNECTTIMEOUT_MS, (long) conf->connect_timeout_ms)
         && es_set(CURLOPT_TIMEOUT_MS, (long) conf->timeout_ms)
         && es_set(CURLOPT_BUFFERSIZE, (long) ES_BUFFER)
         && es_set(CURLOPT_MAXAGE_CONN, ES_CONN_IDLE_S)
         && es_set(CURLOPT_MAXLIFETIME_CONN, ES_CONN_LIFE_S)
         && es_set(CURLOPT_POST, 1L)
         && es_set(CURLOPT_HTTPHEADER, send->heads)
         && es_set(CURLOPT_WRITEFUNCTION, es_answer_body)
         && es_set(CURLOPT_WRITEDATA, send)
         && es_set(CURLOPT_HEADERFUNCTION, es_answer_header)
         && es_set(CURLOPT_HEADERDATA, send)
         && es_set(CURLOPT_OPENSOCKETFUNCTION, es_loop_open)
         && es_set(CURLOPT_OPENSOCKETDATA, send)
         && es_set(CURLOPT_CLOSESOCKETFUNCTION, es_loop_close)
         && es_set(CURLOPT_CLOSESOCKETDATA, send->d)
         && es_send_identity(send);

#undef es_set

    return ok ? ES_OK : ES_NOMEM;
}


es_send_t *
es_send_get(es_dispatcher_t *d, es_target_t *target)
{
    es_send_t  *send;

    send = TAILQ_FIRST(&target->idle);
    if (send != NULL) {
        return send;
    }

    send = calloc(1, sizeof(es_send_t) + ES_HEAD_MAX
                     + target->conf->headers.len);
    if (send == NULL) {
        return NULL;
    }

    send->d = d;
    send->target = target;
    send->easy = curl_easy_init();

    send->heads[0].data = send->head;
    send->heads[1].data = (char *) (uintptr_t) es_send_expect;

    send->channel = es_channel_take(d, target);

    if (send->easy == NULL || send->channel == NULL
        || es_send_setup(send) != ES_OK)
    {
        if (send->channel != NULL) {
            es_channel_leave(send);
        }

        curl_easy_cleanup(send->easy);
        curl_url_cleanup(send->url);
        free(send);
        return NULL;
    }

    TAILQ_INSERT_HEAD(&target->idle, send, link);

    return send;
}


void
es_send_destroy(es_send_t *send)
{
    TAILQ_REMOVE(&send->target->idle, send, link);
    es_channel_leave(send);
    curl_easy_cleanup(send->easy);
    curl_url_cleanup(send->url);
    es_buf_free(&send->body);
    free(send);
}


static char *
es_put(char *p, const char *data, size_t len)
{
    memcpy(p, data, len);

    return p + len;
}

#define es_put_lit(p, text)  es_put((p), (text), sizeof(text) - 1)


static char *
es_put_number(char *p, uint64_t n)
{
    char  digits[20], *q;

    q = digits + sizeof(digits);

    do {
        *--q = (char) ('0' + n % 10);
        n /= 10;
    } while (n > 0);

    return es_put(p, q, (size_t) (digits + sizeof(digits) - q));
}


/* The value of a traceparent extension, if it is one: it goes into a header as
   it is. */

static es_str_t
es_send_trace(es_str_t text)
{
    size_t     i;
    es_str_t   trace;
    const char *end;

    trace.data = memmem(text.data, text.len, ES_TRACEPARENT,
                        sizeof(ES_TRACEPARENT) - 1);
    if (trace.data == NULL) {
        return es_null_str;
    }

    trace.data += sizeof(ES_TRACEPARENT) - 1;
    trace.len = ES_TRACEPARENT_LEN;
    end = text.data + text.len;

    if (end - trace.data <= ES_TRACEPARENT_LEN
        || trace.data[trace.len] != '"')
    {
        return es_null_str;
    }

    for (i = 0; i < trace.len; i++) {
        if (!((trace.data[i] >= '0' && trace.data[i] <= '9')
              || (trace.data[i] >= 'a' && trace.data[i] <= 'f')
              || trace.data[i] == '-'))
        {
            return es_null_str;
        }
    }

    return trace;
}


/* The event as it is, or with another prevcursor where a filter skipped. */

static es_rc_t
es_send_body(es_send_t *send, const es_lane_t *lane, const es_event_t *event)
{
    char      *p, prev[ES_CURSOR_MAX];
    size_t     len;
    es_buf_t  *body;

    body = &send->body;
    body->len = 0;

    if (send->item.prev + 1 == event->sequence) {
        return es_buf_str(body, event->json);
    }

    len = es_cursor_print(lane->epoch, send->item.prev, prev);

    if (es_buf_reserve(body, event->before.len + len + event->after.len)
        != ES_OK)
    {
        return ES_NOMEM;
    }

    p = es_put(body->data, event->before.data, event->before.len);
    p = es_put(p, prev, len);
    p = es_put(p, event->after.data, event->after.len);
    body->len = (size_t) (p - body->data);

    return ES_OK;
}


/* Appends the signatures; moves `p`. */

static es_rc_t
es_send_sign(es_send_t *send, es_str_t id, int64_t now_s, char **p)
{
    char      *first;
    es_rc_t    rc;
    int64_t    expires_ms;
    es_str_t   body;
    unsigned   i;

    body.data = send->body.data;
    body.len = send->body.len;

    first = *p;

    for (i = 0; i < send->target->nsigners; i++) {
        expires_ms = send->target->signer_expires_ms[i];

        if (expires_ms != 0 && expires_ms <= send->sent_ms) {
            continue;
        }

        if (*p != first) {
            *(*p)++ = ' ';
        }

        rc = es_sign(send->target->signers[i], id, now_s, &body, 1, *p);
        if (rc != ES_OK) {
            return rc;
        }

        *p += strlen(*p);
    }

    return ES_OK;
}


static es_rc_t
es_send_head(es_send_t *send, const es_lane_t *lane, const es_event_t *event)
{
    char      *p;
    es_rc_t    rc;
    int64_t    now_s;
    es_str_t   own, trace;

    now_s = send->sent_ms / 1000;

    p = es_put(send->id, event->id.data, event->id.len);
    *p = '\0';

    p = es_put_lit(send->head, "Content-Type: application/cloudevents+json"
                   "\r\nUser-Agent: eventsync/" ES_VERSION
                   "\r\nwebhook-id: ");
    p = es_put(p, event->id.data, event->id.len);
    p = es_put_lit(p, "\r\nwebhook-timestamp: ");
    p = es_put_number(p, (uint64_t) now_s);
    p = es_put_lit(p, "\r\nwebhook-signature: ");

    rc = es_send_sign(send, event->id, now_s, &p);
    if (rc != ES_OK) {
        return rc;
    }

    p = es_put_lit(p, "\r\neventsync-attempt: ");
    p = es_put_number(p, send->item.attempts + 1);
    p = es_put_lit(p, "\r\neventsync-feed: ");
    p = es_put(p, lane->source->feed.name, strlen(lane->source->feed.name));

    trace = es_send_trace(event->before);

    if (trace.len > 0) {
        p = es_put_lit(p, "\r\ntraceparent: ");
        p = es_put(p, trace.data, trace.len);
    }

    own = send->target->conf->headers;

    if (own.len > 0) {
        p = es_put(p, own.data, own.len);
    }

    *p = '\0';

    return ES_OK;
}


es_rc_t
es_send_start(es_send_t *send, es_lane_t *lane, const es_item_t *item,
    const es_event_t *event)
{
    es_rc_t           rc;
    es_target_t      *target;
    es_dispatcher_t  *d;

    d = send->d;
    target = send->target;
    send->item = *item;

    rc = es_send_body(send, lane, event);
    if (rc != ES_OK) {
        return rc;
    }

    send->sent_ms = es_clock_ms();
    send->sent_us = es_clock_mono_us();
    target->used_us = send->sent_us;

    rc = es_send_head(send, lane, event);
    if (rc != ES_OK) {
        return rc;
    }

    /* libcurl asks before it sends a megabyte; there is nothing to ask. */

    send->heads[0].next = send->body.len > ES_BODY_ASKED ? &send->heads[1]
                                                         : NULL;

    send->refused = false;
    send->overflow = false;
    send->header_bytes = 0;
    send->read_bytes = 0;
    send->first_len = 0;
    send->retry_after[0] = '\0';
    send->disable = false;
    send->abort = false;

    /* On a kept connection that ends without a byte libcurl sends again by
       itself, on the next such one: once that is what the receiver does, one
       attempt would be many. */

    if (curl_easy_setopt(send->easy, CURLOPT_FRESH_CONNECT,
                         (long) target->doubted) != CURLE_OK
        || curl_easy_setopt(send->easy, CURLOPT_POSTFIELDS, send->body.data)
            != CURLE_OK
        || curl_easy_setopt(send->easy, CURLOPT_POSTFIELDSIZE,
                            (long) send->body.len) != CURLE_OK
        || curl_multi_add_handle(send->channel->multi, send->easy) != CURLM_OK)
    {
        return ES_NOMEM;
    }

    send->lane = lane;
    send->retry = item->attempts > 0;

    TAILQ_REMOVE(&target->idle, send, link);
    TAILQ_INSERT_TAIL(&lane->sends, send, link);

    TAILQ_REMOVE(&target->lanes, lane, in_target);
    TAILQ_INSERT_TAIL(&target->lanes, lane, in_target);
    es_rate_charge(target);

    target->in_flight++;
    target->retrying += send->retry;
    d->in_flight++;
    es_health_begin(send);

    return ES_OK;
}


void
es_send_end(es_send_t *send)
{
    es_target_t  *target;

    target = send->target;

    (void) curl_multi_remove_handle(send->channel->multi, send->easy);

    TAILQ_REMOVE(&send->lane->sends, send, link);
    TAILQ_INSERT_HEAD(&target->idle, send, link);

    target->in_flight--;
    target->retrying -= send->retry;
    send->d->in_flight--;
    send->lane = NULL;
    es_health_end(send);

    if (send->body.cap > ES_BODY_KEEP) {
        es_buf_free(&send->body);
    }

    if (send->revision != target->revision) {
        es_send_destroy(send);
    }
}
