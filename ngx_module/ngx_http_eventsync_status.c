/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Status: how a partner's endpoints and feeds are doing. A thread reads it. The
 * worker gives the same answer again for a second, so that any number of
 * dashboards cost one read in a second.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_status.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_worker.h"

#include <openssl/sha.h>

#include "base/base.h"
#include "manage/partner_status.h"
#include "token/scope.h"


#define NGX_HTTP_EVENTSYNC_STATUS_TIME  1000      /* ms */
#define NGX_HTTP_EVENTSYNC_STATUS_MAX   262144    /* bytes remembered of one */


typedef struct {
    es_partner_status_t               query;
    u_char                            digest[ES_DIGEST_LEN];
    unsigned                          examined;
} ngx_http_eventsync_asked_t;


static ngx_int_t ngx_http_eventsync_status_digest(
    ngx_http_eventsync_ctx_t *ctx, u_char *digest);
static ngx_http_eventsync_status_t *ngx_http_eventsync_status_place(
    ngx_http_eventsync_ctx_t *ctx, u_char *digest);
static ngx_int_t ngx_http_eventsync_status_again(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_status_t *status);
static bool ngx_http_eventsync_status_reads(void *data, es_str_t feed);
static void ngx_http_eventsync_status_run(ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_status_answer(
    ngx_http_eventsync_task_t *task);
static void ngx_http_eventsync_status_remember(
    ngx_http_eventsync_task_t *task);
static void ngx_http_eventsync_status_forget(
    ngx_http_eventsync_status_t *status);


ngx_int_t
ngx_http_eventsync_status(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_http_eventsync_task_t    *task;
    ngx_http_eventsync_asked_t   *asked;
    ngx_http_eventsync_status_t  *status;

    asked = ngx_pcalloc(ctx->request->pool,
                        sizeof(ngx_http_eventsync_asked_t));
    if (asked == NULL
        || ngx_http_eventsync_status_digest(ctx, asked->digest) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    status = ngx_http_eventsync_status_place(ctx, asked->digest);

    if (status->text.data
        && ngx_current_msec - status->since < NGX_HTTP_EVENTSYNC_STATUS_TIME
        && ngx_memcmp(status->digest, asked->digest, ES_DIGEST_LEN) == 0)
    {
        return ngx_http_eventsync_status_again(ctx, status);
    }

    asked->query.partner = ngx_http_eventsync_str(&ctx->partner_name);
    asked->query.number = ctx->partner;
    asked->query.polls = ngx_http_eventsync_zone(ctx)->polls;
    asked->query.reads = ngx_http_eventsync_status_reads;
    asked->query.ctx = ctx;

    if (ngx_http_eventsync_narrow(ctx, &asked->query.narrow) != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    task = ngx_http_eventsync_task_create(ctx,
                                          NGX_HTTP_EVENTSYNC_WORK_MANAGE);
    if (task == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    task->run = ngx_http_eventsync_status_run;
    task->answer = ngx_http_eventsync_status_answer;
    task->data = asked;

    rc = ngx_http_eventsync_task_post(task);

    return (rc == NGX_DECLINED) ? ngx_http_eventsync_send_problem(ctx) : rc;
}


/* credentials with the same key and scope see the same */

static ngx_int_t
ngx_http_eventsync_status_digest(ngx_http_eventsync_ctx_t *ctx, u_char *digest)
{
    es_rc_t   rc;
    es_buf_t  buf = { 0 };

    rc = es_buf_append(&buf, ctx->grant->id, ES_KEYID_LEN);

    if (rc == ES_OK && ctx->token) {
        rc = es_scope_print(&ctx->token->jwt.scope, &buf);
    }

    if (rc == ES_OK) {
        (void) SHA256((u_char *) buf.data, buf.len, digest);
    }

    es_buf_free(&buf);

    return (rc == ES_OK) ? NGX_OK : NGX_ERROR;
}


static ngx_http_eventsync_status_t *
ngx_http_eventsync_status_place(ngx_http_eventsync_ctx_t *ctx, u_char *digest)
{
    return &ctx->worker->statuses[digest[0] % NGX_HTTP_EVENTSYNC_STATUSES];
}


static ngx_int_t
ngx_http_eventsync_status_again(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_status_t *status)
{
    u_char     *p;
    ngx_buf_t  *b;

    if (ngx_http_eventsync_room(ctx, status->text.len) != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    p = ngx_pnalloc(ctx->request->pool, status->text.len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_memcpy(p, status->text.data, status->text.len);

    b = ngx_http_eventsync_memory_buf(ctx->request, p, status->text.len);

    return ngx_http_eventsync_send_json(ctx, NGX_HTTP_OK, b);
}


/* the thread may read what the key was granted, which does not change */

static bool
ngx_http_eventsync_status_reads(void *data, es_str_t feed)
{
    return ngx_http_eventsync_may_read(data, feed);
}


static void
ngx_http_eventsync_status_run(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_asked_t  *asked;

    asked = task->data;

    task->rc = es_partner_status(task->es, &asked->query, &task->out,
                                 &asked->examined);
}


static ngx_int_t
ngx_http_eventsync_status_answer(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_ctx_t    *ctx;
    ngx_http_eventsync_asked_t  *asked;

    ctx = task->ctx;
    asked = task->data;

    ngx_http_eventsync_limit_examined(ctx, asked->examined);

    if (task->rc == ES_OK) {
        ngx_http_eventsync_status_remember(task);
    }

    return ngx_http_eventsync_task_json(task);
}


/* without memory, the next request reads the status again */

static void
ngx_http_eventsync_status_remember(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_ctx_t     *ctx;
    ngx_http_eventsync_asked_t   *asked;
    ngx_http_eventsync_status_t  *status;

    ctx = task->ctx;
    asked = task->data;
    status = ngx_http_eventsync_status_place(ctx, asked->digest);

    ngx_http_eventsync_status_forget(status);

    if (task->out.len > NGX_HTTP_EVENTSYNC_STATUS_MAX) {
        return;
    }

    status->text.data = ngx_alloc(task->out.len,
                                  ctx->request->connection->log);
    if (status->text.data == NULL) {
        return;
    }

    ngx_memcpy(status->text.data, task->out.data, task->out.len);
    status->text.len = task->out.len;

    ngx_memcpy(status->digest, asked->digest, ES_DIGEST_LEN);
    status->since = ngx_current_msec;
}


static void
ngx_http_eventsync_status_forget(ngx_http_eventsync_status_t *status)
{
    if (status->text.data) {
        ngx_free(status->text.data);
        ngx_str_null(&status->text);
    }
}


void
ngx_http_eventsync_status_free(ngx_http_eventsync_worker_t *w)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_EVENTSYNC_STATUSES; i++) {
        ngx_http_eventsync_status_forget(&w->statuses[i]);
    }
}
