/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Interface of the rate limiter.
 *
 * A handler charges a request before it works for it, by all policies that
 * concern it, with ngx_http_eventsync_limit(). It may charge again when it
 * knows how much work there is. A stream charges each piece as well. The rates
 * are those found by the last ngx_http_eventsync_authenticate(). Long requests
 * authenticate repeatedly and so use the current rates.
 */


#ifndef _NGX_HTTP_EVENTSYNC_LIMIT_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_LIMIT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "limit/batches.h"
#include "limit/gauge.h"
#include "limit/limit.h"
#include "limit/meters.h"
#include "limit/polls.h"


#define NGX_HTTP_EVENTSYNC_HEADERS_OFF    0
#define NGX_HTTP_EVENTSYNC_HEADERS_DRAFT  1
#define NGX_HTTP_EVENTSYNC_HEADERS_LEGACY 2


#define ngx_http_eventsync_zone(ctx)                                          \
    ((ngx_http_eventsync_zone_t *) (ctx)->conf->store->zone->data)


typedef struct ngx_http_eventsync_ctx_s  ngx_http_eventsync_ctx_t;

/* see _count */
typedef struct ngx_http_eventsync_counters_s  ngx_http_eventsync_counters_t;
typedef struct ngx_http_eventsync_common_s  ngx_http_eventsync_common_t;


/* see _claim */
typedef struct ngx_http_eventsync_claims_s  ngx_http_eventsync_claims_t;


/* rate state of one partner, in shared memory */

typedef struct {
    _Atomic uint64_t                  tat[ES_POLICIES];
    _Atomic uint64_t                  refused;    /* see _limit_refuse */
} ngx_http_eventsync_slot_t;


/* refusals by policy since the zone was created */

typedef struct {
    _Atomic uint64_t                  refused[ES_POLICIES_ALL];
    _Atomic uint64_t                  dry_run[ES_POLICIES_ALL];

    /* consecutive workers that ended to get another pid, see _process */
    _Atomic uint64_t                  retired;
} ngx_http_eventsync_refusals_t;


typedef struct {
    ngx_slab_pool_t                  *shpool;
    ngx_http_eventsync_refusals_t    *refusals;
    ngx_http_eventsync_claims_t      *claims;
    ngx_http_eventsync_counters_t    *counters;
    ngx_uint_t                        ncounters;
    _Atomic uint64_t                 *waiting;    /* by process slot */
    ngx_http_eventsync_common_t      *common;     /* see _count */
    es_gauge_t                       *waits;      /* by partner */
    es_meters_t                      *addresses;
    es_polls_t                       *polls;      /* by partner and feed */
    es_batches_t                     *batches;    /* by feed */
    ngx_http_eventsync_slot_t        *slots;      /* by partner */
    ngx_uint_t                        nslots;
} ngx_http_eventsync_zone_t;


/* limits of a location */

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


/* limits of a request; `asked` and `refused` have a bit for each policy */

typedef struct {
    es_rate_t                         rates[ES_POLICIES_ALL];
    es_gcra_t                         results[ES_POLICIES_ALL];
    uint64_t                          charged[ES_POLICIES_ALL];
    ngx_uint_t                        asked;      /* have a result */
    ngx_uint_t                        refused;
    ngx_http_eventsync_limit_status_e status;

    unsigned                          waits:1;    /* counted as running */
    unsigned                          cleanup:1;

    /* the request waits for a slot: having none is not a refusal yet */
    unsigned                          patient:1;

    /*
     * shared caches may store the answer: it must not contain anybody's quota
     */
    unsigned                          shared:1;
} ngx_http_eventsync_limited_t;


/*
 * Charges a request by all of the policies or by none. ES_POLICY_WAITS, with a
 * cost of 1, counts the request as running until it ends or until
 * ngx_http_eventsync_limit_leave(). ES_POLICY_BACKFILL, with a cost of 0,
 * checks whether any bytes may be streamed. Policies without a limit cost
 * nothing. NGX_DECLINED: ctx->problem is set. NGX_BUSY: no slot is free for a
 * patient request; nothing was charged or counted.
 */
ngx_int_t ngx_http_eventsync_limit(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_charge_t *charges, ngx_uint_t n);

/* Charges one poll. */
ngx_int_t ngx_http_eventsync_limit_poll(ngx_http_eventsync_ctx_t *ctx);

/*
 * Charges a request that manages endpoints: one unit, and one for each hundred
 * records that a list may examine, as far as the burst allows. The second
 * function returns the units of those that it did not examine.
 */
ngx_int_t ngx_http_eventsync_limit_manage(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_limit_examined(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t n);

/*
 * Charges a request to publish `n` events, less what it was charged already:
 * one event before the body is read, and the rest after.
 */
ngx_int_t ngx_http_eventsync_limit_publish(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t n);

/*
 * Refunds all that the request was charged: when a limit refuses it, when the
 * server cannot serve it, and when it turns out to be free. Safe to call at
 * any time.
 */
void ngx_http_eventsync_limit_refund(ngx_http_eventsync_ctx_t *ctx);

/*
 * Charges a piece of `n` bytes, at most ES_GCRA_DEBT, before a stream sends
 * it. NGX_OK: the piece is charged, send it. NGX_AGAIN: nothing is charged;
 * try again after `*delay` ms, which is at most one second, so that a changed
 * rate takes effect. If the client leaves, at most one charged piece is
 * unsent; it stays charged.
 */
ngx_int_t ngx_http_eventsync_limit_bytes(ngx_http_eventsync_ctx_t *ctx,
    size_t n, ngx_msec_t *delay);

/*
 * Ends the count of a running request. Must be called before the answer is
 * sent, so that a client that has it can begin its next request at once. Safe
 * to call at any time.
 */
void ngx_http_eventsync_limit_leave(ngx_http_eventsync_ctx_t *ctx);

/* The key by which the client's address is metered. */
uint64_t ngx_http_eventsync_limit_address_key(ngx_http_eventsync_ctx_t *ctx);

/*
 * Checks the quota of the client's address, before the credential is checked.
 * NGX_DECLINED: ctx->problem is set. The second function charges the address
 * for an invalid credential.
 */
ngx_int_t ngx_http_eventsync_limit_address(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_limit_failed(ngx_http_eventsync_ctx_t *ctx);

/* The policy of the request that has the least left; NGX_DECLINED: none. */
ngx_int_t ngx_http_eventsync_limit_least(ngx_http_eventsync_ctx_t *ctx,
    es_policy_t *policy);

/* _limit_refuse: NGX_OK in a dry run, else NGX_DECLINED */

ngx_int_t ngx_http_eventsync_limit_no_room(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_limit_over_burst(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_charge_t *charge);
ngx_int_t ngx_http_eventsync_limit_refuse(ngx_http_eventsync_ctx_t *ctx);

/* _limit_refuse: names the quota in the problem, and logs; NGX_DECLINED */

ngx_int_t ngx_http_eventsync_quota(ngx_http_eventsync_ctx_t *ctx,
    const char *quota, uint64_t limit);

/*
 * _limit_refuse: notes that a policy has refused a request of the partner, or
 * has slowed it. The second function returns a bit for each policy that has
 * done so within the last minute, and how often any has; any thread may call
 * it.
 */

void ngx_http_eventsync_limit_refused(ngx_http_eventsync_ctx_t *ctx,
    es_policy_t policy);
ngx_uint_t ngx_http_eventsync_limit_recent(ngx_http_eventsync_zone_t *zone,
    uint32_t partner, uint64_t *refused);

/* _limit_headers: adds nothing to an answer that shared caches may store */

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

/* called in a worker before its first request */
void ngx_http_eventsync_limit_start(ngx_shm_zone_t *shm_zone);


extern ngx_conf_enum_t  ngx_http_eventsync_limit_header_forms[];


#endif /* _NGX_HTTP_EVENTSYNC_LIMIT_H_INCLUDED_ */
