/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Spans of requests: what a request notes (_span), and how a worker sends them
 * to a collector (_otlp).
 */


#ifndef _NGX_HTTP_EVENTSYNC_OTLP_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_OTLP_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "trace/otlp.h"
#include "trace/span.h"


struct ngx_http_eventsync_otlp_conf_s {
    ngx_addr_t                       *addrs;
    ngx_uint_t                        naddrs;
    ngx_str_t                         host;       /* as Host names it */
    ngx_str_t                         uri;
    uint32_t                          share;      /* in millionths */
    size_t                            buffer;
};


/* the span of a request; only with eventsync_otlp */

struct ngx_http_eventsync_span_s {
    es_trace_t                        trace;      /* its own; no flag is set if
                                                     it is not sampled */
    uint8_t                           parent[ES_SPAN_ID];
    ngx_uint_t                        continued;  /* unsigned  :1; it has a
                                                     parent */
    int64_t                           start_us;   /* 0: it was not sampled when
                                                     the request began */
    int64_t                           commit_us;  /* 0: it has not begun */
    int64_t                           committed_us;
};


char *ngx_http_eventsync_otlp_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

ngx_http_eventsync_exporter_t *ngx_http_eventsync_otlp_init(
    ngx_cycle_t *cycle, ngx_http_eventsync_otlp_conf_t *conf);
void ngx_http_eventsync_otlp_free(ngx_http_eventsync_exporter_t *x);
uint32_t ngx_http_eventsync_otlp_share(ngx_http_eventsync_exporter_t *x);
es_buf_t *ngx_http_eventsync_otlp_begin(ngx_http_eventsync_exporter_t *x,
    const es_otlp_span_t *span);
void ngx_http_eventsync_otlp_end(ngx_http_eventsync_exporter_t *x,
    const es_trace_t *links, size_t nlinks, const char *error);

void ngx_http_eventsync_span_begin(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_span_commit(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_span_committed(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_span_end(ngx_http_eventsync_ctx_t *ctx);


#endif /* _NGX_HTTP_EVENTSYNC_OTLP_H_INCLUDED_ */
