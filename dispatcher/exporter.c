/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The thread that sends spans by OTLP/HTTP.
 *
 * The loop adds spans to the buffer of otlp.h under the lock, which takes about
 * a microsecond.  The thread takes the buffer when it is half full or a second
 * old, and waits for the collector without the lock.  When the buffer is full
 * the loop drops spans and counts them.
 */

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/exports.h"
#include "keys/keyfile.h"
#include "trace/otlp.h"

#include "dispatcher.h"
#include "exporter.h"
#include "log.h"
#include "options.h"
#include "thread.h"

#define ESD_OTLP_BUFFER      (4 * 1024 * 1024)
#define ESD_OTLP_FIELDS_MAX  8192
#define ESD_OTLP_CONNECT_MS  5000L
#define ESD_OTLP_TIMEOUT_MS  10000L
#define ESD_OTLP_ENDING_US   2000000

static void *esd_exporter_main(void *ctx);


/* Accepts the URL of an http or https server, without credentials, query and
   fragment. */

bool
esd_exporter_ok(const char *text)
{
    bool    ok;
    char   *host, *other;
    CURLU  *url;

    if ((strncmp(text, "http://", 7) != 0
         && strncmp(text, "https://", 8) != 0)
        || strpbrk(text, "?#") != NULL)
    {
        return false;
    }

    host = NULL;
    other = NULL;
    url = curl_url();

    ok = url != NULL
         && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK
         && curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK
         && curl_url_get(url, CURLUPART_USER, &other, 0) == CURLUE_NO_USER
         && curl_url_get(url, CURLUPART_PASSWORD, &other, 0)
            == CURLUE_NO_PASSWORD;

    curl_free(host);
    curl_free(other);
    curl_url_cleanup(url);

    return ok;
}


/* Adds the lines "Name: value" of a file.  False: one is malformed. */

static bool
esd_exporter_lines(esd_exporter_t *x, char *text)
{
    char               *line, *next, *colon;
    struct curl_slist  *fields;

    for (line = text; line != NULL; line = next) {
        next = strchr(line, '\n');

        if (next != NULL) {
            *next++ = '\0';
        }

        line[strcspn(line, "\r")] = '\0';

        if (line[0] == '\0' || line[0] == '#') {
            continue;
        }

        colon = strchr(line, ':');

        if (colon == NULL
            || colon == line
            || strspn(line, ESD_FIELD_CHARS) != (size_t) (colon - line))
        {
            return false;
        }

        fields = curl_slist_append(x->fields, line);
        if (fields == NULL) {
            return false;
        }

        x->fields = fields;
    }

    return true;
}


static es_rc_t
esd_exporter_fields(esd_dispatcher_t *d, esd_exporter_t *x)
{
    bool          ok;
    char          text[ESD_OTLP_FIELDS_MAX];
    size_t        len = 0;
    es_rc_t       rc;
    const char   *name;
    es_problem_t  problem = { 0 };

    static char  type[] = "Content-Type: application/json\nExpect:\n"
                          "User-Agent: eventsync/" ES_VERSION;

    memcpy(text, type, sizeof(type));

    if (!esd_exporter_lines(x, text)) {
        return ES_NOMEM;
    }

    name = d->options.otlp_headers_file;

    if (name == NULL) {
        return ES_OK;
    }

    rc = es_key_file_read("file of header fields", name, text, sizeof(text),
                          &len, &problem);
    if (rc != ES_OK) {
        explicit_bzero(text, sizeof(text));
        esd_log_line(ESD_LOG_ERROR, "%s", problem.detail);
        return rc;
    }

    text[len] = '\0';
    ok = strlen(text) == len && esd_exporter_lines(x, text);
    explicit_bzero(text, sizeof(text));

    if (!ok) {
        esd_log_line(ESD_LOG_ERROR, "\"%s\" must have lines \"Name: value\"",
                     name);
        return ES_INVALID;
    }

    return ES_OK;
}


static size_t
esd_exporter_body(char *data, size_t size, size_t n, void *ctx)
{
    esd_exporter_t  *x = ctx;

    size *= n;

    if (x->answer.len + size > ES_OTLP_ANSWER
        || es_buf_append(&x->answer, data, size) != ES_OK)
    {
        return 0;
    }

    return size;
}


/* Ends a request when the process stops. */

static int
esd_exporter_progress(void *ctx, curl_off_t dltotal, curl_off_t dlnow,
    curl_off_t ultotal, curl_off_t ulnow)
{
    int64_t          ending_us;
    esd_exporter_t  *x = ctx;

    (void) dltotal;
    (void) dlnow;
    (void) ultotal;
    (void) ulnow;

    ending_us = atomic_load(&x->ending_us);

    return ending_us != 0 && es_clock_mono_us() > ending_us;
}


/* The spans go to the operator's collector: by no proxy, and wherever it is. */

static es_rc_t
esd_exporter_setup(esd_dispatcher_t *d, esd_exporter_t *x)
{
    bool   ok;
    CURL  *easy;

    easy = x->easy;

#define esd_exporter_setopt(option, value)                                    \
    (curl_easy_setopt(easy, (option), (value)) == CURLE_OK)

    ok = esd_exporter_setopt(CURLOPT_URL, x->url)
         && esd_exporter_setopt(CURLOPT_NOSIGNAL, 1L)
         && esd_exporter_setopt(CURLOPT_QUICK_EXIT, 1L)
         && esd_exporter_setopt(CURLOPT_PROXY, "")
         && esd_exporter_setopt(CURLOPT_NOPROXY, "*")
         && esd_exporter_setopt(CURLOPT_FOLLOWLOCATION, 0L)
         && esd_exporter_setopt(CURLOPT_PROTOCOLS_STR, "http,https")
         && esd_exporter_setopt(CURLOPT_CONNECTTIMEOUT_MS, ESD_OTLP_CONNECT_MS)
         && esd_exporter_setopt(CURLOPT_TIMEOUT_MS, ESD_OTLP_TIMEOUT_MS)
         && esd_exporter_setopt(CURLOPT_POST, 1L)
         && esd_exporter_setopt(CURLOPT_HTTPHEADER, x->fields)
         && esd_exporter_setopt(CURLOPT_WRITEFUNCTION, esd_exporter_body)
         && esd_exporter_setopt(CURLOPT_WRITEDATA, x)
         && esd_exporter_setopt(CURLOPT_XFERINFOFUNCTION,
                                esd_exporter_progress)
         && esd_exporter_setopt(CURLOPT_XFERINFODATA, x)
         && esd_exporter_setopt(CURLOPT_NOPROGRESS, 0L)
         && (d->options.otlp_ca_file == NULL
             || (esd_exporter_setopt(CURLOPT_CAINFO, d->options.otlp_ca_file)
                 && esd_exporter_setopt(CURLOPT_CAPATH, NULL)));

#undef esd_exporter_setopt

    return ok ? ES_OK : ES_NOMEM;
}


static void
esd_exporter_free(esd_exporter_t *x)
{
    curl_easy_cleanup(x->easy);
    curl_slist_free_all(x->fields);
    es_otlp_free(&x->otlp);
    es_buf_free(&x->answer);
    free(x->url);
    free(x);
}


/* A URL without a path names the collector, as in OTEL_EXPORTER_OTLP_ENDPOINT;
   else it is used as it is. */

static char *
esd_exporter_url(const char *text)
{
    char        *url;
    size_t       len, size;
    const char  *path;

    len = strlen(text);
    path = strchr(strstr(text, "://") + 3, '/');

    if (path != NULL && path[1] != '\0') {
        return strdup(text);
    }

    size = len + sizeof(ES_OTLP_PATH);
    url = malloc(size);

    if (url != NULL) {
        (void) snprintf(url, size, "%.*s%s",
                        (int) (path != NULL ? len - 1 : len), text,
                        ES_OTLP_PATH);
    }

    return url;
}


es_rc_t
esd_exporter_init(esd_dispatcher_t *d)
{
    es_rc_t          rc;
    esd_exporter_t  *x;

    if (d->options.otlp == NULL) {
        return ES_OK;
    }

    x = calloc(1, sizeof(esd_exporter_t));
    if (x == NULL) {
        return ES_NOMEM;
    }

    x->share_ppm = d->options.otlp_share_ppm;
    x->easy = curl_easy_init();
    x->url = esd_exporter_url(d->options.otlp);

    rc = x->easy != NULL && x->url != NULL ? ES_OK : ES_NOMEM;

    if (rc == ES_OK) {
        rc = es_otlp_init(&x->otlp, ESD_OTLP_BUFFER, "eventsync-dispatcher");
    }

    if (rc == ES_OK) {
        rc = esd_exporter_fields(d, x);
    }

    if (rc == ES_OK) {
        rc = esd_exporter_setup(d, x);
    }

    if (rc != ES_OK) {
        esd_exporter_free(x);
        return rc;
    }

    d->exporter = x;

    return ES_OK;
}


es_rc_t
esd_exporter_start(esd_dispatcher_t *d)
{
    es_rc_t          rc;
    esd_exporter_t  *x;

    x = d->exporter;

    if (x == NULL) {
        return ES_OK;
    }

    rc = es_delivery_exports(d->store, &x->otlp.counts);
    if (rc != ES_OK) {
        return rc;
    }

    x->recorded = x->otlp.counts;

    return esd_thread_start(&x->thread, "es-exporter", esd_exporter_main, d);
}


void
esd_exporter_finish(esd_dispatcher_t *d)
{
    esd_exporter_t  *x;

    x = d->exporter;

    if (x == NULL) {
        return;
    }

    atomic_store(&x->ending_us, es_clock_mono_us() + ESD_OTLP_ENDING_US);
    (void) esd_thread_finish(&x->thread);
    esd_exporter_free(x);
    d->exporter = NULL;
}


es_buf_t *
esd_exporter_begin(esd_exporter_t *x, const es_otlp_span_t *span)
{
    es_buf_t  *out;

    esd_thread_lock(&x->thread);
    out = es_otlp_begin(&x->otlp, span);

    if (out == NULL) {
        esd_thread_unlock(&x->thread);
    }

    return out;
}


void
esd_exporter_end(esd_exporter_t *x, const es_trace_t *links, size_t nlinks,
    const char *error)
{
    es_otlp_end(&x->otlp, links, nlinks, error);

    if (es_otlp_due(&x->otlp)) {
        esd_thread_wake(&x->thread);
    }

    esd_thread_unlock(&x->thread);
}


bool
esd_exporter_moved(esd_exporter_t *x, es_otlp_counts_t *counts)
{
    bool  moved;

    esd_thread_lock(&x->thread);
    *counts = x->otlp.counts;
    esd_thread_unlock(&x->thread);

    moved = memcmp(counts, &x->recorded, sizeof(es_otlp_counts_t)) != 0;
    x->recorded = *counts;

    return moved;
}


/* ---- the thread ---- */


/* Sends the body.  The answer's text lives until the next request. */

static void
esd_exporter_send(esd_exporter_t *x, es_str_t body, es_otlp_answer_t *answer)
{
    long        status;
    CURLcode    result;
    curl_off_t  after_s;

    x->answer.len = 0;
    status = 0;
    after_s = 0;

    (void) curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, body.data);
    (void) curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t) body.len);

    result = curl_easy_perform(x->easy);

    /* an answer that is too long to be one has a status nevertheless */

    if (result == CURLE_OK || result == CURLE_WRITE_ERROR) {
        (void) curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
        (void) curl_easy_getinfo(x->easy, CURLINFO_RETRY_AFTER, &after_s);
    }

    answer->status = (int) status;
    answer->retry_after_ms = after_s > 0 ? (int64_t) after_s * 1000 : -1;
    answer->body.data = x->answer.data;
    answer->body.len = x->answer.len;
}


static void
esd_exporter_say(esd_exporter_t *x)
{
    bool  failing;

    failing = x->otlp.said[0] != '\0';

    if (failing && !x->failing) {
        esd_log_line(ESD_LOG_WARN, "the collector of spans does not take them "
                     "all: %s", x->otlp.said);

    } else if (!failing && x->failing) {
        esd_log_line(ESD_LOG_INFO, "the collector takes spans again");
    }

    x->failing = failing;
}


/* Waits until the time has passed or the process stops. */

static void
esd_exporter_pause(esd_exporter_t *x, int64_t ms)
{
    struct timespec  until;

    esd_thread_deadline(&until, (int) ((ms + 999) / 1000));

    while (!x->thread.quit && esd_thread_wait_until(&x->thread, &until)) {
        /* void */
    }
}


/* Waits until the buffer is half full, or for a second. */

static void
esd_exporter_wait(esd_exporter_t *x)
{
    struct timespec  until;

    esd_thread_deadline(&until, ES_OTLP_WAIT_MS / 1000);

    while (!x->thread.quit
           && !es_otlp_due(&x->otlp)
           && esd_thread_wait_until(&x->thread, &until))
    {
        /* void */
    }
}


/* Sends one request until it is over. */

static void
esd_exporter_request(esd_exporter_t *x, es_str_t body)
{
    int64_t           delay_ms;
    es_otlp_answer_t  answer;

    for ( ;; ) {
        esd_thread_unlock(&x->thread);
        esd_exporter_send(x, body, &answer);
        esd_thread_lock(&x->thread);

        delay_ms = es_otlp_answer(&x->otlp, &answer);
        esd_exporter_say(x);

        if (delay_ms < 0) {
            return;
        }

        if (!x->thread.quit) {
            esd_exporter_pause(x, delay_ms);
        }

        if (x->thread.quit) {
            es_otlp_drop(&x->otlp);
            return;
        }
    }
}


static void *
esd_exporter_main(void *ctx)
{
    es_str_t           body;
    esd_exporter_t    *x;
    esd_dispatcher_t  *d;

    d = ctx;
    x = d->exporter;

    esd_thread_lock(&x->thread);

    do {
        esd_exporter_wait(x);

        if (es_otlp_take(&x->otlp, &body)) {
            esd_exporter_request(x, body);
        }

    } while (!x->thread.quit);

    if (es_otlp_take(&x->otlp, &body)) {
        esd_exporter_request(x, body);
    }

    esd_thread_unlock(&x->thread);

    return NULL;
}
