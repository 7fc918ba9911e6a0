/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The rate limiter. The rates of a partner are one word for each policy in
 * shared memory, indexed by the partner's number. A gauge counts its running
 * requests. A table of fixed size meters client addresses. Nothing is
 * allocated, only the gauge takes a lock, and all state survives a reload.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"

#include "base/clock.h"
#include "limit/gauge.h"
#include "limit/gcra.h"
#include "limit/limit.h"
#include "limit/meters.h"


/* maximum delay, in ms, before a stream checks its rate again */
#define NGX_HTTP_EVENTSYNC_LIMIT_DELAY  1000

#define ngx_http_eventsync_now_ns()  ((uint64_t) es_clock_mono_us() * 1000)


/* records that a list examines for a unit beyond the first */
#define NGX_HTTP_EVENTSYNC_LIMIT_RECORDS  100


typedef struct {
    ngx_http_eventsync_zone_t        *zone;
    ngx_http_eventsync_slot_t        *slot;
    uint64_t                          address;
    uint64_t                          now;
    ngx_uint_t                        n;
    ngx_http_eventsync_charge_t       charges[ES_POLICIES_ALL];
} ngx_http_eventsync_meter_t;


static ngx_int_t ngx_http_eventsync_limit_collect(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_charge_t *charges,
    ngx_uint_t n, ngx_http_eventsync_meter_t *meter);
static ngx_int_t ngx_http_eventsync_limit_check(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter);
static ngx_int_t ngx_http_eventsync_limit_take(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter);
static es_gcra_t ngx_http_eventsync_limit_apply(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter, ngx_http_eventsync_charge_t *charge,
    ngx_uint_t take);
static void ngx_http_eventsync_limit_undo(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter, ngx_uint_t n);
static void ngx_http_eventsync_limit_return(ngx_http_eventsync_ctx_t *ctx,
    es_policy_t policy, uint64_t cost);
static void ngx_http_eventsync_limit_remember(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter);
static void ngx_http_eventsync_limit_note(ngx_http_eventsync_ctx_t *ctx,
    es_policy_t policy, es_gcra_t *result);
static ngx_int_t ngx_http_eventsync_limit_enter(ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_limit_cleanup(void *data);


ngx_int_t
ngx_http_eventsync_limit(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_charge_t *charges, ngx_uint_t n)
{
    ngx_int_t                   rc;
    ngx_http_eventsync_meter_t  meter;

    if (ctx->limit.status == NGX_HTTP_EVENTSYNC_LIMIT_REJECTED_DRY_RUN) {

        /* its address would have been refused without the dry run */

        return NGX_OK;
    }

    rc = ngx_http_eventsync_limit_collect(ctx, charges, n, &meter);

    if (rc != NGX_OK || meter.n == 0) {
        return rc;
    }

    /* check all policies before charging any; charge a single one at once */

    if (meter.n > 1 || meter.charges[0].policy == ES_POLICY_WAITS) {
        rc = ngx_http_eventsync_limit_check(ctx, &meter);

        if (rc == NGX_BUSY
            && ctx->limit.patient && !ctx->conf->limit.dry_run
            && ctx->limit.refused == (ngx_uint_t) 1 << ES_POLICY_WAITS)
        {
            ctx->limit.refused = 0;
            return NGX_BUSY;
        }

        if (rc != NGX_OK) {
            return (rc == NGX_BUSY) ? ngx_http_eventsync_limit_refuse(ctx)
                                    : rc;
        }
    }

    if (ngx_http_eventsync_limit_take(ctx, &meter) != NGX_OK) {
        return ngx_http_eventsync_limit_refuse(ctx);
    }

    ngx_http_eventsync_limit_remember(ctx, &meter);

    ctx->limit.status = NGX_HTTP_EVENTSYNC_LIMIT_PASSED;

    return NGX_OK;
}


ngx_int_t
ngx_http_eventsync_limit_poll(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_charge_t  charge = { ES_POLICY_POLL, 1 };

    return ngx_http_eventsync_limit(ctx, &charge, 1);
}


ngx_int_t
ngx_http_eventsync_limit_publish(ngx_http_eventsync_ctx_t *ctx, ngx_uint_t n)
{
    uint64_t                     charged;
    ngx_http_eventsync_charge_t  charge;

    charged = ctx->limit.charged[ES_POLICY_PUBLISH];

    if (n <= charged) {
        return NGX_OK;
    }

    charge.policy = ES_POLICY_PUBLISH;
    charge.cost = n - charged;

    return ngx_http_eventsync_limit(ctx, &charge, 1);
}


/* a list is charged by as many records as it may examine */

ngx_int_t
ngx_http_eventsync_limit_manage(ngx_http_eventsync_ctx_t *ctx)
{
    uint64_t                     burst;
    ngx_http_eventsync_charge_t  charge;

    burst = ctx->limit.rates[ES_POLICY_MANAGE].burst;

    charge.policy = ES_POLICY_MANAGE;
    charge.cost = 1;

    if (ctx->args && burst) {
        charge.cost += ctx->args->limit / NGX_HTTP_EVENTSYNC_LIMIT_RECORDS;
        charge.cost = ngx_min(charge.cost, burst);
    }

    return ngx_http_eventsync_limit(ctx, &charge, 1);
}


void
ngx_http_eventsync_limit_examined(ngx_http_eventsync_ctx_t *ctx, ngx_uint_t n)
{
    uint64_t  charged, cost;

    charged = ctx->limit.charged[ES_POLICY_MANAGE];
    cost = 1 + n / NGX_HTTP_EVENTSYNC_LIMIT_RECORDS;

    if (charged > cost) {
        ngx_http_eventsync_limit_return(ctx, ES_POLICY_MANAGE, charged - cost);
    }
}


void
ngx_http_eventsync_limit_refund(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_uint_t  i;

    for (i = 0; i < ES_POLICIES_ALL; i++) {

        if (ctx->limit.charged[i]) {
            ngx_http_eventsync_limit_return(ctx, i, ctx->limit.charged[i]);
        }
    }
}


/* the remaining units are those at the time of the charge */

static void
ngx_http_eventsync_limit_return(ngx_http_eventsync_ctx_t *ctx,
    es_policy_t policy, uint64_t cost)
{
    uint64_t                    time;
    es_rate_t                  *rate;
    es_gcra_t                  *result;
    ngx_http_eventsync_zone_t  *zone;

    zone = ngx_http_eventsync_zone(ctx);
    rate = &ctx->limit.rates[policy];
    result = &ctx->limit.results[policy];

    ctx->limit.charged[policy] -= cost;

    if (policy == ES_POLICY_ADDRESS) {
        es_meters_refund(zone->addresses,
                         ngx_http_eventsync_limit_address_key(ctx), rate,
                         cost);

    } else {
        es_gcra_refund(&zone->slots[ctx->partner].tat[policy], rate, cost);
    }

    time = es_rate_time_ns(rate, cost);

    result->remaining = ngx_min(result->remaining + cost, rate->burst);
    result->reset_ns -= ngx_min(time, result->reset_ns);
}


/* collects the policies that have a limit, and finds their meters */

static ngx_int_t
ngx_http_eventsync_limit_collect(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_charge_t *charges, ngx_uint_t n,
    ngx_http_eventsync_meter_t *meter)
{
    es_rate_t   *rate;
    ngx_uint_t   i;

    meter->n = 0;
    meter->slot = NULL;
    meter->address = 0;

    for (i = 0; i < n; i++) {
        rate = &ctx->limit.rates[charges[i].policy];

        if (rate->burst == 0) {
            continue;
        }

        if (charges[i].cost + ctx->limit.charged[charges[i].policy]
            > rate->burst)
        {
            meter->n = 0;
            return ngx_http_eventsync_limit_over_burst(ctx, &charges[i]);
        }

        meter->charges[meter->n++] = charges[i];
    }

    meter->zone = ngx_http_eventsync_zone(ctx);

    if (meter->n) {

        if (ctx->partner >= meter->zone->nslots) {
            meter->n = 0;
            return ngx_http_eventsync_limit_no_room(ctx);
        }

        meter->slot = &meter->zone->slots[ctx->partner];
    }

    /* without authentication only the address identifies a client */

    if (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_OFF
        && ctx->limit.rates[ES_POLICY_ADDRESS].burst
        && ctx->limit.charged[ES_POLICY_ADDRESS] == 0)
    {
        meter->address = ngx_http_eventsync_limit_address_key(ctx);
        meter->charges[meter->n].policy = ES_POLICY_ADDRESS;
        meter->charges[meter->n++].cost = 1;
    }

    if (meter->n) {
        meter->now = ngx_http_eventsync_now_ns();
    }

    return NGX_OK;
}


/*
 * Checks all charges. ES_POLICY_WAITS is counted at once, because that can be
 * undone without a trace. NGX_BUSY: at least one policy refuses.
 */

static ngx_int_t
ngx_http_eventsync_limit_check(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter)
{
    ngx_int_t                     rc;
    es_gcra_t                     result;
    ngx_uint_t                    i;
    ngx_http_eventsync_charge_t  *charge;

    for (i = 0; i < meter->n; i++) {
        charge = &meter->charges[i];

        if (charge->policy == ES_POLICY_WAITS) {
            rc = ngx_http_eventsync_limit_enter(ctx);

            if (rc == NGX_DECLINED) {
                return rc;
            }

            continue;
        }

        result = ngx_http_eventsync_limit_apply(ctx, meter, charge, 0);
        ngx_http_eventsync_limit_note(ctx, charge->policy, &result);
    }

    if (ctx->limit.refused) {
        ngx_http_eventsync_limit_undo(ctx, meter, 0);
        return NGX_BUSY;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_limit_take(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter)
{
    es_gcra_t                     result;
    ngx_uint_t                    i;
    ngx_http_eventsync_charge_t  *charge;

    for (i = 0; i < meter->n; i++) {
        charge = &meter->charges[i];

        if (charge->policy == ES_POLICY_WAITS) {
            continue;
        }

        result = ngx_http_eventsync_limit_apply(ctx, meter, charge, 1);
        ngx_http_eventsync_limit_note(ctx, charge->policy, &result);

        if (!result.admitted) {

            /* another worker has used up the quota since the check */

            ngx_http_eventsync_limit_undo(ctx, meter, i);
            return NGX_BUSY;
        }
    }

    return NGX_OK;
}


static es_gcra_t
ngx_http_eventsync_limit_apply(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter, ngx_http_eventsync_charge_t *charge,
    ngx_uint_t take)
{
    es_gcra_t          result;
    es_rate_t         *rate;
    _Atomic uint64_t  *tat;

    rate = &ctx->limit.rates[charge->policy];

    if (charge->policy == ES_POLICY_ADDRESS) {
        return take ? es_meters_take(meter->zone->addresses, meter->address,
                                     rate, meter->now, charge->cost)
                    : es_meters_peek(meter->zone->addresses, meter->address,
                                     rate, meter->now, charge->cost);
    }

    tat = &meter->slot->tat[charge->policy];

    if (charge->policy == ES_POLICY_BACKFILL) {

        /* a stream is slowed and never refused, so that it can be resumed */

        result = es_gcra_spend(tat, rate, meter->now, 0);
        result.admitted = true;

        return result;
    }

    return take ? es_gcra_take(tat, rate, meter->now, charge->cost)
                : es_gcra_peek(tat, rate, meter->now, charge->cost);
}


/*
 * Refunds the first `n` charges. Policies that did not refuse report what is
 * left without this request.
 */

static void
ngx_http_eventsync_limit_undo(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter, ngx_uint_t n)
{
    es_rate_t                    *rate;
    es_gcra_t                     result;
    ngx_uint_t                    i;
    ngx_http_eventsync_charge_t  *charge;

    if (ctx->limit.waits) {
        ngx_http_eventsync_limit_leave(ctx);
        ctx->limit.results[ES_POLICY_WAITS].remaining++;
    }

    for (i = 0; i < meter->n; i++) {
        charge = &meter->charges[i];
        rate = &ctx->limit.rates[charge->policy];

        if (charge->policy == ES_POLICY_WAITS) {
            continue;
        }

        if (i < n && charge->policy == ES_POLICY_ADDRESS) {
            es_meters_refund(meter->zone->addresses, meter->address, rate,
                             charge->cost);

        } else if (i < n) {
            es_gcra_refund(&meter->slot->tat[charge->policy], rate,
                           charge->cost);
        }

        if (!(ctx->limit.refused >> charge->policy & 1)) {
            charge->cost = 0;
            result = ngx_http_eventsync_limit_apply(ctx, meter, charge, 0);
            ngx_http_eventsync_limit_note(ctx, charge->policy, &result);
        }
    }
}


/* only what a refund can return: not slots, nor bytes of a stream */

static void
ngx_http_eventsync_limit_remember(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter)
{
    ngx_uint_t                    i;
    ngx_http_eventsync_charge_t  *charge;

    for (i = 0; i < meter->n; i++) {
        charge = &meter->charges[i];

        if (charge->policy != ES_POLICY_WAITS
            && charge->policy != ES_POLICY_BACKFILL)
        {
            ctx->limit.charged[charge->policy] += charge->cost;
        }
    }
}


static void
ngx_http_eventsync_limit_note(ngx_http_eventsync_ctx_t *ctx,
    es_policy_t policy, es_gcra_t *result)
{
    ctx->limit.results[policy] = *result;
    ctx->limit.asked |= (ngx_uint_t) 1 << policy;

    if (!result->admitted) {
        ctx->limit.refused |= (ngx_uint_t) 1 << policy;
    }
}


ngx_int_t
ngx_http_eventsync_limit_least(ngx_http_eventsync_ctx_t *ctx,
    es_policy_t *policy)
{
    ngx_uint_t  i, of;

    of = ctx->limit.refused ? ctx->limit.refused : ctx->limit.asked;

    if (of == 0) {
        return NGX_DECLINED;
    }

    *policy = ES_POLICIES_ALL;

    for (i = 0; i < ES_POLICIES_ALL; i++) {

        if ((of & (ngx_uint_t) 1 << i)
            && (*policy == ES_POLICIES_ALL
                || ctx->limit.results[i].remaining
                   < ctx->limit.results[*policy].remaining))
        {
            *policy = i;
        }
    }

    return NGX_OK;
}


/* counts the request as running; NGX_BUSY: it must not run, which is noted */

static ngx_int_t
ngx_http_eventsync_limit_enter(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t                     rc;
    uint64_t                    max, count;
    es_gcra_t                   result;
    ngx_http_cleanup_t         *cln;
    ngx_http_eventsync_zone_t  *zone;

    if (!ctx->limit.cleanup) {
        cln = ngx_http_cleanup_add(ctx->request, 0);
        if (cln == NULL) {
            return NGX_DECLINED;
        }

        cln->handler = ngx_http_eventsync_limit_cleanup;
        cln->data = ctx;
        ctx->limit.cleanup = 1;
    }

    zone = ngx_http_eventsync_zone(ctx);
    max = ctx->limit.rates[ES_POLICY_WAITS].burst;

    rc = es_gauge_enter(zone->waits, ngx_process_slot, ctx->partner, max);

    if (rc == ES_NOMEM) {
        return ngx_http_eventsync_limit_no_room(ctx);
    }

    count = es_gauge_count(zone->waits, ctx->partner);

    ctx->limit.waits = (rc == ES_OK);

    /* nobody knows when one of the running requests will end */

    result.admitted = (rc == ES_OK);
    result.remaining = (count < max) ? max - count : 0;
    result.retry_after_ns = result.admitted ? 0 : ES_SECOND_NS;
    result.reset_ns = 0;

    ngx_http_eventsync_limit_note(ctx, ES_POLICY_WAITS, &result);

    return result.admitted ? NGX_OK : NGX_BUSY;
}


void
ngx_http_eventsync_limit_leave(ngx_http_eventsync_ctx_t *ctx)
{
    if (!ctx->limit.waits) {
        return;
    }

    ctx->limit.waits = 0;

    es_gauge_leave(ngx_http_eventsync_zone(ctx)->waits, ngx_process_slot,
                   ctx->partner);
}


static void
ngx_http_eventsync_limit_cleanup(void *data)
{
    ngx_http_eventsync_limit_leave(data);
}


ngx_int_t
ngx_http_eventsync_limit_bytes(ngx_http_eventsync_ctx_t *ctx, size_t n,
    ngx_msec_t *delay)
{
    uint64_t                            ms;
    es_gcra_t                           result;
    es_rate_t                          *rate;
    ngx_uint_t                          dry_run;
    ngx_http_eventsync_zone_t          *zone;
    ngx_http_eventsync_limit_status_e   status;

    *delay = 0;

    rate = &ctx->limit.rates[ES_POLICY_BACKFILL];
    zone = ngx_http_eventsync_zone(ctx);

    if (rate->burst == 0 || ctx->partner >= zone->nslots) {
        return NGX_OK;
    }

    if (ctx->limit.status == NGX_HTTP_EVENTSYNC_LIMIT_REJECTED_DRY_RUN) {

        /* it would have been refused without the dry run: charge nothing */

        return NGX_OK;
    }

    result = es_gcra_spend(&zone->slots[ctx->partner].tat[ES_POLICY_BACKFILL],
                           rate, ngx_http_eventsync_now_ns(), n);

    if (result.admitted) {
        return NGX_OK;
    }

    dry_run = ctx->conf->limit.dry_run;
    status = dry_run ? NGX_HTTP_EVENTSYNC_LIMIT_DELAYED_DRY_RUN
                     : NGX_HTTP_EVENTSYNC_LIMIT_DELAYED;

    if (ctx->limit.status != status) {
        ctx->limit.status = status;

        if (dry_run) {
            zone->refusals->dry_run[ES_POLICY_BACKFILL]++;
        }

        ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                      "eventsync slows partner \"%V\" by \"backfill\"%s",
                      &ctx->partner_name, dry_run ? ", dry run" : "");
    }

    if (dry_run) {
        return NGX_OK;
    }

    ngx_http_eventsync_limit_refused(ctx, ES_POLICY_BACKFILL);

    ms = (result.retry_after_ns + 999999) / 1000000;

    *delay = (ngx_msec_t) ngx_min(ms, NGX_HTTP_EVENTSYNC_LIMIT_DELAY);

    return NGX_AGAIN;
}


ngx_int_t
ngx_http_eventsync_limit_address(ngx_http_eventsync_ctx_t *ctx)
{
    es_rate_t  *rate;
    es_gcra_t   result;

    rate = &ctx->limit.rates[ES_POLICY_ADDRESS];

    if (rate->burst == 0) {
        return NGX_OK;
    }

    result = es_meters_peek(ngx_http_eventsync_zone(ctx)->addresses,
                            ngx_http_eventsync_limit_address_key(ctx), rate,
                            ngx_http_eventsync_now_ns(), 1);

    if (result.admitted) {
        return NGX_OK;
    }

    ngx_http_eventsync_limit_note(ctx, ES_POLICY_ADDRESS, &result);

    return ngx_http_eventsync_limit_refuse(ctx);
}


void
ngx_http_eventsync_limit_failed(ngx_http_eventsync_ctx_t *ctx)
{
    es_rate_t  *rate;

    rate = &ctx->limit.rates[ES_POLICY_ADDRESS];

    if (rate->burst) {
        (void) es_meters_take(ngx_http_eventsync_zone(ctx)->addresses,
                              ngx_http_eventsync_limit_address_key(ctx), rate,
                              ngx_http_eventsync_now_ns(), 1);
    }
}


/* an IPv6 network of 64 bits is one client, who can use all its addresses */

uint64_t
ngx_http_eventsync_limit_address_key(ngx_http_eventsync_ctx_t *ctx)
{
    u_char  *data;
    size_t   len;

    switch (ngx_http_eventsync_address(ctx, &data)) {

    case AF_INET:
        len = 4;
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        len = 8;
        break;
#endif

    default: /* all AF_UNIX clients share a key */
        len = 0;
        break;
    }

    return es_meters_key(ngx_http_eventsync_zone(ctx)->addresses, data, len);
}


