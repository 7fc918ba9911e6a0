/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A send: the libcurl handle of one attempt, and its slot.
 *
 * A send is created for an endpoint and reused, because its handle keeps the
 * options that do not change.
 */

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/assert.h"
#include "base/base.h"
#include "base/clock.h"
#include "registry/registry.h"

#include "bearer.h"
#include "certificates.h"
#include "channel.h"
#include "destination.h"
#include "dispatcher.h"
#include "host.h"
#include "item.h"
#include "lane.h"
#include "message.h"
#include "options.h"
#include "proxy.h"
#include "rate.h"
#include "response.h"
#include "send.h"
#include "signing.h"
#include "simulate.h"
#include "slots.h"
#include "target.h"
#include "trickle.h"

#define ESD_BODY_KEEP        65536 /* larger buffers are freed */
#define ESD_BODY_ASKED       500000
#define ESD_ATTRS_HTTP2      49152 /* libcurl sends no more than 64 KB of fields
                                      by HTTP/2, and ends the connection */
#define ESD_BUFFER           4080  /* libcurl's receive buffer; with its
                                      end it fills a cached block */
#define ESD_CONN_IDLE_S      60L
#define ESD_CONN_LIFE_S      600L

static const char  esd_send_expect[] = "Expect:";


/* Parses the URL once: libcurl would parse the text for each request, which is
   a tenth of its work. */

static bool
esd_send_url(esd_send_t *send, const char *url)
{
    if (curl_easy_setopt(send->easy, CURLOPT_URL, url) != CURLE_OK) {
        return false;
    }

    send->url = curl_url();
    if (send->url == NULL) {
        return false;
    }

    /* With a URL that libcurl does not accept, attempts fail with that
       reason. */

    return curl_url_set(send->url, CURLUPART_URL, url, 0) != CURLUE_OK
           || curl_easy_setopt(send->easy, CURLOPT_CURLU, send->url)
              == CURLE_OK;
}


static bool
esd_send_file(esd_send_t *send, CURLoption option, es_str_t name)
{
    char  path[PATH_MAX];

    if (name.len == 0) {
        return true;
    }

    return snprintf(path, sizeof(path), "%s/%s", send->d->options.tls_dir,
                    name.data) < (int) sizeof(path)
           && curl_easy_setopt(send->easy, option, path) == CURLE_OK;
}


/* A missing or invalid file fails the attempts, so that no request uses another
   identity. */

static bool
esd_send_identity(esd_send_t *send)
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

    /* otherwise libcurl would trust the system's directory as well */

    if ((ca_file != NULL || conf->ca_file.len > 0)
        && curl_easy_setopt(send->easy, CURLOPT_CAPATH, NULL) != CURLE_OK)
    {
        return false;
    }

    return esd_send_file(send, CURLOPT_CAINFO, conf->ca_file)
           && esd_send_file(send, CURLOPT_SSLCERT, conf->client_cert)
           && esd_send_file(send, CURLOPT_SSLKEY,
                            conf->client_key.len > 0 ? conf->client_key
                                                     : conf->client_cert);
}


/* Uses HTTP/2 where a receiver offers it by ALPN.  An endpoint has one request
   in flight until its first answer, so that later ones find its connection.
   None waits for a connection in progress (CURLOPT_PIPEWAIT): such a request
   would have no timeout, and connections of other hosts would wake it. */

static long
esd_send_version(const char *url)
{
    return strncasecmp(url, "https:", 6) == 0
           ? (long) CURL_HTTP_VERSION_2TLS : (long) CURL_HTTP_VERSION_1_1;
}


/* With QUICK_EXIT an attempt that ends does not join the thread of its name
   resolution: the loop would wait for a resolver that does not answer. */

static es_rc_t
esd_send_setup(esd_send_t *send, const char *url)
{
    bool                   ok;
    CURL                  *easy;
    const esd_options_t   *options;
    const es_endpoint_t   *conf;

    easy = send->easy;
    options = &send->d->options;
    conf = send->target->conf;
    send->revision = send->target->revision;
    send->version = esd_send_version(url);

#define esd_send_setopt(option, value)                                        \
    (curl_easy_setopt(easy, (option), (value)) == CURLE_OK)

    ok = esd_send_url(send, url)
         && esd_send_setopt(CURLOPT_PRIVATE, send)
         && esd_send_setopt(CURLOPT_ERRORBUFFER, send->error)
         && esd_send_setopt(CURLOPT_NOSIGNAL, 1L)
         && esd_send_setopt(CURLOPT_QUICK_EXIT, 1L)
         && esd_destination_set(send)
         && esd_proxy_set(send)
         && esd_send_setopt(CURLOPT_FOLLOWLOCATION, 0L)
         && esd_send_setopt(CURLOPT_PROTOCOLS_STR,
                             options->egress.http ? "http,https" : "https")
         && esd_send_setopt(CURLOPT_HTTP_VERSION, send->version)
         && esd_send_setopt(CURLOPT_CONNECTTIMEOUT_MS,
                             (long) conf->connect_timeout_ms)
         && esd_send_setopt(CURLOPT_TIMEOUT_MS, (long) conf->timeout_ms)
         && esd_send_setopt(CURLOPT_BUFFERSIZE, (long) ESD_BUFFER)
         && esd_send_setopt(CURLOPT_MAXAGE_CONN, ESD_CONN_IDLE_S)
         && esd_send_setopt(CURLOPT_MAXLIFETIME_CONN, ESD_CONN_LIFE_S)
         && esd_send_setopt(CURLOPT_POST, 1L)
         && esd_send_setopt(CURLOPT_HTTPHEADER, send->heads)
         && esd_send_setopt(CURLOPT_WRITEFUNCTION, esd_response_body)
         && esd_send_setopt(CURLOPT_WRITEDATA, send)
         && esd_send_setopt(CURLOPT_HEADERFUNCTION, esd_response_header)
         && esd_send_setopt(CURLOPT_HEADERDATA, send)
         && esd_send_setopt(CURLOPT_OPENSOCKETFUNCTION, esd_socket_open)
         && esd_send_setopt(CURLOPT_OPENSOCKETDATA, send)
         && esd_send_setopt(CURLOPT_CLOSESOCKETFUNCTION, esd_socket_close)
         && esd_send_setopt(CURLOPT_CLOSESOCKETDATA, send->d)
         && esd_send_identity(send);

#undef esd_send_setopt

    return ok ? ES_OK : ES_NOMEM;
}


esd_send_t *
esd_send_get(esd_dispatcher_t *d, esd_target_t *target)
{
    esd_send_t  *send;

    send = TAILQ_FIRST(&target->idle);

    return send != NULL ? send
                        : esd_send_create(d, target, target->conf->url.data);
}


esd_send_t *
esd_send_create(esd_dispatcher_t *d, esd_target_t *target, const char *url)
{
    esd_send_t  *send;

    send = calloc(1, sizeof(esd_send_t) + ESD_HEAD_MAX
                     + target->conf->headers.len);
    if (send == NULL) {
        return NULL;
    }

    send->d = d;
    send->target = target;
    send->items = calloc(target->conf->batch, sizeof(esd_item_t));
    send->events = d->exporter != NULL
                   ? calloc(target->conf->batch, sizeof(esd_traced_t)) : NULL;
    send->easy = curl_easy_init();

    send->heads[ESD_HEAD].data = send->head;
    send->heads[ESD_HEAD_EXPECT].data = (char *) (uintptr_t) esd_send_expect;

    send->channel = esd_channel_take(d, target);

    if (send->items == NULL
        || (d->exporter != NULL && send->events == NULL)
        || send->easy == NULL
        || send->channel == NULL
        || esd_send_setup(send, url) != ES_OK)
    {
        if (send->channel != NULL) {
            esd_channel_leave(send);
        }

        curl_easy_cleanup(send->easy);
        curl_url_cleanup(send->url);
        free(send->items);
        free(send->events);
        free(send);
        return NULL;
    }

    TAILQ_INSERT_HEAD(&target->idle, send, link);
    d->nsends++;

    return send;
}


void
esd_send_destroy(esd_send_t *send)
{
    esd_dispatcher_t  *d;

    d = send->d;

    TAILQ_REMOVE(&send->target->idle, send, link);
    esd_channel_leave(send);
    curl_easy_cleanup(send->easy);
    curl_url_cleanup(send->url);
    es_buf_free(&send->body);
    es_buf_free(&send->event);
    es_buf_free(&send->type);
    es_buf_free(&send->attrs);
    es_buf_free(&send->state);
    es_buf_free(&send->traces);
    es_buf_free(&send->ids);
    es_buf_free(&send->answer);

    if (send->auth.data != NULL) {
        explicit_bzero(send->auth.data, send->auth.cap);
    }

    es_buf_free(&send->auth);
    free(send->items);
    free(send->events);

    if (send->own != NULL) {
        explicit_bzero(send->head, strlen(send->head));
    }

    free(send);
    d->nsends--;
}


static struct curl_slist *
esd_send_link(esd_send_t *send, esd_head_t head, char *data,
    struct curl_slist *next)
{
    send->heads[head].data = data;
    send->heads[head].next = next;

    return &send->heads[head];
}


/* "Expect:" keeps libcurl from waiting for 100 Continue before a large body. */

static void
esd_send_heads(esd_send_t *send)
{
    struct curl_slist  *next;

    next = send->body.len > ESD_BODY_ASKED ? &send->heads[ESD_HEAD_EXPECT]
                                           : NULL;

    if (send->type.len > 0) {
        next = esd_send_link(send, ESD_HEAD_TYPE, send->type.data, next);
    }

    if (send->state.len > 0) {
        next = esd_send_link(send, ESD_HEAD_STATE, send->state.data, next);
    }

    if (send->attrs.len > 0) {
        next = esd_send_link(send, ESD_HEAD_ATTRS, send->attrs.data, next);
    }

    if (send->auth.len > 0) {
        next = esd_send_link(send, ESD_HEAD_AUTH, send->auth.data, next);
    }

    send->heads[ESD_HEAD].next = next;
}


static void
esd_send_clear(esd_send_t *send)
{
    memset(&send->handshake, 0, sizeof(send->handshake));
    send->refused = false;
    send->starved = false;
    send->overflow = false;
    send->header_bytes = 0;
    send->read_bytes = 0;
    send->first_len = 0;
    send->error[0] = '\0';
    send->answer.len = 0;
    send->again = false;
}


/* A handshake has no body.  Such a handle is never used again. */

static bool
esd_send_method(esd_send_t *send)
{
    return send->kind != ESD_SEND_HANDSHAKE
           || (curl_easy_setopt(send->easy, CURLOPT_HTTPGET, 1L) == CURLE_OK
               && curl_easy_setopt(send->easy, CURLOPT_CUSTOMREQUEST,
                                   "OPTIONS") == CURLE_OK);
}


/* When a kept connection ends without a byte, libcurl repeats the request on
   the next kept one.  With a receiver that closes every connection so, one
   attempt would become many. */

static es_rc_t
esd_send_fill(esd_send_t *send, const esd_lane_t *lane)
{
    bool     alone;
    es_rc_t  rc;

    rc = send->kind == ESD_SEND_TOKEN || send->kind == ESD_SEND_HANDSHAKE
         ? ES_OK : esd_message_end(send, lane);

    if (rc == ES_OK) {
        rc = esd_bearer_attach(send);
    }

    if (rc != ES_OK) {
        return rc;
    }

    esd_send_heads(send);
    esd_send_clear(send);
    alone = send->attrs.len > ESD_ATTRS_HTTP2;

    return curl_easy_setopt(send->easy, CURLOPT_FRESH_CONNECT,
                            (long) (send->target->doubted || alone
                                    || (send->kind == ESD_SEND_TEST
                                        && !send->destination.plain)))
              == CURLE_OK
           && curl_easy_setopt(send->easy, CURLOPT_SSL_SESSIONID_CACHE,
                               (long) esd_certificates_may_resume(send))
              == CURLE_OK
           && curl_easy_setopt(send->easy, CURLOPT_FORBID_REUSE,
                               (long) (esd_channels_full(send->d) || alone))
              == CURLE_OK
           && (send->attrs.len == 0
               || curl_easy_setopt(send->easy, CURLOPT_HTTP_VERSION,
                                   alone ? (long) CURL_HTTP_VERSION_1_1
                                         : send->version) == CURLE_OK)
           && curl_easy_setopt(send->easy, CURLOPT_POSTFIELDS,
                               send->body.data) == CURLE_OK
           && curl_easy_setopt(send->easy, CURLOPT_POSTFIELDSIZE,
                               (long) send->body.len) == CURLE_OK
           && esd_send_method(send)
           && esd_simulate_begin(send) == CURLE_OK
           ? ES_OK : ES_NOMEM;
}


static es_rc_t
esd_send_add(esd_send_t *send)
{
    if (curl_multi_add_handle(send->channel->multi, send->easy) != CURLM_OK) {
        return ES_NOMEM;
    }

    esd_channel_kick(send->channel);

    return ES_OK;
}


/* The signatures are complete, and the timeout of the attempt begins. */

static void
esd_send_signed(esd_send_t *send, es_rc_t rc)
{
    send->sent_us = es_clock_mono_us();

    if (rc == ES_OK) {
        rc = esd_send_add(send);
    }

    if (rc != ES_OK) {
        send->starved = true;
        esd_descriptors_lack(send->d, "a signature", ENOMEM);
        send->ended(send, CURLE_FAILED_INIT);
    }
}


/* Sends the request as soon as it is signed. */

static es_rc_t
esd_send_go(esd_send_t *send)
{
    if (send->signing != NULL) {
        esd_signing_submit(send, esd_send_signed);
        return ES_OK;
    }

    return esd_send_add(send);
}


static void
esd_send_join(esd_send_t *send, esd_lane_t *lane)
{
    unsigned       i;
    esd_target_t  *target;

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


/* True: the connection ended before it brought any answer. */

static bool
esd_send_unanswered(const esd_send_t *send, CURLcode result)
{
    return send->header_bytes == 0
           && (result == CURLE_SEND_ERROR
               || result == CURLE_RECV_ERROR
               || result == CURLE_GOT_NOTHING
               || result == CURLE_HTTP2
               || result == CURLE_HTTP2_STREAM);
}


/* A receiver may end any kept connection, by GOAWAY or by closing it, and need
   not have seen the requests that were under way. */

static bool
esd_send_again(esd_send_t *send, CURLcode result)
{
    long  connects;

    connects = 0;

    if (send->again
        || send->simulate != ES_SIMULATE_NONE
        || !esd_send_unanswered(send, result)
        || curl_easy_getinfo(send->easy, CURLINFO_NUM_CONNECTS, &connects)
           != CURLE_OK
        || connects > 0)
    {
        return false;
    }

    (void) curl_multi_remove_handle(send->channel->multi, send->easy);

    esd_send_clear(send);
    send->again = true;
    send->sent_us = es_clock_mono_us();

    return curl_easy_setopt(send->easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK
           && esd_send_add(send) == ES_OK;
}


/* libcurl is done with the request. */

static void
esd_send_over(esd_send_t *send, CURLcode result)
{
    if (!esd_send_again(send, result)) {
        esd_certificates_note(send, esd_socket_over(send));
        send->ended(send, result);
    }
}


es_rc_t
esd_send_start(esd_send_t *send, esd_lane_t *lane, esd_send_fn ended)
{
    es_rc_t        rc;
    esd_target_t  *target;

    target = send->target;

    send->over = esd_send_over;
    send->ended = ended;
    send->sent_ms = es_clock_ms();
    send->sent_us = es_clock_mono_us();
    target->used_us = send->sent_us;

    rc = esd_send_fill(send, lane);

    if (rc == ES_OK) {
        rc = esd_send_go(send);
    }

    if (rc != ES_OK) {
        esd_signing_drop(send);
        return rc;
    }

    send->lane = lane;
    send->retry = send->nitems > 0 && send->items[0].attempts > 0;

    TAILQ_REMOVE(&target->idle, send, link);
    esd_send_join(send, lane);

    if (send->kind != ESD_SEND_TOKEN) {
        esd_rate_charge(target, send->sent_us);
    }

    target->retrying += send->retry;
    esd_slot_take(send);
    esd_host_take(send, send->kind == ESD_SEND_TOKEN ? &target->token_caller
                                                     : &target->caller);

    return ES_OK;
}


void
esd_send_end(esd_send_t *send)
{
    esd_target_t  *target;

    target = send->target;

    esd_signing_drop(send);
    (void) curl_multi_remove_handle(send->channel->multi, send->easy);
    esd_channel_busy(send->channel);

    if (send->lane != NULL) {
        ES_ASSERT(send->lane->nflying >= send->nflying);           /* I7 */
        send->lane->nflying -= send->nflying;
    }

    TAILQ_REMOVE(send->lane != NULL ? &send->lane->sends : &target->others,
                 send, link);
    TAILQ_INSERT_HEAD(&target->idle, send, link);

    target->retrying -= send->retry;
    send->lane = NULL;
    esd_trickle_end(send);
    esd_slot_release(send);
    esd_host_release(send);

    if (send->body.cap > ESD_BODY_KEEP) {
        es_buf_free(&send->body);
    }

    if (send->event.cap > ESD_BODY_KEEP) {
        es_buf_free(&send->event);
    }

    if (send->attrs.cap > ESD_BODY_KEEP) {
        es_buf_free(&send->attrs);
    es_buf_free(&send->state);
    }

    if (send->revision != target->revision
        || send->d->nsends > send->d->options.max_connections)
    {
        esd_send_destroy(send);
    }
}
