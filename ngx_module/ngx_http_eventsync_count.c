/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counters of requests and events: the handler of the log phase, the updates,
 * and the sums for metrics.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_count.h"
#include "ngx_http_eventsync_polls.h"
#include "ngx_http_eventsync_otlp.h"
#include "ngx_http_eventsync_publish.h"
#include "ngx_http_eventsync_worker.h"

#include "limit/gauge.h"

#include <stdatomic.h>


/* blocks take at most 1/32 of the zone, and there are at most 32 */
#define NGX_HTTP_EVENTSYNC_COUNT_PART    32
#define NGX_HTTP_EVENTSYNC_COUNT_BLOCKS  32

/* words of neighbouring slots are on different cache lines */
#define NGX_HTTP_EVENTSYNC_WORDS                                              \
    (NGX_HTTP_EVENTSYNC_LINE / sizeof(uint64_t))
#define ngx_http_eventsync_waiting(slot)                                      \
    ((slot) % (ES_GAUGE_PLACES / NGX_HTTP_EVENTSYNC_WORDS)                    \
     * NGX_HTTP_EVENTSYNC_WORDS                                               \
     + (slot) / (ES_GAUGE_PLACES / NGX_HTTP_EVENTSYNC_WORDS))

#define ngx_http_eventsync_count(counter, n)                                  \
    (void) atomic_fetch_add_explicit(counter, n, memory_order_relaxed)
#define ngx_http_eventsync_read(counter)                                      \
    atomic_load_explicit(counter, memory_order_relaxed)


static ngx_int_t ngx_http_eventsync_count_request(ngx_http_request_t *r);
static ngx_uint_t ngx_http_eventsync_count_code(ngx_uint_t status);
static void ngx_http_eventsync_count_error(ngx_http_eventsync_store_t *store,
    ngx_uint_t resource, const ngx_http_eventsync_problem_t *problem);
static ngx_http_eventsync_counters_t *ngx_http_eventsync_counters(
    ngx_http_eventsync_store_t *store);


ngx_int_t
ngx_http_eventsync_count_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_LOG_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_eventsync_count_request;

    return NGX_OK;
}


/*
 * lays out the counters in zeroed memory that begins at a cache line; returns
 * the size used
 */

size_t
ngx_http_eventsync_count_init_zone(ngx_http_eventsync_zone_t *zone, u_char *p,
    size_t size)
{
    ngx_uint_t  n;

    n = size / NGX_HTTP_EVENTSYNC_COUNT_PART
        / sizeof(ngx_http_eventsync_counters_t);
    n = ngx_min(n, NGX_HTTP_EVENTSYNC_COUNT_BLOCKS);
    n = ngx_max(n, 1);

    zone->counters = (ngx_http_eventsync_counters_t *) p;
    zone->ncounters = n;

    size = n * sizeof(ngx_http_eventsync_counters_t);

    zone->waiting = (_Atomic uint64_t *) (p + size);
    size += ES_GAUGE_PLACES * sizeof(uint64_t);

    zone->common = (ngx_http_eventsync_common_t *) (p + size);

    return size + ngx_align(sizeof(ngx_http_eventsync_common_t), 64);
}


/* the slot's last process is dead, and with it the requests that waited */

void
ngx_http_eventsync_count_start(ngx_http_eventsync_zone_t *zone)
{
    zone->waiting[ngx_http_eventsync_waiting(ngx_process_slot)] = 0;
}


static ngx_http_eventsync_counters_t *
ngx_http_eventsync_counters(ngx_http_eventsync_store_t *store)
{
    ngx_http_eventsync_zone_t  *zone;

    zone = store->zone->data;

    return &zone->counters[ngx_process_slot % zone->ncounters];
}


/* log phase: counts each request that ended in one of our locations */

static ngx_int_t
ngx_http_eventsync_count_request(ngx_http_request_t *r)
{
    ngx_uint_t                      resource, status, code;
    ngx_http_eventsync_ctx_t       *ctx;
    ngx_http_eventsync_counters_t  *counters;
    ngx_http_eventsync_loc_conf_t  *elcf;

    elcf = ngx_http_get_module_loc_conf(r, ngx_http_eventsync_module);

    if (elcf->store == NULL) {
        return NGX_OK;
    }

    /* another module may have refused the request before our handler ran */

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    resource = ctx ? ctx->resource : NGX_HTTP_EVENTSYNC_RESOURCES;
    status = r->err_status ? r->err_status : r->headers_out.status;
    code = ngx_http_eventsync_count_code(status);

    if (ctx && ctx->span) {
        ngx_http_eventsync_span_end(ctx);
    }

    counters = ngx_http_eventsync_counters(elcf->store);

    ngx_http_eventsync_count(&counters->requests[resource][code], 1);
    ngx_http_eventsync_count(&counters->bytes[resource], r->connection->sent);

    if (code >= NGX_HTTP_EVENTSYNC_4XX) {
        ngx_http_eventsync_count_error(elcf->store, resource,
                                       ctx ? ctx->problem : NULL);
    }

    if (ctx && ctx->events && code == NGX_HTTP_EVENTSYNC_2XX
        && !r->header_only)
    {
        ngx_http_eventsync_count(&counters->events[resource], ctx->events);
    }

    if (ctx) {
        ngx_http_eventsync_polls_ended(ctx, status);
    }

    return NGX_OK;
}


/* of the status that the access log shows */

static ngx_uint_t
ngx_http_eventsync_count_code(ngx_uint_t status)
{
    if (status < 200) {
        return NGX_HTTP_EVENTSYNC_NONE;
    }

    return (status < 300) ? NGX_HTTP_EVENTSYNC_2XX
           : (status < 400) ? NGX_HTTP_EVENTSYNC_3XX
           : (status < 500) ? NGX_HTTP_EVENTSYNC_4XX
                            : NGX_HTTP_EVENTSYNC_5XX;
}


/* nginx or another module may answer without a problem document */

static void
ngx_http_eventsync_count_error(ngx_http_eventsync_store_t *store,
    ngx_uint_t resource, const ngx_http_eventsync_problem_t *problem)
{
    ngx_uint_t                  type;
    ngx_http_eventsync_zone_t  *zone;

    zone = store->zone->data;
    type = problem ? problem->type : NGX_HTTP_EVENTSYNC_PROBLEMS;

    ngx_http_eventsync_count(&zone->common->errors[resource][type], 1);
}


/* counts the events of a long answer as they are sent */

void
ngx_http_eventsync_count_sent(ngx_http_eventsync_ctx_t *ctx, uint64_t events)
{
    ngx_http_eventsync_counters_t  *counters;

    counters = ngx_http_eventsync_counters(ctx->conf->store);

    ngx_http_eventsync_count(&counters->events[ctx->resource], events);

    ctx->moved += events;
}


/* counts after a commit, even if the client has left */

void
ngx_http_eventsync_count_published(ngx_http_eventsync_ctx_t *ctx)
{
    size_t                          i, n;
    uint64_t                        duplicates;
    es_batch_t                     *batch;
    ngx_http_eventsync_counters_t  *counters;

    batch = ctx->publish->batch;

    if (es_batch_rc(batch) != ES_OK) {
        return;
    }

    n = es_batch_count(batch) - es_batch_refused(batch);
    duplicates = 0;

    for (i = 0; i < es_batch_count(batch); i++) {
        duplicates += es_batch_result(batch, i)->duplicate;
    }

    counters = ngx_http_eventsync_counters(ctx->conf->store);

    ngx_http_eventsync_count(&counters->published, n - duplicates);
    ngx_http_eventsync_count(&counters->duplicates, duplicates);
}


/* counts a credential that may not be used from the client's address */

void
ngx_http_eventsync_count_address(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_zone_t  *zone;

    zone = ctx->conf->store->zone->data;

    ngx_http_eventsync_count(&zone->common->addresses, 1);
}


void
ngx_http_eventsync_count_commit(ngx_http_eventsync_store_t *store,
    const es_case_t *c)
{
    ngx_http_eventsync_zone_t  *zone;

    zone = store->zone->data;

    es_latency_count(&zone->common->commits, c);
}


/* takes over what was counted since the last call */

void
ngx_http_eventsync_count_otlp(ngx_http_eventsync_store_t *store,
    es_otlp_counts_t *counts)
{
    ngx_uint_t                      i;
    ngx_http_eventsync_counters_t  *counters;

    counters = ngx_http_eventsync_counters(store);

    for (i = 0; i < ES_OTLP_FATES; i++) {
        ngx_http_eventsync_count(&counters->spans[i], counts->spans[i]);
    }

    for (i = 0; i < ES_OTLP_OUTCOMES; i++) {
        ngx_http_eventsync_count(&counters->exports[i], counts->requests[i]);
    }

    ngx_memzero(counts, sizeof(es_otlp_counts_t));
}


/* only this process writes the word, so that it needs no atomic addition */

void
ngx_http_eventsync_count_waiting(ngx_http_eventsync_ctx_t *ctx,
    ngx_int_t change)
{
    ngx_http_eventsync_zone_t    *zone;
    ngx_http_eventsync_worker_t  *w;

    w = ctx->worker;
    zone = ctx->conf->store->zone->data;

    if (ctx->stream) {
        w->streams += change;

    } else {
        w->polls += change;
    }

    atomic_store_explicit(&zone->waiting[
                              ngx_http_eventsync_waiting(ngx_process_slot)],
                          (uint64_t) w->polls << 32 | w->streams,
                          memory_order_relaxed);
}


void
ngx_http_eventsync_count_totals(ngx_http_eventsync_zone_t *zone,
    ngx_http_eventsync_totals_t *totals)
{
    uint64_t                        word;
    ngx_uint_t                      i, k, n;
    ngx_http_eventsync_counters_t  *counters;

    ngx_memzero(totals, sizeof(ngx_http_eventsync_totals_t));

    for (n = 0; n < zone->ncounters; n++) {
        counters = &zone->counters[n];

        for (i = 0; i < NGX_HTTP_EVENTSYNC_COUNTED; i++) {

            for (k = 0; k < NGX_HTTP_EVENTSYNC_CODES; k++) {
                totals->requests[i][k] +=
                    ngx_http_eventsync_read(&counters->requests[i][k]);
            }

            totals->bytes[i] += ngx_http_eventsync_read(&counters->bytes[i]);
            totals->events[i] += ngx_http_eventsync_read(&counters->events[i]);
        }

        totals->published += ngx_http_eventsync_read(&counters->published);
        totals->duplicates += ngx_http_eventsync_read(&counters->duplicates);

        for (i = 0; i < ES_OTLP_FATES; i++) {
            totals->otlp.spans[i] +=
                ngx_http_eventsync_read(&counters->spans[i]);
        }

        for (i = 0; i < ES_OTLP_OUTCOMES; i++) {
            totals->otlp.requests[i] +=
                ngx_http_eventsync_read(&counters->exports[i]);
        }
    }

    for (n = 0; n < ES_GAUGE_PLACES; n++) {
        word = ngx_http_eventsync_read(
                   &zone->waiting[ngx_http_eventsync_waiting(n)]);

        if (word && es_gauge_alive(zone->waits, n)) {
            totals->polls += word >> 32;
            totals->streams += (uint32_t) word;
        }
    }
}
