/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Bodies of requests: their content codings, digests and media type.
 */


#ifndef _NGX_HTTP_EVENTSYNC_BODY_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_BODY_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "base/decode.h"
#include "event/body_digest.h"


/* what the header fields of a request say of its body, see _body */

struct ngx_http_eventsync_body_s {
    es_codings_t                      codings;
    es_body_digests_t                 digests;
    size_t                            max;        /* bytes, decoded */
};


ngx_int_t ngx_http_eventsync_body_headers(ngx_http_eventsync_ctx_t *ctx);
es_rc_t ngx_http_eventsync_body_open(const ngx_http_eventsync_body_t *say,
    size_t max, es_str_t *body, es_buf_t *decoded, es_problem_t *problem);
ngx_int_t ngx_http_eventsync_body_fail(ngx_http_eventsync_ctx_t *ctx,
    es_rc_t rc, const es_problem_t *problem);
ngx_int_t ngx_http_eventsync_body_type(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *type);
ngx_int_t ngx_http_eventsync_body_utf8(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_body(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *type, es_str_t *body);


#endif /* _NGX_HTTP_EVENTSYNC_BODY_H_INCLUDED_ */
