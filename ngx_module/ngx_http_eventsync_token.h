/* SPDX-License-Identifier: BSD-2-Clause */

/* The token endpoint: what a request asks for, and tokens that were given. */


#ifndef _NGX_HTTP_EVENTSYNC_TOKEN_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_TOKEN_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "keys/apikey.h"
#include "token/jwt.h"


/* the token that a request gets */

typedef struct {
    es_jwt_t                          jwt;        /* its claims */
    u_char                            digest[ES_DIGEST_LEN]; /* of the claims
                                                     but times, see _issue */
} ngx_http_eventsync_issue_t;


/* a token that was given, and may be given again */

typedef struct {
    u_char                            digest[ES_DIGEST_LEN];
    int64_t                           issued_s;
    int64_t                           expires_s;
    ngx_str_t                         text;       /* data NULL: none */
} ngx_http_eventsync_issued_t;


void ngx_http_eventsync_token_charge(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_token_fail(ngx_http_eventsync_ctx_t *ctx,
    char *error, char *detail);
ngx_int_t ngx_http_eventsync_token_unknown(ngx_http_eventsync_ctx_t *ctx);

ngx_http_eventsync_issue_t *ngx_http_eventsync_issue_create(
    ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_issue(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_issue_t *issue);
void ngx_http_eventsync_issued_free(ngx_http_eventsync_worker_t *w);


#endif /* _NGX_HTTP_EVENTSYNC_TOKEN_H_INCLUDED_ */
