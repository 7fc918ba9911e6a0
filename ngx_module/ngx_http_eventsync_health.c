/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Health checks: whether the worker serves requests, and whether the store and
 * the dispatcher, which it depends on, work.
 *
 * They need no credential, so the answers give no details.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "delivery/delivery.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "registry/access.h"
#include "registry/registry.h"
#include "store/txn.h"


/* ms: the dispatcher writes a heartbeat every second, but may be busy */
#define NGX_HTTP_EVENTSYNC_READY_MIN  5000


/* outcomes of a check */

typedef enum {
    NGX_HTTP_EVENTSYNC_READY = 0,
    NGX_HTTP_EVENTSYNC_FAILED,           /* cannot be read */
    NGX_HTTP_EVENTSYNC_CLOSED,           /* cannot be opened, see the log */
    NGX_HTTP_EVENTSYNC_LATE,             /* old heartbeat */
    NGX_HTTP_EVENTSYNC_NEVER,
    NGX_HTTP_EVENTSYNC_UNKNOWN           /* not checked */
} ngx_http_eventsync_outcome_e;


typedef struct {
    ngx_http_eventsync_outcome_e      store;
    ngx_http_eventsync_outcome_e      dispatcher;
    ngx_msec_t                        limit;      /* 0: not checked */
} ngx_http_eventsync_ready_t;


static ngx_int_t ngx_http_eventsync_health_send(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t status, ngx_buf_t *b);
static ngx_int_t ngx_http_eventsync_ready_post(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_ready_t *ready);
static void ngx_http_eventsync_ready_run(ngx_http_eventsync_task_t *task);
static ngx_http_eventsync_outcome_e ngx_http_eventsync_ready_store(
    es_store_t *es);
static es_rc_t ngx_http_eventsync_ready_registry(es_store_t *es);
static ngx_http_eventsync_outcome_e ngx_http_eventsync_ready_dispatcher(
    es_store_t *es, ngx_msec_t limit);
static ngx_int_t ngx_http_eventsync_ready_done(
    ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_ready_answer(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_ready_t *ready);


static char  *ngx_http_eventsync_outcomes[] = {
    [NGX_HTTP_EVENTSYNC_READY] = "ok",
    [NGX_HTTP_EVENTSYNC_FAILED] = "failed",
    [NGX_HTTP_EVENTSYNC_CLOSED] = "closed",
    [NGX_HTTP_EVENTSYNC_LATE] = "late",
    [NGX_HTTP_EVENTSYNC_NEVER] = "never",
    [NGX_HTTP_EVENTSYNC_UNKNOWN] = "unknown"
};


ngx_int_t
ngx_http_eventsync_healthz(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_buf_t  *b;

    static ngx_str_t  body = ngx_string("{\"status\":\"ok\"}");

    b = ngx_http_eventsync_memory_buf(ctx->request, body.data, body.len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_health_send(ctx, NGX_HTTP_OK, b);
}


ngx_int_t
ngx_http_eventsync_readyz(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_ready_t  *ready;

    ready = ngx_palloc(ctx->request->pool, sizeof(ngx_http_eventsync_ready_t));
    if (ready == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ready->store = (ctx->worker && ctx->worker->es)
                   ? NGX_HTTP_EVENTSYNC_FAILED : NGX_HTTP_EVENTSYNC_CLOSED;
    ready->dispatcher = NGX_HTTP_EVENTSYNC_UNKNOWN;
    ready->limit = ctx->conf->ready_dispatcher;

    if (ready->store != NGX_HTTP_EVENTSYNC_CLOSED
        && ngx_http_eventsync_ready_post(ctx, ready) == NGX_DONE)
    {
        return NGX_DONE;
    }

    return ngx_http_eventsync_ready_answer(ctx, ready);
}


static ngx_int_t
ngx_http_eventsync_health_send(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t status, ngx_buf_t *b)
{
    if (ngx_http_eventsync_no_store(ctx->request) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send(ctx->request, status,
                                   &ngx_http_eventsync_json_type, b);
}


/* the checks may wait for a lock, so a thread does them */

static ngx_int_t
ngx_http_eventsync_ready_post(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_ready_t *ready)
{
    ngx_http_eventsync_task_t  *task;

    task = ngx_http_eventsync_task_create(ctx,
                                          NGX_HTTP_EVENTSYNC_WORK_HEALTH);
    if (task == NULL) {
        return NGX_DECLINED;
    }

    task->run = ngx_http_eventsync_ready_run;
    task->answer = ngx_http_eventsync_ready_done;
    task->data = ready;

    return ngx_http_eventsync_task_post(task);
}


static void
ngx_http_eventsync_ready_run(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_ready_t  *ready;

    ready = task->data;

    ready->store = ngx_http_eventsync_ready_store(task->es);

    if (ready->limit) {
        ready->dispatcher = ngx_http_eventsync_ready_dispatcher(task->es,
                                                                ready->limit);
    }
}


static ngx_http_eventsync_outcome_e
ngx_http_eventsync_ready_store(es_store_t *es)
{
    es_rc_t     rc;
    es_txn_t   *txn;
    es_feed_t   feed;

    rc = es_txn_begin(es, &txn);

    if (rc == ES_OK) {
        rc = es_feed_next(txn, es_null_str, &feed);
        es_txn_end(txn);
    }

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = ngx_http_eventsync_ready_registry(es);
    }

    return (rc == ES_OK || rc == ES_NOT_FOUND) ? NGX_HTTP_EVENTSYNC_READY
                                               : NGX_HTTP_EVENTSYNC_FAILED;
}


/* reads the first key and its partner, as a request with that key would */

static es_rc_t
ngx_http_eventsync_ready_registry(es_store_t *es)
{
    char             id[64];
    es_rc_t          rc;
    es_access_t     *access;
    const es_key_t  *key;

    rc = es_registry_next(es, ES_KIND_KEY, es_null_str, id);
    if (rc != ES_OK) {
        return rc;
    }

    access = es_access_create(es);
    if (access == NULL) {
        return ES_NOMEM;
    }

    rc = es_access_find(access, id, &key);

    if (rc == ES_OK) {
        es_access_release(key);
    }

    es_access_free(access);

    return rc;
}


/*
 * a heartbeat in the future means that the clock was put back since, and
 * proves as little as an old one
 */

static ngx_http_eventsync_outcome_e
ngx_http_eventsync_ready_dispatcher(es_store_t *es, ngx_msec_t limit)
{
    int64_t  age, heartbeat;

    switch (es_delivery_heartbeat(es, &heartbeat)) {

    case ES_OK:
        age = es_store_due_ms(es) - heartbeat;

        return (age < (int64_t) limit && age > -(int64_t) limit)
               ? NGX_HTTP_EVENTSYNC_READY : NGX_HTTP_EVENTSYNC_LATE;

    case ES_NOT_FOUND:
        return NGX_HTTP_EVENTSYNC_NEVER;

    default:
        return NGX_HTTP_EVENTSYNC_FAILED;
    }
}


static ngx_int_t
ngx_http_eventsync_ready_done(ngx_http_eventsync_task_t *task)
{
    return ngx_http_eventsync_ready_answer(task->ctx, task->data);
}


static ngx_int_t
ngx_http_eventsync_ready_answer(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_ready_t *ready)
{
    ngx_buf_t   *b;
    ngx_uint_t   ok;

    ok = (ready->store == NGX_HTTP_EVENTSYNC_READY
          && (ready->limit == 0
              || ready->dispatcher == NGX_HTTP_EVENTSYNC_READY));

    b = ngx_create_temp_buf(ctx->request->pool, 128);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_sprintf(b->last, "{\"status\":\"%s\",\"checks\":"
                          "{\"store\":\"%s\"",
                          ok ? "ok" : "unavailable",
                          ngx_http_eventsync_outcomes[ready->store]);

    if (ready->limit) {
        b->last = ngx_sprintf(b->last, ",\"dispatcher\":\"%s\"",
                              ngx_http_eventsync_outcomes[ready->dispatcher]);
    }

    b->last = ngx_cpymem(b->last, "}}", 2);

    return ngx_http_eventsync_health_send(ctx,
                                          ok ? NGX_HTTP_OK
                                          : NGX_HTTP_SERVICE_UNAVAILABLE, b);
}


char *
ngx_http_eventsync_ready_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    ngx_int_t   ms;
    ngx_str_t  *value;

    if (elcf->ready_dispatcher != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        elcf->ready_dispatcher = 0;
        return NGX_CONF_OK;
    }

    ms = ngx_parse_time(&value[1], 0);

    if (ms == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid time \"%V\"",
                           &value[1]);
        return NGX_CONF_ERROR;
    }

    if (ms < NGX_HTTP_EVENTSYNC_READY_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid time \"%V\", it "
                           "must be at least %d seconds", &value[1],
                           NGX_HTTP_EVENTSYNC_READY_MIN / 1000);
        return NGX_CONF_ERROR;
    }

    elcf->ready_dispatcher = ms;

    return NGX_CONF_OK;
}
