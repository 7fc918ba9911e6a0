/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Groups: one task on a thread does the jobs of many requests together, so
 * that publishes, or checkpoints, share one commit and its fsync.
 *
 * A group has one task at a time. Jobs that come while it runs wait in a
 * queue, and all of them go into the next task. It starts at the end of a turn
 * of the event loop, so that it has the jobs of all requests of the turn.
 * Callbacks of the group's owner say what a task does with its jobs.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_group.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_worker.h"

#include "base/reason.h"


static ngx_int_t ngx_http_eventsync_group_items(
    ngx_http_eventsync_group_t *group);
static void ngx_http_eventsync_group_move(ngx_queue_t *to, ngx_queue_t *from);
static void ngx_http_eventsync_group_thread(void *data, ngx_log_t *log);
static void ngx_http_eventsync_group_event(ngx_event_t *ev);
static void ngx_http_eventsync_group_turn(ngx_event_t *ev);
static void ngx_http_eventsync_group_answer(ngx_http_eventsync_group_t *group,
    ngx_queue_t *queue, es_rc_t rc);


ngx_int_t
ngx_http_eventsync_group_init(ngx_http_eventsync_group_t *group,
    ngx_http_eventsync_worker_t *w, ngx_cycle_t *cycle)
{
    ngx_thread_task_t  *task;

    ngx_queue_init(&group->next);
    ngx_queue_init(&group->running);
    ngx_queue_init(&group->finished);

    group->turn.handler = ngx_http_eventsync_group_turn;
    group->turn.data = group;
    group->turn.log = cycle->log;

    task = ngx_thread_task_alloc(cycle->pool, 0);
    if (task == NULL) {
        return NGX_ERROR;
    }

    task->ctx = group;
    task->handler = ngx_http_eventsync_group_thread;
    task->event.handler = ngx_http_eventsync_group_event;
    task->event.data = group;
    task->event.log = cycle->log;

    group->worker = w;
    group->ident = -1;
    group->task = task;

    return NGX_OK;
}


/* the job joins the next task; its request is blocked until that is done */

void
ngx_http_eventsync_group_add(ngx_http_eventsync_group_t *group,
    ngx_http_eventsync_job_t *job)
{
    ngx_queue_insert_tail(&group->next, &job->queue);

    job->ctx->request->main->blocked++;
    job->ctx->request->aio = 1;

    if (!group->busy) {
        ngx_post_event(&group->turn, &ngx_posted_events);
    }
}


/* starts a task with all waiting jobs, or none */

ngx_int_t
ngx_http_eventsync_group_start(ngx_http_eventsync_group_t *group)
{
    ngx_http_eventsync_store_t  *store;

    store = group->worker->data;

    if (ngx_http_eventsync_group_items(group) != NGX_OK
        || ngx_thread_task_post(store->commit_pool, group->task) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the timer keeps an exiting worker alive until the task is done */

    ngx_add_timer(&group->task->event, NGX_HTTP_EVENTSYNC_TASK_TIME);

    group->busy = 1;

    ngx_http_eventsync_group_move(&group->running, &group->next);

    return NGX_OK;
}


/* the thread gets an array, because the queue belongs to the event loop */

static ngx_int_t
ngx_http_eventsync_group_items(ngx_http_eventsync_group_t *group)
{
    void                     **items;
    size_t                     cap;
    ngx_queue_t               *q;
    ngx_http_eventsync_job_t  *job;

    group->es = group->worker->es;
    group->n = 0;

    for (q = ngx_queue_head(&group->next);
         q != ngx_queue_sentinel(&group->next);
         q = ngx_queue_next(q))
    {
        if (group->n == group->cap) {
            cap = group->cap ? group->cap * 2 : 16;

            items = realloc(group->items, cap * sizeof(void *));
            if (items == NULL) {
                return NGX_ERROR;
            }

            group->items = items;
            group->cap = cap;
        }

        job = ngx_queue_data(q, ngx_http_eventsync_job_t, queue);

        group->items[group->n++] = job->item;
    }

    return NGX_OK;
}


static void
ngx_http_eventsync_group_move(ngx_queue_t *to, ngx_queue_t *from)
{
    if (!ngx_queue_empty(from)) {
        ngx_queue_add(to, from);
        ngx_queue_init(from);
    }
}


static void
ngx_http_eventsync_group_thread(void *data, ngx_log_t *log)
{
    ngx_http_eventsync_group_t  *group = data;

    group->run(group);

    es_reason_take(&group->reason);
}


static void
ngx_http_eventsync_group_event(ngx_event_t *ev)
{
    ngx_http_eventsync_group_t  *group = ev->data;

    if (ngx_http_eventsync_task_late(ev)) {
        ngx_log_error(NGX_LOG_WARN, ev->log, 0,
                      "eventsync %s takes more than %M ms", group->name,
                      (ngx_msec_t) NGX_HTTP_EVENTSYNC_TASK_TIME);
        return;
    }

    es_reason_give(&group->reason);

    group->busy = 0;

    ngx_http_eventsync_group_move(&group->finished, &group->running);

    group->done(group, ev->log);

    ngx_post_event(&group->turn, &ngx_posted_events);
}


static void
ngx_http_eventsync_group_turn(ngx_event_t *ev)
{
    ngx_http_eventsync_group_t  *group = ev->data;

    ngx_queue_t  finished, failed;

    ngx_queue_init(&finished);
    ngx_http_eventsync_group_move(&finished, &group->finished);

    /* start the next task before any answer is sent: the disk must not idle */

    if (!group->busy
        && !ngx_queue_empty(&group->next)
        && ngx_http_eventsync_group_start(group) != NGX_OK)
    {
        ngx_queue_init(&failed);
        ngx_http_eventsync_group_move(&failed, &group->next);

        ngx_http_eventsync_group_answer(group, &failed, ES_BUSY);
    }

    ngx_http_eventsync_group_answer(group, &finished, ES_OK);
}


/* ES_OK: each job has its own outcome */

static void
ngx_http_eventsync_group_answer(ngx_http_eventsync_group_t *group,
    ngx_queue_t *queue, es_rc_t rc)
{
    ngx_queue_t               *q;
    ngx_http_eventsync_job_t  *job;

    while (!ngx_queue_empty(queue)) {
        q = ngx_queue_head(queue);
        ngx_queue_remove(q);

        job = ngx_queue_data(q, ngx_http_eventsync_job_t, queue);

        group->answer(job, rc);

        ngx_http_eventsync_task_unblock(job->ctx);
    }
}


void
ngx_http_eventsync_group_free(ngx_http_eventsync_group_t *group)
{
    free(group->items);
    group->items = NULL;
    group->cap = 0;
}
