/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counters of requests and events, in the store's shared memory.
 *
 * Each worker has a block of its own, so that two workers do not write to the
 * same cache line. If there are more workers than blocks, they share blocks,
 * which costs time but loses no count. Errors and commits have one block for
 * all. One word for each process slot counts its waiting requests, and is valid
 * as long as its process lives.
 */


#ifndef _NGX_HTTP_EVENTSYNC_COUNT_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_COUNT_H_INCLUDED_


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_problem.h"

#include "limit/latency.h"
#include "trace/otlp.h"


/* the resources, and one for requests that named none */
#define NGX_HTTP_EVENTSYNC_COUNTED  (NGX_HTTP_EVENTSYNC_RESOURCES + 1)

#define NGX_HTTP_EVENTSYNC_LINE     64


/* classes of status; the first is for requests that were not answered */

typedef enum {
    NGX_HTTP_EVENTSYNC_NONE = 0,
    NGX_HTTP_EVENTSYNC_2XX,
    NGX_HTTP_EVENTSYNC_3XX,
    NGX_HTTP_EVENTSYNC_4XX,
    NGX_HTTP_EVENTSYNC_5XX,
    NGX_HTTP_EVENTSYNC_CODES
} ngx_http_eventsync_code_e;


struct ngx_http_eventsync_counters_s {
    _Alignas(NGX_HTTP_EVENTSYNC_LINE)
    _Atomic uint64_t                  requests[NGX_HTTP_EVENTSYNC_COUNTED]
                                              [NGX_HTTP_EVENTSYNC_CODES];
    _Atomic uint64_t                  bytes[NGX_HTTP_EVENTSYNC_COUNTED];
    _Atomic uint64_t                  events[NGX_HTTP_EVENTSYNC_COUNTED];
    _Atomic uint64_t                  published;
    _Atomic uint64_t                  duplicates;
    _Atomic uint64_t                  spans[ES_OTLP_FATES];
    _Atomic uint64_t                  exports[ES_OTLP_OUTCOMES];
};


/* problems, and one for errors without a problem document */
#define NGX_HTTP_EVENTSYNC_ERRORS  (NGX_HTTP_EVENTSYNC_PROBLEMS + 1)


/* what happens seldom enough for all workers to count in one place */

struct ngx_http_eventsync_common_s {
    _Atomic uint64_t                  errors[NGX_HTTP_EVENTSYNC_COUNTED]
                                            [NGX_HTTP_EVENTSYNC_ERRORS];
    es_latency_t                      commits;
    _Atomic uint64_t                  addresses;  /* refused, see _address */
};


/* the sums of all workers */

typedef struct {
    uint64_t                          requests[NGX_HTTP_EVENTSYNC_COUNTED]
                                              [NGX_HTTP_EVENTSYNC_CODES];
    uint64_t                          bytes[NGX_HTTP_EVENTSYNC_COUNTED];
    uint64_t                          events[NGX_HTTP_EVENTSYNC_COUNTED];
    uint64_t                          published;
    uint64_t                          duplicates;
    es_otlp_counts_t                  otlp;
    uint64_t                          polls;      /* waiting now */
    uint64_t                          streams;
} ngx_http_eventsync_totals_t;


/* May be called by any thread. */
void ngx_http_eventsync_count_totals(ngx_http_eventsync_zone_t *zone,
    ngx_http_eventsync_totals_t *totals);

ngx_int_t ngx_http_eventsync_count_init(ngx_conf_t *cf);
size_t ngx_http_eventsync_count_init_zone(ngx_http_eventsync_zone_t *zone,
    u_char *p, size_t size);
void ngx_http_eventsync_count_start(ngx_http_eventsync_zone_t *zone);
void ngx_http_eventsync_count_sent(ngx_http_eventsync_ctx_t *ctx,
    uint64_t events);
void ngx_http_eventsync_count_published(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_count_address(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_count_commit(ngx_http_eventsync_store_t *store,
    const es_case_t *c);
void ngx_http_eventsync_count_otlp(ngx_http_eventsync_store_t *store,
    es_otlp_counts_t *counts);
void ngx_http_eventsync_count_waiting(ngx_http_eventsync_ctx_t *ctx,
    ngx_int_t change);


#endif /* _NGX_HTTP_EVENTSYNC_COUNT_H_INCLUDED_ */
