/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Commits of checkpoints: jobs of many requests share a commit, as publishes
 * do. Jobs that only read have a group of their own, which does not wait for a
 * disk.
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
    ngx_uint_t                   i;
    ngx_http_eventsync_group_t  *group;

    for (i = 0; i < 2; i++) {
        group = &w->checkpoints[i];

        group->name = "checkpoint task";
        group->run = ngx_http_eventsync_checkpoint_commit_run;
        group->done = ngx_http_eventsync_checkpoint_commit_done;
        group->answer = ngx_http_eventsync_checkpoint_commit_answer;

        if (ngx_http_eventsync_group_init(group, w, cycle) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* NGX_DECLINED: the job did not join a group */

ngx_int_t
ngx_http_eventsync_checkpoint_commit(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_uint_t                        writes;
    es_checkpoint_op_t                op;
    ngx_http_eventsync_checkpoint_t  *checkpoint;

    checkpoint = ctx->checkpoint;
    op = checkpoint->job.op;

    writes = (op == ES_CHECKPOINT_PUT || op == ES_CHECKPOINT_REMOVE);

    checkpoint->member.ctx = ctx;
    checkpoint->member.item = &checkpoint->job;

    return ngx_http_eventsync_group_add(&ctx->worker->checkpoints[writes],
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
    ngx_http_eventsync_group_free(&w->checkpoints[0]);
    ngx_http_eventsync_group_free(&w->checkpoints[1]);
}
