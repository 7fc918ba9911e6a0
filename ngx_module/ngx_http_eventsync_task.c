/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tasks for threads, which do all work that may take long or wait for a lock:
 * tasks of one request, and functions that all tasks share.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "base/reason.h"


static void ngx_http_eventsync_task_thread(void *data, ngx_log_t *log);
static void ngx_http_eventsync_task_event(ngx_event_t *ev);
static void ngx_http_eventsync_task_resume(ngx_http_request_t *r);
static void ngx_http_eventsync_task_cleanup(void *data);


ngx_http_eventsync_task_t *
ngx_http_eventsync_task_create(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_work_e kind)
{
    ngx_pool_cleanup_t         *cln;
    ngx_http_eventsync_task_t  *task;

    task = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_eventsync_task_t));
    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);

    if (task == NULL || cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_eventsync_task_cleanup;
    cln->data = task;

    task->ctx = ctx;
    task->es = ctx->worker->es;
    task->kind = kind;

    ctx->task = task;

    return task;
}


ngx_int_t
ngx_http_eventsync_task_post(ngx_http_eventsync_task_t *task)
{
    ngx_int_t                  rc;
    ngx_thread_task_t         *t;
    ngx_http_request_t        *r;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = task->ctx;
    r = ctx->request;

    t = ngx_thread_task_alloc(r->pool, 0);
    if (t == NULL) {
        return NGX_DECLINED;
    }

    t->ctx = task;
    t->handler = ngx_http_eventsync_task_thread;
    t->event.handler = ngx_http_eventsync_task_event;
    t->event.data = task;
    t->event.log = r->connection->log;

    rc = ngx_http_eventsync_work(ctx, task->kind, t);
    if (rc != NGX_OK) {
        return rc;
    }

    r->write_event_handler = ngx_http_eventsync_task_resume;
    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_eventsync_task_thread(void *data, ngx_log_t *log)
{
    ngx_http_eventsync_task_t  *task = data;

    task->run(task);

    es_reason_take(&task->reason);
}


static void
ngx_http_eventsync_task_event(ngx_event_t *ev)
{
    ngx_http_eventsync_task_t  *task = ev->data;

    if (ngx_http_eventsync_task_late(ev)) {
        return;
    }

    task->done = 1;

    es_reason_give(&task->reason);

    ngx_http_eventsync_task_unblock(task->ctx);
}


static void
ngx_http_eventsync_task_resume(ngx_http_request_t *r)
{
    ngx_http_eventsync_ctx_t   *ctx;
    ngx_http_eventsync_task_t  *task;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);
    task = ctx->task;

    if (r->aio || !task->done) {
        return;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_finalize_request(r, task->answer(task));
}


/* answers with the JSON object that the thread has written */

ngx_int_t
ngx_http_eventsync_task_json(ngx_http_eventsync_task_t *task)
{
    ngx_buf_t                 *b;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = task->ctx;

    /* the permission may have been revoked meanwhile */

    if (ngx_http_eventsync_permit(ctx) != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (task->rc != ES_OK) {
        (void) ngx_http_eventsync_fail_store(ctx, task->rc);
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (ngx_http_eventsync_room(ctx, task->out.len) != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    b = ngx_http_eventsync_memory_buf(ctx->request, task->out.data,
                                      task->out.len);

    return ngx_http_eventsync_send_json(ctx, NGX_HTTP_OK, b);
}


static void
ngx_http_eventsync_task_cleanup(void *data)
{
    ngx_http_eventsync_task_t  *task = data;

    es_buf_free(&task->out);
}


/* a task is done: resume its request, or let it end */

void
ngx_http_eventsync_task_unblock(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_http_eventsync_work_done(ctx);

    r->main->blocked--;
    r->aio = 0;

    /* if the request was terminated meanwhile, this is nginx's finaliser */

    r->write_event_handler(r);

    ngx_http_run_posted_requests(c);
}


/* whether only the timer has expired, and the task still runs */

ngx_uint_t
ngx_http_eventsync_task_late(ngx_event_t *ev)
{
    if (ev->timedout) {
        ev->timedout = 0;
        ngx_add_timer(ev, NGX_HTTP_EVENTSYNC_TASK_TIME);
        return 1;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    return 0;
}
