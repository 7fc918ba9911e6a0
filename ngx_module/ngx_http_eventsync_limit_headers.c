/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Rate limit headers in answers: the fields of
 * draft-ietf-httpapi-ratelimit-headers-11, or the older X-RateLimit fields.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_send.h"

#include "limit/gcra.h"
#include "limit/limit.h"


/* "backfill";q=…;qu="content-bytes";w=…, */
#define NGX_HTTP_EVENTSYNC_LIMIT_ITEM  96


static ngx_int_t ngx_http_eventsync_limit_draft(ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_limit_fields(ngx_http_request_t *r,
    ngx_str_t *policy, ngx_str_t *limit);
static u_char *ngx_http_eventsync_limit_item(u_char *p, es_policy_t policy,
    const char *name, uint64_t value);
static u_char *ngx_http_eventsync_limit_parameter(u_char *p, const char *name,
    uint64_t value);
static ngx_int_t ngx_http_eventsync_limit_legacy(
    ngx_http_eventsync_ctx_t *ctx);
static uint64_t ngx_http_eventsync_limit_seconds(uint64_t ns);
static uint64_t ngx_http_eventsync_limit_reset(es_gcra_t *result);
static ngx_int_t ngx_http_eventsync_limit_number(ngx_http_request_t *r,
    ngx_str_t *key, uint64_t number);


static ngx_str_t  ngx_http_eventsync_limit_policy =
    ngx_string("RateLimit-Policy");
static ngx_str_t  ngx_http_eventsync_limit_name = ngx_string("RateLimit");
static ngx_str_t  ngx_http_eventsync_x_limit =
    ngx_string("X-RateLimit-Limit");
static ngx_str_t  ngx_http_eventsync_x_remaining =
    ngx_string("X-RateLimit-Remaining");
static ngx_str_t  ngx_http_eventsync_x_reset =
    ngx_string("X-RateLimit-Reset");


ngx_int_t
ngx_http_eventsync_limit_headers(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_uint_t  i;

    /* a limit may have been taken away while the request waited */

    for (i = 0; i < ES_POLICIES_ALL; i++) {
        if (ctx->limit.rates[i].burst == 0) {
            ctx->limit.asked &= ~(1u << i);
        }
    }

    if (ctx->limit.asked == 0) {
        return NGX_OK;
    }

    /* caches never store a problem, so it may tell the quota */

    if (ctx->limit.shared && ctx->problem == NULL) {
        return NGX_OK;
    }

    switch (ctx->conf->limit.headers) {

    case NGX_HTTP_EVENTSYNC_HEADERS_DRAFT:
        return ngx_http_eventsync_limit_draft(ctx);

    case NGX_HTTP_EVENTSYNC_HEADERS_LEGACY:
        return ngx_http_eventsync_limit_legacy(ctx);

    default: /* NGX_HTTP_EVENTSYNC_HEADERS_OFF */
        return NGX_OK;
    }
}


/* writes an item for each policy that was checked to both fields */

static ngx_int_t
ngx_http_eventsync_limit_draft(ngx_http_eventsync_ctx_t *ctx)
{
    u_char     *p, *q;
    es_rate_t  *rate;
    es_gcra_t  *result;
    ngx_str_t   policy, limit;
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < ES_POLICIES_ALL; i++) {
        n += ctx->limit.asked >> i & 1;
    }

    p = ngx_pnalloc(ctx->request->pool, 2 * n * NGX_HTTP_EVENTSYNC_LIMIT_ITEM);
    if (p == NULL) {
        return NGX_ERROR;
    }

    q = p + n * NGX_HTTP_EVENTSYNC_LIMIT_ITEM;

    policy.data = p;
    limit.data = q;

    for (i = 0; i < ES_POLICIES_ALL; i++) {

        if (!(ctx->limit.asked >> i & 1)) {
            continue;
        }

        if (p != policy.data) {
            p = ngx_cpymem(p, ", ", 2);
            q = ngx_cpymem(q, ", ", 2);
        }

        rate = &ctx->limit.rates[i];
        result = &ctx->limit.results[i];

        p = ngx_http_eventsync_limit_item(p, i, ";q=", rate->burst);
        q = ngx_http_eventsync_limit_item(q, i, ";r=", result->remaining);

        if (i == ES_POLICY_WAITS) {
            p = ngx_cpymem(p, ";qu=\"concurrent-requests\"",
                           sizeof(";qu=\"concurrent-requests\"") - 1);
            continue;
        }

        if (i == ES_POLICY_BACKFILL) {
            p = ngx_cpymem(p, ";qu=\"content-bytes\"",
                           sizeof(";qu=\"content-bytes\"") - 1);
        }

        p = ngx_http_eventsync_limit_parameter(p, ";w=",
                         ngx_http_eventsync_limit_seconds(
                                          es_rate_time_ns(rate, rate->burst)));
        q = ngx_http_eventsync_limit_parameter(q, ";t=",
                                      ngx_http_eventsync_limit_reset(result));
    }

    policy.len = p - policy.data;
    limit.len = q - limit.data;

    return ngx_http_eventsync_limit_fields(ctx->request, &policy, &limit);
}


static ngx_int_t
ngx_http_eventsync_limit_fields(ngx_http_request_t *r, ngx_str_t *policy,
    ngx_str_t *limit)
{
    if (ngx_http_eventsync_header(r, &ngx_http_eventsync_limit_policy, policy)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_header(r, &ngx_http_eventsync_limit_name, limit);
}


static u_char *
ngx_http_eventsync_limit_item(u_char *p, es_policy_t policy, const char *name,
    uint64_t value)
{
    es_str_t  word;

    word = es_policy_name(policy);

    *p++ = '"';
    p = ngx_cpymem(p, word.data, word.len);
    *p++ = '"';

    return ngx_http_eventsync_limit_parameter(p, name, value);
}


static u_char *
ngx_http_eventsync_limit_parameter(u_char *p, const char *name, uint64_t value)
{
    p = ngx_cpymem(p, name, 3);

    return ngx_http_eventsync_number(p, value);
}


/* these fields describe one policy: the one with the least left */

static ngx_int_t
ngx_http_eventsync_limit_legacy(ngx_http_eventsync_ctx_t *ctx)
{
    es_gcra_t           *result;
    es_policy_t          policy;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_http_eventsync_limit_least(ctx, &policy) != NGX_OK) {
        return NGX_OK;
    }

    result = &ctx->limit.results[policy];

    if (ngx_http_eventsync_limit_number(r, &ngx_http_eventsync_x_limit,
                                        ctx->limit.rates[policy].burst)
        != NGX_OK
        || ngx_http_eventsync_limit_number(r, &ngx_http_eventsync_x_remaining,
                                           result->remaining)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_limit_number(r, &ngx_http_eventsync_x_reset,
                                      ngx_http_eventsync_limit_reset(result));
}


/* rounded up */

static uint64_t
ngx_http_eventsync_limit_seconds(uint64_t ns)
{
    return ns / ES_SECOND_NS + (ns % ES_SECOND_NS ? 1 : 0);
}


/* time until the quota is full, or until a refused request is admitted */

static uint64_t
ngx_http_eventsync_limit_reset(es_gcra_t *result)
{
    return ngx_http_eventsync_limit_seconds(result->admitted
                                            ? result->reset_ns
                                            : result->retry_after_ns);
}


static ngx_int_t
ngx_http_eventsync_limit_number(ngx_http_request_t *r, ngx_str_t *key,
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
