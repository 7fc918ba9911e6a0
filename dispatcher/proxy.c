/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The operator's proxy, by which everything goes out if there is
 * one: a tunnel for each connection, by CONNECT (RFC 9110, 9.3.6).
 *
 * A proxy that does not work is nobody's fault but the operator's: all sending
 * waits, and events use up no attempts.  What a receiver's owner can bring
 * about, a name that is none or a receiver that the proxy cannot reach, is not
 * of that kind: it would stop everybody's.
 */

#include <errno.h>
#include <netdb.h>
#include <stdio.h>

#include "dispatcher.h"

#define ES_PROXY_AUTH_MAX  1024
#define ES_PROXY_MIN_MS    1000
#define ES_PROXY_MAX_MS    30000

/* an attempt that had less time says nothing of the proxy */
#define ES_PROXY_PATIENCE_US  5000000


/* "http://host:port", with "user:password@" or not. */

bool
es_proxy_ok(const char *text)
{
    bool    ok;
    char   *port, *path, *query;
    CURLU  *url;

    if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
    {
        return false;
    }

    port = NULL;
    path = NULL;
    query = NULL;
    url = curl_url();

    ok = url != NULL
         && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK
         && curl_url_get(url, CURLUPART_PORT, &port, 0) == CURLUE_OK
         && curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK
         && strcmp(path, "/") == 0
         && curl_url_get(url, CURLUPART_QUERY, &query, 0) != CURLUE_OK
         && curl_url_get(url, CURLUPART_FRAGMENT, &query, 0) != CURLUE_OK;

    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(url);

    return ok;
}


static void
es_proxy_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
    (void) ev;
    (void) w;
    (void) revents;
}


/* One line, "user:password". */

static bool
es_proxy_read(es_proxy_t *proxy, FILE *f)
{
    char  *colon, line[ES_PROXY_AUTH_MAX];

    if (fgets(line, sizeof(line), f) == NULL) {
        return false;
    }

    line[strcspn(line, "\r\n")] = '\0';
    colon = strchr(line, ':');

    if (colon == NULL || colon == line) {
        return false;
    }

    *colon = '\0';
    proxy->user = strdup(line);
    proxy->password = strdup(colon + 1);
    explicit_bzero(line, sizeof(line));

    return proxy->user != NULL && proxy->password != NULL;
}


es_rc_t
es_proxy_init(es_dispatcher_t *d)
{
    bool         ok;
    FILE        *f;
    const char  *name;

    ev_init(&d->proxy.timer, es_proxy_timer);
    name = d->options.proxy_auth_file;

    if (name == NULL) {
        return ES_OK;
    }

    f = fopen(name, "re");
    if (f == NULL) {
        es_log_line(ES_LOG_ERROR, "cannot read \"%s\": %s", name,
                    strerror(errno));
        return ES_IO;
    }

    ok = es_proxy_read(&d->proxy, f);
    (void) fclose(f);

    if (!ok) {
        es_log_line(ES_LOG_ERROR, "\"%s\" does not begin with a line "
                    "\"user:password\"", name);
        return ES_INVALID;
    }

    return ES_OK;
}


void
es_proxy_done(es_dispatcher_t *d)
{
    free(d->proxy.user);
    free(d->proxy.password);
}


/* True when the URL's host is an address, that is not allowed: the proxy is
   not asked then, and the socket is refused as without one. */

static bool
es_proxy_barred(const es_send_t *send)
{
    bool              barred;
    char             *host, *name;
    size_t            len;
    struct addrinfo  *addr, hints = { .ai_flags = AI_NUMERICHOST };

    host = NULL;

    if (curl_url_get(send->url, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
        return true;
    }

    name = host[0] == '[' ? host + 1 : host;
    len = strlen(name);

    if (len > 0 && (name[len - 1] == ']' || name[len - 1] == '.')) {
        name[len - 1] = '\0';
    }

    barred = false;
    addr = NULL;

    if (getaddrinfo(name, NULL, &hints, &addr) == 0) {
        barred = !es_egress_allows(&send->d->options.egress, addr->ai_addr);
        freeaddrinfo(addr);
    }

    curl_free(host);

    return barred;
}


/* An empty name keeps libcurl from what the environment says. */

bool
es_proxy_set(es_send_t *send)
{
    CURL                *easy;
    const es_proxy_t    *proxy;
    const es_options_t  *options;

    easy = send->easy;
    proxy = &send->d->proxy;
    options = &send->d->options;
    send->proxied = options->proxy != NULL && !es_proxy_barred(send);

#define es_set(option, value)                                                 \
    (curl_easy_setopt(easy, (option), (value)) == CURLE_OK)

    if (!send->proxied) {
        return es_set(CURLOPT_PROXY, "") && es_set(CURLOPT_NOPROXY, "*");
    }

    return es_set(CURLOPT_PROXY, options->proxy)
           && es_set(CURLOPT_NOPROXY, "")
           && es_set(CURLOPT_HTTPPROXYTUNNEL, 1L)
           && es_set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L)
           && es_set(CURLOPT_HEADEROPT, (long) CURLHEADER_SEPARATE)
           && (proxy->user == NULL
               || (es_set(CURLOPT_PROXYUSERNAME, proxy->user)
                   && es_set(CURLOPT_PROXYPASSWORD, proxy->password)))
           && (options->ca_file == NULL
               || (es_set(CURLOPT_PROXY_CAINFO, options->ca_file)
                   && es_set(CURLOPT_PROXY_CAPATH, NULL)));

#undef es_set
}


/* The status of CONNECT, if it was one that opened no tunnel. */

static long
es_proxy_answer(const es_send_t *send)
{
    long  status;

    status = 0;
    (void) curl_easy_getinfo(send->easy, CURLINFO_HTTP_CONNECTCODE, &status);

    return status < 200 || status > 299 ? status : 0;
}


/* There are those that refuse a receiver with 407 and ask for no
   credentials. */

static es_attempt_class_t
es_proxy_refusal(const es_send_t *send, long status)
{
    long  asked;

    asked = 0;
    (void) curl_easy_getinfo(send->easy, CURLINFO_PROXYAUTH_AVAIL, &asked);

    switch (status) {

    case 405:
    case 501:
        return ES_ATTEMPT_PROXY;

    case 407:
        return asked != 0 ? ES_ATTEMPT_PROXY : ES_ATTEMPT_ADDRESS;

    case 403:
        return ES_ATTEMPT_ADDRESS;

    default:
        return ES_ATTEMPT_CONNECT;
    }
}


es_attempt_class_t
es_proxy_class(const es_send_t *send, CURLcode result,
    es_attempt_class_t klass)
{
    long  status, port;

    if (!send->proxied) {
        return klass;
    }

    status = es_proxy_answer(send);
    if (status != 0) {
        return es_proxy_refusal(send, status);
    }

    port = 0;
    (void) curl_easy_getinfo(send->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    (void) curl_easy_getinfo(send->easy, CURLINFO_LOCAL_PORT, &port);

    switch (klass) {

    case ES_ATTEMPT_DNS:
        return result == CURLE_COULDNT_RESOLVE_PROXY ? ES_ATTEMPT_PROXY
                                                     : klass;

    case ES_ATTEMPT_CONNECT:
        return ES_ATTEMPT_PROXY;

    case ES_ATTEMPT_TLS:

        /* the receiver's begins in the tunnel */

        return status == 0 ? ES_ATTEMPT_PROXY : klass;

    case ES_ATTEMPT_TIMEOUT:

        /* a tunnel that takes long may be the receiver's fault, and so short a
           time is the endpoint's own */

        return port == 0
               && es_clock_mono_us() - send->sent_us >= ES_PROXY_PATIENCE_US
               ? ES_ATTEMPT_PROXY : klass;

    default:
        return klass;
    }
}


bool
es_proxy_holds(const es_dispatcher_t *d)
{
    return d->proxy.pause_ms != 0 && es_clock_mono_us() < d->proxy.until_us;
}


static void
es_proxy_say(const es_send_t *send, CURLcode result)
{
    char  why[64];
    long  status;

    status = es_proxy_answer(send);
    (void) snprintf(why, sizeof(why), "it answers CONNECT with %ld", status);

    es_log_line(ES_LOG_WARN, "the proxy does not work, nothing is sent: %s",
                status != 0 ? why : curl_easy_strerror(result));
}


static void
es_proxy_failed(es_dispatcher_t *d, const es_send_t *send, CURLcode result)
{
    es_proxy_t  *proxy;

    proxy = &d->proxy;

    /* begun before it was known */

    if (proxy->pause_ms != 0 && send->sent_us < proxy->until_us) {
        return;
    }

    if (proxy->pause_ms == 0) {
        es_proxy_say(send, result);
        proxy->pause_ms = ES_PROXY_MIN_MS;

    } else if (proxy->pause_ms < ES_PROXY_MAX_MS) {
        proxy->pause_ms *= 2;
        proxy->pause_ms = proxy->pause_ms < ES_PROXY_MAX_MS
                          ? proxy->pause_ms : ES_PROXY_MAX_MS;
    }

    proxy->until_us = es_clock_mono_us() + proxy->pause_ms * 1000;
    proxy->timer.repeat = (double) proxy->pause_ms / 1000;
    ev_timer_again(d->loop.ev, &proxy->timer);
}


void
es_proxy_judge(es_dispatcher_t *d, const es_send_t *send, CURLcode result,
    const es_outcome_t *o)
{
    if (!send->proxied) {
        return;
    }

    if (o->klass == ES_ATTEMPT_PROXY) {
        es_proxy_failed(d, send, result);

    } else if (d->proxy.pause_ms != 0
               && send->sent_us >= d->proxy.until_us)
    {
        d->proxy.pause_ms = 0;
        ev_timer_stop(d->loop.ev, &d->proxy.timer);
        es_log_line(ES_LOG_INFO, "the proxy works again");
    }
}
