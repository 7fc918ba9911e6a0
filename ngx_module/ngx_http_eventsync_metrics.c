/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics for Prometheus: first what the workers have counted, then what the
 * store contains.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_count.h"
#include "ngx_http_eventsync_pages.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "base/clock.h"
#include "base/exposition.h"
#include "inspect/metrics.h"
#include "limit/latency.h"
#include "limit/limit.h"
#include "limit/polls.h"
#include "log/store_clock.h"


typedef struct {
    ngx_http_eventsync_zone_t        *zone;
    es_metrics_t                      store;
    const char                       *config;
    es_exposition_form_t              form;
} ngx_http_eventsync_metrics_t;


static void ngx_http_eventsync_metrics_run(ngx_http_eventsync_task_t *task);
static void ngx_http_eventsync_metrics_build(es_exposition_t *e);
static void ngx_http_eventsync_metrics_config(const char *config,
    es_exposition_t *e);
static void ngx_http_eventsync_metrics_requests(
    ngx_http_eventsync_totals_t *totals, es_exposition_t *e);
static void ngx_http_eventsync_metrics_errors(
    ngx_http_eventsync_common_t *common, es_exposition_t *e);
static void ngx_http_eventsync_metrics_commits(
    ngx_http_eventsync_common_t *common, es_exposition_t *e);
static void ngx_http_eventsync_metrics_events(
    ngx_http_eventsync_totals_t *totals, es_exposition_t *e);
static void ngx_http_eventsync_metrics_waiting(
    ngx_http_eventsync_totals_t *totals, es_exposition_t *e);
static void ngx_http_eventsync_metrics_each(es_exposition_t *e, char *name,
    char *help, uint64_t *values);
static void ngx_http_eventsync_metrics_limits(
    ngx_http_eventsync_refusals_t *refusals, es_exposition_t *e);
static void ngx_http_eventsync_metrics_policies(es_exposition_t *e,
    char *name, char *help, _Atomic uint64_t *values);
static ngx_int_t ngx_http_eventsync_metrics_answer(
    ngx_http_eventsync_task_t *task);


/* named like the directives; "other": the request named no resource */

static char  *ngx_http_eventsync_resources[NGX_HTTP_EVENTSYNC_COUNTED] = {
    [NGX_HTTP_EVENTSYNC_POLL] = "poll",
    [NGX_HTTP_EVENTSYNC_PUBLISH] = "publish",
    [NGX_HTTP_EVENTSYNC_FEEDS] = "feeds",
    [NGX_HTTP_EVENTSYNC_ENDPOINTS] = "endpoints",
    [NGX_HTTP_EVENTSYNC_STATUS] = "status",
    [NGX_HTTP_EVENTSYNC_OPERATOR] = "operator",
    [NGX_HTTP_EVENTSYNC_PAGES] = "pages",
    [NGX_HTTP_EVENTSYNC_AUTHORIZE] = "authorize",
    [NGX_HTTP_EVENTSYNC_BACKFILL] = "backfill",
    [NGX_HTTP_EVENTSYNC_SNAPSHOT] = "snapshot",
    [NGX_HTTP_EVENTSYNC_CATALOGUE] = "catalogue",
    [NGX_HTTP_EVENTSYNC_OPENAPI] = "openapi",
    [NGX_HTTP_EVENTSYNC_DASHBOARD] = "dashboard",
    [NGX_HTTP_EVENTSYNC_CHECKPOINTS] = "checkpoints",
    [NGX_HTTP_EVENTSYNC_TOKEN] = "token",
    [NGX_HTTP_EVENTSYNC_HEALTH] = "health",
    [NGX_HTTP_EVENTSYNC_METRICS] = "metrics",
    [NGX_HTTP_EVENTSYNC_RESOURCES] = "other"
};


static char  *ngx_http_eventsync_codes[NGX_HTTP_EVENTSYNC_CODES] = {
    [NGX_HTTP_EVENTSYNC_NONE] = "none",
    [NGX_HTTP_EVENTSYNC_2XX] = "2xx",
    [NGX_HTTP_EVENTSYNC_3XX] = "3xx",
    [NGX_HTTP_EVENTSYNC_4XX] = "4xx",
    [NGX_HTTP_EVENTSYNC_5XX] = "5xx"
};


/* "endpoints" or "endpoints=N" is "on" with series of so many endpoints */

char *
ngx_http_eventsync_metrics_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    char       *rv;
    ngx_int_t   n;
    ngx_str_t  *value;

    value = cf->args->elts;
    n = 0;

    if (ngx_strcmp(value[1].data, "endpoints") == 0) {
        n = NGX_HTTP_EVENTSYNC_METRICS_ENDPOINTS;

    } else if (ngx_strncmp(value[1].data, "endpoints=", 10) == 0) {
        n = ngx_atoi(value[1].data + 10, value[1].len - 10);

        if (n < 1 || n > NGX_HTTP_EVENTSYNC_METRICS_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid number of endpoints in \"%V\", it must "
                               "be from 1 to %i", &value[1],
                               (ngx_int_t) NGX_HTTP_EVENTSYNC_METRICS_MAX);
            return NGX_CONF_ERROR;
        }
    }

    if (n) {
        ngx_str_set(&value[1], "on");
    }

    rv = ngx_http_eventsync_serve_directive(cf, cmd, conf);

    if (rv == NGX_CONF_OK) {
        elcf->serves[NGX_HTTP_EVENTSYNC_METRICS] += n;
    }

    return rv;
}


ngx_int_t
ngx_http_eventsync_metrics(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t                      rc;
    ngx_str_t                      accept, name = ngx_string("accept");
    ngx_http_eventsync_task_t     *task;
    ngx_http_eventsync_metrics_t  *m;

    task = ngx_http_eventsync_task_create(ctx,
                                          NGX_HTTP_EVENTSYNC_WORK_METRICS);
    m = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_eventsync_metrics_t));

    if (task == NULL || m == NULL
        || ngx_http_eventsync_accept_value(ctx->request, &name, &accept)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    m->form = es_exposition_form(ngx_http_eventsync_str(&accept));
    m->zone = ctx->conf->store->zone->data;
    m->store.store = task->es;
    m->config = ctx->worker->config;
    m->store.pages = ctx->worker->pages ? ctx->worker->pages->kept : NULL;
    m->store.batches = m->zone->batches;
    m->store.polls = m->zone->polls;
    m->store.endpoints = ctx->conf->serves[NGX_HTTP_EVENTSYNC_METRICS]
                         - NGX_HTTP_EVENTSYNC_METRICS_ON;

    task->run = ngx_http_eventsync_metrics_run;
    task->answer = ngx_http_eventsync_metrics_answer;
    task->data = m;

    rc = ngx_http_eventsync_task_post(task);

    return (rc == NGX_DECLINED) ? ngx_http_eventsync_send_problem(ctx) : rc;
}


static void
ngx_http_eventsync_metrics_run(ngx_http_eventsync_task_t *task)
{
    es_exposition_t                e;
    ngx_http_eventsync_totals_t    totals;
    ngx_http_eventsync_metrics_t  *m;

    m = task->data;
    m->store.now_ms = es_store_due_ms(m->store.store);

    e.out = &task->out;
    e.form = m->form;
    e.name = NULL;
    e.rc = ES_OK;

    ngx_http_eventsync_count_totals(m->zone, &totals);

    ngx_http_eventsync_metrics_build(&e);
    ngx_http_eventsync_metrics_config(m->config, &e);
    ngx_http_eventsync_metrics_requests(&totals, &e);
    ngx_http_eventsync_metrics_errors(m->zone->common, &e);
    ngx_http_eventsync_metrics_events(&totals, &e);
    ngx_http_eventsync_metrics_commits(m->zone->common, &e);
    ngx_http_eventsync_metrics_waiting(&totals, &e);
    ngx_http_eventsync_metrics_limits(m->zone->refusals, &e);

    es_metric_counter(&e, "eventsync_address_refused_total", "Credentials "
                      "refused because of the client's address.",
                      atomic_load_explicit(&m->zone->common->addresses,
                                           memory_order_relaxed));

    es_metric_counter(&e, "eventsync_poll_figures_evicted_total", "Figures of "
                      "polls by partner and feed that made room for others.",
                      es_polls_evicted(m->zone->polls));

    task->rc = es_metrics_store(&m->store, &e);

    if (task->rc == ES_OK) {
        task->rc = es_metrics_delivery(&m->store, &e);
    }

    if (task->rc == ES_OK) {
        task->rc = es_metrics_otlp(&m->store, &totals.otlp, &e);
    }

    es_exposition_end(&e);

    task->rc = (task->rc == ES_OK) ? e.rc : task->rc;
}


/* after an upgrade of the binary, old workers may still answer */

static void
ngx_http_eventsync_metrics_build(es_exposition_t *e)
{
    es_label_t  label;

    es_metric_family(e, "eventsync_build_info", "info",
                     "Version of the module in the worker that answers; the "
                     "value is 1.");

    label.name = "version";
    label.value = es_str(ES_VERSION);
    es_metric(e, "", &label, 1, 1);
}


/* after a reload, old workers may still answer */

static void
ngx_http_eventsync_metrics_config(const char *config, es_exposition_t *e)
{
    es_label_t  label;

    es_metric_family(e, "eventsync_config_info", "info",
                     "Digest of the directives of the worker that answers; the "
                     "value is 1.");

    label.name = "digest";
    label.value = es_str(config);
    es_metric(e, "", &label, 1, 1);
}


static void
ngx_http_eventsync_metrics_requests(ngx_http_eventsync_totals_t *totals,
    es_exposition_t *e)
{
    ngx_uint_t  i, k;
    es_label_t  labels[2];

    es_metric_family(e, "eventsync_http_requests_total", "counter",
                     "Requests that have ended, by resource and class of "
                     "status.");

    labels[0].name = "resource";
    labels[1].name = "code";

    for (i = 0; i < NGX_HTTP_EVENTSYNC_COUNTED; i++) {
        labels[0].value = es_str(ngx_http_eventsync_resources[i]);

        for (k = 0; k < NGX_HTTP_EVENTSYNC_CODES; k++) {
            labels[1].value = es_str(ngx_http_eventsync_codes[k]);
            es_metric(e, "", labels, 2, totals->requests[i][k]);
        }
    }

    ngx_http_eventsync_metrics_each(e, "eventsync_http_sent_bytes_total",
                                    "Bytes sent to clients by requests that "
                                    "have ended.", totals->bytes);
}


/* most pairs never occur; a pair that has not is left out */

static void
ngx_http_eventsync_metrics_errors(ngx_http_eventsync_common_t *common,
    es_exposition_t *e)
{
    uint64_t    n;
    ngx_uint_t  i, k;
    es_label_t  labels[2];

    es_metric_family(e, "eventsync_http_errors_total", "counter",
                     "Requests answered with 4xx or 5xx, by resource and "
                     "problem.");

    labels[0].name = "resource";
    labels[1].name = "problem";

    for (i = 0; i < NGX_HTTP_EVENTSYNC_COUNTED; i++) {
        labels[0].value = es_str(ngx_http_eventsync_resources[i]);

        for (k = 0; k < NGX_HTTP_EVENTSYNC_ERRORS; k++) {
            n = atomic_load_explicit(&common->errors[i][k],
                                     memory_order_relaxed);
            if (n == 0) {
                continue;
            }

            labels[1].value = (k < NGX_HTTP_EVENTSYNC_PROBLEMS)
                              ? ngx_http_eventsync_problem_name(k)
                              : es_lit("none");
            es_metric(e, "", labels, 2, n);
        }
    }
}


static void
ngx_http_eventsync_metrics_commits(ngx_http_eventsync_common_t *common,
    es_exposition_t *e)
{
    es_metric_family(e, "eventsync_commit_duration_seconds", "histogram",
                     "Time of the commits of publishes, with the wait for "
                     "other writers.");
    es_metric_latency(e, &common->commits);
}


static void
ngx_http_eventsync_metrics_events(ngx_http_eventsync_totals_t *totals,
    es_exposition_t *e)
{
    ngx_http_eventsync_metrics_each(e, "eventsync_events_sent_total",
                                    "Events sent in answers.", totals->events);

    es_metric_counter(e, "eventsync_events_published_total", "Events stored "
                      "by requests.", totals->published);
    es_metric_counter(e, "eventsync_events_duplicate_total", "Events of "
                      "requests that were stored already.",
                      totals->duplicates);
}


static void
ngx_http_eventsync_metrics_waiting(ngx_http_eventsync_totals_t *totals,
    es_exposition_t *e)
{
    es_label_t  label;

    es_metric_family(e, "eventsync_http_waiting_requests", "gauge",
                     "Long polls and streams of Server-Sent Events that are "
                     "waiting.");

    label.name = "kind";
    label.value = es_str("poll");
    es_metric(e, "", &label, 1, totals->polls);

    label.value = es_str("stream");
    es_metric(e, "", &label, 1, totals->streams);
}


static void
ngx_http_eventsync_metrics_each(es_exposition_t *e, char *name, char *help,
    uint64_t *values)
{
    ngx_uint_t  i;
    es_label_t  label;

    es_metric_family(e, name, "counter", help);
    label.name = "resource";

    for (i = 0; i < NGX_HTTP_EVENTSYNC_COUNTED; i++) {
        label.value = es_str(ngx_http_eventsync_resources[i]);
        es_metric(e, "", &label, 1, values[i]);
    }
}


static void
ngx_http_eventsync_metrics_limits(ngx_http_eventsync_refusals_t *refusals,
    es_exposition_t *e)
{
    ngx_http_eventsync_metrics_policies(e, "eventsync_limit_refused_total",
                                        "Requests refused by a policy.",
                                        refusals->refused);
    ngx_http_eventsync_metrics_policies(e, "eventsync_limit_dry_run_total",
                                        "Requests that a policy would have "
                                        "refused or slowed without the dry "
                                        "run.", refusals->dry_run);
}


static void
ngx_http_eventsync_metrics_policies(es_exposition_t *e, char *name, char *help,
    _Atomic uint64_t *values)
{
    ngx_uint_t  i;
    es_label_t  label;

    es_metric_family(e, name, "counter", help);
    label.name = "policy";

    for (i = 0; i < ES_POLICIES_ALL; i++) {
        label.value = es_policy_name(i);
        es_metric(e, "", &label, 1, values[i]);
    }
}


static ngx_int_t
ngx_http_eventsync_metrics_answer(ngx_http_eventsync_task_t *task)
{
    ngx_buf_t                     *b;
    ngx_str_t                      type;
    ngx_http_request_t            *r;
    ngx_http_eventsync_ctx_t      *ctx;
    ngx_http_eventsync_metrics_t  *m;

    ctx = task->ctx;
    r = ctx->request;
    m = task->data;

    if (task->rc != ES_OK) {
        (void) ngx_http_eventsync_fail_store(ctx, task->rc);
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (ngx_http_eventsync_room(ctx, task->out.len) != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    b = ngx_http_eventsync_memory_buf(r, task->out.data, task->out.len);

    if (b == NULL || ngx_http_eventsync_no_store(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    type.data = (u_char *) es_exposition_types[m->form].data;
    type.len = es_exposition_types[m->form].len;

    return ngx_http_eventsync_send(r, NGX_HTTP_OK, &type, b);
}
