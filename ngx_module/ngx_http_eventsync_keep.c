
/*
 * Checkpoints share commits as publishes do: one task at a time for each
 * worker and store, and all that comes while it runs goes into the next one.
 */


#include "ngx_http_eventsync.h"


typedef struct {
    es_store_t                       *es;
    es_checkpoint_job_t             **jobs;
    size_t                            n;
    size_t                            cap;
} ngx_http_eventsync_keeping_t;


static ngx_int_t ngx_http_eventsync_keep_start(
    ngx_http_eventsync_worker_t *w);
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
    ngx_thread_task_t  *task;

    ngx_queue_init(&w->checkpoints);
    ngx_queue_init(&w->keeping);

    task = ngx_thread_task_alloc(cycle->pool,
                                 sizeof(ngx_http_eventsync_keeping_t));
    if (task == NULL) {
        return NGX_ERROR;
    }

    task->handler = ngx_http_eventsync_keep_thread;
    task->event.handler = ngx_http_eventsync_keep_event;
    task->event.data = w;
    task->event.log = cycle->log;

    w->keep = task;

    return NGX_OK;
}


/* the job joins the next task; NGX_DECLINED: it did not */

ngx_int_t
ngx_http_eventsync_keep(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_worker_t  *w;

    w = ctx->worker;

    ngx_queue_insert_tail(&w->checkpoints, &ctx->checkpoint->queue);

    if (!w->keeps && ngx_http_eventsync_keep_start(w) != NGX_OK) {
        ngx_queue_remove(&ctx->checkpoint->queue);

        return ngx_http_eventsync_fail_store(ctx, ES_BUSY);
    }

    ctx->request->main->blocked++;
    ctx->request->aio = 1;

    return NGX_OK;
}


/* all that is queued, on the pool of the last that is */

static ngx_int_t
ngx_http_eventsync_keep_start(ngx_http_eventsync_worker_t *w)
{
    ngx_queue_t                      *q;
    ngx_thread_pool_t                *pool;
    ngx_http_eventsync_keeping_t     *keeping;
    ngx_http_eventsync_checkpoint_t  *checkpoint;

    keeping = w->keep->ctx;
    keeping->es = w->es;
    keeping->n = 0;
    pool = NULL;

    for (q = ngx_queue_head(&w->checkpoints);
         q != ngx_queue_sentinel(&w->checkpoints);
         q = ngx_queue_next(q))
    {
        checkpoint = ngx_queue_data(q, ngx_http_eventsync_checkpoint_t, queue);
        pool = checkpoint->ctx->conf->thread_pool;

        if (ngx_http_eventsync_keep_add(keeping, &checkpoint->job) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (ngx_thread_task_post(pool, w->keep) != NGX_OK) {
        return NGX_ERROR;
    }

    /* one that is lost is opened anew on this pool, see _commit */

    if (w->thread_pool == NULL) {
        w->thread_pool = pool;
    }

    /* the timer keeps a worker that is to exit until the task is done */

    ngx_add_timer(&w->keep->event, NGX_HTTP_EVENTSYNC_TASK_TIME);

    w->keeps = 1;

    ngx_http_eventsync_keep_move(&w->keeping, &w->checkpoints);

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
}


static void
ngx_http_eventsync_keep_event(ngx_event_t *ev)
{
    ngx_http_eventsync_worker_t  *w = ev->data;

    ngx_queue_t  done, failed;

    if (ev->timedout) {
        ev->timedout = 0;
        ngx_add_timer(ev, NGX_HTTP_EVENTSYNC_TASK_TIME);
        return;
    }

    if (ev->timer_set) {
        ngx_del_timer(ev);
    }

    w->keeps = 0;

    ngx_queue_init(&done);
    ngx_http_eventsync_keep_move(&done, &w->keeping);

    if (es_store_lost(w->es) && !w->reopen.timer_set) {
        ngx_add_timer(&w->reopen, NGX_HTTP_EVENTSYNC_REOPEN);
    }

    if (!ngx_queue_empty(&w->checkpoints)
        && ngx_http_eventsync_keep_start(w) != NGX_OK)
    {
        ngx_queue_init(&failed);
        ngx_http_eventsync_keep_move(&failed, &w->checkpoints);

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

        ngx_http_eventsync_publish_unblock(checkpoint->ctx);
    }
}


void
ngx_http_eventsync_keep_free(ngx_http_eventsync_worker_t *w)
{
    ngx_http_eventsync_keeping_t  *keeping;

    if (w->keep) {
        keeping = w->keep->ctx;
        free(keeping->jobs);
        keeping->jobs = NULL;
    }
}
