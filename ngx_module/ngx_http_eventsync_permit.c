/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Permissions. The route says what a request needs, and
 * ngx_http_eventsync_permit() checks it: before anything is read for the
 * request, and again whenever the request has waited.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"

#include "event/cursor.h"
#include "manage/manage.h"
#include "registry/registry.h"
#include "token/scope.h"


static ngx_int_t ngx_http_eventsync_authorize(ngx_http_eventsync_ctx_t *ctx,
    unsigned scope);
static ngx_int_t ngx_http_eventsync_authorize_checkpoint(
    ngx_http_eventsync_ctx_t *ctx, unsigned scope);
static ngx_int_t ngx_http_eventsync_authorize_ack(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_authorize_manage(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_authorize_reader(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_authorize_status(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_authorize_admin(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_uint_t ngx_http_eventsync_allows(ngx_http_eventsync_ctx_t *ctx,
    unsigned scope, es_str_t feed);
static ngx_int_t ngx_http_eventsync_narrow_to(ngx_http_eventsync_ctx_t *ctx,
    es_narrow_t *narrow, const es_patterns_t *feeds);
static ngx_int_t ngx_http_eventsync_forbidden(ngx_http_eventsync_ctx_t *ctx,
    unsigned scope);
static ngx_int_t ngx_http_eventsync_challenge(ngx_http_eventsync_ctx_t *ctx,
    unsigned scope);
static char *ngx_http_eventsync_credential_name(
    ngx_http_eventsync_ctx_t *ctx);


/* may be called again for a request, because a key may be revoked meanwhile */

ngx_int_t
ngx_http_eventsync_permit(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_permit_e  permit;

    permit = ctx->steps->permit;

    if (permit == NGX_HTTP_EVENTSYNC_PERMIT_ALL) {
        return NGX_OK;
    }

    if (permit == NGX_HTTP_EVENTSYNC_PERMIT_ADDRESS) {
        return ngx_http_eventsync_admit_address(ctx);
    }

    if (ngx_http_eventsync_authenticate(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    switch (permit) {

    case NGX_HTTP_EVENTSYNC_PERMIT_ALL:
    case NGX_HTTP_EVENTSYNC_PERMIT_ADDRESS:
    case NGX_HTTP_EVENTSYNC_PERMIT_KEY:
        return NGX_OK;

    case NGX_HTTP_EVENTSYNC_PERMIT_READ:
        return ngx_http_eventsync_authorize(ctx, ES_SCOPE_READ);

    case NGX_HTTP_EVENTSYNC_PERMIT_PUBLISH:
        return ngx_http_eventsync_authorize(ctx, ES_SCOPE_PUBLISH);

    case NGX_HTTP_EVENTSYNC_PERMIT_AUTHORIZE:
        return ngx_http_eventsync_may_authorize(ctx);

    case NGX_HTTP_EVENTSYNC_PERMIT_CHECKPOINT:
        return ngx_http_eventsync_authorize_checkpoint(ctx, ES_SCOPE_READ);

    case NGX_HTTP_EVENTSYNC_PERMIT_ACK:
        return ngx_http_eventsync_authorize_ack(ctx);

    case NGX_HTTP_EVENTSYNC_PERMIT_MANAGE:
        return ngx_http_eventsync_authorize_manage(ctx);

    case NGX_HTTP_EVENTSYNC_PERMIT_MANAGE_READ:
        return (ngx_http_eventsync_authorize_manage(ctx) == NGX_OK)
               ? ngx_http_eventsync_authorize_reader(ctx) : NGX_DECLINED;

    case NGX_HTTP_EVENTSYNC_PERMIT_STATUS:
        return ngx_http_eventsync_authorize_status(ctx);

    case NGX_HTTP_EVENTSYNC_PERMIT_ADMIN:
        return ngx_http_eventsync_authorize_admin(ctx);
    }

    return NGX_DECLINED;
}


/*
 * 404 hides a feed that the key may not know. 403 is for a feed that the key
 * knows by another scope.
 */

static ngx_int_t
ngx_http_eventsync_authorize(ngx_http_eventsync_ctx_t *ctx, unsigned scope)
{
    es_str_t  feed;

    feed = ngx_http_eventsync_str(&ctx->feed);

    if (!es_feed_name_ok(feed)) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOT_FOUND);
    }

    if (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_OFF) {
        return NGX_OK;
    }

    if (ngx_http_eventsync_allows(ctx, scope, feed)) {
        return (scope == ES_SCOPE_READ) ? ngx_http_eventsync_fields_check(ctx)
                                        : NGX_OK;
    }

    if (ngx_http_eventsync_allows(ctx, ES_SCOPE_READ, feed)
        || ngx_http_eventsync_allows(ctx, ES_SCOPE_PUBLISH, feed)
        || ngx_http_eventsync_allows(ctx, ES_SCOPE_ACK, feed))
    {
        return ngx_http_eventsync_forbidden(ctx, scope);
    }

    return ngx_http_eventsync_fail_store(ctx, ES_NOT_FOUND);
}


/* a checkpoint belongs to a partner */

static ngx_int_t
ngx_http_eventsync_authorize_checkpoint(ngx_http_eventsync_ctx_t *ctx,
    unsigned scope)
{
    if (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_OFF) {
        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                       "Checkpoints require \"eventsync_auth "
                                       "key\", because each belongs to a "
                                       "partner.");
    }

    return ngx_http_eventsync_authorize(ctx, scope);
}


/*
 * An endpoint may pass over what a checkpoint acknowledges, so reading is not
 * enough to move one.
 */

static ngx_int_t
ngx_http_eventsync_authorize_ack(ngx_http_eventsync_ctx_t *ctx)
{
    if (ngx_http_eventsync_authorize_checkpoint(ctx, ES_SCOPE_ACK) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (es_key_moves(ctx->grant,
                     ngx_http_eventsync_str(&ctx->segments[1])))
    {
        return NGX_OK;
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                   "The %s is bound to other consumers.",
                                   ngx_http_eventsync_credential_name(ctx));

    return ngx_http_eventsync_challenge(ctx, ES_SCOPE_ACK);
}


/* checks a scope that concerns no feed */

ngx_uint_t
ngx_http_eventsync_has(ngx_http_eventsync_ctx_t *ctx, unsigned scope)
{
    return (ctx->grant->scopes & scope)
           && (ctx->token == NULL
               || (ctx->token->jwt.scope.scopes & scope));
}


/* for resources of a partner that belong to no feed */

static ngx_int_t
ngx_http_eventsync_authorize_manage(ngx_http_eventsync_ctx_t *ctx)
{
    if (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_OFF) {
        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                       "Endpoints require \"eventsync_auth "
                                       "key\", because each belongs to a "
                                       "partner.");
    }

    if (ngx_http_eventsync_has(ctx, ES_SCOPE_MANAGE)) {
        return NGX_OK;
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                   "The %s lacks the scope \"manage\".",
                                   ngx_http_eventsync_credential_name(ctx));

    return ngx_http_eventsync_challenge(ctx, ES_SCOPE_MANAGE);
}


/* also required to have events sent; the feeds are checked with the endpoint */

static ngx_int_t
ngx_http_eventsync_authorize_reader(ngx_http_eventsync_ctx_t *ctx)
{
    if (ngx_http_eventsync_has(ctx, ES_SCOPE_READ)) {
        return NGX_OK;
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                   "The %s lacks the scope \"read\", which "
                                   "this request needs, too.",
                                   ngx_http_eventsync_credential_name(ctx));

    return ngx_http_eventsync_challenge(ctx, ES_SCOPE_READ);
}


/* endpoints and feeds of one partner */

static ngx_int_t
ngx_http_eventsync_authorize_status(ngx_http_eventsync_ctx_t *ctx)
{
    if (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_OFF) {
        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                       "The status requires \"eventsync_auth "
                                       "key\", because it belongs to a "
                                       "partner.");
    }

    if (ngx_http_eventsync_has(ctx, ES_SCOPE_READ)
        || ngx_http_eventsync_has(ctx, ES_SCOPE_MANAGE))
    {
        return NGX_OK;
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                   "The %s has neither of the scopes \"read\" "
                                   "and \"manage\".",
                                   ngx_http_eventsync_credential_name(ctx));

    return ngx_http_eventsync_challenge(ctx, ES_SCOPE_READ);
}


/* for resources that concern all partners */

static ngx_int_t
ngx_http_eventsync_authorize_admin(ngx_http_eventsync_ctx_t *ctx)
{
    if (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_OFF
        || ngx_http_eventsync_has(ctx, ES_SCOPE_ADMIN))
    {
        return NGX_OK;
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                   "The %s lacks the scope \"admin\".",
                                   ngx_http_eventsync_credential_name(ctx));

    return ngx_http_eventsync_challenge(ctx, ES_SCOPE_ADMIN);
}


/* gets the feeds that the credential is limited to */

ngx_int_t
ngx_http_eventsync_narrow(ngx_http_eventsync_ctx_t *ctx, es_narrow_t *narrow)
{
    narrow->n = 0;

    if (ngx_http_eventsync_narrow_to(ctx, narrow, &ctx->grant->feeds)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ctx->token ? ngx_http_eventsync_narrow_to(ctx, narrow,
                                              &ctx->token->jwt.scope.feeds)
                      : NGX_OK;
}


/* copied for a thread; an empty list limits nothing */

static ngx_int_t
ngx_http_eventsync_narrow_to(ngx_http_eventsync_ctx_t *ctx,
    es_narrow_t *narrow, const es_patterns_t *feeds)
{
    u_char      *p;
    size_t       i;
    es_str_t    *list;
    ngx_pool_t  *pool;

    if (feeds->n == 0) {
        return NGX_OK;
    }

    pool = ctx->request->pool;

    list = ngx_palloc(pool, feeds->n * sizeof(es_str_t));

    if (list == NULL || narrow->n == ES_NARROWS_MAX) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    for (i = 0; i < feeds->n; i++) {
        p = ngx_pnalloc(pool, feeds->list[i].len);
        if (p == NULL) {
            return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
        }

        ngx_memcpy(p, feeds->list[i].data, feeds->list[i].len);
        list[i].data = (char *) p;
        list[i].len = feeds->list[i].len;
    }

    narrow->lists[narrow->n].n = feeds->n;
    narrow->lists[narrow->n++].list = list;

    return NGX_OK;
}


/* the key lacks the scope for what the body requests */

ngx_int_t
ngx_http_eventsync_beyond(ngx_http_eventsync_ctx_t *ctx, unsigned scope,
    char *detail)
{
    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN, "%s.",
                                   detail);

    return ngx_http_eventsync_challenge(ctx, scope);
}


static ngx_int_t
ngx_http_eventsync_forbidden(ngx_http_eventsync_ctx_t *ctx, unsigned scope)
{
    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                   "The %s lacks the scope \"%s\" on this "
                                   "feed.",
                                   ngx_http_eventsync_credential_name(ctx),
                                   (scope == ES_SCOPE_PUBLISH) ? "publish"
                                   : (scope == ES_SCOPE_ACK) ? "ack"
                                                             : "read");

    return ngx_http_eventsync_challenge(ctx, scope);
}


static char *
ngx_http_eventsync_credential_name(ngx_http_eventsync_ctx_t *ctx)
{
    return ctx->token ? "token" : ctx->certified ? "certificate" : "key";
}


/* names the missing scope (RFC 6750, section 3) */

static ngx_int_t
ngx_http_eventsync_challenge(ngx_http_eventsync_ctx_t *ctx, unsigned scope)
{
    ngx_str_t  *challenge;

    if (ctx->problem == NULL || ctx->certified) {
        return NGX_DECLINED;
    }

    challenge = &ctx->problem->challenge;

    switch (scope) {

    case ES_SCOPE_PUBLISH:
        ngx_str_set(challenge, NGX_HTTP_EVENTSYNC_CHALLENGE
                               ", error=\"insufficient_scope\""
                               ", scope=\"publish\"");
        break;

    case ES_SCOPE_MANAGE:
        ngx_str_set(challenge, NGX_HTTP_EVENTSYNC_CHALLENGE
                               ", error=\"insufficient_scope\""
                               ", scope=\"manage\"");
        break;

    case ES_SCOPE_ACK:
        ngx_str_set(challenge, NGX_HTTP_EVENTSYNC_CHALLENGE
                               ", error=\"insufficient_scope\""
                               ", scope=\"ack\"");
        break;

    case ES_SCOPE_ADMIN:
        ngx_str_set(challenge, NGX_HTTP_EVENTSYNC_CHALLENGE
                               ", error=\"insufficient_scope\""
                               ", scope=\"admin\"");
        break;

    default: /* ES_SCOPE_READ */
        ngx_str_set(challenge, NGX_HTTP_EVENTSYNC_CHALLENGE
                               ", error=\"insufficient_scope\""
                               ", scope=\"read\"");
    }

    return NGX_DECLINED;
}


ngx_uint_t
ngx_http_eventsync_may_read(ngx_http_eventsync_ctx_t *ctx, es_str_t feed)
{
    return ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_OFF
           || ngx_http_eventsync_allows(ctx, ES_SCOPE_READ, feed);
}


/* the key has the permission now, and the token's scope includes it */

static ngx_uint_t
ngx_http_eventsync_allows(ngx_http_eventsync_ctx_t *ctx, unsigned scope,
    es_str_t feed)
{
    return es_key_allows(ctx->grant, scope, feed)
           && (ctx->token == NULL
               || es_scope_allows(&ctx->token->jwt.scope, scope, feed));
}
