/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Who sends a request (_auth, _bearer, _issuer, _peer), and what it may do
 * (_permit).
 */


#ifndef _NGX_HTTP_EVENTSYNC_AUTH_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_AUTH_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "keys/apikey.h"
#include "keys/peer_cert.h"
#include "manage/manage.h"
#include "registry/registry.h"
#include "token/issuer.h"
#include "token/jwt.h"


#define NGX_HTTP_EVENTSYNC_CHALLENGE  "Bearer realm=\"eventsync\""


/* a verified token; it may be expired or revoked all the same */

struct ngx_http_eventsync_token_s {
    ngx_uint_t                        refs;
    es_jwt_keys_t                    *keys;       /* verified with these, */
    ngx_array_t                      *issuers;    /* or by one of these */
    es_issuer_t                      *issuer;     /* NULL: it is ours */
    u_char                            signer[ES_DIGEST_LEN]; /* its key */
    es_jwt_t                          jwt;
    u_char                            digest[ES_DIGEST_LEN]; /* of its text */
};


/* the client certificate of the connection */

struct ngx_http_eventsync_peer_s {
    es_peer_cert_t                    cert;
    int64_t                           expires_ms; /* of its record, besides a
                                                     key; 0: never */
};


es_rc_t ngx_http_eventsync_access(ngx_http_eventsync_worker_t *w);
int64_t ngx_http_eventsync_now_ms(ngx_http_eventsync_worker_t *w);
int64_t ngx_http_eventsync_store_ms(ngx_http_eventsync_worker_t *w);
void ngx_http_eventsync_clock(ngx_http_eventsync_worker_t *w);
ngx_int_t ngx_http_eventsync_authenticate(ngx_http_eventsync_ctx_t *ctx);
int ngx_http_eventsync_address(ngx_http_eventsync_ctx_t *ctx, u_char **data);
ngx_int_t ngx_http_eventsync_check_address(ngx_http_eventsync_ctx_t *ctx,
    const es_key_t *key);
ngx_int_t ngx_http_eventsync_admit_address(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_authenticate_client(
    ngx_http_eventsync_ctx_t *ctx, ngx_str_t *id, ngx_str_t *secret);
ngx_int_t ngx_http_eventsync_admit_again(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_unauthorized(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t given, char *detail);
int64_t ngx_http_eventsync_earlier(int64_t a, int64_t b);
ngx_int_t ngx_http_eventsync_peer(ngx_http_eventsync_ctx_t *ctx);
es_rc_t ngx_http_eventsync_peer_find(ngx_http_eventsync_ctx_t *ctx,
    const es_key_t **key);
ngx_uint_t ngx_http_eventsync_peer_current(ngx_http_eventsync_ctx_t *ctx);
ngx_uint_t ngx_http_eventsync_peer_is(ngx_http_eventsync_ctx_t *ctx,
    const uint8_t *sha256);
ngx_int_t ngx_http_eventsync_peer_admit(ngx_http_eventsync_ctx_t *ctx);
ngx_msec_t ngx_http_eventsync_until(ngx_http_eventsync_ctx_t *ctx,
    ngx_msec_t time);
ngx_int_t ngx_http_eventsync_registry(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_flag(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_permit(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_narrow(ngx_http_eventsync_ctx_t *ctx,
    es_narrow_t *narrow);
ngx_int_t ngx_http_eventsync_beyond(ngx_http_eventsync_ctx_t *ctx,
    unsigned scope, char *detail);
ngx_uint_t ngx_http_eventsync_has(ngx_http_eventsync_ctx_t *ctx,
    unsigned scope);
ngx_uint_t ngx_http_eventsync_may_read(ngx_http_eventsync_ctx_t *ctx,
    es_str_t feed);
ngx_int_t ngx_http_eventsync_bearer(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *text);
ngx_int_t ngx_http_eventsync_issuer_verify(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *text, ngx_http_eventsync_token_t *token);
ngx_uint_t ngx_http_eventsync_issuer_stands(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_token_t *token);
uint64_t ngx_http_eventsync_issuers_changes(void);
void ngx_http_eventsync_tokens_free(ngx_http_eventsync_worker_t *w);
ngx_int_t ngx_http_eventsync_may_authorize(ngx_http_eventsync_ctx_t *ctx);


#endif /* _NGX_HTTP_EVENTSYNC_AUTH_H_INCLUDED_ */
