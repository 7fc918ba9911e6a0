/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Threads, and who may use them.
 *
 * The module has two thread pools of its own. One makes commits. The other
 * does everything else, and each kind of work has a number of its threads.
 * Both have a thread for every task that can run at the same time, so a task
 * that has been posted never waits for a thread.
 *
 * Tasks that may not run yet wait here, by partner. Partners take turns: the
 * one that comes next runs one task, and goes to the end. So a partner with
 * many tasks delays its own ones only.
 *
 * Commits do not come here, because a group runs one task at a time (_group),
 * and neither do encoded pages (_encode).
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_work.h"
#include "ngx_http_eventsync_worker.h"

#include "base/assert.h"


/* tasks of groups and of encoded pages: one at a time of each store */
#define NGX_HTTP_EVENTSYNC_COMMITS  2
#define NGX_HTTP_EVENTSYNC_ENCODES  1


typedef struct {
    ngx_uint_t                        threads;    /* of a store in a worker */
    ngx_uint_t                        partner;    /* of them, for a partner */
    ngx_uint_t                        waiting;    /* tasks of a partner; more
                                                     are refused */
} ngx_http_eventsync_work_share_t;


typedef struct {
    ngx_rbtree_node_t                 node;       /* key: partner's number */
    ngx_queue_t                       queue;      /* in `turns` */
    ngx_queue_t                       tasks;      /* that wait */
    ngx_uint_t                        waiting;
    ngx_uint_t                        running;
} ngx_http_eventsync_work_partner_t;


/* a task that waits or runs */

struct ngx_http_eventsync_work_task_s {
    ngx_http_eventsync_ctx_t           *ctx;
    ngx_http_eventsync_work_e           kind;
    ngx_http_eventsync_work_partner_t  *partner;
    ngx_thread_task_t                  *task;
    ngx_queue_t                         queue;
};


static ngx_thread_pool_t *ngx_http_eventsync_work_pool(ngx_conf_t *cf,
    char *name, ngx_uint_t threads);
static ngx_http_eventsync_work_partner_t *ngx_http_eventsync_work_partner(
    ngx_http_eventsync_work_t *work, ngx_uint_t number, ngx_log_t *log);
static void ngx_http_eventsync_work_wait(ngx_http_eventsync_work_t *work,
    ngx_http_eventsync_work_task_t *wt);
static void ngx_http_eventsync_work_next(ngx_http_eventsync_worker_t *w,
    ngx_http_eventsync_work_e kind);


static const ngx_http_eventsync_work_share_t
    ngx_http_eventsync_work_shares[NGX_HTTP_EVENTSYNC_WORKS] =
{
    [NGX_HTTP_EVENTSYNC_WORK_MANAGE] = { 4, 1, 128 },
    [NGX_HTTP_EVENTSYNC_WORK_PARSE] = { 4, 2, NGX_MAX_UINT32_VALUE },
    [NGX_HTTP_EVENTSYNC_WORK_SIGN] = { 1, 1, 128 },
    [NGX_HTTP_EVENTSYNC_WORK_ENCRYPT] = { 2, 1, 1024 },
    [NGX_HTTP_EVENTSYNC_WORK_METRICS] = { 1, 1, 128 },
    [NGX_HTTP_EVENTSYNC_WORK_HEALTH] = { 1, 1, 128 }
};


/* adds the pools when all stores are known, if a location needs threads */

ngx_int_t
ngx_http_eventsync_work_pools(ngx_conf_t *cf)
{
    ngx_uint_t                        i, n, threads;
    ngx_thread_pool_t                *pool, *commits;
    ngx_http_eventsync_store_t      **stores;
    ngx_http_eventsync_main_conf_t   *emcf;

    emcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_eventsync_module);

    stores = emcf->stores.elts;
    n = 0;

    for (i = 0; i < emcf->stores.nelts; i++) {
        n += stores[i]->threads;
    }

    if (n == 0) {
        return NGX_OK;
    }

    threads = NGX_HTTP_EVENTSYNC_ENCODES;

    for (i = 0; i < NGX_HTTP_EVENTSYNC_WORKS; i++) {
        threads += ngx_http_eventsync_work_shares[i].threads;
    }

    pool = ngx_http_eventsync_work_pool(cf, "eventsync", n * threads);
    commits = ngx_http_eventsync_work_pool(cf, "eventsync_commit",
                                           n * NGX_HTTP_EVENTSYNC_COMMITS);

    if (pool == NULL || commits == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < emcf->stores.nelts; i++) {
        stores[i]->pool = pool;
        stores[i]->commit_pool = commits;
    }

    return NGX_OK;
}


/*
 * nginx offers modules no call that sets the number of threads of a pool, so
 * this one gives the directive thread_pool as a configuration would
 */

static ngx_thread_pool_t *
ngx_http_eventsync_work_pool(ngx_conf_t *cf, char *name, ngx_uint_t threads)
{
    char            *rv;
    u_char           text[sizeof("threads=") + NGX_INT_T_LEN];
    ngx_str_t        values[3];
    ngx_array_t      args, *old;
    ngx_command_t   *cmd;

    extern ngx_module_t  ngx_thread_pool_module;

    ngx_str_set(&values[0], "thread_pool");
    values[1].data = (u_char *) name;
    values[1].len = ngx_strlen(name);
    values[2].data = text;
    values[2].len = ngx_sprintf(text, "threads=%ui", threads) - text;

    ngx_memzero(&args, sizeof(ngx_array_t));
    args.elts = values;
    args.nelts = 3;

    old = cf->args;
    cf->args = &args;

    cmd = ngx_thread_pool_module.commands;
    rv = cmd->set(cf, cmd, ngx_get_conf(cf->cycle->conf_ctx,
                                        ngx_thread_pool_module));
    cf->args = old;

    return (rv == NGX_CONF_OK) ? ngx_thread_pool_get(cf->cycle, &values[1])
                               : NULL;
}


void
ngx_http_eventsync_work_init(ngx_http_eventsync_work_t *works)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_EVENTSYNC_WORKS; i++) {
        ngx_queue_init(&works[i].turns);
        ngx_rbtree_init(&works[i].partners, &works[i].sentinel,
                        ngx_rbtree_insert_value);
    }
}


/*
 * Runs the task of a request when its partner's turn comes. The request is not
 * freed before the task is done. NGX_DECLINED: the partner has too many tasks,
 * and ctx->problem may be set.
 */

ngx_int_t
ngx_http_eventsync_work(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_work_e kind, ngx_thread_task_t *task)
{
    ngx_http_eventsync_work_t          *work;
    ngx_http_eventsync_work_task_t     *wt;
    ngx_http_eventsync_work_partner_t  *partner;

    work = &ctx->worker->works[kind];

    wt = ngx_palloc(ctx->request->pool,
                    sizeof(ngx_http_eventsync_work_task_t));
    partner = ngx_http_eventsync_work_partner(work, ctx->partner,
                                              ctx->request->connection->log);

    if (wt == NULL || partner == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    if (partner->waiting >= ngx_http_eventsync_work_shares[kind].waiting) {
        return ngx_http_eventsync_fail_busy(ctx);
    }

    wt->ctx = ctx;
    wt->kind = kind;
    wt->partner = partner;
    wt->task = task;

    ctx->work = wt;
    ctx->request->main->blocked++;
    ctx->request->aio = 1;

    /* the timer keeps an exiting worker alive until the task is done */

    ngx_add_timer(&task->event, NGX_HTTP_EVENTSYNC_TASK_TIME);

    ngx_http_eventsync_work_wait(work, wt);
    ngx_http_eventsync_work_next(ctx->worker, kind);

    return NGX_OK;
}


/* finds the partner, or adds it */

static ngx_http_eventsync_work_partner_t *
ngx_http_eventsync_work_partner(ngx_http_eventsync_work_t *work,
    ngx_uint_t number, ngx_log_t *log)
{
    ngx_rbtree_node_t                  *node;
    ngx_http_eventsync_work_partner_t  *partner;

    node = work->partners.root;

    while (node != work->partners.sentinel) {

        if (number == node->key) {
            return (ngx_http_eventsync_work_partner_t *) node;
        }

        node = (number < node->key) ? node->left : node->right;
    }

    partner = ngx_calloc(sizeof(ngx_http_eventsync_work_partner_t), log);
    if (partner == NULL) {
        return NULL;
    }

    partner->node.key = number;
    ngx_queue_init(&partner->tasks);

    ngx_rbtree_insert(&work->partners, &partner->node);

    return partner;
}


/* a partner has a turn while it has a task that may run */

static void
ngx_http_eventsync_work_wait(ngx_http_eventsync_work_t *work,
    ngx_http_eventsync_work_task_t *wt)
{
    ngx_http_eventsync_work_partner_t  *partner;

    partner = wt->partner;

    ngx_queue_insert_tail(&partner->tasks, &wt->queue);

    if (partner->waiting++ == 0
        && partner->running < ngx_http_eventsync_work_shares[wt->kind].partner)
    {
        ngx_queue_insert_tail(&work->turns, &partner->queue);
    }
}


/* starts tasks as long as the kind has threads, one of each partner in turn */

static void
ngx_http_eventsync_work_next(ngx_http_eventsync_worker_t *w,
    ngx_http_eventsync_work_e kind)
{
    ngx_int_t                           rc;
    ngx_queue_t                        *q;
    ngx_http_eventsync_work_t          *work;
    ngx_http_eventsync_store_t         *store;
    ngx_http_eventsync_work_task_t     *wt;
    ngx_http_eventsync_work_partner_t  *partner;

    work = &w->works[kind];
    store = w->data;

    while (work->running < ngx_http_eventsync_work_shares[kind].threads
           && !ngx_queue_empty(&work->turns))
    {
        q = ngx_queue_head(&work->turns);
        ngx_queue_remove(q);

        partner = ngx_queue_data(q, ngx_http_eventsync_work_partner_t, queue);

        q = ngx_queue_head(&partner->tasks);
        ngx_queue_remove(q);

        wt = ngx_queue_data(q, ngx_http_eventsync_work_task_t, queue);

        partner->waiting--;
        partner->running++;
        work->running++;

        if (partner->waiting
            && partner->running < ngx_http_eventsync_work_shares[kind].partner)
        {
            ngx_queue_insert_tail(&work->turns, &partner->queue);
        }

        /* the pool has a thread for each task of each kind */

        rc = ngx_thread_task_post(store->pool, wt->task);
        ES_ASSERT(rc == NGX_OK);
    }
}


/* the task of a request has ended, if it had one */

void
ngx_http_eventsync_work_done(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_work_t          *work;
    ngx_http_eventsync_work_e           kind;
    ngx_http_eventsync_work_partner_t  *partner;

    if (ctx->work == NULL) {
        return;
    }

    partner = ctx->work->partner;
    kind = ctx->work->kind;
    work = &ctx->worker->works[kind];

    ctx->work = NULL;

    work->running--;

    if (partner->waiting
        && partner->running == ngx_http_eventsync_work_shares[kind].partner)
    {
        ngx_queue_insert_tail(&work->turns, &partner->queue);
    }

    if (--partner->running == 0 && partner->waiting == 0) {
        ngx_rbtree_delete(&work->partners, &partner->node);
        ngx_free(partner);
    }

    ngx_http_eventsync_work_next(ctx->worker, kind);
}
