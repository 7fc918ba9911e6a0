/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checkpoints share commits as publishes do: one task at a time for each
 * worker and store, and all that comes while it runs goes into the next one.
 * What is only read has a task of its own: it waits for no disk.
 */


#include "ngx_http_eventsync.h"


typedef struct {
    ngx_http_eventsync_worker_t      *worker;
    ngx_http_eventsync_keep_t        *keep;
    es_store_t                       *es;
    ngx_int_t                         ident;      /* after 3 pointers, as in
                                                     ngx_connection_t */
    es_checkpoint_job_t             **jobs;
    size_t                            n;
    size_t                            cap;
    es_reason_t                       reason;
} ngx_http_eventsync_keeping_t;


static ngx_int_t ngx_http_eventsync_keep_start(
    ngx_http_eventsync_worker_t *w, ngx_http_eventsync_keep_t *keep);
static ngx_int_t ngx_http_eventsync_keep_add(
    ngx_http_eventsync_keeping_t *keeping, es_checkpoint_job_t *job);
static void ngx_http_eventsync_keep_move(ngx_queue_t *to, ngx_queue_t *from);
static void ngx_http_eventsync_keep_thread(void *data, ngx_log_t *log);
static void ngx_http_eventsync_keep_event(ngx_event_t *ev);
static void ngx_http_eventsync_keep_done(ngx_queue_t *queue, es_rc_t rc);


ngx_int_t
ngx_http_eventsync_keep_init(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle)
{
    ngx_uint_t                     i;
    ngx_thread_task_t             *task;
    ngx_http_eventsync_keep_t     *keep;
    ngx_http_eventsync_keeping_t  *keeping;

    for (i = 0; i < 2; i++) {
        keep = &w->keep[i];

        ngx_queue_init(&keep->next);
        ngx_queue_init(&keep->running);

        task = ngx_thread_task_alloc(cycle->pool,
                                     sizeof(ngx_http_eventsync_keeping_t));
        if (task == NULL) {
            return NGX_ERROR;
        }

        keeping = task->ctx;
        keeping->worker = w;
        keeping->keep = keep;
        keeping->ident = -1;

        task->handler = ngx_http_eventsync_keep_thread;
        task->event.handler = ngx_http_eventsync_keep_event;
        task->event.data = keeping;
        task->event.log = cycle->log;

        keep->task = task;
    }

    return NGX_OK;
}


/* the job joins the next task; NGX_DECLINED: it did not */

ngx_int_t
ngx_http_eventsync_keep(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_uint_t                    writes;
    es_checkpoint_op_t            op;
    ngx_http_eventsync_keep_t    *keep;
    ngx_http_eventsync_worker_t  *w;

    w = ctx->worker;
    op = ctx->checkpoint->job.op;

    writes = (op == ES_CHECKPOINT_PUT || op == ES_CHECKPOINT_REMOVE);
    keep = &w->keep[writes];

    ngx_queue_insert_tail(&keep->next, &ctx->checkpoint->queue);

    if (!keep->busy && ngx_http_eventsync_keep_start(w, keep) != NGX_OK) {
        ngx_queue_remove(&ctx->checkpoint->queue);

        return ngx_http_eventsync_fail_store(ctx, ES_BUSY);
    }

    ctx->request->main->blocked++;
    ctx->request->aio = 1;

    return NGX_OK;
}


/* all that is queued, on the pool of the last that is */

static ngx_int_t
ngx_http_eventsync_keep_start(ngx_http_eventsync_worker_t *w,
    ngx_http_eventsync_keep_t *keep)
{
    ngx_queue_t                      *q;
    ngx_thread_pool_t                *pool;
    ngx_http_eventsync_keeping_t     *keeping;
    ngx_http_eventsync_checkpoint_t  *checkpoint;

    keeping = keep->task->ctx;
    keeping->es = w->es;
    keeping->n = 0;
    pool = NULL;

    for (q = ngx_queue_head(&keep->next);
         q != ngx_queue_sentinel(&keep->next);
         q = ngx_queue_next(q))
    {
        checkpoint = ngx_queue_data(q, ngx_http_eventsync_checkpoint_t, queue);
        pool = checkpoint->ctx->conf->thread_pool;

        if (ngx_http_eventsync_keep_add(keeping, &checkpoint->job) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_thread_task_post(pool, keep->task) != NGX_OK) {
        return NGX_ERROR;
    }

    /* one that is lost is opened anew on this pool, see _commit */

    if (w->thread_pool == NULL) {
        w->thread_pool = pool;
    }

    /* the timer keeps a worker that is to exit until the task is done */

    ngx_add_timer(&keep->task->event, NGX_HTTP_EVENTSYNC_TASK_TIME);

    keep->busy = 1;

    ngx_http_eventsync_keep_move(&keep->running, &keep->next);

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_keep_add(ngx_http_eventsync_keeping_t *keeping,
    es_checkpoint_job_t *job)
{
    size_t                 cap;
    es_checkpoint_job_t  **jobs;

    if (keeping->n == keeping->cap) {
        cap = keeping->cap ? keeping->cap * 2 : 16;

        jobs = realloc(keeping->jobs, cap * sizeof(es_checkpoint_job_t *));
        if (jobs == NULL) {
            return NGX_ERROR;
        }

        keeping->jobs = jobs;
        keeping->cap = cap;
    }

    keeping->jobs[keeping->n++] = job;

    return NGX_OK;
}


static void
ngx_http_eventsync_keep_move(ngx_queue_t *to, ngx_queue_t *from)
{
    if (!ngx_queue_empty(from)) {
        ngx_queue_add(to, from);
        ngx_queue_init(from);
    }
}


static void
ngx_http_eventsync_keep_thread(void *data, ngx_log_t *log)
{
    ngx_http_eventsync_keeping_t  *keeping = data;

    es_checkpoints(keeping->es, keeping->jobs, keeping->n);

    es_reason_take(&keeping->reason);
}


static void
ngx_http_eventsync_keep_event(ngx_event_t *ev)
{
    ngx_http_eventsync_keeping_t  *keeping = ev->data;

    ngx_queue_t                   done, failed;
    ngx_http_eventsync_keep_t    *keep;
    ngx_http_eventsync_worker_t  *w;

    if (ngx_http_eventsync_task_late(ev)) {
        return;
    }

    w = keeping->worker;
    keep = keeping->keep;

    es_reason_give(&keeping->reason);

    keep->busy = 0;

    ngx_queue_init(&done);
    ngx_http_eventsync_keep_move(&done, &keep->running);

    if (es_store_lost(w->es) && !w->reopen.timer_set) {
        ngx_add_timer(&w->reopen, NGX_HTTP_EVENTSYNC_REOPEN);
    }

    if (!ngx_queue_empty(&keep->next)
        && ngx_http_eventsync_keep_start(w, keep) != NGX_OK)
    {
        ngx_queue_init(&failed);
        ngx_http_eventsync_keep_move(&failed, &keep->next);

        ngx_http_eventsync_keep_done(&failed, ES_BUSY);
    }

    ngx_http_eventsync_keep_done(&done, ES_OK);
}


static void
ngx_http_eventsync_keep_done(ngx_queue_t *queue, es_rc_t rc)
{
    ngx_queue_t                      *q;
    ngx_http_eventsync_checkpoint_t  *checkpoint;

    while (!ngx_queue_empty(queue)) {
        q = ngx_queue_head(queue);
        ngx_queue_remove(q);

        checkpoint = ngx_queue_data(q, ngx_http_eventsync_checkpoint_t, queue);

        if (rc != ES_OK) {
            checkpoint->job.rc = rc;
        }

        checkpoint->done = 1;

        ngx_http_eventsync_task_unblock(checkpoint->ctx);
    }
}


void
ngx_http_eventsync_keep_free(ngx_http_eventsync_worker_t *w)
{
    ngx_uint_t                     i;
    ngx_http_eventsync_keeping_t  *keeping;

    for (i = 0; i < 2; i++) {

        if (w->keep[i].task) {
            keeping = w->keep[i].task->ctx;
            free(keeping->jobs);
            keeping->jobs = NULL;
        }
    }
}
