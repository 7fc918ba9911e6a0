
/*
 * Rates: one word for each partner and policy in shared memory, indexed by the
 * partner's number.  Nothing is allocated and nothing is locked; the zone
 * lives on through a reload.
 */


#include "ngx_http_eventsync.h"

#include "clock.h"


typedef struct {
    ngx_http_eventsync_slot_t         *slot;
    uint64_t                           now;
} ngx_http_eventsync_meter_t;


typedef es_gcra_t (*ngx_http_eventsync_judge_pt)(_Atomic uint64_t *tat,
    es_rate_t rate, uint64_t now_us, uint64_t cost);


static ngx_int_t ngx_http_eventsync_ask(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter, ngx_http_eventsync_charge_t *charges,
    ngx_uint_t n, ngx_http_eventsync_judge_pt judge);
static es_gcra_t ngx_http_eventsync_peek(_Atomic uint64_t *tat,
    es_rate_t rate, uint64_t now, uint64_t cost);
static ngx_int_t ngx_http_eventsync_meter(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter);
static void ngx_http_eventsync_note(ngx_http_eventsync_ctx_t *ctx,
    es_policy_t policy, es_gcra_t *gcra);
static ngx_int_t ngx_http_eventsync_over_burst(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_charge_t *charge);
static ngx_int_t ngx_http_eventsync_rejected(ngx_http_eventsync_ctx_t *ctx,
    uint64_t retry_after_us, ngx_str_t *violated);
static ngx_int_t ngx_http_eventsync_limit_draft(ngx_http_eventsync_ctx_t *ctx,
    uint64_t seconds);
static u_char *ngx_http_eventsync_limit_item(u_char *p, ngx_str_t *name,
    u_char a, uint64_t first, u_char b, uint64_t second);
static ngx_int_t ngx_http_eventsync_limit_legacy(
    ngx_http_eventsync_ctx_t *ctx, uint64_t seconds);
static ngx_int_t ngx_http_eventsync_number_header(ngx_http_request_t *r,
    ngx_str_t *key, uint64_t number);


/* in the order of es_policy_t */

static ngx_str_t  ngx_http_eventsync_policies[] = {
    ngx_string("poll"),
    ngx_string("publish"),
    ngx_string("backfill"),
    ngx_string("wait")
};

static ngx_str_t  ngx_http_eventsync_limit_policy =
    ngx_string("RateLimit-Policy");
static ngx_str_t  ngx_http_eventsync_limit_name = ngx_string("RateLimit");
static ngx_str_t  ngx_http_eventsync_x_limit =
    ngx_string("X-RateLimit-Limit");
static ngx_str_t  ngx_http_eventsync_x_remaining =
    ngx_string("X-RateLimit-Remaining");
static ngx_str_t  ngx_http_eventsync_x_reset =
    ngx_string("X-RateLimit-Reset");


/* all policies are asked before any is charged */

ngx_int_t
ngx_http_eventsync_limit(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_charge_t *charges, ngx_uint_t n)
{
    es_rate_t                   *rate;
    ngx_uint_t                   i, limited;
    ngx_http_eventsync_meter_t   meter;

    limited = 0;

    for (i = 0; i < n; i++) {
        rate = &ctx->limits[charges[i].policy];

        if (rate->interval_us == 0) {
            continue;
        }

        if (charges[i].cost > rate->burst) {
            return ngx_http_eventsync_over_burst(ctx, &charges[i]);
        }

        limited++;
    }

    if (limited == 0) {
        return NGX_OK;
    }

    if (ngx_http_eventsync_meter(ctx, &meter) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (limited > 1
        && ngx_http_eventsync_ask(ctx, &meter, charges, n, ngx_http_eventsync_peek)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_eventsync_ask(ctx, &meter, charges, n, es_gcra_take);
}


static ngx_int_t
ngx_http_eventsync_ask(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter, ngx_http_eventsync_charge_t *charges,
    ngx_uint_t n, ngx_http_eventsync_judge_pt judge)
{
    u_char       *p, names[64];
    uint64_t      retry_after;
    es_gcra_t     gcra;
    ngx_str_t     violated;
    ngx_uint_t    i;
    es_policy_t   policy;

    p = names;
    retry_after = 0;

    for (i = 0; i < n; i++) {
        policy = charges[i].policy;

        if (ctx->limits[policy].interval_us == 0) {
            continue;
        }

        gcra = judge(&meter->slot->tat[policy], ctx->limits[policy],
                     meter->now, charges[i].cost);

        ngx_http_eventsync_note(ctx, policy, &gcra);

        if (!gcra.admitted) {
            p = ngx_slprintf(p, names + sizeof(names), "%s\"%V\"",
                             (p == names) ? "" : ",",
                             &ngx_http_eventsync_policies[policy]);

            retry_after = ngx_max(retry_after, gcra.retry_after_us);
        }
    }

    if (p == names) {
        return NGX_OK;
    }

    violated.data = names;
    violated.len = p - names;

    return ngx_http_eventsync_rejected(ctx, retry_after, &violated);
}


static es_gcra_t
ngx_http_eventsync_peek(_Atomic uint64_t *tat, es_rate_t rate, uint64_t now,
    uint64_t cost)
{
    return es_gcra_peek(tat, rate, now, cost);
}


static ngx_int_t
ngx_http_eventsync_meter(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_meter_t *meter)
{
    ngx_http_eventsync_zone_t  *zone;

    zone = ctx->conf->store->zone->data;

    if (ctx->partner >= zone->nslots) {

        /* sharing a word would let one partner use up another's quota */

        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "eventsync zone of \"%V\" has no room for partner "
                      "\"%V\" with number %uD: enlarge \"zone_size\"",
                      &ctx->conf->store->path, &ctx->partner_name,
                      ctx->partner);

        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_UNAVAILABLE,
                                       "The limiter has no room.");
        if (ctx->problem) {
            ctx->problem->retry_after = 60;
        }

        return NGX_DECLINED;
    }

    meter->slot = &zone->slots[ctx->partner];
    meter->now = (uint64_t) es_clock_mono_us();

    return NGX_OK;
}


/* headers tell of the policy that has the least left */

static void
ngx_http_eventsync_note(ngx_http_eventsync_ctx_t *ctx, es_policy_t policy,
    es_gcra_t *gcra)
{
    if (!ctx->charged
        || policy == ctx->policy
        || gcra->remaining < ctx->gcra.remaining)
    {
        ctx->charged = 1;
        ctx->policy = policy;
        ctx->gcra = *gcra;
    }
}


/* no waiting would ever admit it, so it is not a 429 */

static ngx_int_t
ngx_http_eventsync_over_burst(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_charge_t *charge)
{
    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_TOO_LARGE,
                                   "%uL events at once are over the quota's "
                                   "burst of %uL.", charge->cost,
                                   ctx->limits[charge->policy].burst);

    return ngx_http_eventsync_members(ctx, 64, ",\"maximum\":%uL",
                                      ctx->limits[charge->policy].burst);
}


static ngx_int_t
ngx_http_eventsync_rejected(ngx_http_eventsync_ctx_t *ctx,
    uint64_t retry_after_us, ngx_str_t *violated)
{
    time_t  seconds;

    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "eventsync limits partner \"%V\" by %V", &ctx->partner_name,
                  violated);

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_QUOTA_EXCEEDED,
                                   "The quota of this credential's partner is "
                                   "used up for now.");

    if (ctx->problem == NULL) {
        return NGX_DECLINED;
    }

    /* rounded up, and spread so that clients do not come back at once */

    seconds = (time_t) ((retry_after_us + 999999) / 1000000);
    seconds += ngx_random() % (seconds / 8 + 2);

    ctx->problem->retry_after = ngx_max(seconds, 1);

    return ngx_http_eventsync_members(ctx, 128, ",\"violated-policies\":[%V]",
                                      violated);
}


ngx_int_t
ngx_http_eventsync_limit_headers(ngx_http_eventsync_ctx_t *ctx)
{
    uint64_t  us, seconds;

    if (!ctx->charged) {
        return NGX_OK;
    }

    us = ctx->gcra.admitted ? ctx->gcra.reset_us : ctx->gcra.retry_after_us;
    seconds = (us + 999999) / 1000000;

    switch (ctx->conf->ratelimit_headers) {

    case NGX_HTTP_EVENTSYNC_HEADERS_DRAFT:
        return ngx_http_eventsync_limit_draft(ctx, seconds);

    case NGX_HTTP_EVENTSYNC_HEADERS_LEGACY:
        return ngx_http_eventsync_limit_legacy(ctx, seconds);

    default: /* NGX_HTTP_EVENTSYNC_HEADERS_OFF */
        return NGX_OK;
    }
}


/* draft-ietf-httpapi-ratelimit-headers-11 */

static ngx_int_t
ngx_http_eventsync_limit_draft(ngx_http_eventsync_ctx_t *ctx,
    uint64_t seconds)
{
    u_char              *p;
    uint64_t             window;
    es_rate_t           *rate;
    ngx_str_t            policy, limit, *name;
    ngx_http_request_t  *r;

    r = ctx->request;
    rate = &ctx->limits[ctx->policy];
    name = &ngx_http_eventsync_policies[ctx->policy];
    window = (rate->interval_us * rate->burst + 999999) / 1000000;

    p = ngx_pnalloc(r->pool, 2 * (name->len + sizeof("\"\";q=;w=")
                                  + 2 * NGX_INT64_LEN));
    if (p == NULL) {
        return NGX_ERROR;
    }

    policy.data = p;
    p = ngx_http_eventsync_limit_item(p, name, 'q', rate->burst, 'w', window);
    policy.len = p - policy.data;

    limit.data = p;
    p = ngx_http_eventsync_limit_item(p, name, 'r', ctx->gcra.remaining,
                                      't', seconds);
    limit.len = p - limit.data;

    if (ngx_http_eventsync_header(r, &ngx_http_eventsync_limit_policy, &policy)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_header(r, &ngx_http_eventsync_limit_name,
                                     &limit);
}


/* "name";a=1;b=2 */

static u_char *
ngx_http_eventsync_limit_item(u_char *p, ngx_str_t *name, u_char a,
    uint64_t first, u_char b, uint64_t second)
{
    *p++ = '"';
    p = ngx_cpymem(p, name->data, name->len);
    *p++ = '"';
    *p++ = ';';
    *p++ = a;
    *p++ = '=';
    p = ngx_http_eventsync_number(p, first);
    *p++ = ';';
    *p++ = b;
    *p++ = '=';

    return ngx_http_eventsync_number(p, second);
}


static ngx_int_t
ngx_http_eventsync_limit_legacy(ngx_http_eventsync_ctx_t *ctx,
    uint64_t seconds)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_http_eventsync_number_header(r, &ngx_http_eventsync_x_limit,
                                         ctx->limits[ctx->policy].burst)
        != NGX_OK
        || ngx_http_eventsync_number_header(r,
                                            &ngx_http_eventsync_x_remaining,
                                            ctx->gcra.remaining)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_number_header(r, &ngx_http_eventsync_x_reset,
                                            seconds);
}


static ngx_int_t
ngx_http_eventsync_number_header(ngx_http_request_t *r, ngx_str_t *key,
    uint64_t number)
{
    u_char     *p;
    ngx_str_t   value;

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_http_eventsync_number(p, number) - p;

    return ngx_http_eventsync_header(r, key, &value);
}


ngx_int_t
ngx_http_eventsync_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_eventsync_zone_t  *ozone = data;

    size_t                      size;
    ngx_http_eventsync_zone_t  *zone;

    zone = shm_zone->data;

    if (ozone) {
        *zone = *ozone;
        return NGX_OK;
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    /* the whole zone is one array: nothing is ever freed in it */

    size = zone->shpool->pfree * ngx_pagesize;

    zone->slots = ngx_slab_calloc(zone->shpool, size);
    if (zone->slots == NULL) {
        return NGX_ERROR;
    }

    zone->nslots = size / sizeof(ngx_http_eventsync_slot_t);

    return NGX_OK;
}
