/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Operator: how all partners and the store are doing. A thread reads it. A store
 * has one thread of this kind in a worker, so the view of all partners, which
 * the worker keeps, is used by one task at a time.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_operator.h"
#include "ngx_http_eventsync_pages.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "inspect/partners.h"
#include "log/store_clock.h"


typedef struct {
    ngx_uint_t                        what;       /* ..._operator_e */
    es_partners_t                    *partners;
    es_partners_source_t              source;
    es_partners_query_t               query;
    es_str_t                          name;       /* of one partner */
} ngx_http_eventsync_operator_t;


static ngx_int_t ngx_http_eventsync_operator_list(
    ngx_http_eventsync_ctx_t *ctx, es_partners_query_t *q);
static void ngx_http_eventsync_operator_limits(void *data, uint32_t partner,
    es_partner_limits_t *limits);
static void ngx_http_eventsync_operator_run(ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_operator_answer(
    ngx_http_eventsync_task_t *task);


ngx_int_t
ngx_http_eventsync_operator_parse(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_task_t      *task;
    ngx_http_eventsync_operator_t  *op;

    op = ngx_pcalloc(ctx->request->pool,
                     sizeof(ngx_http_eventsync_operator_t));
    task = ngx_http_eventsync_task_create(ctx,
                                          NGX_HTTP_EVENTSYNC_WORK_METRICS);

    if (ctx->worker->partners == NULL) {
        ctx->worker->partners = es_partners_create();
    }

    if (op == NULL || task == NULL || ctx->worker->partners == NULL) {
        return NGX_DECLINED;
    }

    task->run = ngx_http_eventsync_operator_run;
    task->answer = ngx_http_eventsync_operator_answer;
    task->data = op;

    op->what = ctx->data;
    op->partners = ctx->worker->partners;
    op->source.store = task->es;
    op->source.pages = ctx->worker->pages ? ctx->worker->pages->kept : NULL;
    op->source.limits = ngx_http_eventsync_operator_limits;
    op->source.ctx = ngx_http_eventsync_zone(ctx);
    op->source.polls = ngx_http_eventsync_zone(ctx)->polls;
    op->name = ngx_http_eventsync_str(&ctx->segments[0]);

    return ctx->args ? ngx_http_eventsync_operator_list(ctx, &op->query)
                     : NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_operator_list(ngx_http_eventsync_ctx_t *ctx,
    es_partners_query_t *q)
{
    ngx_str_t                   name;
    ngx_http_eventsync_args_t  *args;

    args = ctx->args;

    q->limit = args->limit;
    q->search = ngx_http_eventsync_str(&args->search);

    if (args->has_sort
        && es_sort_find(ngx_http_eventsync_str(&args->sort), &q->sort)
           != ES_OK)
    {
        ngx_str_set(&name, "sort");

        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"sort\" must be "
                                     "\"attention\", \"name\", \"lag\", "
                                     "\"failures\" or \"dead-letters\".");
        return ngx_http_eventsync_parameter(ctx, &name);
    }

    if (q->search.len > ES_FEED_MAX) {
        ngx_str_set(&name, "search");

        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"search\" has more than %d "
                                     "bytes.", ES_FEED_MAX);
        return ngx_http_eventsync_parameter(ctx, &name);
    }

    if (args->has_list_after
        && es_partners_after(q, ngx_http_eventsync_str(&args->list_after))
           != ES_OK)
    {
        return ngx_http_eventsync_bad_after(ctx);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_eventsync_operator(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_eventsync_task_post(ctx->task);

    return (rc == NGX_DECLINED) ? ngx_http_eventsync_send_problem(ctx) : rc;
}


static void
ngx_http_eventsync_operator_limits(void *data, uint32_t partner,
    es_partner_limits_t *limits)
{
    limits->policies = ngx_http_eventsync_limit_recent(data, partner,
                                                       &limits->refused);
}


static void
ngx_http_eventsync_operator_run(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_operator_t  *op;

    op = task->data;
    op->source.now_ms = es_store_ms(task->es);

    switch ((ngx_http_eventsync_operator_e) op->what) {

    case NGX_HTTP_EVENTSYNC_OPERATOR_PARTNERS:
        task->rc = es_partners_page(op->partners, &op->source, &op->query,
                                    &task->out);
        break;

    case NGX_HTTP_EVENTSYNC_OPERATOR_PARTNER:
        task->rc = es_partners_status(op->partners, &op->source, op->name,
                                      &task->out);
        break;

    case NGX_HTTP_EVENTSYNC_OPERATOR_STORE:
        task->rc = es_partners_store(op->partners, &op->source, &task->out);
        break;
    }
}


static ngx_int_t
ngx_http_eventsync_operator_answer(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = task->ctx;

    if (task->rc == ES_NOT_FOUND) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_NOT_FOUND,
                                       "The partner does not exist.");
        return ngx_http_eventsync_send_problem(ctx);
    }

    return ngx_http_eventsync_task_json(task);
}
