/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Access tokens as a credential. Verifying a token costs a signature check, so
 * a worker caches recently verified tokens by the digest of their text, so
 * that a memory dump has no token and no comparison depends on one. Requests
 * share the entries. The cache only proves who signed the token. Each request checks
 * again whether the token has expired and what its key may do, see _auth.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_worker.h"

#include "keys/apikey.h"
#include "store/txn.h"
#include "token/jwt.h"


static ngx_uint_t ngx_http_eventsync_token_here(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_token_t *token);
static ngx_int_t ngx_http_eventsync_token_own(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *text, ngx_http_eventsync_token_t *token);
static ngx_http_eventsync_token_t *ngx_http_eventsync_token_verify(
    ngx_http_eventsync_ctx_t *ctx, ngx_str_t *text, ngx_int_t *rc);
static ngx_int_t ngx_http_eventsync_token_use(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_token_t *token);
static void ngx_http_eventsync_token_unref(ngx_http_eventsync_token_t *token);
static void ngx_http_eventsync_token_cleanup(void *data);


/*
 * NGX_DECLINED: the token is not valid for this store; NGX_BUSY: its issuer's
 * keys are missing; NGX_ERROR: no memory
 */

ngx_int_t
ngx_http_eventsync_bearer(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *text)
{
    u_char                        digest[ES_DIGEST_LEN];
    ngx_int_t                     rc;
    ngx_http_eventsync_token_t   *token, **seen;

    if ((ctx->conf->token_keys == NULL && ctx->conf->issuers == NULL)
        || text->len > ES_ISSUER_TOKEN_MAX)
    {
        return NGX_DECLINED;
    }

    /* servers that share a store may have different signing keys */

    es_credential_digest(ngx_http_eventsync_str(text), digest);
    seen = &ctx->worker->tokens[digest[0] % NGX_HTTP_EVENTSYNC_TOKENS];
    token = *seen;

    if (token
        && es_apikey_equal(token->digest, digest)
        && ngx_http_eventsync_token_here(ctx, token))
    {
        return ngx_http_eventsync_token_use(ctx, token);
    }

    token = ngx_http_eventsync_token_verify(ctx, text, &rc);
    if (token == NULL) {
        return rc;
    }

    ngx_memcpy(token->digest, digest, ES_DIGEST_LEN);

    ngx_http_eventsync_token_unref(*seen);
    *seen = token;

    return ngx_http_eventsync_token_use(ctx, token);
}


/* the location accepts the token that was verified, maybe in another one */

static ngx_uint_t
ngx_http_eventsync_token_here(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_token_t *token)
{
    return token->issuer
           ? token->issuers == ctx->conf->issuers
             && ngx_http_eventsync_issuer_stands(ctx, token)
           : token->keys == ctx->conf->token_keys;
}


static ngx_http_eventsync_token_t *
ngx_http_eventsync_token_verify(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *text,
    ngx_int_t *rc)
{
    ngx_http_eventsync_token_t  *token;

    token = ngx_calloc(sizeof(ngx_http_eventsync_token_t),
                       ctx->request->connection->log);
    if (token == NULL) {
        *rc = NGX_ERROR;
        return NULL;
    }

    *rc = ngx_http_eventsync_token_own(ctx, text, token);

    if (*rc == NGX_DECLINED) {
        *rc = ngx_http_eventsync_issuer_verify(ctx, text, token);
    }

    if (*rc != NGX_OK) {
        ngx_free(token);
        return NULL;
    }

    token->refs = 1;

    return token;
}


/* a token that was issued here */

static ngx_int_t
ngx_http_eventsync_token_own(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *text,
    ngx_http_eventsync_token_t *token)
{
    es_rc_t  rc;

    if (ctx->conf->token_keys == NULL) {
        return NGX_DECLINED;
    }

    rc = es_jwt_verify(ctx->conf->token_keys,
                       es_store_identity(ctx->worker->es),
                       ngx_http_eventsync_str(text),
                       ngx_http_eventsync_now_ms(ctx->worker), &token->jwt);

    if (rc == ES_INVALID) {
        return NGX_DECLINED;
    }

    token->keys = ctx->conf->token_keys;

    return (rc == ES_OK) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_eventsync_token_use(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_token_t *token)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_eventsync_token_cleanup;
    cln->data = token;

    token->refs++;

    ctx->token = token;
    ngx_memcpy(ctx->key.id, token->jwt.client, sizeof(ctx->key.id));

    return NGX_OK;
}


static void
ngx_http_eventsync_token_cleanup(void *data)
{
    ngx_http_eventsync_token_unref(data);
}


static void
ngx_http_eventsync_token_unref(ngx_http_eventsync_token_t *token)
{
    if (token == NULL || --token->refs) {
        return;
    }

    es_jwt_free(&token->jwt);
    ngx_free(token);
}


void
ngx_http_eventsync_tokens_free(ngx_http_eventsync_worker_t *w)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_EVENTSYNC_TOKENS; i++) {
        ngx_http_eventsync_token_unref(w->tokens[i]);
        w->tokens[i] = NULL;
    }
}
