/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The header fields "traceparent" and "tracestate" of a request. What is not
 * valid is ignored, as W3C Trace Context requires.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_otlp.h"
#include "ngx_http_eventsync_trace.h"

#include "event/batch.h"
#include "trace/context.h"


static ngx_int_t ngx_http_eventsync_trace_span(ngx_http_request_t *r,
    es_trace_t *trace);
static ngx_int_t ngx_http_eventsync_trace_state(ngx_http_request_t *r,
    es_str_t *state);


static ngx_str_t  ngx_http_eventsync_traceparent = ngx_string("traceparent");
static ngx_str_t  ngx_http_eventsync_tracestate = ngx_string("tracestate");


/* a field that is repeated is not valid */

ngx_int_t
ngx_http_eventsync_trace_in(ngx_http_request_t *r, es_trace_t *trace)
{
    ngx_table_elt_t  *h;

    h = ngx_http_eventsync_header_in(r, &ngx_http_eventsync_traceparent, NULL);

    if (h == NULL
        || ngx_http_eventsync_header_in(r, &ngx_http_eventsync_traceparent, h))
    {
        return NGX_DECLINED;
    }

    return es_trace_parse(ngx_http_eventsync_str(&h->value), trace)
           ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_eventsync_trace_of(ngx_http_request_t *r, es_trace_t *trace)
{
    return (ngx_http_eventsync_trace_in(r, trace) == NGX_OK)
           ? NGX_OK : ngx_http_eventsync_trace_span(r, trace);
}


/* the context that the request's span has, if it is sent */

static ngx_int_t
ngx_http_eventsync_trace_span(ngx_http_request_t *r, es_trace_t *trace)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    if (ctx == NULL || ctx->span == NULL || ctx->span->trace.flags == 0) {
        return NGX_DECLINED;
    }

    *trace = ctx->span->trace;

    return NGX_OK;
}


ngx_int_t
ngx_http_eventsync_trace_batch(ngx_http_eventsync_ctx_t *ctx,
    es_batch_t *batch)
{
    char                *text;
    es_trace_t           trace;
    ngx_uint_t           theirs;
    ngx_http_request_t  *r;

    r = ctx->request;
    theirs = (ngx_http_eventsync_trace_in(r, &trace) == NGX_OK);

    if (!theirs && ngx_http_eventsync_trace_span(r, &trace) != NGX_OK) {
        return NGX_OK;
    }

    text = ngx_pnalloc(r->pool, ES_TRACEPARENT_LEN);
    if (text == NULL) {
        return NGX_ERROR;
    }

    (void) es_trace_print(&trace, text);

    batch->compose.traceparent.data = text;
    batch->compose.traceparent.len = ES_TRACEPARENT_LEN;

    /* a state belongs to the context that came with it */

    return theirs ? ngx_http_eventsync_trace_state(r,
                                                  &batch->compose.tracestate)
                  : NGX_OK;
}


/* joins the fields, whose members are one list (RFC 9110, section 5.3) */

static ngx_int_t
ngx_http_eventsync_trace_state(ngx_http_request_t *r, es_str_t *state)
{
    u_char           *p, *joined;
    size_t            len;
    ngx_table_elt_t  *h;

    len = 0;

    for (h = ngx_http_eventsync_header_in(r, &ngx_http_eventsync_tracestate,
                                          NULL);
         h;
         h = ngx_http_eventsync_header_in(r, &ngx_http_eventsync_tracestate, h))
    {
        len += h->value.len + 1;
    }

    if (len == 0) {
        return NGX_OK;
    }

    joined = ngx_pnalloc(r->pool, len + ES_TRACESTATE_MAX);
    if (joined == NULL) {
        return NGX_ERROR;
    }

    p = joined + ES_TRACESTATE_MAX;

    for (h = ngx_http_eventsync_header_in(r, &ngx_http_eventsync_tracestate,
                                          NULL);
         h;
         h = ngx_http_eventsync_header_in(r, &ngx_http_eventsync_tracestate, h))
    {
        p = ngx_cpymem(p, h->value.data, h->value.len);
        *p++ = ',';
    }

    state->data = (char *) joined;
    state->len = es_tracestate_clean((es_str_t)
                                     { (char *) joined + ES_TRACESTATE_MAX,
                                       len }, (char *) joined);

    return NGX_OK;
}
