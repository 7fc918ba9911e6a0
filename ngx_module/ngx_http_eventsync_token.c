/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The token endpoint: exchanges a key for an access token (OAuth 2.0 client
 * credentials, RFC 6749, section 4.4). Errors that this RFC defines have its
 * format; all others are problems, as everywhere. The token itself comes from
 * _issue.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_body.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_token.h"

#include "base/base.h"
#include "base/query.h"
#include "token/jwt.h"
#include "token/scope.h"


/* indexes of form parameters */

typedef enum {
    NGX_HTTP_EVENTSYNC_GRANT_TYPE = 0,
    NGX_HTTP_EVENTSYNC_SCOPE,
    NGX_HTTP_EVENTSYNC_CLIENT_ID,
    NGX_HTTP_EVENTSYNC_CLIENT_SECRET,
    NGX_HTTP_EVENTSYNC_FORM
} ngx_http_eventsync_form_e;


static ngx_int_t ngx_http_eventsync_token_text(ngx_http_eventsync_ctx_t *ctx,
    es_str_t *body);
static ngx_int_t ngx_http_eventsync_token_form(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *form);
static ngx_int_t ngx_http_eventsync_token_arg(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *form, es_str_t *name, es_str_t *value);
static ngx_int_t ngx_http_eventsync_token_decode(
    ngx_http_eventsync_ctx_t *ctx, es_str_t *text, ngx_str_t *value);
static ngx_int_t ngx_http_eventsync_token_client(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_arg_t *form);
static ngx_int_t ngx_http_eventsync_token_basic(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *form, ngx_str_t *id, ngx_str_t *secret);
static ngx_int_t ngx_http_eventsync_token_grant(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *form, es_jwt_t *jwt);


ngx_int_t
ngx_http_eventsync_token(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_arg_t     form[NGX_HTTP_EVENTSYNC_FORM];
    ngx_http_eventsync_issue_t  *issue;

    ngx_memzero(form, sizeof(form));

    ngx_str_set(&form[NGX_HTTP_EVENTSYNC_GRANT_TYPE].name, "grant_type");
    ngx_str_set(&form[NGX_HTTP_EVENTSYNC_SCOPE].name, "scope");
    ngx_str_set(&form[NGX_HTTP_EVENTSYNC_CLIENT_ID].name, "client_id");
    ngx_str_set(&form[NGX_HTTP_EVENTSYNC_CLIENT_SECRET].name,
                "client_secret");

    issue = ngx_http_eventsync_issue_create(ctx);
    if (issue == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    if (ngx_http_eventsync_token_form(ctx, form) != NGX_OK
        || ngx_http_eventsync_token_client(ctx, form) != NGX_OK)
    {
        ngx_http_eventsync_token_charge(ctx);
        return NGX_DECLINED;
    }

    if (ngx_http_eventsync_limit_poll(ctx) != NGX_OK
        || ngx_http_eventsync_token_grant(ctx, form, &issue->jwt) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_eventsync_issue(ctx, issue);
}


/*
 * Charges the address of a client that is not known, because the request is
 * malformed. A failed authentication has charged it already.
 */

void
ngx_http_eventsync_token_charge(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_uint_t  status;

    if (ctx->problem == NULL) {
        return;
    }

    status = ngx_http_eventsync_problem_status(ctx->problem);

    if (status == NGX_HTTP_BAD_REQUEST
        || status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE
        || status == NGX_HTTP_UNSUPPORTED_MEDIA_TYPE)
    {
        ngx_http_eventsync_limit_failed(ctx);
    }
}


/* an invalid body is an error of section 5.2, too */

static ngx_int_t
ngx_http_eventsync_token_text(ngx_http_eventsync_ctx_t *ctx, es_str_t *body)
{
    static ngx_str_t  form = ngx_string("application/x-www-form-urlencoded");

    if (ngx_http_eventsync_body(ctx, &form, body) == NGX_OK) {
        return NGX_OK;
    }

    if (ctx->problem
        && (ctx->problem->type == NGX_HTTP_EVENTSYNC_INVALID_BODY
            || ctx->problem->type == NGX_HTTP_EVENTSYNC_DIGEST_MISMATCH))
    {
        return ngx_http_eventsync_token_fail(ctx, "invalid_request", NULL);
    }

    return NGX_DECLINED;
}


/* unknown parameters are ignored, as section 3.2 requires */

static ngx_int_t
ngx_http_eventsync_token_form(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *form)
{
    es_str_t    rest, name, value;
    ngx_uint_t  i;

    if (ngx_http_eventsync_token_text(ctx, &rest) != NGX_OK) {
        return NGX_DECLINED;
    }

    while (es_query_next(&rest, &name, &value)) {

        for (i = 0; i < NGX_HTTP_EVENTSYNC_FORM; i++) {

            if (es_str_eq(name, ngx_http_eventsync_str(&form[i].name))
                && ngx_http_eventsync_token_arg(ctx, &form[i], &name, &value)
                   != NGX_OK)
            {
                return NGX_DECLINED;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_token_arg(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *arg, es_str_t *name, es_str_t *value)
{
    if (arg->set) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_BODY,
                                       "Parameter \"%V\" is repeated.",
                                       &arg->name);
        return ngx_http_eventsync_token_fail(ctx, "invalid_request", NULL);
    }

    arg->set = 1;

    return ngx_http_eventsync_token_decode(ctx, value, &arg->value);
}


static ngx_int_t
ngx_http_eventsync_token_decode(ngx_http_eventsync_ctx_t *ctx, es_str_t *text,
    ngx_str_t *value)
{
    char  *last;

    value->data = ngx_pnalloc(ctx->request->pool, text->len + 1);
    if (value->data == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    last = es_query_decode(*text, 0, (char *) value->data);

    if (last == NULL) {
        return ngx_http_eventsync_token_fail(ctx, "invalid_request",
                                             "A parameter has malformed "
                                             "percent-encoding.");
    }

    value->len = last - (char *) value->data;

    return NGX_OK;
}


/* authenticates the client by one of the two methods of section 2.3.1 */

static ngx_int_t
ngx_http_eventsync_token_client(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *form)
{
    ngx_str_t  id, secret;

    ngx_str_null(&id);
    ngx_str_null(&secret);

    if (ctx->request->headers_in.authorization) {

        if (ngx_http_eventsync_token_basic(ctx, form, &id, &secret)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

    } else {
        id = form[NGX_HTTP_EVENTSYNC_CLIENT_ID].value;
        secret = form[NGX_HTTP_EVENTSYNC_CLIENT_SECRET].value;

        if (id.len == 0 || secret.len == 0) {
            (void) ngx_http_eventsync_unauthorized(ctx, 0,
                               "The request has no client credentials: use "
                               "Basic authentication, or client_id and "
                               "client_secret.");
            return ngx_http_eventsync_token_unknown(ctx);
        }
    }

    if (ngx_http_eventsync_authenticate_client(ctx, &id, &secret) != NGX_OK) {
        return ngx_http_eventsync_token_unknown(ctx);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_token_basic(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *form, ngx_str_t *id, ngx_str_t *secret)
{
    es_str_t                    user, passwd;
    ngx_int_t                   rc;
    ngx_http_request_t         *r;
    ngx_http_eventsync_arg_t   *other;

    r = ctx->request;

    rc = ngx_http_auth_basic_user(r);

    if (rc == NGX_ERROR) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    if (rc == NGX_DECLINED) {
        (void) ngx_http_eventsync_unauthorized(ctx, 0,
                               "The Authorization header is not valid Basic "
                               "authentication.");
        return ngx_http_eventsync_token_unknown(ctx);
    }

    user = ngx_http_eventsync_str(&r->headers_in.user);
    passwd = ngx_http_eventsync_str(&r->headers_in.passwd);

    if (ngx_http_eventsync_token_decode(ctx, &user, id) != NGX_OK
        || ngx_http_eventsync_token_decode(ctx, &passwd, secret) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    /* some clients repeat the id in the form, which is not a second method */

    other = &form[NGX_HTTP_EVENTSYNC_CLIENT_ID];

    if (form[NGX_HTTP_EVENTSYNC_CLIENT_SECRET].value.len
        || (other->value.len
            && (other->value.len != id->len
                || ngx_memcmp(other->value.data, id->data, id->len) != 0)))
    {
        return ngx_http_eventsync_token_fail(ctx, "invalid_request",
                                             "The request uses two "
                                             "authentication methods; use "
                                             "one.");
    }

    return NGX_OK;
}


/* turns a 401 into invalid_client; leaves other problems unchanged */

ngx_int_t
ngx_http_eventsync_token_unknown(ngx_http_eventsync_ctx_t *ctx)
{
    if (ctx->problem
        && ctx->problem->type == NGX_HTTP_EVENTSYNC_UNAUTHORIZED)
    {
        ngx_str_set(&ctx->problem->oauth, "invalid_client");
        ngx_str_set(&ctx->problem->challenge, "Basic realm=\"eventsync\"");
    }

    return NGX_DECLINED;
}


/* fills in the claims of the token */

static ngx_int_t
ngx_http_eventsync_token_grant(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *form, es_jwt_t *jwt)
{
    es_rc_t        es;
    ngx_str_t     *grant;
    es_problem_t   problem;

    grant = &form[NGX_HTTP_EVENTSYNC_GRANT_TYPE].value;

    if (grant->len == 0) {
        return ngx_http_eventsync_token_fail(ctx, "invalid_request",
                                             "Parameter \"grant_type\" is "
                                             "missing.");
    }

    if (grant->len != sizeof("client_credentials") - 1
        || ngx_strncmp(grant->data, "client_credentials", grant->len) != 0)
    {
        return ngx_http_eventsync_token_fail(ctx, "unsupported_grant_type",
                                             "Parameter \"grant_type\" must "
                                             "be client_credentials.");
    }

    ngx_memzero(&problem, sizeof(es_problem_t));

    es = es_scope_ask(ngx_http_eventsync_str(
                                     &form[NGX_HTTP_EVENTSYNC_SCOPE].value),
                      ctx->grant, &jwt->pool, &jwt->scope, &problem);

    if (es == ES_INVALID) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_BODY,
                                       "Scope: %s.", problem.detail);
        return ngx_http_eventsync_token_fail(ctx, "invalid_scope", NULL);
    }

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    ngx_memcpy(jwt->client, ctx->key.id, sizeof(jwt->client));
    jwt->partner = ngx_http_eventsync_str(&ctx->partner_name);
    jwt->issued_s = ngx_http_eventsync_store_ms(ctx->worker) / 1000;
    jwt->expires_s = jwt->issued_s + ctx->conf->token_lifetime;

    if (ctx->expires_ms) {
        jwt->expires_s = ngx_min(jwt->expires_s, ctx->expires_ms / 1000);
    }

    /* where a certificate is required, the token is worthless without it */

    if (ctx->peer) {
        jwt->bound = 1;
        ngx_memcpy(jwt->certificate, ctx->peer->cert.names[0].digest,
                   ES_DIGEST_LEN);
    }

    if (jwt->expires_s <= jwt->issued_s) {
        (void) ngx_http_eventsync_unauthorized(ctx, 1,
                               "The key expires within a second.");
        return ngx_http_eventsync_token_unknown(ctx);
    }

    return NGX_OK;
}


/*
 * sets an error of section 5.2; without `detail` the existing problem gives
 * the description
 */

ngx_int_t
ngx_http_eventsync_token_fail(ngx_http_eventsync_ctx_t *ctx, char *error,
    char *detail)
{
    if (detail) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_BODY,
                                       "%s", detail);
    }

    if (ctx->problem) {
        ctx->problem->oauth.data = (u_char *) error;
        ctx->problem->oauth.len = ngx_strlen(error);
    }

    return NGX_DECLINED;
}
