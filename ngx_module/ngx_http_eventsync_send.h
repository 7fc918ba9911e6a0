/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Answers: headers, formats and one buffer.
 */


#ifndef _NGX_HTTP_EVENTSYNC_SEND_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_SEND_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "base/condition.h"


extern ngx_str_t  ngx_http_eventsync_page_types[];
extern ngx_str_t  ngx_http_eventsync_lines_types[];
extern ngx_str_t  ngx_http_eventsync_json_type;


ngx_int_t ngx_http_eventsync_accept(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *types, ngx_uint_t n, ngx_uint_t *index);
ngx_int_t ngx_http_eventsync_preferred(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *types, ngx_uint_t n, int *preferred);
ngx_int_t ngx_http_eventsync_accept_value(ngx_http_request_t *r,
    ngx_str_t *name, ngx_str_t *value);
ngx_int_t ngx_http_eventsync_cors(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_deprecated(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_dates(ngx_http_request_t *r,
    int64_t deprecated_ms, int64_t sunset_ms);
ngx_int_t ngx_http_eventsync_options(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *methods);
u_char *ngx_http_eventsync_number(u_char *p, uint64_t number);
ngx_table_elt_t *ngx_http_eventsync_push_header(ngx_http_request_t *r,
    ngx_str_t *key, ngx_str_t *value);
ngx_int_t ngx_http_eventsync_header(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *value);
ngx_int_t ngx_http_eventsync_cache_control(ngx_http_request_t *r,
    ngx_str_t *value);
ngx_int_t ngx_http_eventsync_no_store(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_no_buffering(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_revalidate(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_etag_header(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_send_header(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_send_unchanged(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_buf_t *b);
ngx_int_t ngx_http_eventsync_send_json(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t status, ngx_buf_t *b);
ngx_int_t ngx_http_eventsync_block(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_send_page(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_send_not_modified(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_condition(ngx_http_eventsync_ctx_t *ctx,
    es_condition_t *condition);
ngx_uint_t ngx_http_eventsync_etag_matches(ngx_http_eventsync_ctx_t *ctx);


#endif /* _NGX_HTTP_EVENTSYNC_SEND_H_INCLUDED_ */
