/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Commits of checkpoints: jobs of many requests share a commit, as publishes
 * do.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_checkpoint.h"
#include "ngx_http_eventsync_group.h"
#include "ngx_http_eventsync_worker.h"

#include "checkpoint/checkpoint.h"
#include "store/txn.h"


static void ngx_http_eventsync_checkpoint_commit_run(
    ngx_http_eventsync_group_t *group);
static void ngx_http_eventsync_checkpoint_commit_done(
    ngx_http_eventsync_group_t *group, ngx_log_t *log);
static void ngx_http_eventsync_checkpoint_commit_answer(
    ngx_http_eventsync_job_t *job, es_rc_t rc);


ngx_int_t
ngx_http_eventsync_checkpoint_commit_init(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle)
{
    w->checkpoints.name = "checkpoint task";
    w->checkpoints.run = ngx_http_eventsync_checkpoint_commit_run;
    w->checkpoints.done = ngx_http_eventsync_checkpoint_commit_done;
    w->checkpoints.answer = ngx_http_eventsync_checkpoint_commit_answer;

    return ngx_http_eventsync_group_init(&w->checkpoints, w, cycle);
}


/* the job joins the next commit */

void
ngx_http_eventsync_checkpoint_commit(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_checkpoint_t  *checkpoint;

    checkpoint = ctx->checkpoint;

    checkpoint->member.ctx = ctx;
    checkpoint->member.item = &checkpoint->job;

    ngx_http_eventsync_group_add(&ctx->worker->checkpoints,
                                 &checkpoint->member);
}


static void
ngx_http_eventsync_checkpoint_commit_run(ngx_http_eventsync_group_t *group)
{
    es_checkpoints(group->es, (es_checkpoint_job_t **) group->items,
                   group->n);
}


static void
ngx_http_eventsync_checkpoint_commit_done(ngx_http_eventsync_group_t *group,
    ngx_log_t *log)
{
    ngx_http_eventsync_worker_t  *w;

    w = group->worker;

    if (es_store_lost(w->es) && !w->reopen.timer_set) {
        ngx_add_timer(&w->reopen, NGX_HTTP_EVENTSYNC_REOPEN);
    }
}


static void
ngx_http_eventsync_checkpoint_commit_answer(ngx_http_eventsync_job_t *job,
    es_rc_t rc)
{
    ngx_http_eventsync_checkpoint_t  *checkpoint;

    checkpoint = job->ctx->checkpoint;

    if (rc != ES_OK) {
        checkpoint->job.rc = rc;
    }

    checkpoint->done = 1;
}


void
ngx_http_eventsync_checkpoint_commit_free(ngx_http_eventsync_worker_t *w)
{
    ngx_http_eventsync_group_free(&w->checkpoints);
}
