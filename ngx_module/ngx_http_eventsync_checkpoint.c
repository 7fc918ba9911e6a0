/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checkpoints: the positions that a partner's consumers have acknowledged. A
 * thread reads them, and writes share commits, see _checkpoint_commit.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_body.h"
#include "ngx_http_eventsync_checkpoint.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_task.h"

#include "base/base.h"
#include "checkpoint/checkpoint.h"
#include "limit/quota.h"
#include "registry/registry.h"


static ngx_int_t ngx_http_eventsync_checkpoint_read(
    ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_checkpoint_run(
    ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_checkpoint_done(
    ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_checkpoint_body(
    ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_checkpoint_resume(ngx_http_request_t *r);
static ngx_int_t ngx_http_eventsync_checkpoint_answer(
    ngx_http_eventsync_checkpoint_t *c);
static ngx_int_t ngx_http_eventsync_checkpoint_headers(
    ngx_http_eventsync_checkpoint_t *c);
static ngx_int_t ngx_http_eventsync_checkpoint_not_modified(
    ngx_http_eventsync_checkpoint_t *c);
static ngx_int_t ngx_http_eventsync_checkpoint_fail(
    ngx_http_eventsync_checkpoint_t *c);
static ngx_int_t ngx_http_eventsync_checkpoint_conflict(
    ngx_http_eventsync_checkpoint_t *c);
static ngx_int_t ngx_http_eventsync_checkpoint_gone(
    ngx_http_eventsync_checkpoint_t *c);
static void ngx_http_eventsync_checkpoint_cleanup(void *data);


/* the data of the route is the operation */

ngx_int_t
ngx_http_eventsync_checkpoint_parse(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_pool_cleanup_t               *cln;
    ngx_http_eventsync_checkpoint_t  *c;

    c = ngx_pcalloc(ctx->request->pool,
                    sizeof(ngx_http_eventsync_checkpoint_t));
    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);

    if (c == NULL || cln == NULL) {
        return NGX_DECLINED;
    }

    cln->handler = ngx_http_eventsync_checkpoint_cleanup;
    cln->data = c;

    c->ctx = ctx;
    c->job.op = ctx->data;
    c->job.feed = ngx_http_eventsync_str(&ctx->feed);

    if (c->job.op != ES_CHECKPOINT_LIST) {
        c->job.consumer = ngx_http_eventsync_str(&ctx->segments[1]);
    }

    ctx->checkpoint = c;

    return NGX_OK;
}


ngx_int_t
ngx_http_eventsync_checkpoint(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t   *r;
    es_checkpoint_job_t  *job;

    r = ctx->request;
    job = &ctx->checkpoint->job;

    job->partner = ctx->partner;

    if (job->op != ES_CHECKPOINT_PUT && job->op != ES_CHECKPOINT_REMOVE) {
        return ngx_http_eventsync_checkpoint_read(ctx);
    }

    job->max = ctx->grant->partner->quotas[ES_QUOTA_CONSUMERS];

    r->write_event_handler = ngx_http_eventsync_checkpoint_resume;

    if (ngx_http_eventsync_checkpoint_body(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_eventsync_checkpoint_commit(ctx);

    r->main->count++;

    return NGX_DONE;
}


static ngx_int_t
ngx_http_eventsync_checkpoint_read(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_task_t  *task;

    task = ngx_http_eventsync_task_create(ctx,
                                          NGX_HTTP_EVENTSYNC_WORK_MANAGE);
    if (task == NULL) {
        return NGX_DECLINED;
    }

    task->run = ngx_http_eventsync_checkpoint_run;
    task->answer = ngx_http_eventsync_checkpoint_done;
    task->data = ctx->checkpoint;

    return ngx_http_eventsync_task_post(task);
}


static void
ngx_http_eventsync_checkpoint_run(ngx_http_eventsync_task_t *task)
{
    es_checkpoint_job_t              *job;
    ngx_http_eventsync_checkpoint_t  *c = task->data;

    job = &c->job;

    es_checkpoints(task->es, &job, 1);
}


static ngx_int_t
ngx_http_eventsync_checkpoint_done(ngx_http_eventsync_task_t *task)
{
    return ngx_http_eventsync_checkpoint_answer(task->data);
}


static ngx_int_t
ngx_http_eventsync_checkpoint_body(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t               rc;
    es_str_t              body;
    es_problem_t          problem;
    es_checkpoint_job_t  *job;

    job = &ctx->checkpoint->job;

    ngx_http_eventsync_condition(ctx, &job->condition);

    if (job->op == ES_CHECKPOINT_REMOVE) {
        return NGX_OK;
    }

    ngx_memzero(&body, sizeof(es_str_t));
    ngx_memzero(&problem, sizeof(es_problem_t));

    if (ngx_http_eventsync_body(ctx, &ngx_http_eventsync_json_type, &body)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    rc = es_checkpoint_body(body, job, &problem);

    if (rc == ES_OK) {
        return NGX_OK;
    }

    if (rc != ES_INVALID) {
        return ngx_http_eventsync_fail_store(ctx, rc);
    }

    if (problem.pointer[0]) {
        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_CURSOR,
                                       "Request body, \"cursor\": %s.",
                                       problem.detail);
    }

    return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_BODY,
                                   "Request body: %s.", problem.detail);
}


static void
ngx_http_eventsync_checkpoint_resume(ngx_http_request_t *r)
{
    ngx_http_eventsync_ctx_t         *ctx;
    ngx_http_eventsync_checkpoint_t  *c;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);
    c = ctx->checkpoint;

    if (r->aio || !c->done) {
        return;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_finalize_request(r, ngx_http_eventsync_checkpoint_answer(c));
}


static ngx_int_t
ngx_http_eventsync_checkpoint_answer(ngx_http_eventsync_checkpoint_t *c)
{
    ngx_buf_t                 *b;
    ngx_http_request_t        *r;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = c->ctx;
    r = ctx->request;

    ctx->etag.data = (u_char *) c->job.etag;
    ctx->etag.len = ES_CHECKPOINT_ETAG_LEN;

    if (c->job.op == ES_CHECKPOINT_GET
        && c->job.rc == ES_OK
        && ngx_http_eventsync_etag_matches(ctx))
    {
        return ngx_http_eventsync_checkpoint_not_modified(c);
    }

    if (c->job.rc != ES_OK) {
        (void) ngx_http_eventsync_checkpoint_fail(c);
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (r->method == NGX_HTTP_GET
        && ngx_http_eventsync_room(ctx, c->job.out.len) != NGX_OK)
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    b = ngx_http_eventsync_memory_buf(r, c->job.out.data, c->job.out.len);

    if (b == NULL
        || ngx_http_eventsync_checkpoint_headers(c) != NGX_OK
        || ngx_http_eventsync_limit_headers(ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (c->job.op == ES_CHECKPOINT_REMOVE) {
        r->headers_out.status = NGX_HTTP_NO_CONTENT;
        r->header_only = 1;

        return ngx_http_eventsync_send_header(r);
    }

    return ngx_http_eventsync_send(r, c->job.created ? NGX_HTTP_CREATED
                                                     : NGX_HTTP_OK,
                                   &ngx_http_eventsync_json_type, b);
}


static ngx_int_t
ngx_http_eventsync_checkpoint_headers(ngx_http_eventsync_checkpoint_t *c)
{
    ngx_http_request_t  *r;

    r = c->ctx->request;

    /* the lag changes while the ETag does not: a cache must not store it */

    if (ngx_http_eventsync_no_store(r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (c->job.op != ES_CHECKPOINT_GET && c->job.op != ES_CHECKPOINT_PUT) {
        return NGX_OK;
    }

    return ngx_http_eventsync_etag_header(c->ctx);
}


static ngx_int_t
ngx_http_eventsync_checkpoint_not_modified(ngx_http_eventsync_checkpoint_t *c)
{
    if (ngx_http_eventsync_checkpoint_headers(c) != NGX_OK
        || ngx_http_eventsync_limit_headers(c->ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send_unchanged(c->ctx->request);
}


static ngx_int_t
ngx_http_eventsync_checkpoint_fail(ngx_http_eventsync_checkpoint_t *c)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = c->ctx;

    switch (c->job.rc) {

    case ES_NOT_FOUND:

        if (c->job.found.number == 0) {
            return ngx_http_eventsync_fail_store(ctx, ES_NOT_FOUND);
        }

        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_NOT_FOUND,
                                       "The checkpoint does not exist.");

    case ES_INVALID:
        return ngx_http_eventsync_fail(ctx,
                                       NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                       "A consumer name must have 1 to %d "
                                       "characters of a-z, 0-9, \"-\" and "
                                       "\"_\", and must begin with a letter "
                                       "or digit.", ES_FEED_MAX);

    case ES_CONFLICT:
        return ngx_http_eventsync_checkpoint_conflict(c);

    case ES_AHEAD:
        return ngx_http_eventsync_check(ctx, &c->job.found, &c->job.cursor);

    case ES_EXPIRED:
    case ES_RESET:
        return ngx_http_eventsync_checkpoint_gone(c);

    default:
        return ngx_http_eventsync_fail_store(ctx, c->job.rc);
    }
}


static ngx_int_t
ngx_http_eventsync_checkpoint_conflict(ngx_http_eventsync_checkpoint_t *c)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = c->ctx;

    switch (c->job.conflict) {

    case ES_CHECKPOINT_MANY:
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_TOO_MANY,
                                       "The partner already has %uL "
                                       "checkpoints.", c->job.max);

        return ngx_http_eventsync_quota(ctx,
                                     es_quota_rules[ES_QUOTA_CONSUMERS].name,
                                     c->job.max);

    case ES_CHECKPOINT_BEHIND:
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_CHECKPOINT_BEHIND,
                                     "The checkpoint is already ahead of this "
                                     "cursor; only \"rewind\" moves it back.");
        break;

    default:
        (void) ngx_http_eventsync_fail(ctx,
                                    NGX_HTTP_EVENTSYNC_PRECONDITION_FAILED,
                                    "The checkpoint does not satisfy "
                                    "If-Match or If-None-Match.");
    }

    return c->job.current[0]
           ? ngx_http_eventsync_members(ctx, ES_CURSOR_MAX + 16,
                                        ",\"current\":\"%s\"", c->job.current)
           : NGX_DECLINED;
}


/* a consumer that is too late continues by polling */

static ngx_int_t
ngx_http_eventsync_checkpoint_gone(ngx_http_eventsync_checkpoint_t *c)
{
    u_char                    *p;
    ngx_str_t                  path;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = c->ctx;

    (void) ngx_http_eventsync_check(ctx, &c->job.found, &c->job.cursor);

    path.len = ctx->feed.data + ctx->feed.len - ctx->request->uri.data;

    p = ngx_pnalloc(ctx->request->pool, path.len + sizeof("/events") - 1);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    path.data = p;
    p = ngx_cpymem(p, ctx->request->uri.data, path.len);
    ngx_memcpy(p, "/events", sizeof("/events") - 1);
    path.len += sizeof("/events") - 1;

    return ngx_http_eventsync_gone(ctx, &c->job.found, &c->job.cursor, &path);
}


static void
ngx_http_eventsync_checkpoint_cleanup(void *data)
{
    ngx_http_eventsync_checkpoint_t  *c = data;

    es_buf_free(&c->job.out);
}
