/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The event catalogue: the event types of the credential's feeds, and the
 * schema of each version.
 *
 * A thread reads it, because a list can be long. Requests are charged first,
 * because a 304 costs a thread just as much.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_task.h"

#include "base/base.h"
#include "base/hash.h"
#include "base/pool.h"
#include "catalogue/catalogue.h"
#include "registry/patterns.h"
#include "token/scope.h"


typedef struct {
    ngx_http_eventsync_ctx_t         *ctx;
    ngx_http_eventsync_task_t        *task;
    es_str_t                          type;
    es_str_t                          version;
    es_str_t                          who;        /* of lists */
    char                              after[ES_TYPE_NAME_MAX + 1];
    ngx_uint_t                        limit;
    es_lifetime_t                     lifetime;   /* of versions */
    es_pool_t                         pool;       /* of `feeds` */
    es_patterns_t                     feeds;      /* that it may know */
    es_patterns_t                    *seen;       /* or NULL: all */
} ngx_http_eventsync_catalogue_t;


static void ngx_http_eventsync_catalogue_cleanup(void *data);
static void ngx_http_eventsync_catalogue_run(
    ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_catalogue_answer(
    ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_catalogue_fail(
    ngx_http_eventsync_catalogue_t *cat);
static ngx_int_t ngx_http_eventsync_catalogue_headers(
    ngx_http_eventsync_catalogue_t *cat);
static void ngx_http_eventsync_catalogue_etag(
    ngx_http_eventsync_catalogue_t *cat);


static ngx_str_t  ngx_http_eventsync_catalogue_schema =
    ngx_string("application/schema+json");

static ngx_str_t  ngx_http_eventsync_catalogue_immutable =
    ngx_string("private, max-age=31536000, immutable");


static ngx_str_t  ngx_http_eventsync_catalogue_vary = ngx_string("Vary");
static ngx_str_t  ngx_http_eventsync_catalogue_by_credential =
    ngx_string("Authorization");


/* the data of the route is the number of names: type, and version */

ngx_int_t
ngx_http_eventsync_catalogue_parse(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_pool_cleanup_t              *cln;
    ngx_http_eventsync_task_t       *task;
    ngx_http_eventsync_catalogue_t  *cat;

    cat = ngx_pcalloc(ctx->request->pool,
                      sizeof(ngx_http_eventsync_catalogue_t));
    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
    task = ngx_http_eventsync_task_create(ctx,
                                          NGX_HTTP_EVENTSYNC_WORK_MANAGE);

    if (cat == NULL || cln == NULL || task == NULL) {
        return NGX_DECLINED;
    }

    cln->handler = ngx_http_eventsync_catalogue_cleanup;
    cln->data = cat;

    task->run = ngx_http_eventsync_catalogue_run;
    task->answer = ngx_http_eventsync_catalogue_answer;
    task->data = cat;

    cat->ctx = ctx;
    cat->task = task;

    if (ctx->data > 0) {
        cat->type = ngx_http_eventsync_str(&ctx->segments[0]);
    }

    if (ctx->data > 1) {
        cat->version = ngx_http_eventsync_str(&ctx->segments[1]);
    }

    if (ctx->args == NULL) {
        return NGX_OK;
    }

    cat->limit = ctx->args->limit;

    return NGX_OK;
}


static void
ngx_http_eventsync_catalogue_cleanup(void *data)
{
    ngx_http_eventsync_catalogue_t  *cat = data;

    es_pool_free(&cat->pool);
}


ngx_int_t
ngx_http_eventsync_catalogue(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t                        rc;
    ngx_http_eventsync_catalogue_t  *cat;

    cat = ctx->task->data;
    cat->who = ngx_http_eventsync_str(&ctx->partner_name);

    if (ctx->args && ctx->args->has_list_after
        && es_catalogue_after(cat->who,
                              ngx_http_eventsync_str(&ctx->args->list_after),
                              cat->after)
           != ES_OK)
    {
        (void) ngx_http_eventsync_bad_after(ctx);
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (ctx->conf->auth != NGX_HTTP_EVENTSYNC_AUTH_OFF) {

        if (es_scope_feeds(ctx->grant,
                           ctx->token ? &ctx->token->jwt.scope : NULL,
                           &cat->pool, &cat->feeds)
            != ES_OK)
        {
            (void) ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
            return ngx_http_eventsync_send_problem(ctx);
        }

        cat->seen = &cat->feeds;
    }

    rc = ngx_http_eventsync_task_post(ctx->task);

    return (rc == NGX_DECLINED) ? ngx_http_eventsync_send_problem(ctx) : rc;
}


static void
ngx_http_eventsync_catalogue_run(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_catalogue_t  *cat = task->data;

    if (cat->version.data) {
        task->rc = es_catalogue_get(task->es, cat->type, cat->version,
                                    cat->seen, &task->out, &cat->lifetime);

    } else if (cat->type.data) {
        task->rc = es_catalogue_type(task->es, cat->type, cat->seen,
                                     &task->out);

    } else {
        task->rc = es_catalogue_list(task->es, cat->who,
                                     es_str(cat->after), cat->limit,
                                     cat->seen, &task->out);
    }
}


static ngx_int_t
ngx_http_eventsync_catalogue_answer(ngx_http_eventsync_task_t *task)
{
    ngx_buf_t                       *b;
    ngx_http_request_t              *r;
    ngx_http_eventsync_ctx_t        *ctx;
    ngx_http_eventsync_catalogue_t  *cat;

    cat = task->data;
    ctx = task->ctx;
    r = ctx->request;

    /* the permission may have been revoked meanwhile */

    if (ngx_http_eventsync_permit(ctx) != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (task->rc == ES_OK) {
        ngx_http_eventsync_catalogue_etag(cat);

        if (ngx_http_eventsync_etag_matches(ctx)) {

            if (ngx_http_eventsync_catalogue_headers(cat) != NGX_OK
                || ngx_http_eventsync_limit_headers(ctx) != NGX_OK)
            {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }

            return ngx_http_eventsync_send_unchanged(r);
        }
    }

    if (ngx_http_eventsync_catalogue_fail(cat) != NGX_OK
        || ngx_http_eventsync_room(ctx, task->out.len) != NGX_OK)
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    b = ngx_http_eventsync_memory_buf(r, task->out.data, task->out.len);

    if (b == NULL
        || ngx_http_eventsync_catalogue_headers(cat) != NGX_OK
        || ngx_http_eventsync_limit_headers(ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send(r, NGX_HTTP_OK,
                                   cat->version.data
                                   ? &ngx_http_eventsync_catalogue_schema
                                   : &ngx_http_eventsync_json_type, b);
}


static ngx_int_t
ngx_http_eventsync_catalogue_fail(ngx_http_eventsync_catalogue_t *cat)
{
    switch (cat->task->rc) {

    case ES_OK:
        return NGX_OK;

    case ES_NOT_FOUND:
        return ngx_http_eventsync_fail(cat->ctx, NGX_HTTP_EVENTSYNC_NOT_FOUND,
                                       cat->version.data
                                       ? "The catalogue does not have this "
                                         "version of the event type."
                                       : "The catalogue does not have this "
                                         "event type.");

    default:
        return ngx_http_eventsync_fail_store(cat->ctx, cat->task->rc);
    }
}


static ngx_int_t
ngx_http_eventsync_catalogue_headers(ngx_http_eventsync_catalogue_t *cat)
{
    ngx_http_request_t  *r;

    r = cat->ctx->request;

    if ((cat->version.data
         ? ngx_http_eventsync_cache_control(r,
                                      &ngx_http_eventsync_catalogue_immutable)
         : ngx_http_eventsync_revalidate(r))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* a client with two keys must not show the one what the other may see */

    if (ngx_http_eventsync_header(r, &ngx_http_eventsync_catalogue_vary,
                                  &ngx_http_eventsync_catalogue_by_credential)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_eventsync_etag_header(cat->ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_dates(cat->ctx->request,
                                    cat->lifetime.deprecated_ms,
                                    cat->lifetime.sunset_ms);
}


static void
ngx_http_eventsync_catalogue_etag(ngx_http_eventsync_catalogue_t *cat)
{
    u_char                    *p;
    const es_buf_t            *out;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = cat->ctx;
    out = &cat->task->out;
    p = ctx->etag_text;

    ctx->etag.data = p;
    ctx->etag.len = ngx_sprintf(p, "\"%016xL\"",
                                es_hash_long(out->data, out->len, 0))
                    - p;
}
