/* SPDX-License-Identifier: BSD-2-Clause */

/* Limits: directives, variables, and the layout of the shared zone. */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_count.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_send.h"

#include "limit/gauge.h"
#include "limit/batches.h"
#include "limit/gcra.h"
#include "limit/limit.h"
#include "limit/meters.h"
#include "limit/polls.h"


/* the gauge and the tables of addresses and polls each take 1/8 of the zone */
#define NGX_HTTP_EVENTSYNC_ZONE_PART   8

/* and the table of feeds this part */
#define NGX_HTTP_EVENTSYNC_ZONE_FEEDS  64


typedef enum {
    NGX_HTTP_EVENTSYNC_LIMIT_STATUS = 0,
    NGX_HTTP_EVENTSYNC_LIMIT_POLICY,
    NGX_HTTP_EVENTSYNC_LIMIT_REMAINING
} ngx_http_eventsync_limit_variable_e;


static char *ngx_http_eventsync_limit_parameters(ngx_conf_t *cf,
    es_policy_t policy, es_rate_t *rate);
static char *ngx_http_eventsync_limit_rate(ngx_conf_t *cf, es_policy_t policy,
    ngx_str_t *text, uint64_t amount, es_rate_t *rate);
static ngx_int_t ngx_http_eventsync_limit_amount(es_policy_t policy,
    ngx_str_t *text, uint64_t *amount);
static size_t ngx_http_eventsync_init_reads(ngx_http_eventsync_zone_t *zone,
    u_char *p, size_t size);
static ngx_int_t ngx_http_eventsync_limit_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_limit_policies(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_variable_value_t *v);
static ngx_int_t ngx_http_eventsync_limited_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


ngx_conf_enum_t  ngx_http_eventsync_limit_header_forms[] = {
    { ngx_string("off"), NGX_HTTP_EVENTSYNC_HEADERS_OFF },
    { ngx_string("draft"), NGX_HTTP_EVENTSYNC_HEADERS_DRAFT },
    { ngx_string("legacy"), NGX_HTTP_EVENTSYNC_HEADERS_LEGACY },
    { ngx_null_string, 0 }
};


static ngx_str_t  ngx_http_eventsync_limit_statuses[] = {
    [NGX_HTTP_EVENTSYNC_LIMIT_NONE] = ngx_null_string,
    [NGX_HTTP_EVENTSYNC_LIMIT_PASSED] = ngx_string("PASSED"),
    [NGX_HTTP_EVENTSYNC_LIMIT_DELAYED] = ngx_string("DELAYED"),
    [NGX_HTTP_EVENTSYNC_LIMIT_REJECTED] = ngx_string("REJECTED"),
    [NGX_HTTP_EVENTSYNC_LIMIT_DELAYED_DRY_RUN] = ngx_string("DELAYED_DRY_RUN"),
    [NGX_HTTP_EVENTSYNC_LIMIT_REJECTED_DRY_RUN] =
        ngx_string("REJECTED_DRY_RUN")
};


static ngx_http_variable_t  ngx_http_eventsync_limit_vars[] = {

    { ngx_string("eventsync_limit_status"), NULL,
      ngx_http_eventsync_limit_variable, NGX_HTTP_EVENTSYNC_LIMIT_STATUS,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_limit_policy"), NULL,
      ngx_http_eventsync_limit_variable, NGX_HTTP_EVENTSYNC_LIMIT_POLICY,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_limit_remaining"), NULL,
      ngx_http_eventsync_limit_variable, NGX_HTTP_EVENTSYNC_LIMIT_REMAINING,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_limited_"), NULL,
      ngx_http_eventsync_limited_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

      ngx_http_null_variable
};


char *
ngx_http_eventsync_limit_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    ngx_str_t    *value;
    es_policy_t   policy;

    value = cf->args->elts;

    if (es_policy_find(ngx_http_eventsync_str(&value[1]), &policy) != ES_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid policy \"%V\", it must be \"poll\", "
                           "\"publish\", \"backfill\", \"waits\", "
                           "\"manage\" or \"address\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    if (elcf->limit.limited[policy]) {
        return "is duplicate";
    }

    elcf->limit.limited[policy] = 1;

    if (cf->args->nelts == 3 && ngx_strcmp(value[2].data, "off") == 0) {
        return NGX_CONF_OK;
    }

    return ngx_http_eventsync_limit_parameters(cf, policy,
                                               &elcf->limit.rates[policy]);
}


/* parses rate= and burst=, or max= of the policy "waits" */

static char *
ngx_http_eventsync_limit_parameters(ngx_conf_t *cf, es_policy_t policy,
    es_rate_t *rate)
{
    char       *prefix;
    size_t      len;
    ngx_str_t  *value, *text, s;
    uint64_t    amount;
    ngx_uint_t  i, gauge;

    value = cf->args->elts;
    gauge = (policy == ES_POLICY_WAITS);
    prefix = gauge ? "max=" : "burst=";
    len = ngx_strlen(prefix);
    text = NULL;
    amount = 0;

    for (i = 2; i < cf->args->nelts; i++) {

        if (!gauge && text == NULL
            && ngx_strncmp(value[i].data, "rate=", 5) == 0)
        {
            text = &value[i];
            continue;
        }

        if (amount == 0 && ngx_strncmp(value[i].data, prefix, len) == 0) {
            s.data = value[i].data + len;
            s.len = value[i].len - len;

            if (ngx_http_eventsync_limit_amount(policy, &s, &amount)
                == NGX_OK)
            {
                continue;
            }
        }

        goto invalid;
    }

    if (gauge) {
        rate->burst = amount;
        return NGX_CONF_OK;
    }

    if (text == NULL) {
        return "must have \"rate\" parameter";
    }

    return ngx_http_eventsync_limit_rate(cf, policy, text, amount, rate);

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       &value[i]);

    return NGX_CONF_ERROR;
}


static char *
ngx_http_eventsync_limit_rate(ngx_conf_t *cf, es_policy_t policy,
    ngx_str_t *text, uint64_t amount, es_rate_t *rate)
{
    es_rc_t     rc;
    ngx_str_t  *value, s;

    value = cf->args->elts;

    s.data = text->data + 5;
    s.len = text->len - 5;

    rc = es_limit_set(policy, ngx_http_eventsync_str(&s), amount, rate);

    if (rc == ES_TOO_LARGE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "burst of \"%V\" exceeds what the rate \"%V\" "
                           "allows in 100 years", &value[0], &s);
        return NGX_CONF_ERROR;
    }

    if (rc == ES_OK) {
        return NGX_CONF_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       text);

    return NGX_CONF_ERROR;
}


/* parses a size in bytes for "backfill", else a plain number */

static ngx_int_t
ngx_http_eventsync_limit_amount(es_policy_t policy, ngx_str_t *text,
    uint64_t *amount)
{
    ngx_int_t  n;

    if (policy == ES_POLICY_BACKFILL) {
        return (es_size_parse(ngx_http_eventsync_str(text), amount) == ES_OK)
               ? NGX_OK : NGX_ERROR;
    }

    n = ngx_atoi(text->data, text->len);

    if (n <= 0) {
        return NGX_ERROR;
    }

    *amount = n;

    return NGX_OK;
}


void
ngx_http_eventsync_limit_create_conf(ngx_http_eventsync_limit_conf_t *conf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     conf->limited[] = 0;
     *     conf->rates[] = { 0, 0, 0 };
     */

    conf->headers = NGX_CONF_UNSET_UINT;
    conf->dry_run = NGX_CONF_UNSET;
}


void
ngx_http_eventsync_limit_merge_conf(ngx_http_eventsync_limit_conf_t *conf,
    ngx_http_eventsync_limit_conf_t *prev)
{
    ngx_uint_t  i;

    ngx_conf_merge_uint_value(conf->headers, prev->headers,
                              NGX_HTTP_EVENTSYNC_HEADERS_DRAFT);
    ngx_conf_merge_value(conf->dry_run, prev->dry_run, 0);

    for (i = 0; i < ES_POLICIES_ALL; i++) {

        if (!conf->limited[i]) {
            conf->limited[i] = prev->limited[i];
            conf->rates[i] = prev->rates[i];
        }
    }
}


/*
 * Allocates the whole zone at once and never frees any of it. It holds
 * refusals, claims, counters, the gauge of running requests, the meters of
 * addresses and the figures of polls and feeds. The rest holds the rates of the
 * partners.
 */

ngx_int_t
ngx_http_eventsync_init_zone(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_eventsync_zone_t  *ozone = data;

    u_char                     *p;
    size_t                      size, part, words, sets, all;
    ngx_http_eventsync_zone_t  *zone;

    zone = shm_zone->data;

    if (ozone) {
        *zone = *ozone;
        return NGX_OK;
    }

    zone->shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    size = zone->shpool->pfree * ngx_pagesize;

    p = ngx_slab_calloc(zone->shpool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    all = size;

    part = size / NGX_HTTP_EVENTSYNC_ZONE_PART;
    words = part / sizeof(uint64_t);
    sets = part / (es_meters_size(2) - es_meters_size(1));

    zone->refusals = (ngx_http_eventsync_refusals_t *) p;
    p += ngx_align(sizeof(ngx_http_eventsync_refusals_t), 64);
    size -= ngx_align(sizeof(ngx_http_eventsync_refusals_t), 64);

    part = ngx_http_eventsync_claims_init(zone, p);
    p += part;
    size -= part;

    part = ngx_http_eventsync_count_init_zone(zone, p, size);
    p += part;
    size -= part;

    zone->waits = (es_gauge_t *) p;
    es_gauge_init(zone->waits, words);
    p += ngx_align(es_gauge_size(words), 64);
    size -= ngx_align(es_gauge_size(words), 64);

    zone->addresses = (es_meters_t *) p;
    if (es_meters_init(zone->addresses, sets) != ES_OK) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, ngx_errno,
                      "eventsync got no random bytes for zone \"%V\"",
                      &shm_zone->shm.name);
        return NGX_ERROR;
    }
    p += ngx_align(es_meters_size(sets), 64);
    size -= ngx_align(es_meters_size(sets), 64);

    part = ngx_http_eventsync_init_reads(zone, p, all);
    p += part;
    size -= part;

    zone->slots = (ngx_http_eventsync_slot_t *) p;
    zone->nslots = size / sizeof(ngx_http_eventsync_slot_t);

    return NGX_OK;
}


/* lays out what is counted of reads; returns the size used */

static size_t
ngx_http_eventsync_init_reads(ngx_http_eventsync_zone_t *zone, u_char *p,
    size_t size)
{
    size_t  polls, feeds;

    polls = size / NGX_HTTP_EVENTSYNC_ZONE_PART
            / (es_polls_size(2) - es_polls_size(1));
    polls = ngx_max(polls, 1);

    feeds = size / NGX_HTTP_EVENTSYNC_ZONE_FEEDS
            / (es_batches_size(2) - es_batches_size(1));

    zone->polls = (es_polls_t *) p;
    es_polls_init(zone->polls, polls);
    p += es_polls_size(polls);

    zone->batches = (es_batches_t *) p;
    es_batches_init(zone->batches, feeds);

    return es_polls_size(polls) + es_batches_size(feeds);
}


void
ngx_http_eventsync_limit_start(ngx_shm_zone_t *shm_zone)
{
    ngx_http_eventsync_zone_t  *zone;

    zone = shm_zone->data;

    es_gauge_start(zone->waits, ngx_process_slot);
    ngx_http_eventsync_count_start(zone);
}


ngx_int_t
ngx_http_eventsync_limit_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_eventsync_limit_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_limit_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                    *p;
    ngx_str_t                 *status;
    es_policy_t                policy;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    if (ctx == NULL || ctx->limit.status == NGX_HTTP_EVENTSYNC_LIMIT_NONE) {
        v->not_found = 1;
        return NGX_OK;
    }

    switch (data) {

    case NGX_HTTP_EVENTSYNC_LIMIT_STATUS:
        status = &ngx_http_eventsync_limit_statuses[ctx->limit.status];
        v->len = status->len;
        v->data = status->data;
        return NGX_OK;

    case NGX_HTTP_EVENTSYNC_LIMIT_POLICY:
        return ngx_http_eventsync_limit_policies(ctx, v);

    default: /* NGX_HTTP_EVENTSYNC_LIMIT_REMAINING */

        if (ngx_http_eventsync_limit_least(ctx, &policy) != NGX_OK) {
            v->not_found = 1;
            return NGX_OK;
        }

        p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
        if (p == NULL) {
            return NGX_ERROR;
        }

        v->data = p;
        v->len = ngx_http_eventsync_number(p,
                                      ctx->limit.results[policy].remaining)
                 - p;
        return NGX_OK;
    }
}


/*
 * the policies that refuse, separated by commas, or the one with the least
 * left
 */

static ngx_int_t
ngx_http_eventsync_limit_policies(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_variable_value_t *v)
{
    u_char       *p;
    es_str_t      name;
    ngx_uint_t    i, of;
    es_policy_t   least;

    of = ctx->limit.refused;

    if (of == 0) {

        if (ngx_http_eventsync_limit_least(ctx, &least) != NGX_OK) {
            v->not_found = 1;
            return NGX_OK;
        }

        of = (ngx_uint_t) 1 << least;
    }

    p = ngx_pnalloc(ctx->request->pool, 64);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;

    for (i = 0; i < ES_POLICIES_ALL; i++) {

        if (!(of >> i & 1)) {
            continue;
        }

        if (p != v->data) {
            *p++ = ',';
        }

        name = es_policy_name(i);
        p = ngx_cpymem(p, name.data, name.len);
    }

    v->len = p - v->data;

    return NGX_OK;
}


/* $eventsync_limited_POLICY and $eventsync_limited_dry_run_POLICY */

static ngx_int_t
ngx_http_eventsync_limited_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *name = (ngx_str_t *) data;

    u_char                         *p;
    es_str_t                        word;
    es_policy_t                     policy;
    _Atomic uint64_t               *counts;
    ngx_http_eventsync_zone_t      *zone;
    ngx_http_eventsync_srv_conf_t  *escf;

    escf = ngx_http_get_module_srv_conf(r, ngx_http_eventsync_module);

    if (escf->store == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    zone = escf->store->zone->data;
    counts = zone->refusals->refused;

    word.data = (char *) name->data + sizeof("eventsync_limited_") - 1;
    word.len = name->len - (sizeof("eventsync_limited_") - 1);

    if (word.len > 8 && ngx_strncmp(word.data, "dry_run_", 8) == 0) {
        word.data += 8;
        word.len -= 8;
        counts = zone->refusals->dry_run;
    }

    if (es_policy_find(word, &policy) != ES_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_http_eventsync_number(p, counts[policy]) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = p;

    return NGX_OK;
}
