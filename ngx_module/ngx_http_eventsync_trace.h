/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The trace context of a request (W3C Trace Context).
 */


#ifndef _NGX_HTTP_EVENTSYNC_TRACE_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_TRACE_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "event/batch.h"
#include "trace/context.h"


/* NGX_DECLINED: the request has no valid field, and the context is unchanged */
ngx_int_t ngx_http_eventsync_trace_in(ngx_http_request_t *r,
    es_trace_t *trace);

/* the same, or the trace that the server has begun for the request */
ngx_int_t ngx_http_eventsync_trace_of(ngx_http_request_t *r,
    es_trace_t *trace);

/*
 * gives the context of the request, or the trace that the server has begun for
 * it, to events of the batch that have none
 */
ngx_int_t ngx_http_eventsync_trace_batch(ngx_http_eventsync_ctx_t *ctx,
    es_batch_t *batch);


#endif /* _NGX_HTTP_EVENTSYNC_TRACE_H_INCLUDED_ */
