/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One attempt: libcurl's handle, and its place among the others.
 *
 * A send is made once for an endpoint and used again: its handle keeps what
 * does not change.
 */

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "dispatcher.h"

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

    /* libcurl would trust the system's directory as well */

    if ((ca_file != NULL || conf->ca_file.len > 0)
        && curl_easy_setopt(send->easy, CURLOPT_CAPATH, NULL) != CURLE_OK)
    {
        return false;
    }

    return es_send_file(send, CURLOPT_CAINFO, conf->ca_file)
           && es_send_file(send, CURLOPT_SSLCERT, conf->client_cert)
           && es_send_file(send, CURLOPT_SSLKEY,
                           conf->client_key.len > 0 ? conf->client_key
                                                    : conf->client_cert);
}


/* HTTP/2 where a receiver offers it by ALPN.  An endpoint has one request in
   flight until its first answer, so that the others find its connection; none
   waits for one that is being made (CURLOPT_PIPEWAIT): who waits so has no
   timeout, and is woken by what happens to connections of other hosts. */

static long
es_send_version(const char *url)
{
    return strncasecmp(url, "https:", 6) == 0
           ? (long) CURL_HTTP_VERSION_2TLS : (long) CURL_HTTP_VERSION_1_1;
}


/* With QUICK_EXIT the end of an attempt leaves a name's look-up to its thread:
   otherwise the loop would wait for a resolver that does not answer. */

static es_rc_t
es_send_setup(es_send_t *send, const char *url)
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

    ok = es_send_url(send, url)
         && es_set(CURLOPT_PRIVATE, send)
         && es_set(CURLOPT_NOSIGNAL, 1L)
         && es_set(CURLOPT_QUICK_EXIT, 1L)
         && es_proxy_set(send)
         && es_set(CURLOPT_FOLLOWLOCATION, 0L)
         && es_set(CURLOPT_PROTOCOLS_STR,
                   options->allow_http ? "http,https" : "https")
         && es_set(CURLOPT_HTTP_VERSION, es_send_version(url))
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

    return send != NULL ? send
                        : es_send_create(d, target, target->conf->url.data);
}


es_send_t *
es_send_create(es_dispatcher_t *d, es_target_t *target, const char *url)
{
    es_send_t  *send;

    send = calloc(1, sizeof(es_send_t) + ES_HEAD_MAX
                     + target->conf->headers.len);
    if (send == NULL) {
        return NULL;
    }

    send->d = d;
    send->target = target;
    send->items = calloc(target->conf->batch, sizeof(es_item_t));
    send->easy = curl_easy_init();

    send->heads[0].data = send->head;
    send->heads[2].data = (char *) (uintptr_t) es_send_expect;

    send->channel = es_channel_take(d, target);

    if (send->items == NULL
        || send->easy == NULL
        || send->channel == NULL
        || es_send_setup(send, url) != ES_OK)
    {
        if (send->channel != NULL) {
            es_channel_leave(send);
        }

        curl_easy_cleanup(send->easy);
        curl_url_cleanup(send->url);
        free(send->items);
        free(send);
        return NULL;
    }

    TAILQ_INSERT_HEAD(&target->idle, send, link);
    d->nsends++;

    return send;
}


void
es_send_destroy(es_send_t *send)
{
    es_dispatcher_t  *d;

    d = send->d;

    TAILQ_REMOVE(&send->target->idle, send, link);
    es_channel_leave(send);
    curl_easy_cleanup(send->easy);
    curl_url_cleanup(send->url);
    es_buf_free(&send->body);
    es_buf_free(&send->ids);
    es_buf_free(&send->auth);
    free(send->items);
    free(send);
    d->nsends--;
}


/* libcurl asks before it sends a megabyte; there is nothing to ask. */

static void
es_send_heads(es_send_t *send)
{
    struct curl_slist  *next;

    next = send->body.len > ES_BODY_ASKED ? &send->heads[2] : NULL;

    if (send->auth.len > 0) {
        send->heads[1].data = send->auth.data;
        send->heads[1].next = next;
        next = &send->heads[1];
    }

    send->heads[0].next = next;
}


static void
es_send_clear(es_send_t *send)
{
    send->refused = false;
    send->starved = false;
    send->overflow = false;
    send->header_bytes = 0;
    send->read_bytes = 0;
    send->first_len = 0;
    send->retry_after[0] = '\0';
    send->coding[0] = '\0';
    send->disable = false;
    send->abort = false;
}


/* On a kept connection that ends without a byte libcurl sends again by itself,
   on the next such one: once that is what the receiver does, one attempt would
   be many. */

static es_rc_t
es_send_fill(es_send_t *send, const es_lane_t *lane)
{
    es_rc_t  rc;

    rc = send->kind == ES_SEND_TOKEN ? ES_OK : es_message_end(send, lane);

    if (rc == ES_OK) {
        rc = es_token_put(send);
    }

    if (rc != ES_OK) {
        return rc;
    }

    es_send_heads(send);
    es_send_clear(send);

    return curl_easy_setopt(send->easy, CURLOPT_FRESH_CONNECT,
                            (long) send->target->doubted) == CURLE_OK
           && curl_easy_setopt(send->easy, CURLOPT_FORBID_REUSE,
                               (long) es_loop_full(send->d)) == CURLE_OK
           && curl_easy_setopt(send->easy, CURLOPT_POSTFIELDS,
                               send->body.data) == CURLE_OK
           && curl_easy_setopt(send->easy, CURLOPT_POSTFIELDSIZE,
                               (long) send->body.len) == CURLE_OK
           && es_simulate_begin(send) == CURLE_OK
           ? ES_OK : ES_NOMEM;
}


/* The request goes out, as soon as it is signed. */

static es_rc_t
es_send_go(es_send_t *send)
{
    if (send->signing != NULL) {
        es_signing_submit(send);
        return ES_OK;
    }

    if (curl_multi_add_handle(send->channel->multi, send->easy) != CURLM_OK) {
        return ES_NOMEM;
    }

    es_channel_kick(send->channel);

    return ES_OK;
}


/* The receiver's time begins now. */

void
es_send_signed(es_send_t *send, es_rc_t rc)
{
    send->sent_us = es_clock_mono_us();

    if (rc == ES_OK) {
        rc = es_send_go(send);
    }

    if (rc != ES_OK) {
        send->starved = true;
        es_loop_lacks(send->d, "a signature", ENOMEM);
        es_judge(send, CURLE_FAILED_INIT);
    }
}


static void
es_send_join(es_send_t *send, es_lane_t *lane)
{
    unsigned      i;
    es_target_t  *target;

    target = send->target;
    send->nflying = 0;

    if (lane == NULL) {
        TAILQ_INSERT_TAIL(&target->others, send, link);
        return;
    }

    for (i = 0; i < send->nitems; i++) {
        send->nflying += !send->items[i].recorded;
    }

    lane->nflying += send->nflying;

    TAILQ_INSERT_TAIL(&lane->sends, send, link);
    TAILQ_REMOVE(&target->lanes, lane, in_target);
    TAILQ_INSERT_TAIL(&target->lanes, lane, in_target);
}


es_rc_t
es_send_start(es_send_t *send, es_lane_t *lane)
{
    es_rc_t       rc;
    es_target_t  *target;

    target = send->target;

    send->sent_ms = es_clock_ms();
    send->sent_us = es_clock_mono_us();
    target->used_us = send->sent_us;

    rc = es_send_fill(send, lane);

    if (rc == ES_OK) {
        rc = es_send_go(send);
    }

    if (rc != ES_OK) {
        es_signing_drop(send);
        return rc;
    }

    send->lane = lane;
    send->retry = send->nitems > 0 && send->items[0].attempts > 0;

    TAILQ_REMOVE(&target->idle, send, link);
    es_send_join(send, lane);

    if (send->kind != ES_SEND_TOKEN) {
        es_rate_charge(target, send->sent_us);
    }

    target->retrying += send->retry;
    es_place_take(send);

    return ES_OK;
}


void
es_send_end(es_send_t *send)
{
    es_target_t  *target;

    target = send->target;

    es_signing_drop(send);
    (void) curl_multi_remove_handle(send->channel->multi, send->easy);
    es_channel_busy(send->channel);

    if (send->lane != NULL) {
        send->lane->nflying -= send->nflying;
    }

    TAILQ_REMOVE(send->lane != NULL ? &send->lane->sends : &target->others,
                 send, link);
    TAILQ_INSERT_HEAD(&target->idle, send, link);

    target->retrying -= send->retry;
    send->lane = NULL;
    es_trickle_end(send);
    es_place_leave(send);

    if (send->body.cap > ES_BODY_KEEP) {
        es_buf_free(&send->body);
    }

    if (send->revision != target->revision
        || send->d->nsends > send->d->options.max_connections)
    {
        es_send_destroy(send);
    }
}
