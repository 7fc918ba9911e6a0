/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Problems: the errors of the HTTP contract, by name. A step that fails puts a
 * problem into the context and returns NGX_DECLINED; only its caller sends the
 * problem. Details are printed as by ngx_sprintf(). Types, titles and statuses
 * are in _problem.
 */


#ifndef _NGX_HTTP_EVENTSYNC_PROBLEM_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_PROBLEM_H_INCLUDED_


#include "ngx_http_eventsync.h"


/* the problems of the contract; _problem has their types and titles */

typedef enum {
    NGX_HTTP_EVENTSYNC_INVALID_PARAMETER = 0,
    NGX_HTTP_EVENTSYNC_INVALID_CURSOR,
    NGX_HTTP_EVENTSYNC_CURSOR_AHEAD,
    NGX_HTTP_EVENTSYNC_INVALID_EVENT,
    NGX_HTTP_EVENTSYNC_INVALID_BODY,
    NGX_HTTP_EVENTSYNC_INVALID_HEADER,
    NGX_HTTP_EVENTSYNC_DIGEST_MISMATCH,
    NGX_HTTP_EVENTSYNC_UNAUTHORIZED,
    NGX_HTTP_EVENTSYNC_FORBIDDEN,
    NGX_HTTP_EVENTSYNC_NOT_FOUND,
    NGX_HTTP_EVENTSYNC_METHOD_NOT_ALLOWED,
    NGX_HTTP_EVENTSYNC_NOT_ACCEPTABLE,
    NGX_HTTP_EVENTSYNC_CONFLICT,
    NGX_HTTP_EVENTSYNC_ERASED,
    NGX_HTTP_EVENTSYNC_IN_USE,
    NGX_HTTP_EVENTSYNC_NOT_STANDING,
    NGX_HTTP_EVENTSYNC_COUNT_MISMATCH,
    NGX_HTTP_EVENTSYNC_UNVERIFIED,
    NGX_HTTP_EVENTSYNC_CHECKPOINT_BEHIND,
    NGX_HTTP_EVENTSYNC_TOO_MANY,
    NGX_HTTP_EVENTSYNC_CURSOR_EXPIRED,
    NGX_HTTP_EVENTSYNC_FEED_RESET,
    NGX_HTTP_EVENTSYNC_LINK_USED,
    NGX_HTTP_EVENTSYNC_LINK_EXPIRED,
    NGX_HTTP_EVENTSYNC_LINK_REVOKED,
    NGX_HTTP_EVENTSYNC_PRECONDITION_FAILED,
    NGX_HTTP_EVENTSYNC_TOO_LARGE,
    NGX_HTTP_EVENTSYNC_UNSUPPORTED_TYPE,
    NGX_HTTP_EVENTSYNC_UNSUPPORTED_CODING,
    NGX_HTTP_EVENTSYNC_RANGE,
    NGX_HTTP_EVENTSYNC_MISMATCH,
    NGX_HTTP_EVENTSYNC_QUOTA_EXCEEDED,
    NGX_HTTP_EVENTSYNC_INTERNAL,
    NGX_HTTP_EVENTSYNC_UNAVAILABLE,
    NGX_HTTP_EVENTSYNC_FIELD_LIST,
    NGX_HTTP_EVENTSYNC_STORE_FULL,
    NGX_HTTP_EVENTSYNC_PROBLEMS
} ngx_http_eventsync_problem_e;


/* the most that ngx_http_eventsync_problem_head() writes */
#define NGX_HTTP_EVENTSYNC_PROBLEM_HEAD  256


struct ngx_http_eventsync_problem_s {
    ngx_http_eventsync_problem_e      type;
    ngx_str_t                         detail;
    ngx_str_t                         members;    /* JSON, begins with ',' */
    ngx_str_t                         allow;
    ngx_str_t                         challenge;
    ngx_str_t                         oauth;      /* RFC 6749, or empty */
    time_t                            retry_after;
    ngx_uint_t                        codings;    /* unsigned  :1; say which
                                                     are decoded */
};


ngx_int_t ngx_cdecl ngx_http_eventsync_fail(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_problem_e type, const char *fmt, ...);
ngx_int_t ngx_http_eventsync_fail_store(ngx_http_eventsync_ctx_t *ctx,
    es_rc_t rc);
ngx_int_t ngx_http_eventsync_fail_closed(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_fail_issuer(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_fail_encrypt(ngx_http_eventsync_ctx_t *ctx,
    es_rc_t rc);
ngx_int_t ngx_http_eventsync_fail_fields(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_fail_busy(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_cdecl ngx_http_eventsync_members(ngx_http_eventsync_ctx_t *ctx,
    size_t size, const char *fmt, ...);
ngx_buf_t *ngx_http_eventsync_problem_body(ngx_http_request_t *r,
    ngx_http_eventsync_problem_t *problem);
u_char *ngx_http_eventsync_problem_head(u_char *p,
    ngx_http_eventsync_problem_e type);
es_str_t ngx_http_eventsync_problem_name(ngx_http_eventsync_problem_e type);
ngx_int_t ngx_http_eventsync_send_problem(ngx_http_eventsync_ctx_t *ctx);
ngx_uint_t ngx_http_eventsync_problem_status(
    const ngx_http_eventsync_problem_t *problem);


#endif /* _NGX_HTTP_EVENTSYNC_PROBLEM_H_INCLUDED_ */
