/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The operator's proxy, through which all requests go if it is configured: a
 * tunnel for each connection, opened by CONNECT (RFC 9110, 9.3.6).
 *
 * While the proxy fails, all sending waits and events use up no attempts.
 * Failures that a partner can cause, such as an unknown name or a receiver that
 * the proxy cannot reach, do not count as such: they would stop the deliveries
 * of all partners.
 */

#include <curl/curl.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "keys/keyfile.h"

#include "dispatcher.h"
#include "log.h"
#include "options.h"
#include "outcome.h"
#include "proxy.h"
#include "send.h"

#define ESD_PROXY_AUTH_MAX  1024
#define ESD_PROXY_MIN_MS    1000
#define ESD_PROXY_MAX_MS    30000

/* a shorter attempt does not show whether the proxy works */
#define ESD_PROXY_PATIENCE_US  5000000


/* Accepts "http://host:port" and "https://host:port".  Credentials are refused,
   because other users can read a command line. */

bool
esd_proxy_ok(const char *text)
{
    bool    ok;
    char   *port, *path, *other;
    CURLU  *url;

    if (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0)
    {
        return false;
    }

    port = NULL;
    path = NULL;
    other = NULL;
    url = curl_url();

    ok = url != NULL
         && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK
         && curl_url_get(url, CURLUPART_PORT, &port, 0) == CURLUE_OK
         && curl_url_get(url, CURLUPART_PATH, &path, 0) == CURLUE_OK
         && strcmp(path, "/") == 0
         && curl_url_get(url, CURLUPART_QUERY, &other, 0) != CURLUE_OK
         && curl_url_get(url, CURLUPART_FRAGMENT, &other, 0) != CURLUE_OK
         && curl_url_get(url, CURLUPART_USER, &other, 0) != CURLUE_OK
         && curl_url_get(url, CURLUPART_PASSWORD, &other, 0) != CURLUE_OK;

    curl_free(port);
    curl_free(path);
    curl_free(other);
    curl_url_cleanup(url);

    return ok;
}


static void
esd_proxy_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
    (void) ev;
    (void) w;
    (void) revents;
}


/* Reads the line "user:password". */

static bool
esd_proxy_read(esd_proxy_t *proxy, char *line)
{
    char  *colon;

    line[strcspn(line, "\r\n")] = '\0';
    colon = strchr(line, ':');

    if (colon == NULL || colon == line) {
        return false;
    }

    *colon = '\0';
    proxy->user = strdup(line);
    proxy->password = strdup(colon + 1);

    return proxy->user != NULL && proxy->password != NULL;
}


es_rc_t
esd_proxy_init(esd_dispatcher_t *d)
{
    bool          ok;
    char          text[ESD_PROXY_AUTH_MAX];
    size_t        len = 0;
    es_rc_t       rc;
    const char   *name;
    es_problem_t  problem = { 0 };

    ev_init(&d->proxy.timer, esd_proxy_timer);
    name = d->options.proxy_auth_file;

    if (name == NULL) {
        return ES_OK;
    }

    rc = es_key_file_read("proxy file", name, text, sizeof(text), &len,
                          &problem);
    if (rc != ES_OK) {
        explicit_bzero(text, sizeof(text));
        esd_log_line(ESD_LOG_ERROR, "%s", problem.detail);
        return rc;
    }

    text[len] = '\0';
    ok = esd_proxy_read(&d->proxy, text);
    explicit_bzero(text, sizeof(text));

    if (!ok) {
        esd_log_line(ESD_LOG_ERROR, "\"%s\" does not begin with a line "
                     "\"user:password\"", name);
        return ES_INVALID;
    }

    return ES_OK;
}


void
esd_proxy_done(esd_dispatcher_t *d)
{
    if (d->proxy.password != NULL) {
        explicit_bzero(d->proxy.password, strlen(d->proxy.password));
    }

    free(d->proxy.user);
    free(d->proxy.password);
    d->proxy.user = NULL;
    d->proxy.password = NULL;
}


/* An empty name keeps libcurl from using the environment. */

bool
esd_proxy_set(esd_send_t *send)
{
    CURL                 *easy;
    const esd_proxy_t    *proxy;
    const esd_options_t  *options;

    easy = send->easy;
    proxy = &send->d->proxy;
    options = &send->d->options;
    send->proxied = options->proxy != NULL;

#define esd_proxy_setopt(option, value)                                      \
    (curl_easy_setopt(easy, (option), (value)) == CURLE_OK)

    if (!send->proxied) {
        return esd_proxy_setopt(CURLOPT_PROXY,
                                "") && esd_proxy_setopt(CURLOPT_NOPROXY, "*");
    }

    return esd_proxy_setopt(CURLOPT_PROXY, options->proxy)
           && esd_proxy_setopt(CURLOPT_NOPROXY, "")
           && esd_proxy_setopt(CURLOPT_HTTPPROXYTUNNEL, 1L)
           && esd_proxy_setopt(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L)
           && esd_proxy_setopt(CURLOPT_HEADEROPT, (long) CURLHEADER_SEPARATE)
           && (proxy->user == NULL
               || (esd_proxy_setopt(CURLOPT_PROXYUSERNAME, proxy->user)
                   && esd_proxy_setopt(CURLOPT_PROXYPASSWORD,
                                       proxy->password)))
           && (options->ca_file == NULL
               || (esd_proxy_setopt(CURLOPT_PROXY_CAINFO, options->ca_file)
                   && esd_proxy_setopt(CURLOPT_PROXY_CAPATH, NULL)));

#undef esd_proxy_setopt
}


/* The status of a CONNECT that opened no tunnel; 0: there is none. */

static long
esd_proxy_response(const esd_send_t *send)
{
    long  status;

    status = 0;
    (void) curl_easy_getinfo(send->easy, CURLINFO_HTTP_CONNECTCODE, &status);

    return status < 200 || status > 299 ? status : 0;
}


/* Some proxies refuse a receiver with 407 without requesting credentials. */

static es_attempt_class_t
esd_proxy_refusal(const esd_send_t *send, long status)
{
    long  requested;

    requested = 0;
    (void) curl_easy_getinfo(send->easy, CURLINFO_PROXYAUTH_AVAIL, &requested);

    switch (status) {

    case 405:
    case 501:
        return ES_ATTEMPT_PROXY;

    case 407:
        return requested != 0 ? ES_ATTEMPT_PROXY : ES_ATTEMPT_ADDRESS;

    case 403:
        return ES_ATTEMPT_ADDRESS;

    default:
        return ES_ATTEMPT_CONNECT;
    }
}


es_attempt_class_t
esd_proxy_class(const esd_send_t *send, CURLcode result,
    es_attempt_class_t class)
{
    long  status, port;

    if (!send->proxied || send->refused) {
        return class;
    }

    status = esd_proxy_response(send);
    if (status != 0) {
        return esd_proxy_refusal(send, status);
    }

    port = 0;
    (void) curl_easy_getinfo(send->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    (void) curl_easy_getinfo(send->easy, CURLINFO_LOCAL_PORT, &port);

    if (class == ES_ATTEMPT_DNS) {
        return result == CURLE_COULDNT_RESOLVE_PROXY ? ES_ATTEMPT_PROXY
                                                     : class;
    }

    if (class == ES_ATTEMPT_CONNECT) {
        return ES_ATTEMPT_PROXY;
    }

    /* TLS with the receiver begins when the tunnel is open */

    if (class == ES_ATTEMPT_TLS) {
        return status == 0 ? ES_ATTEMPT_PROXY : class;
    }

    /* A tunnel that takes long may be the receiver's fault, and a short
       timeout is the endpoint's own. */

    if (class == ES_ATTEMPT_TIMEOUT
        && port == 0
        && es_clock_mono_us() - send->sent_us >= ESD_PROXY_PATIENCE_US)
    {
        return ES_ATTEMPT_PROXY;
    }

    return class;
}


bool
esd_proxy_holds(const esd_dispatcher_t *d)
{
    return d->proxy.pause_ms != 0 && es_clock_mono_us() < d->proxy.until_us;
}


static void
esd_proxy_say(const esd_send_t *send, CURLcode result)
{
    char  why[64];
    long  status;

    status = esd_proxy_response(send);
    (void) snprintf(why, sizeof(why), "it answers CONNECT with %ld", status);

    esd_log_line(ESD_LOG_WARN, "the proxy does not work, nothing is sent: %s",
                 status != 0 ? why : curl_easy_strerror(result));
}


static void
esd_proxy_failed(esd_dispatcher_t *d, const esd_send_t *send, CURLcode result)
{
    esd_proxy_t  *proxy;

    proxy = &d->proxy;

    /* the attempt began before the failure was known */

    if (proxy->pause_ms != 0 && send->sent_us < proxy->until_us) {
        return;
    }

    if (proxy->pause_ms == 0) {
        esd_proxy_say(send, result);
        proxy->pause_ms = ESD_PROXY_MIN_MS;

    } else if (proxy->pause_ms < ESD_PROXY_MAX_MS) {
        proxy->pause_ms *= 2;
        proxy->pause_ms = proxy->pause_ms < ESD_PROXY_MAX_MS
                          ? proxy->pause_ms : ESD_PROXY_MAX_MS;
    }

    proxy->until_us = es_clock_mono_us() + proxy->pause_ms * 1000;
    proxy->timer.repeat = (double) proxy->pause_ms / 1000;
    ev_timer_again(d->loop.ev, &proxy->timer);
}


void
esd_proxy_outcome(esd_dispatcher_t *d, const esd_send_t *send, CURLcode result,
    const esd_outcome_t *o)
{
    if (!send->proxied || send->refused) {
        return;
    }

    if (o->class == ES_ATTEMPT_PROXY) {
        esd_proxy_failed(d, send, result);

    } else if (d->proxy.pause_ms != 0
               && send->sent_us >= d->proxy.until_us)
    {
        d->proxy.pause_ms = 0;
        ev_timer_stop(d->loop.ev, &d->proxy.timer);
        esd_log_line(ESD_LOG_INFO, "the proxy works again");
    }
}
