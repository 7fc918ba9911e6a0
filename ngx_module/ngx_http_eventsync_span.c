/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The spans of a request: one for the request, and one for its commit. They
 * are made when the request ends, if its trace is sampled: by the request, by
 * one of its events, or by the share of eventsync_otlp.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_otlp.h"
#include "ngx_http_eventsync_publish.h"
#include "ngx_http_eventsync_trace.h"
#include "ngx_http_eventsync_worker.h"

#include "event/batch.h"
#include "event/trace.h"


#define NGX_HTTP_EVENTSYNC_SPAN_NAME  128


static int64_t ngx_http_eventsync_span_now(void);
static ngx_uint_t ngx_http_eventsync_span_sampled(
    ngx_http_eventsync_span_t *span);
static size_t ngx_http_eventsync_span_events(ngx_http_eventsync_ctx_t *ctx,
    es_trace_t *links);
static size_t ngx_http_eventsync_span_link(es_trace_t *links, size_t n,
    es_trace_t *trace);
static void ngx_http_eventsync_span_request(ngx_http_eventsync_ctx_t *ctx,
    es_trace_t *links, size_t nlinks);
static void ngx_http_eventsync_span_name(ngx_http_eventsync_ctx_t *ctx,
    char *name);
static void ngx_http_eventsync_span_http(ngx_http_eventsync_ctx_t *ctx,
    es_buf_t *out, ngx_uint_t status);
static void ngx_http_eventsync_span_attrs(ngx_http_eventsync_ctx_t *ctx,
    es_buf_t *out);
static void ngx_http_eventsync_span_of_commit(ngx_http_eventsync_ctx_t *ctx);


static int64_t
ngx_http_eventsync_span_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


static ngx_uint_t
ngx_http_eventsync_span_sampled(ngx_http_eventsync_span_t *span)
{
    return span->trace.flags & ES_TRACE_SAMPLED;
}


/* without memory, the request has no span */

void
ngx_http_eventsync_span_begin(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t                     rc;
    uint32_t                    share;
    ngx_http_eventsync_span_t  *span;

    span = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_eventsync_span_t));
    if (span == NULL) {
        return;
    }

    ctx->span = span;

    if (ngx_http_eventsync_trace_in(ctx->request, &span->trace) == NGX_OK) {
        ngx_memcpy(span->parent, span->trace.span, ES_SPAN_ID);
        span->continued = 1;

        if (!ngx_http_eventsync_span_sampled(span)) {
            return;
        }

        rc = es_trace_span(&span->trace);

    } else {
        share = ngx_http_eventsync_otlp_share(ctx->worker->exporter);

        if (share == 0 || (uint32_t) (ngx_random() % 1000000) >= share) {
            return;
        }

        rc = es_trace_new(&span->trace);
    }

    if (rc != ES_OK) {
        span->trace.flags = 0;
        return;
    }

    span->start_us = ngx_http_eventsync_span_now();
}


/* events may have traces of their own */

void
ngx_http_eventsync_span_commit(ngx_http_eventsync_ctx_t *ctx)
{
    if (ngx_http_eventsync_span_sampled(ctx->span)
        || ctx->publish->batch->ntraced)
    {
        ctx->span->commit_us = ngx_http_eventsync_span_now();
    }
}


void
ngx_http_eventsync_span_committed(ngx_http_eventsync_ctx_t *ctx)
{
    if (ctx->span->commit_us) {
        ctx->span->committed_us = ngx_http_eventsync_span_now();
    }
}


void
ngx_http_eventsync_span_end(ngx_http_eventsync_ctx_t *ctx)
{
    size_t      nlinks;
    es_trace_t  links[ES_OTLP_LINKS];

    nlinks = ngx_http_eventsync_span_events(ctx, links);

    if (!ngx_http_eventsync_span_sampled(ctx->span)) {
        return;
    }

    if (ctx->span->committed_us) {
        ngx_http_eventsync_span_of_commit(ctx);
    }

    ngx_http_eventsync_span_request(ctx, links, nlinks);
}


/*
 * Finds the traces of the events that were published: a request without a
 * sampled trace continues the first of them, and has links to the others.
 */

static size_t
ngx_http_eventsync_span_events(ngx_http_eventsync_ctx_t *ctx,
    es_trace_t *links)
{
    size_t                      i, n;
    es_batch_t                 *batch;
    es_trace_t                  trace;
    ngx_http_eventsync_span_t  *span;

    span = ctx->span;

    if (span->committed_us == 0
        || ctx->publish->batch->ntraced == 0
        || !ctx->publish->batch->sealed)
    {
        return 0;
    }

    n = 0;
    batch = ctx->publish->batch;

    for (i = 0; i < batch->n && n < ES_OTLP_LINKS; i++) {

        if (!batch->drafts[i].traced
            || batch->drafts[i].refused
            || !es_event_trace(batch->drafts[i].head, &trace)
            || !(trace.flags & ES_TRACE_SAMPLED))
        {
            continue;
        }

        if (ngx_http_eventsync_span_sampled(span)) {

            if (ngx_memcmp(trace.id, span->trace.id, ES_TRACE_ID) != 0) {
                n = ngx_http_eventsync_span_link(links, n, &trace);
            }

            continue;
        }

        ngx_memcpy(span->parent, trace.span, ES_SPAN_ID);
        span->continued = 1;

        if (es_trace_span(&trace) != ES_OK) {
            return 0;
        }

        span->trace = trace;
    }

    return n;
}


/* adds a trace that is not there yet */

static size_t
ngx_http_eventsync_span_link(es_trace_t *links, size_t n, es_trace_t *trace)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (ngx_memcmp(links[i].id, trace->id, ES_TRACE_ID) == 0) {
            return n;
        }
    }

    links[n] = *trace;

    return n + 1;
}


static void
ngx_http_eventsync_span_request(ngx_http_eventsync_ctx_t *ctx,
    es_trace_t *links, size_t nlinks)
{
    char                        name[NGX_HTTP_EVENTSYNC_SPAN_NAME];
    es_buf_t                   *out;
    ngx_uint_t                  status;
    es_otlp_span_t              s;
    ngx_http_request_t         *r;
    ngx_http_eventsync_span_t  *span;

    r = ctx->request;
    span = ctx->span;

    ngx_http_eventsync_span_name(ctx, name);

    s.trace = span->trace;
    s.parent = span->continued ? span->parent : NULL;
    s.remote = span->continued;
    s.kind = ES_SPAN_SERVER;
    s.name = name;
    s.start_us = span->start_us ? span->start_us
                 : (int64_t) (r->start_sec * 1000 + r->start_msec) * 1000;
    s.end_us = ngx_max(ngx_http_eventsync_span_now(), s.start_us);

    out = ngx_http_eventsync_otlp_begin(ctx->worker->exporter, &s);
    if (out == NULL) {
        return;
    }

    status = r->err_status ? r->err_status : r->headers_out.status;

    ngx_http_eventsync_span_http(ctx, out, status);
    ngx_http_eventsync_span_attrs(ctx, out);

    /* an error of the client is none of the server */

    ngx_http_eventsync_otlp_end(ctx->worker->exporter, links, nlinks,
                                (status >= 500) ? "error" : NULL);
}


/* "GET /feeds/{}/events": as few names as there are routes */

static void
ngx_http_eventsync_span_name(ngx_http_eventsync_ctx_t *ctx, char *name)
{
    u_char              *p, *last;
    ngx_http_request_t  *r;

    static ngx_str_t  other = ngx_string("HTTP");

    r = ctx->request;
    p = (u_char *) name;
    last = p + NGX_HTTP_EVENTSYNC_SPAN_NAME - 1;

    p = ngx_slprintf(p, last, "%V", (r->method == NGX_HTTP_UNKNOWN)
                                    ? &other : &r->method_name);

    if (ctx->pattern) {
        p = ngx_slprintf(p, last, " %V", ctx->pattern);
    }

    *p = '\0';
}


/* semantic conventions of HTTP server spans, 1.23 and later */

static void
ngx_http_eventsync_span_http(ngx_http_eventsync_ctx_t *ctx, es_buf_t *out,
    ngx_uint_t status)
{
    char                 code[NGX_INT_T_LEN];
    es_str_t             text;
    ngx_http_request_t  *r;

    r = ctx->request;

    text = (r->method == NGX_HTTP_UNKNOWN)
           ? es_lit("_OTHER") : ngx_http_eventsync_str(&r->method_name);
    (void) es_span_text(out, "http.request.method", text);

    if (ctx->pattern) {
        text = ngx_http_eventsync_str(ctx->pattern);
        (void) es_span_text(out, "http.route", text);
    }

    text = es_lit("http");

#if (NGX_HTTP_SSL)
    if (r->connection->ssl) {
        text = es_lit("https");
    }
#endif

    (void) es_span_text(out, "url.scheme", text);

    switch (r->http_version) {

#ifdef NGX_HTTP_VERSION_30
    case NGX_HTTP_VERSION_30:
        text = es_lit("3");
        break;
#endif

    case NGX_HTTP_VERSION_20:
        text = es_lit("2");
        break;

    case NGX_HTTP_VERSION_11:
        text = es_lit("1.1");
        break;

    default:
        text = es_lit("1.0");
    }

    (void) es_span_text(out, "network.protocol.version", text);

    if (status) {
        (void) es_span_number(out, "http.response.status_code", status);
    }

    if (status >= 500) {
        text.data = code;
        text.len = ngx_sprintf((u_char *) code, "%ui", status)
                   - (u_char *) code;
        (void) es_span_text(out, "error.type", text);
    }
}


static void
ngx_http_eventsync_span_attrs(ngx_http_eventsync_ctx_t *ctx, es_buf_t *out)
{
    es_str_t  text;

    if (ctx->partner_name.len) {
        text = ngx_http_eventsync_str(&ctx->partner_name);
        (void) es_span_text(out, "eventsync.partner", text);
    }

    text = ngx_http_eventsync_str(&ctx->feed);

    if (es_feed_name_ok(text)) {
        (void) es_span_text(out, "eventsync.feed", text);
    }

    if (ctx->last == 0) {
        return;
    }

    (void) es_span_text(out, "eventsync.epoch", es_str(ctx->epoch));
    (void) es_span_number(out, "eventsync.first", ctx->first);
    (void) es_span_number(out, "eventsync.last", ctx->last);
}


/* from the queue of the commit until it is on disk */

static void
ngx_http_eventsync_span_of_commit(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t                     rc;
    es_buf_t                   *out;
    es_otlp_span_t              s;
    ngx_http_eventsync_span_t  *span;

    span = ctx->span;

    s.trace = span->trace;
    s.parent = span->trace.span;
    s.remote = 0;
    s.kind = ES_SPAN_INTERNAL;
    s.name = "commit";
    s.start_us = span->commit_us;
    s.end_us = ngx_max(span->committed_us, span->commit_us);

    if (es_trace_span(&s.trace) != ES_OK) {
        return;
    }

    out = ngx_http_eventsync_otlp_begin(ctx->worker->exporter, &s);
    if (out == NULL) {
        return;
    }

    rc = ctx->publish->rc != ES_OK ? ctx->publish->rc
                                   : es_batch_rc(ctx->publish->batch);

    (void) es_span_text(out, "eventsync.feed",
                        ngx_http_eventsync_str(&ctx->feed));
    (void) es_span_number(out, "eventsync.events",
                          es_batch_count(ctx->publish->batch));

    ngx_http_eventsync_otlp_end(ctx->worker->exporter, NULL, 0,
                                (rc == ES_OK) ? NULL : es_strerror(rc));
}
