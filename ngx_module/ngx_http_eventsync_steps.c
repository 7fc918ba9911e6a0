/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The common steps of every request before its resource answers: arguments,
 * permission, format, header fields of the body, and limit, in this order. The
 * first step that refuses decides which problem the client gets. Each route
 * names all steps, so that no resource can omit one.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"


static ngx_int_t ngx_http_eventsync_steps_accept(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_steps_limit(ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_steps_body(ngx_http_request_t *r);


ngx_int_t
ngx_http_eventsync_steps(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t                          rc;
    ngx_http_request_t                *r;
    const ngx_http_eventsync_steps_t  *steps;

    r = ctx->request;
    steps = ctx->steps;

    if (steps->body == NGX_HTTP_EVENTSYNC_BODY_DISCARD) {
        rc = ngx_http_discard_request_body(r);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (ngx_http_eventsync_args(ctx) != NGX_OK
        || (steps->parse && steps->parse(ctx) != NGX_OK)
        || ngx_http_eventsync_permit(ctx) != NGX_OK
        || ngx_http_eventsync_steps_accept(ctx) != NGX_OK
        || (steps->fields && steps->fields(ctx) != NGX_OK)
        || ngx_http_eventsync_steps_limit(ctx) != NGX_OK)
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (steps->body == NGX_HTTP_EVENTSYNC_BODY_DISCARD) {
        rc = steps->answer(ctx);

        return (rc == NGX_DECLINED) ? ngx_http_eventsync_send_problem(ctx)
                                    : rc;
    }

    r->request_body_in_single_buf = 1;

    rc = ngx_http_read_client_request_body(r, ngx_http_eventsync_steps_body);

    if (rc == NGX_AGAIN) {
        ctx->waited = 1;
    }

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return rc;
    }

    return NGX_DONE;
}


/* answers a request whose charges were returned while a thread worked for it */

ngx_int_t
ngx_http_eventsync_steps_again(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t  rc;

    ctx->problem = NULL;

    rc = (ngx_http_eventsync_permit(ctx) == NGX_OK
          && ngx_http_eventsync_steps_limit(ctx) == NGX_OK)
         ? ctx->steps->answer(ctx) : NGX_DECLINED;

    return (rc == NGX_DECLINED) ? ngx_http_eventsync_send_problem(ctx) : rc;
}


static ngx_int_t
ngx_http_eventsync_steps_accept(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_uint_t  first, n;

    first = 0;
    n = 1;

    switch (ctx->steps->accept) {

    case NGX_HTTP_EVENTSYNC_ACCEPT_ANY:
        return NGX_OK;

    case NGX_HTTP_EVENTSYNC_ACCEPT_JSON:
        first = NGX_HTTP_EVENTSYNC_JSON;
        break;

    case NGX_HTTP_EVENTSYNC_ACCEPT_NDJSON:
        first = NGX_HTTP_EVENTSYNC_NDJSON;
        break;

    case NGX_HTTP_EVENTSYNC_ACCEPT_PAGE:

        /* a subrequest cannot be a stream */

        n = (ctx->conf->sse && ctx->request == ctx->request->main)
            ? NGX_HTTP_EVENTSYNC_FORMATS : NGX_HTTP_EVENTSYNC_SSE;
        break;
    }

    if (ngx_http_eventsync_accept(ctx, &ngx_http_eventsync_page_types[first],
                                  n, &ctx->format)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ctx->format += first;

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_steps_limit(ngx_http_eventsync_ctx_t *ctx)
{
    switch (ctx->steps->limit) {

    case NGX_HTTP_EVENTSYNC_LIMIT_POLL:
        return ngx_http_eventsync_limit_poll(ctx);

    case NGX_HTTP_EVENTSYNC_LIMIT_MANAGE:
        return ngx_http_eventsync_limit_manage(ctx);

    case NGX_HTTP_EVENTSYNC_LIMIT_PUBLISH:
        return ngx_http_eventsync_limit_publish(ctx, 1);

    case NGX_HTTP_EVENTSYNC_LIMIT_FREE:
    case NGX_HTTP_EVENTSYNC_LIMIT_OWN:
        break;
    }

    return NGX_OK;
}


static void
ngx_http_eventsync_steps_body(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    /* reading may have taken long: the permission may be revoked by now */

    if (ctx->waited
        && ctx->steps->body == NGX_HTTP_EVENTSYNC_BODY_READ
        && ngx_http_eventsync_permit(ctx) != NGX_OK)
    {
        rc = NGX_DECLINED;

    } else {
        rc = ctx->steps->answer(ctx);
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_eventsync_send_problem(ctx);
    }

    ngx_http_finalize_request(r, rc);
}
