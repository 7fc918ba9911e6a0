/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sends the spans of a worker to a collector, by the event loop: one request
 * at a time, each on a connection of its own. While a request is under way,
 * further spans wait in the other buffer, see trace/otlp.h.
 *
 * A worker that exits gracefully sends what it has, but repeats nothing.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_count.h"
#include "ngx_http_eventsync_otlp.h"

#include <ngx_event_connect.h>


#define NGX_HTTP_EVENTSYNC_OTLP_HEAD     1024
#define NGX_HTTP_EVENTSYNC_OTLP_TIMEOUT  10000
#define NGX_HTTP_EVENTSYNC_OTLP_EXITING  2000
#define NGX_HTTP_EVENTSYNC_OTLP_ANSWER   (ES_OTLP_ANSWER + 4096)


struct ngx_http_eventsync_exporter_s {
    ngx_http_eventsync_otlp_conf_t   *conf;
    es_otlp_t                         otlp;
    ngx_event_t                       event;      /* sends, now or later */
    ngx_log_t                         log;        /* of connections */
    ngx_peer_connection_t             peer;
    ngx_uint_t                        addr;
    es_str_t                          body;       /* of the request */
    u_char                           *head;
    size_t                            head_len;
    size_t                            sent;       /* of both */
    u_char                           *answer;
    size_t                            received;
    ngx_uint_t                        failing;    /* unsigned  failing:1; and
                                                     that was logged */
};


typedef struct {
    ngx_uint_t                        status;     /* 0: there is none */
    ngx_str_t                         retry_after;
    ngx_int_t                         length;     /* -1: not given */
    ngx_uint_t                        chunked;    /* unsigned  chunked:1 */
    ngx_str_t                         body;
} ngx_http_eventsync_otlp_head_t;


static void ngx_http_eventsync_otlp_event(ngx_event_t *ev);
static void ngx_http_eventsync_otlp_head(ngx_http_eventsync_exporter_t *x);
static void ngx_http_eventsync_otlp_connect(ngx_http_eventsync_exporter_t *x);
static void ngx_http_eventsync_otlp_write(ngx_event_t *wev);
static void ngx_http_eventsync_otlp_read(ngx_event_t *rev);
static ngx_uint_t ngx_http_eventsync_otlp_parse(
    ngx_http_eventsync_exporter_t *x, ngx_http_eventsync_otlp_head_t *head);
static void ngx_http_eventsync_otlp_field(
    ngx_http_eventsync_otlp_head_t *head, u_char *p, u_char *last);
static ngx_uint_t ngx_http_eventsync_otlp_complete(
    ngx_http_eventsync_otlp_head_t *head);
static void ngx_http_eventsync_otlp_dechunk(ngx_str_t *body);
static int64_t ngx_http_eventsync_otlp_retry_after(ngx_str_t *value);
static void ngx_http_eventsync_otlp_done(ngx_http_eventsync_exporter_t *x,
    ngx_http_eventsync_otlp_head_t *head);
static void ngx_http_eventsync_otlp_say(ngx_http_eventsync_exporter_t *x);
static void ngx_http_eventsync_otlp_count(ngx_http_eventsync_exporter_t *x);
static void ngx_http_eventsync_otlp_close(ngx_http_eventsync_exporter_t *x);


ngx_http_eventsync_exporter_t *
ngx_http_eventsync_otlp_init(ngx_cycle_t *cycle,
    ngx_http_eventsync_otlp_conf_t *conf)
{
    ngx_http_eventsync_exporter_t  *x;

    x = ngx_pcalloc(cycle->pool, sizeof(ngx_http_eventsync_exporter_t));
    if (x == NULL) {
        return NULL;
    }

    x->head = ngx_pnalloc(cycle->pool,
                          NGX_HTTP_EVENTSYNC_OTLP_HEAD + conf->host.len
                          + conf->uri.len);
    x->answer = ngx_pnalloc(cycle->pool, NGX_HTTP_EVENTSYNC_OTLP_ANSWER);

    if (x->head == NULL || x->answer == NULL
        || es_otlp_init(&x->otlp, conf->buffer, "eventsync") != ES_OK)
    {
        return NULL;
    }

    x->conf = conf;

    x->event.handler = ngx_http_eventsync_otlp_event;
    x->event.data = x;
    x->event.log = cycle->log;

    /* a collector that is away is told once, by us */

    x->log = *cycle->log;
    x->log.log_level = NGX_LOG_CRIT;

    return x;
}


void
ngx_http_eventsync_otlp_free(ngx_http_eventsync_exporter_t *x)
{
    ngx_http_eventsync_otlp_close(x);

    if (x->event.timer_set) {
        ngx_del_timer(&x->event);
    }

    if (x->event.posted) {
        ngx_delete_posted_event(&x->event);
    }

    es_otlp_drop(&x->otlp);
    x->otlp.counts.spans[ES_OTLP_DROPPED] += x->otlp.nfilling;

    ngx_http_eventsync_otlp_count(x);
    es_otlp_free(&x->otlp);
}


uint32_t
ngx_http_eventsync_otlp_share(ngx_http_eventsync_exporter_t *x)
{
    return x->conf->share;
}


/* NULL: there is no room for the span */

es_buf_t *
ngx_http_eventsync_otlp_begin(ngx_http_eventsync_exporter_t *x,
    const es_otlp_span_t *span)
{
    return es_otlp_begin(&x->otlp, span);
}


void
ngx_http_eventsync_otlp_end(ngx_http_eventsync_exporter_t *x,
    const es_trace_t *links, size_t nlinks, const char *error)
{
    es_otlp_end(&x->otlp, links, nlinks, error);

    /* a request that waits to be repeated has set the timer */

    if (x->otlp.nsending) {
        return;
    }

    if (es_otlp_due(&x->otlp)) {
        ngx_post_event(&x->event, &ngx_posted_events);

    } else if (!x->event.timer_set) {
        x->event.cancelable = 0;
        ngx_add_timer(&x->event, ES_OTLP_WAIT_MS);
    }
}


static void
ngx_http_eventsync_otlp_event(ngx_event_t *ev)
{
    ngx_http_eventsync_exporter_t  *x = ev->data;

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    if (x->peer.connection) {
        return;
    }

    if (x->otlp.nsending || es_otlp_take(&x->otlp, &x->body)) {
        ngx_http_eventsync_otlp_head(x);
        ngx_http_eventsync_otlp_connect(x);
    }
}


static void
ngx_http_eventsync_otlp_head(ngx_http_eventsync_exporter_t *x)
{
    u_char  *p;

    p = ngx_sprintf(x->head, "POST %V HTTP/1.1" CRLF
                             "Host: %V" CRLF
                             "User-Agent: eventsync/" ES_VERSION CRLF
                             "Content-Type: application/json" CRLF
                             "Content-Length: %uz" CRLF
                             "Connection: close" CRLF CRLF,
                    &x->conf->uri, &x->conf->host, x->body.len);

    x->head_len = p - x->head;
    x->sent = 0;
    x->received = 0;
}


static void
ngx_http_eventsync_otlp_connect(ngx_http_eventsync_exporter_t *x)
{
    ngx_int_t          rc;
    ngx_addr_t        *addr;
    ngx_connection_t  *c;

    addr = &x->conf->addrs[x->addr];

    ngx_memzero(&x->peer, sizeof(ngx_peer_connection_t));

    x->peer.sockaddr = addr->sockaddr;
    x->peer.socklen = addr->socklen;
    x->peer.name = &addr->name;
    x->peer.get = ngx_event_get_peer;
    x->peer.log = &x->log;
    x->peer.log_error = NGX_ERROR_ERR;

    rc = ngx_event_connect_peer(&x->peer);

    if (rc != NGX_OK && rc != NGX_AGAIN) {
        ngx_http_eventsync_otlp_done(x, NULL);
        return;
    }

    c = x->peer.connection;
    c->data = x;
    c->read->handler = ngx_http_eventsync_otlp_read;
    c->write->handler = ngx_http_eventsync_otlp_write;

    ngx_add_timer(c->read, ngx_exiting ? NGX_HTTP_EVENTSYNC_OTLP_EXITING
                                       : NGX_HTTP_EVENTSYNC_OTLP_TIMEOUT);

    if (rc == NGX_OK) {
        ngx_http_eventsync_otlp_write(c->write);
    }
}


static void
ngx_http_eventsync_otlp_write(ngx_event_t *wev)
{
    u_char                         *p;
    size_t                          len;
    ssize_t                         n;
    ngx_connection_t               *c;
    ngx_http_eventsync_exporter_t  *x;

    c = wev->data;
    x = c->data;

    while (x->sent < x->head_len + x->body.len) {

        if (x->sent < x->head_len) {
            p = x->head + x->sent;
            len = x->head_len - x->sent;

        } else {
            p = (u_char *) x->body.data + (x->sent - x->head_len);
            len = x->body.len - (x->sent - x->head_len);
        }

        n = c->send(c, p, len);

        if (n == NGX_ERROR) {

            /* it may have answered before the end of the request */

            c->read->ready = 1;
            c->read->eof = 0;
            ngx_http_eventsync_otlp_read(c->read);
            return;
        }

        if (n == NGX_AGAIN) {
            break;
        }

        x->sent += n;
    }

    if (ngx_handle_write_event(wev, 0) != NGX_OK) {
        ngx_http_eventsync_otlp_done(x, NULL);
    }
}


static void
ngx_http_eventsync_otlp_read(ngx_event_t *rev)
{
    size_t                           size;
    ssize_t                          n;
    ngx_connection_t                *c;
    ngx_http_eventsync_exporter_t   *x;
    ngx_http_eventsync_otlp_head_t   head;

    c = rev->data;
    x = c->data;

    if (rev->timedout) {
        ngx_http_eventsync_otlp_done(x, NULL);
        return;
    }

    do {
        size = NGX_HTTP_EVENTSYNC_OTLP_ANSWER - x->received;
        n = size ? c->recv(c, x->answer + x->received, size) : 0;

        if (n == NGX_AGAIN) {

            if (ngx_handle_read_event(rev, 0) != NGX_OK || c->write->error) {
                ngx_http_eventsync_otlp_done(x, NULL);
            }

            return;
        }

        if (n > 0) {
            x->received += n;
        }

        if (ngx_http_eventsync_otlp_parse(x, &head)
            && (n <= 0 || ngx_http_eventsync_otlp_complete(&head)))
        {
            ngx_http_eventsync_otlp_done(x, &head);
            return;
        }

    } while (n > 0);

    ngx_http_eventsync_otlp_done(x, NULL);
}


/* returns 0 until the answer has its whole header */

static ngx_uint_t
ngx_http_eventsync_otlp_parse(ngx_http_eventsync_exporter_t *x,
    ngx_http_eventsync_otlp_head_t *head)
{
    u_char     *p, *end, *last;
    ngx_int_t   status;

    p = x->answer;
    last = p + x->received;

    if (x->received < sizeof("HTTP/1.1 200") - 1
        || ngx_strncmp(p, "HTTP/1.", 7) != 0
        || p[8] != ' ')
    {
        return 0;
    }

    status = ngx_atoi(p + 9, 3);
    if (status == NGX_ERROR) {
        return 0;
    }

    ngx_memzero(head, sizeof(ngx_http_eventsync_otlp_head_t));
    head->status = status;
    head->length = -1;

    for ( ;; ) {
        end = ngx_strlchr(p, last, LF);
        if (end == NULL) {
            return 0;
        }

        p = end + 1;
        end = ngx_strlchr(p, last, LF);

        if (end == NULL) {
            return 0;
        }

        if (end - p <= 1) {
            break;
        }

        ngx_http_eventsync_otlp_field(head, p, end);
    }

    head->body.data = end + 1;
    head->body.len = last - head->body.data;

    return 1;
}


static void
ngx_http_eventsync_otlp_field(ngx_http_eventsync_otlp_head_t *head, u_char *p,
    u_char *last)
{
    u_char     *colon;
    ngx_str_t   name, value;

    static ngx_str_t  length = ngx_string("content-length");
    static ngx_str_t  encoding = ngx_string("transfer-encoding");
    static ngx_str_t  retry = ngx_string("retry-after");

    colon = ngx_strlchr(p, last, ':');
    if (colon == NULL) {
        return;
    }

    name.data = p;
    name.len = colon - p;

    for (p = colon + 1; p < last && (*p == ' ' || *p == '\t'); p++) {
        /* void */
    }

    while (last > p && (last[-1] == CR || last[-1] == ' ')) {
        last--;
    }

    value.data = p;
    value.len = last - p;

#define ngx_http_eventsync_otlp_is(n)                                         \
    (name.len == (n).len && ngx_strncasecmp(name.data, (n).data, (n).len) == 0)

    if (ngx_http_eventsync_otlp_is(length)) {
        head->length = ngx_atoi(value.data, value.len);

    } else if (ngx_http_eventsync_otlp_is(encoding)) {
        head->chunked = 1;

    } else if (ngx_http_eventsync_otlp_is(retry)) {
        head->retry_after = value;
    }

#undef ngx_http_eventsync_otlp_is
}


/* whether the answer has ended although the connection has not */

static ngx_uint_t
ngx_http_eventsync_otlp_complete(ngx_http_eventsync_otlp_head_t *head)
{
    if (head->status == NGX_HTTP_NO_CONTENT) {
        return 1;
    }

    if (head->chunked) {
        return head->body.len >= 5
               && ngx_strncmp(head->body.data + head->body.len - 5,
                              "0" CRLF CRLF, 5) == 0;
    }

    return head->length >= 0 && head->body.len >= (size_t) head->length;
}


/* takes the sizes of chunks out of the body; a malformed one ends it */

static void
ngx_http_eventsync_otlp_dechunk(ngx_str_t *body)
{
    u_char     *p, *last, *end, *out;
    ngx_int_t   size;

    p = body->data;
    out = p;
    last = p + body->len;

    while (p < last) {
        end = ngx_strlchr(p, last, CR);
        if (end == NULL) {
            break;
        }

        size = ngx_hextoi(p, end - p);

        if (size <= 0 || last - end < size + 4) {
            break;
        }

        out = ngx_movemem(out, end + 2, size);
        p = end + 2 + size + 2;
    }

    body->len = out - body->data;
}


static int64_t
ngx_http_eventsync_otlp_retry_after(ngx_str_t *value)
{
    time_t     at;
    ngx_int_t  n;

    if (value->len == 0) {
        return -1;
    }

    n = ngx_atoi(value->data, value->len);
    if (n != NGX_ERROR) {
        return (int64_t) ngx_min(n, 86400) * 1000;
    }

    at = ngx_parse_http_time(value->data, value->len);
    if (at == (time_t) NGX_ERROR) {
        return -1;
    }

    return (int64_t) ngx_max(at - ngx_time(), 0) * 1000;
}


/* `head` is NULL without an answer */

static void
ngx_http_eventsync_otlp_done(ngx_http_eventsync_exporter_t *x,
    ngx_http_eventsync_otlp_head_t *head)
{
    int64_t           delay;
    es_otlp_answer_t  answer;

    answer.status = 0;
    answer.retry_after_ms = -1;
    answer.body = es_lit("");

    if (head) {

        if (head->chunked) {
            ngx_http_eventsync_otlp_dechunk(&head->body);
        }

        answer.status = head->status;
        answer.retry_after_ms =
            ngx_http_eventsync_otlp_retry_after(&head->retry_after);
        answer.body = ngx_http_eventsync_str(&head->body);
    }

    ngx_http_eventsync_otlp_close(x);

    delay = es_otlp_answer(&x->otlp, &answer);

    ngx_http_eventsync_otlp_say(x);

    if (delay >= 0 && ngx_exiting) {
        es_otlp_drop(&x->otlp);
        delay = -1;
    }

    ngx_http_eventsync_otlp_count(x);

    if (delay >= 0) {
        x->addr = (x->addr + 1) % x->conf->naddrs;
        x->event.cancelable = 1;
        ngx_add_timer(&x->event, (ngx_msec_t) delay);

    } else if (x->otlp.nfilling) {
        x->event.cancelable = 0;
        ngx_add_timer(&x->event, es_otlp_due(&x->otlp) ? 1 : ES_OTLP_WAIT_MS);
    }
}


static void
ngx_http_eventsync_otlp_say(ngx_http_eventsync_exporter_t *x)
{
    ngx_uint_t  failing;

    failing = (x->otlp.said[0] != '\0');

    if (failing && !x->failing) {
        ngx_log_error(NGX_LOG_WARN, x->event.log, 0,
                      "eventsync: the collector of spans does not take them "
                      "all: %s", x->otlp.said);

    } else if (!failing && x->failing) {
        ngx_log_error(NGX_LOG_NOTICE, x->event.log, 0,
                      "eventsync: the collector takes spans again");
    }

    x->failing = failing;
}


/* each store has the counters of all workers */

static void
ngx_http_eventsync_otlp_count(ngx_http_eventsync_exporter_t *x)
{
    ngx_uint_t                        i;
    es_otlp_counts_t                  counts;
    ngx_http_eventsync_store_t      **stores;
    ngx_http_eventsync_main_conf_t   *emcf;

    emcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_eventsync_module);
    if (emcf == NULL) {
        return;
    }

    stores = emcf->stores.elts;

    for (i = 0; i < emcf->stores.nelts; i++) {
        counts = x->otlp.counts;
        ngx_http_eventsync_count_otlp(stores[i], &counts);
    }

    ngx_memzero(&x->otlp.counts, sizeof(es_otlp_counts_t));
}


static void
ngx_http_eventsync_otlp_close(ngx_http_eventsync_exporter_t *x)
{
    if (x->peer.connection) {
        ngx_close_connection(x->peer.connection);
        x->peer.connection = NULL;
    }
}
