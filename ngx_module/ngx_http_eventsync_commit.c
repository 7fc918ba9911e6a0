/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Commits of publishes: one group for each worker and store, see _group.
 *
 * If a failed commit has left the store unusable, the next commit reopens it.
 * If there is none, the worker makes an empty commit every second.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_count.h"
#include "ngx_http_eventsync_group.h"
#include "ngx_http_eventsync_otlp.h"
#include "ngx_http_eventsync_publish.h"
#include "ngx_http_eventsync_worker.h"

#include "base/clock.h"
#include "event/batch.h"
#include "log/store_clock.h"
#include "store/deletions.h"
#include "store/txn.h"


static void ngx_http_eventsync_commit_run(ngx_http_eventsync_group_t *group);
static void ngx_http_eventsync_commit_done(ngx_http_eventsync_group_t *group,
    ngx_log_t *log);
static void ngx_http_eventsync_commit_count(ngx_http_eventsync_group_t *group);
static ngx_int_t ngx_http_eventsync_commit_case(es_case_t *c,
    const es_batch_t *batch);
static void ngx_http_eventsync_commit_answer(ngx_http_eventsync_job_t *job,
    es_rc_t rc);
static void ngx_http_eventsync_commit_log(ngx_http_eventsync_worker_t *w,
    ngx_log_t *log, ngx_uint_t all);


ngx_int_t
ngx_http_eventsync_commit_init(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle)
{
    w->commit.name = "commit";
    w->commit.run = ngx_http_eventsync_commit_run;
    w->commit.done = ngx_http_eventsync_commit_done;
    w->commit.answer = ngx_http_eventsync_commit_answer;

    return ngx_http_eventsync_group_init(&w->commit, w, cycle);
}


/* the batch joins the next commit */

void
ngx_http_eventsync_commit(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_publish_t  *publish;

    publish = ctx->publish;

    if (ctx->span) {
        ngx_http_eventsync_span_commit(ctx);
    }

    publish->member.ctx = ctx;
    publish->member.item = publish->batch;

    ngx_http_eventsync_group_add(&ctx->worker->commit, &publish->member);
}


/* only a commit loses a store, so the store has threads for commits */

void
ngx_http_eventsync_commit_recover(ngx_http_eventsync_worker_t *w)
{
    if (!w->commit.busy
        && ngx_http_eventsync_group_start(&w->commit) != NGX_OK)
    {
        ngx_add_timer(&w->reopen, NGX_HTTP_EVENTSYNC_REOPEN);
    }
}


static void
ngx_http_eventsync_commit_run(ngx_http_eventsync_group_t *group)
{
    int64_t  start;

    if (group->n) {
        start = es_clock_mono_us();
        es_publish(group->es, (es_batch_t **) group->items, group->n);
        group->took = es_clock_mono_us() - start;
        group->rc = ES_IO;     /* only if the commit lost the store */

    } else {
        group->rc = es_store_recover(group->es);
    }
}


static void
ngx_http_eventsync_commit_done(ngx_http_eventsync_group_t *group,
    ngx_log_t *log)
{
    ngx_http_eventsync_worker_t  *w;

    w = group->worker;

    ngx_http_eventsync_commit_log(w, log, 0);
    ngx_http_eventsync_commit_count(group);

    if (es_store_lost(w->es) && !w->reopen.timer_set
        && !(group->rc == ES_TAKEN
             && ngx_http_eventsync_retire(w->data, 1, log)))
    {
        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "eventsync store cannot be reopened after a failed "
                      "commit: %s", es_reason(group->rc));

        ngx_add_timer(&w->reopen, NGX_HTTP_EVENTSYNC_REOPEN);
    }
}


static void
ngx_http_eventsync_commit_count(ngx_http_eventsync_group_t *group)
{
    size_t     i;
    es_case_t  c;

    if (group->n == 0) {
        return;
    }

    ngx_memzero(&c, sizeof(es_case_t));
    c.us = group->took;

    for (i = 0; i < group->n; i++) {
        if (ngx_http_eventsync_commit_case(&c, group->items[i]) == NGX_OK) {
            break;
        }
    }

    ngx_http_eventsync_count_commit(group->worker->data, &c);
}


/* the case is the first event that was stored; NGX_DECLINED: none was */

static ngx_int_t
ngx_http_eventsync_commit_case(es_case_t *c, const es_batch_t *batch)
{
    size_t              i;
    es_trace_t          trace;
    ngx_time_t         *tp;
    const es_result_t  *result;

    if (es_batch_rc(batch) != ES_OK) {
        return NGX_DECLINED;
    }

    for (i = 0; i < es_batch_count(batch); i++) {
        result = es_batch_result(batch, i);

        if (result->duplicate || result->refused) {
            continue;
        }

        tp = ngx_timeofday();
        c->time_ms = (int64_t) tp->sec * 1000 + tp->msec;

        ngx_cpystrn((u_char *) c->cursor, (u_char *) result->cursor,
                    sizeof(c->cursor));
        ngx_cpystrn((u_char *) c->feed, (u_char *) es_batch_feed(batch),
                    sizeof(c->feed));

        if (es_batch_trace(batch, i, &trace)) {
            *es_trace_hex(trace.id, ES_TRACE_ID, c->trace) = '\0';
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


static void
ngx_http_eventsync_commit_answer(ngx_http_eventsync_job_t *job, es_rc_t rc)
{
    ngx_http_eventsync_publish_t  *publish;

    publish = job->ctx->publish;

    publish->rc = rc;
    publish->committed = 1;

    if (job->ctx->span) {
        ngx_http_eventsync_span_committed(job->ctx);
    }

    if (rc == ES_OK) {
        ngx_http_eventsync_count_published(job->ctx);
        ngx_http_eventsync_results_moved(job->ctx);
    }
}


/* logs what commits have deleted, and faults of the clock */

static void
ngx_http_eventsync_commit_log(ngx_http_eventsync_worker_t *w, ngx_log_t *log,
    ngx_uint_t all)
{
    char  text[ES_DELETIONS_TEXT_MAX];

    while (es_deletions_next(w->es, all, text, sizeof(text))) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0, "eventsync %s", text);
    }

    if (es_store_clock_said(w->es, text, sizeof(text))) {
        ngx_log_error(NGX_LOG_WARN, log, 0, "eventsync: %s", text);
    }
}


void
ngx_http_eventsync_commit_free(ngx_http_eventsync_worker_t *w)
{
    if (w->es) {
        ngx_http_eventsync_commit_log(w, ngx_cycle->log, 1);
    }

    ngx_http_eventsync_group_free(&w->commit);

    while (w->nbatches) {
        es_batch_destroy(w->batches[--w->nbatches]);
    }
}
