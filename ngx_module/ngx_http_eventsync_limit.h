/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Limits: what the other files need of them.
 *
 * A handler charges a request once, by all policies that concern it, with
 * ngx_http_eventsync_limit(); a stream asks for each piece as well.  Rates are
 * those of the last ngx_http_eventsync_authenticate(), so that who runs for
 * long and authenticates again, as it must, has the ones in force.
 */


#ifndef _NGX_HTTP_EVENTSYNC_LIMIT_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_LIMIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "limit/gauge.h"
#include "limit/limit.h"
#include "limit/meters.h"


#define NGX_HTTP_EVENTSYNC_HEADERS_OFF    0
#define NGX_HTTP_EVENTSYNC_HEADERS_DRAFT  1
#define NGX_HTTP_EVENTSYNC_HEADERS_LEGACY 2


typedef struct ngx_http_eventsync_ctx_s  ngx_http_eventsync_ctx_t;

/* see _count */
typedef struct ngx_http_eventsync_counters_s  ngx_http_eventsync_counters_t;


/* see _claim */
typedef struct ngx_http_eventsync_claims_s  ngx_http_eventsync_claims_t;


/* one partner's words, in shared memory */

typedef struct {
    _Atomic uint64_t                  tat[ES_POLICIES];
} ngx_http_eventsync_slot_t;


/* since the zone was made, by policy */

typedef struct {
    _Atomic uint64_t                  refused[ES_POLICIES_ALL];
    _Atomic uint64_t                  dry_run[ES_POLICIES_ALL];

    /* workers that ended, one after the other, see _process */
    _Atomic uint64_t                  retired;
} ngx_http_eventsync_refusals_t;


typedef struct {
    ngx_slab_pool_t                  *shpool;
    ngx_http_eventsync_refusals_t    *refusals;
    ngx_http_eventsync_claims_t      *claims;
    ngx_http_eventsync_counters_t    *counters;
    ngx_uint_t                        ncounters;
    _Atomic uint64_t                 *waiting;    /* by process slot */
    es_gauge_t                       *waits;      /* by partner */
    es_meters_t                      *addresses;
    ngx_http_eventsync_slot_t        *slots;      /* by partner */
    ngx_uint_t                        nslots;
} ngx_http_eventsync_zone_t;


/* of a location */

typedef struct {
    ngx_uint_t                        limited[ES_POLICIES_ALL];
    es_rate_t                         rates[ES_POLICIES_ALL];
    ngx_uint_t                        headers;
    ngx_flag_t                        dry_run;
} ngx_http_eventsync_limit_conf_t;


typedef struct {
    es_policy_t                       policy;
    uint64_t                          cost;
} ngx_http_eventsync_charge_t;


typedef enum {
    NGX_HTTP_EVENTSYNC_LIMIT_NONE = 0,
    NGX_HTTP_EVENTSYNC_LIMIT_PASSED,
    NGX_HTTP_EVENTSYNC_LIMIT_DELAYED,
    NGX_HTTP_EVENTSYNC_LIMIT_REJECTED,
    NGX_HTTP_EVENTSYNC_LIMIT_DELAYED_DRY_RUN,
    NGX_HTTP_EVENTSYNC_LIMIT_REJECTED_DRY_RUN
} ngx_http_eventsync_limit_status_e;


/* of a request; sets have a bit for each policy */

typedef struct {
    es_rate_t                         rates[ES_POLICIES_ALL];
    es_gcra_t                         results[ES_POLICIES_ALL];
    ngx_uint_t                        asked;      /* have a result */
    ngx_uint_t                        refused;
    ngx_http_eventsync_limit_status_e status;

    unsigned                          waits:1;    /* counted as under way */
    unsigned                          cleanup:1;

    /* it waits for a place, so that having none is no refusal yet */
    unsigned                          patient:1;

    /* set by a handler whose answer shared caches may keep and give to
       others: it says nothing of anybody's quota */
    unsigned                          shared:1;
} ngx_http_eventsync_limited_t;


/*
 * Charges a request by all of the policies or by none.  ES_POLICY_WAITS, with
 * a cost of 1, counts it as under way until it ends or
 * ngx_http_eventsync_limit_leave(); ES_POLICY_BACKFILL, with a cost of 0, asks
 * whether there is anything left to stream.  Policies without a limit cost
 * nothing.  NGX_DECLINED: the context has the problem.  NGX_BUSY: there is no
 * place for one that is patient; nothing was charged or counted.
 */
ngx_int_t ngx_http_eventsync_limit(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_charge_t *charges, ngx_uint_t n);

/* The same, of what costs one poll. */
ngx_int_t ngx_http_eventsync_limit_poll(ngx_http_eventsync_ctx_t *ctx);

/* Gives back what the request was charged, all of it: it turned out to cost
   nothing. */
void ngx_http_eventsync_limit_refund(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_charge_t *charges, ngx_uint_t n);

/*
 * Before a stream sends a piece of `n` bytes, at most ES_GCRA_DEBT.  NGX_OK:
 * it is charged, send it.  NGX_AGAIN: nothing is charged; ask again after
 * `*delay` ms, a second at most, so that a changed rate is seen.  What was
 * charged and not sent, because the client left, is at most one piece and
 * stays charged.
 */
ngx_int_t ngx_http_eventsync_limit_bytes(ngx_http_eventsync_ctx_t *ctx,
    size_t n, ngx_msec_t *delay);

/* No longer under way: to be called before an answer is sent, so that a
   client that has it can at once begin the next.  May be called always. */
void ngx_http_eventsync_limit_leave(ngx_http_eventsync_ctx_t *ctx);

/* What the client's address counts as. */
uint64_t ngx_http_eventsync_limit_address_key(ngx_http_eventsync_ctx_t *ctx);

/* The client's address: judged before a credential is looked at, and charged
   when it is not good.  NGX_DECLINED: the context has the problem. */
ngx_int_t ngx_http_eventsync_limit_address(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_limit_failed(ngx_http_eventsync_ctx_t *ctx);

/* The policy of the request's that has the least left; NGX_DECLINED: none. */
ngx_int_t ngx_http_eventsync_limit_least(ngx_http_eventsync_ctx_t *ctx,
    es_policy_t *policy);

/* _limit_headers; nothing for an answer that shared caches may keep */

ngx_int_t ngx_http_eventsync_limit_headers(ngx_http_eventsync_ctx_t *ctx);

/* _limit_conf: directives, variables, the zone */

char *ngx_http_eventsync_limit_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_eventsync_limit_create_conf(
    ngx_http_eventsync_limit_conf_t *conf);
void ngx_http_eventsync_limit_merge_conf(
    ngx_http_eventsync_limit_conf_t *conf,
    ngx_http_eventsync_limit_conf_t *prev);
ngx_int_t ngx_http_eventsync_limit_variables(ngx_conf_t *cf);
ngx_int_t ngx_http_eventsync_init_zone(ngx_shm_zone_t *shm_zone, void *data);

/* in a worker, before its first request */
void ngx_http_eventsync_limit_start(ngx_shm_zone_t *shm_zone);


extern ngx_conf_enum_t  ngx_http_eventsync_limit_header_forms[];


#endif /* _NGX_HTTP_EVENTSYNC_LIMIT_H_INCLUDED_ */
