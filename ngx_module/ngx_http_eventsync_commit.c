/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Group commit: one commit at a time for each worker and store, on the thread
 * pool.  What comes while it runs waits in a queue, all of which goes into the
 * next one; so a commit costs its fsync once, however many requests it serves.
 *
 * A store that a failed commit has left unusable is opened anew by the next
 * commit.  When none comes, an empty one is made each second.
 */


#include "ngx_http_eventsync.h"


typedef struct {
    es_store_t                       *es;
    es_batch_t                      **batches;
    size_t                            n;
    size_t                            cap;
    es_rc_t                           rc;         /* of opening anew */
    es_reason_t                       reason;
} ngx_http_eventsync_group_t;


static ngx_int_t ngx_http_eventsync_commit_start(
    ngx_http_eventsync_worker_t *w);
static ngx_int_t ngx_http_eventsync_commit_room(
    ngx_http_eventsync_group_t *group, ngx_queue_t *queue);
static void ngx_http_eventsync_commit_move(ngx_queue_t *to, ngx_queue_t *from);
static void ngx_http_eventsync_commit_thread(void *data, ngx_log_t *log);
static void ngx_http_eventsync_commit_event(ngx_event_t *ev);
static void ngx_http_eventsync_commit_tell(ngx_http_eventsync_worker_t *w,
    ngx_log_t *log, ngx_uint_t all);
static void ngx_http_eventsync_commit_done(ngx_queue_t *queue, es_rc_t rc);


ngx_int_t
ngx_http_eventsync_commit_init(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle)
{
    ngx_thread_task_t  *task;

    ngx_queue_init(&w->publishes);
    ngx_queue_init(&w->committing);

    task = ngx_thread_task_alloc(cycle->pool,
                                 sizeof(ngx_http_eventsync_group_t));
    if (task == NULL) {
        return NGX_ERROR;
    }

    task->handler = ngx_http_eventsync_commit_thread;
    task->event.handler = ngx_http_eventsync_commit_event;
    task->event.data = w;
    task->event.log = cycle->log;

    w->commit = task;

    return NGX_OK;
}


/* the batch joins the next commit; NGX_DECLINED: it did not */

ngx_int_t
ngx_http_eventsync_commit(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_worker_t  *w;

    w = ctx->worker;

    ngx_queue_insert_tail(&w->publishes, &ctx->publish->queue);

    if (!w->writing && ngx_http_eventsync_commit_start(w) != NGX_OK) {
        ngx_queue_remove(&ctx->publish->queue);

        return ngx_http_eventsync_fail_store(ctx, ES_BUSY);
    }

    ctx->request->main->blocked++;
    ctx->request->aio = 1;

    return NGX_OK;
}


/* commits all that is queued, on the pool of the last that is */

static ngx_int_t
ngx_http_eventsync_commit_start(ngx_http_eventsync_worker_t *w)
{
    ngx_queue_t                   *q;
    ngx_http_eventsync_group_t    *group;
    ngx_http_eventsync_publish_t  *publish;

    group = w->commit->ctx;

    if (ngx_http_eventsync_commit_room(group, &w->publishes) != NGX_OK) {
        return NGX_ERROR;
    }

    group->es = w->es;
    group->n = 0;

    for (q = ngx_queue_head(&w->publishes);
         q != ngx_queue_sentinel(&w->publishes);
         q = ngx_queue_next(q))
    {
        publish = ngx_queue_data(q, ngx_http_eventsync_publish_t, queue);
        group->batches[group->n++] = publish->batch;
        w->thread_pool = publish->ctx->conf->thread_pool;
    }

    if (ngx_thread_task_post(w->thread_pool, w->commit) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the timer keeps a worker that is to exit until the task is done */

    ngx_add_timer(&w->commit->event, NGX_HTTP_EVENTSYNC_TASK_TIME);

    w->writing = 1;

    ngx_http_eventsync_commit_move(&w->committing, &w->publishes);

    return NGX_OK;
}


/* only a commit loses a store, so there has been one that knows its pool */

void
ngx_http_eventsync_commit_recover(ngx_http_eventsync_worker_t *w)
{
    if (!w->writing && ngx_http_eventsync_commit_start(w) != NGX_OK) {
        ngx_add_timer(&w->reopen, NGX_HTTP_EVENTSYNC_REOPEN);
    }
}


static void
ngx_http_eventsync_commit_move(ngx_queue_t *to, ngx_queue_t *from)
{
    if (!ngx_queue_empty(from)) {
        ngx_queue_add(to, from);
        ngx_queue_init(from);
    }
}


static ngx_int_t
ngx_http_eventsync_commit_room(ngx_http_eventsync_group_t *group,
    ngx_queue_t *queue)
{
    size_t         n;
    es_batch_t   **batches;
    ngx_queue_t   *q;

    n = 0;

    for (q = ngx_queue_head(queue);
         q != ngx_queue_sentinel(queue);
         q = ngx_queue_next(q))
    {
        n++;
    }

    if (n <= group->cap) {
        return NGX_OK;
    }

    n = ngx_max(n, group->cap * 2);

    batches = realloc(group->batches, n * sizeof(es_batch_t *));
    if (batches == NULL) {
        return NGX_ERROR;
    }

    group->batches = batches;
    group->cap = n;

    return NGX_OK;
}


static void
ngx_http_eventsync_commit_thread(void *data, ngx_log_t *log)
{
    ngx_http_eventsync_group_t  *group = data;

    if (group->n) {
        es_publish(group->es, group->batches, group->n);
        group->rc = ES_IO;     /* if it lost the store */

    } else {
        group->rc = es_store_recover(group->es);
    }

    es_reason_take(&group->reason);
}


static void
ngx_http_eventsync_commit_event(ngx_event_t *ev)
{
    ngx_http_eventsync_worker_t  *w = ev->data;

    es_rc_t                      rc;
    es_reason_t                  reason;
    ngx_queue_t                  done, failed;
    ngx_http_eventsync_group_t  *group;

    if (ngx_http_eventsync_task_late(ev)) {
        ngx_log_error(NGX_LOG_WARN, ev->log, 0,
                      "eventsync commit takes more than %M ms",
                      (ngx_msec_t) NGX_HTTP_EVENTSYNC_TASK_TIME);
        return;
    }

    group = w->commit->ctx;
    rc = group->rc;
    reason = group->reason;
    es_reason_give(&reason);

    w->writing = 0;

    ngx_http_eventsync_commit_tell(w, ev->log, 0);

    ngx_queue_init(&done);
    ngx_http_eventsync_commit_move(&done, &w->committing);

    if (es_store_lost(w->es) && !w->reopen.timer_set
        && !(rc == ES_TAKEN
             && ngx_http_eventsync_retire(w->data, 1, ev->log)))
    {
        ngx_log_error(NGX_LOG_CRIT, ev->log, 0,
                      "eventsync store cannot be reopened after a failed "
                      "commit: %s", es_reason(rc));

        ngx_add_timer(&w->reopen, NGX_HTTP_EVENTSYNC_REOPEN);
    }

    /* the disk has work again before anybody is answered */

    if (!ngx_queue_empty(&w->publishes)
        && ngx_http_eventsync_commit_start(w) != NGX_OK)
    {
        ngx_queue_init(&failed);
        ngx_http_eventsync_commit_move(&failed, &w->publishes);

        ngx_http_eventsync_commit_done(&failed, ES_BUSY);
    }

    ngx_http_eventsync_commit_done(&done, ES_OK);
}


/* what commits have deleted, and what they found wrong with the clock */

static void
ngx_http_eventsync_commit_tell(ngx_http_eventsync_worker_t *w, ngx_log_t *log,
    ngx_uint_t all)
{
    char  text[ES_STORE_NEWS_MAX];

    while (es_deletions_next(w->es, all, text, sizeof(text))) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0, "eventsync %s", text);
    }

    if (es_store_clock_said(w->es, text, sizeof(text))) {
        ngx_log_error(NGX_LOG_WARN, log, 0, "eventsync: %s", text);
    }
}


static void
ngx_http_eventsync_commit_done(ngx_queue_t *queue, es_rc_t rc)
{
    ngx_queue_t                   *q;
    ngx_http_eventsync_publish_t  *publish;

    while (!ngx_queue_empty(queue)) {
        q = ngx_queue_head(queue);
        ngx_queue_remove(q);

        publish = ngx_queue_data(q, ngx_http_eventsync_publish_t, queue);

        publish->rc = rc;
        publish->committed = 1;

        if (rc == ES_OK) {
            ngx_http_eventsync_count_published(publish->ctx);
        }

        ngx_http_eventsync_task_unblock(publish->ctx);
    }
}


void
ngx_http_eventsync_commit_free(ngx_http_eventsync_worker_t *w)
{
    ngx_http_eventsync_group_t  *group;

    if (w->es) {
        ngx_http_eventsync_commit_tell(w, ngx_cycle->log, 1);
    }

    if (w->commit) {
        group = w->commit->ctx;
        free(group->batches);
        group->batches = NULL;
    }

    while (w->nbatches) {
        es_batch_destroy(w->batches[--w->nbatches]);
    }
}
