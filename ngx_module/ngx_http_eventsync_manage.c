/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Endpoints: a partner manages its own. A thread writes the registry and reads
 * delivery state.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_body.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_worker.h"

#include "delivery/list_position.h"
#include "event/cursor.h"
#include "keys/apikey.h"
#include "manage/manage.h"
#include "registry/configured.h"
#include "registry/registry.h"


#define NGX_HTTP_EVENTSYNC_MANAGE_RETRY  10       /* seconds */


typedef struct {
    ngx_http_eventsync_ctx_t         *ctx;
    es_manage_t                       manage;
    es_manage_result_t                managed;
    es_problem_t                      problem;
    const char                       *config;     /* its digest; NULL: the
                                                     task only reads, and must
                                                     not wait for writers */
} ngx_http_eventsync_managing_t;


static ngx_int_t ngx_http_eventsync_manage_by(ngx_http_eventsync_ctx_t *ctx,
    es_str_t *by);
static ngx_int_t ngx_http_eventsync_manage_from(ngx_http_eventsync_ctx_t *ctx,
    es_str_t *from);
static ngx_int_t ngx_http_eventsync_manage_after(
    ngx_http_eventsync_ctx_t *ctx, es_manage_t *manage);
static void ngx_http_eventsync_manage_run(ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_manage_answer(
    ngx_http_eventsync_task_t *task);
static ngx_uint_t ngx_http_eventsync_manage_status(
    ngx_http_eventsync_managing_t *m);
static ngx_int_t ngx_http_eventsync_manage_headers(
    ngx_http_eventsync_managing_t *m);
static ngx_int_t ngx_http_eventsync_manage_undelivered(
    ngx_http_eventsync_managing_t *m);
static ngx_int_t ngx_http_eventsync_manage_not_modified(
    ngx_http_eventsync_managing_t *m);
static ngx_int_t ngx_http_eventsync_manage_location(
    ngx_http_eventsync_managing_t *m);
static ngx_int_t ngx_http_eventsync_manage_fail(
    ngx_http_eventsync_managing_t *m);
static ngx_int_t ngx_http_eventsync_manage_conflict(
    ngx_http_eventsync_managing_t *m);
static ngx_int_t ngx_http_eventsync_manage_refused(
    ngx_http_eventsync_managing_t *m, ngx_http_eventsync_problem_e type);
static ngx_int_t ngx_http_eventsync_manage_waiting(
    ngx_http_eventsync_managing_t *m);
static ngx_int_t ngx_http_eventsync_manage_pointer(
    ngx_http_eventsync_managing_t *m);


/* the data of the route is the operation */

ngx_int_t
ngx_http_eventsync_manage_parse(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_task_t      *task;
    ngx_http_eventsync_managing_t  *m;

    m = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_eventsync_managing_t));
    task = ngx_http_eventsync_task_create(ctx,
                                          NGX_HTTP_EVENTSYNC_WORK_MANAGE);

    if (m == NULL || task == NULL) {
        return NGX_DECLINED;
    }

    task->run = ngx_http_eventsync_manage_run;
    task->answer = ngx_http_eventsync_manage_answer;
    task->data = m;

    m->ctx = ctx;
    m->manage.op = ctx->data;
    m->manage.endpoint = ngx_http_eventsync_str(&ctx->segments[0]);

    if (ctx->args) {
        m->manage.limit = ctx->args->limit;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_eventsync_manage(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_managing_t  *m;

    m = ctx->task->data;
    m->config = (ctx->request->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
                ? NULL : ctx->worker->config;
    m->manage.partner = ngx_http_eventsync_str(&ctx->partner_name);
    m->manage.key = ctx->key.id;
    m->manage.reads = ngx_http_eventsync_has(ctx, ES_SCOPE_READ);

    if (ngx_http_eventsync_manage_after(ctx, &m->manage) != NGX_OK
        || ngx_http_eventsync_narrow(ctx, &m->manage.narrow) != NGX_OK
        || ngx_http_eventsync_manage_by(ctx, &m->manage.by) != NGX_OK
        || ngx_http_eventsync_manage_from(ctx, &m->manage.from) != NGX_OK
        || ngx_http_eventsync_body(ctx, &ngx_http_eventsync_json_type,
                                   &m->manage.body)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (m->manage.op == ES_MANAGE_CHANGE || m->manage.op == ES_MANAGE_REMOVE) {
        ngx_http_eventsync_condition(ctx, &m->manage.condition);
    }

    return ngx_http_eventsync_task_post(ctx->task);
}


/* copied for the thread */

static ngx_int_t
ngx_http_eventsync_manage_by(ngx_http_eventsync_ctx_t *ctx, es_str_t *by)
{
    u_char  *p;

    p = ngx_pnalloc(ctx->request->pool, sizeof("key ") + ES_KEYID_LEN);
    if (p == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    by->data = (char *) p;
    if (ctx->grant->number) {
        p = ngx_sprintf(p, "key %*s", (size_t) ES_KEYID_LEN, ctx->grant->id);

    } else {
        p = ngx_sprintf(p, "issuer token");
    }

    *p = '\0';
    by->len = p - (u_char *) by->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_manage_from(ngx_http_eventsync_ctx_t *ctx, es_str_t *from)
{
    u_char     *p;
    ngx_str_t  *addr;

    addr = &ctx->request->connection->addr_text;

    p = ngx_pnalloc(ctx->request->pool, addr->len + 1);
    if (p == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    from->data = (char *) p;
    from->len = addr->len;
    *ngx_cpymem(p, addr->data, addr->len) = '\0';

    return NGX_OK;
}


/* a token belongs to the partner, who is known only now; no work was done */

static ngx_int_t
ngx_http_eventsync_manage_after(ngx_http_eventsync_ctx_t *ctx,
    es_manage_t *manage)
{
    if (ctx->args == NULL
        || !ctx->args->has_list_after
        || es_manage_after(manage,
                           ngx_http_eventsync_str(&ctx->args->list_after))
           == ES_OK)
    {
        return NGX_OK;
    }

    return ngx_http_eventsync_bad_after(ctx);
}


static void
ngx_http_eventsync_manage_run(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_managing_t  *m = task->data;

    if (m->config) {
        (void) es_configured(task->es, m->config);
    }

    task->rc = es_manage(task->es, &m->manage, &m->managed, &m->problem);
    task->out = m->managed.out;
}


static ngx_int_t
ngx_http_eventsync_manage_answer(ngx_http_eventsync_task_t *task)
{
    ngx_buf_t                      *b;
    ngx_http_request_t             *r;
    ngx_http_eventsync_ctx_t       *ctx;
    ngx_http_eventsync_managing_t  *m;

    m = task->data;
    ctx = task->ctx;
    r = ctx->request;

    ctx->etag.data = (u_char *) m->managed.etag;
    ctx->etag.len = ngx_strlen(m->managed.etag);

    ngx_http_eventsync_limit_examined(ctx, m->managed.examined);

    if (m->manage.op == ES_MANAGE_SHOW
        && task->rc == ES_OK && ngx_http_eventsync_etag_matches(ctx))
    {
        ngx_http_eventsync_limit_refund(ctx);

        return ngx_http_eventsync_manage_not_modified(m);
    }

    if (task->rc != ES_OK) {
        (void) ngx_http_eventsync_manage_fail(m);
        return ngx_http_eventsync_send_problem(ctx);
    }

    /* what was changed must be reported, and is no list */

    if (r->method == NGX_HTTP_GET
        && ngx_http_eventsync_room(ctx, task->out.len) != NGX_OK)
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    b = ngx_http_eventsync_memory_buf(r, task->out.data, task->out.len);

    if (b == NULL
        || ngx_http_eventsync_manage_headers(m) != NGX_OK
        || ngx_http_eventsync_limit_headers(ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (m->manage.op == ES_MANAGE_REMOVE) {
        r->headers_out.status = NGX_HTTP_NO_CONTENT;
        r->header_only = 1;

        return ngx_http_eventsync_send_header(r);
    }

    return ngx_http_eventsync_send(r, ngx_http_eventsync_manage_status(m),
                                   &ngx_http_eventsync_json_type, b);
}


static ngx_uint_t
ngx_http_eventsync_manage_status(ngx_http_eventsync_managing_t *m)
{
    switch (m->manage.op) {

    case ES_MANAGE_CREATE:
        return NGX_HTTP_CREATED;

    case ES_MANAGE_REPLAY:
    case ES_MANAGE_RESEND:
    case ES_MANAGE_REDRIVE:
    case ES_MANAGE_TEST:
        return NGX_HTTP_ACCEPTED;

    default:
        return m->managed.later ? NGX_HTTP_ACCEPTED : NGX_HTTP_OK;
    }
}


static ngx_int_t
ngx_http_eventsync_manage_headers(ngx_http_eventsync_managing_t *m)
{
    ngx_http_request_t  *r;

    r = m->ctx->request;

    if ((m->manage.op == ES_MANAGE_SHOW ? ngx_http_eventsync_revalidate(r)
                                        : ngx_http_eventsync_no_store(r))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (m->manage.op == ES_MANAGE_CREATE
        && ngx_http_eventsync_manage_location(m) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (m->manage.op == ES_MANAGE_REMOVE) {
        return ngx_http_eventsync_manage_undelivered(m);
    }

    if (m->manage.op != ES_MANAGE_SHOW
        && m->manage.op != ES_MANAGE_CREATE
        && m->manage.op != ES_MANAGE_CHANGE)
    {
        return NGX_OK;
    }

    return ngx_http_eventsync_etag_header(m->ctx);
}


/* the number of events that the endpoint had not received yet */

static ngx_int_t
ngx_http_eventsync_manage_undelivered(ngx_http_eventsync_managing_t *m)
{
    ngx_str_t  value;

    static ngx_str_t  name = ngx_string("Eventsync-Undelivered");

    value.data = ngx_pnalloc(m->ctx->request->pool, NGX_INT64_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_sprintf(value.data, "%uL", m->managed.count) - value.data;

    return ngx_http_eventsync_header(m->ctx->request, &name, &value);
}


static ngx_int_t
ngx_http_eventsync_manage_not_modified(ngx_http_eventsync_managing_t *m)
{
    if (ngx_http_eventsync_manage_headers(m) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send_unchanged(m->ctx->request);
}


static ngx_int_t
ngx_http_eventsync_manage_location(ngx_http_eventsync_managing_t *m)
{
    u_char              *p;
    ngx_str_t            path, value;
    ngx_http_request_t  *r;

    static ngx_str_t  location = ngx_string("Location");

    r = m->ctx->request;

    if (ngx_http_eventsync_escape_path(r, &r->uri, &path) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(r->pool, path.len + 1 + ngx_strlen(m->managed.name));
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_sprintf(p, "%V/%s", &path, m->managed.name) - p;

    return ngx_http_eventsync_header(r, &location, &value);
}


static ngx_int_t
ngx_http_eventsync_manage_fail(ngx_http_eventsync_managing_t *m)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = m->ctx;

    switch (m->ctx->task->rc) {

    case ES_INVALID:
        return ngx_http_eventsync_manage_refused(m,
                                             NGX_HTTP_EVENTSYNC_INVALID_BODY);

    case ES_CONFLICT:
        return ngx_http_eventsync_manage_conflict(m);

    case ES_QUOTA:
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_TOO_MANY,
                                       "Request refused: %s.",
                                       m->problem.detail);

        return ngx_http_eventsync_quota(ctx, m->problem.quota,
                                        m->problem.limit);

    case ES_NOT_FOUND:
        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_NOT_FOUND,
                                       "The endpoint does not exist.");

    case ES_DENIED:

        if (m->managed.refusal == ES_REFUSED_FEEDS) {
            return ngx_http_eventsync_beyond(ctx, ES_SCOPE_MANAGE,
                                             m->problem.detail);
        }

        if (m->managed.refusal == ES_REFUSED_READ) {
            return ngx_http_eventsync_beyond(ctx, ES_SCOPE_READ,
                                             m->problem.detail);
        }

        if (m->managed.refusal == ES_REFUSED_KEY) {
            return ngx_http_eventsync_unauthorized(ctx, 1, "The key is expired "
                                                   "or revoked.");
        }

        ngx_log_error(NGX_LOG_CRIT, ctx->request->connection->log, 0,
                      "eventsync: %s", m->problem.detail);
        /* fall through */

    default:
        return ngx_http_eventsync_fail_store(ctx, m->ctx->task->rc);
    }
}


static ngx_int_t
ngx_http_eventsync_manage_conflict(ngx_http_eventsync_managing_t *m)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = m->ctx;

    if (m->managed.refusal == ES_REFUSED_UNMET) {
        return ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_PRECONDITION_FAILED,
                                     "The endpoint's ETag does not satisfy "
                                     "If-Match or If-None-Match.");
    }

    if (m->managed.refusal == ES_REFUSED_COUNT) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_COUNT_MISMATCH,
                                       "Request refused: %s.",
                                       m->problem.detail);

        return ngx_http_eventsync_members(ctx, 64, ",\"count\":%uL",
                                          m->managed.count);
    }

    if (m->managed.refusal == ES_REFUSED_WAITING) {
        return ngx_http_eventsync_manage_waiting(m);
    }

    return ngx_http_eventsync_manage_refused(m,
                                   m->managed.refusal == ES_REFUSED_UNVERIFIED
                                   ? NGX_HTTP_EVENTSYNC_UNVERIFIED
                                   : m->managed.refusal == ES_REFUSED_STANDS
                                   ? NGX_HTTP_EVENTSYNC_NOT_STANDING
                                   : NGX_HTTP_EVENTSYNC_IN_USE);
}


static ngx_int_t
ngx_http_eventsync_manage_refused(ngx_http_eventsync_managing_t *m,
    ngx_http_eventsync_problem_e type)
{
    (void) ngx_http_eventsync_fail(m->ctx, type, "Request refused: %s.",
                                   m->problem.detail);

    return ngx_http_eventsync_manage_pointer(m);
}


/* a running dispatcher takes all requests within a second */

static ngx_int_t
ngx_http_eventsync_manage_waiting(ngx_http_eventsync_managing_t *m)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = m->ctx;

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_QUOTA_EXCEEDED,
                                   "Request refused: %s.", m->problem.detail);

    if (ctx->problem) {
        ctx->problem->retry_after = NGX_HTTP_EVENTSYNC_MANAGE_RETRY;
    }

    if (m->problem.quota) {
        (void) ngx_http_eventsync_quota(ctx, m->problem.quota,
                                        m->problem.limit);
    }

    return ngx_http_eventsync_members(ctx, 64,
                                      ",\"violated-policies\":[\"requests\"]");
}


/* the member of the body that was refused, whose name can be anything */

static ngx_int_t
ngx_http_eventsync_manage_pointer(ngx_http_eventsync_managing_t *m)
{
    u_char                    *p;
    size_t                     len;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = m->ctx;
    len = ngx_strlen(m->problem.pointer);

    p = ngx_pnalloc(ctx->request->pool, len * 6 + 1);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    *(u_char *) ngx_escape_json(p, (u_char *) m->problem.pointer, len) = '\0';

    return len ? ngx_http_eventsync_members(ctx, len * 6 + 64,
                                            ",\"pointer\":\"%s\"", p)
               : NGX_DECLINED;
}
