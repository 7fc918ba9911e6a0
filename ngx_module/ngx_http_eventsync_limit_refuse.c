/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Refusals by a limit: the problem for the client, the counters, and the log
 * line. In a dry run a refusal is only counted and logged. A refusal by a quota
 * has the same place, but no dry run.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "limit/limit.h"


/*
 * The refusals of a partner in one word: the second of the last one, the
 * policies of those that came less than a minute after the one before, and
 * their number since the zone was created.
 */

#define NGX_HTTP_EVENTSYNC_RECENT           60
#define NGX_HTTP_EVENTSYNC_REFUSED_SECOND   32    /* bits below it */
#define NGX_HTTP_EVENTSYNC_REFUSED_POLICY   24
#define NGX_HTTP_EVENTSYNC_REFUSED_MAX      0xffffff

#define ngx_http_eventsync_refused_now()                                      \
    ((uint64_t) es_clock_mono_us() / 1000000 & UINT32_MAX)


static u_char *ngx_http_eventsync_limit_count(ngx_http_eventsync_ctx_t *ctx,
    u_char *p, u_char *last);
static uint64_t ngx_http_eventsync_refused_policies(uint64_t word,
    uint64_t now);


/* sharing a slot would let one partner use up the quota of another */

ngx_int_t
ngx_http_eventsync_limit_no_room(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "eventsync zone of \"%V\" has no room for partner "
                  "\"%V\" with number %uD: enlarge \"zone_size\"",
                  &ctx->conf->store->path, &ctx->partner_name, ctx->partner);

    if (ctx->conf->limit.dry_run) {
        return NGX_OK;
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_UNAVAILABLE,
                                   "The rate limiter has no room for this "
                                   "partner.");
    if (ctx->problem) {
        ctx->problem->retry_after = 60;
    }

    return NGX_DECLINED;
}


/* waiting would never admit the request, so it is not a 429 */

ngx_int_t
ngx_http_eventsync_limit_over_burst(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_charge_t *charge)
{
    u_char    names[64];
    uint64_t  burst;

    burst = ctx->limit.rates[charge->policy].burst;
    ctx->limit.refused |= (ngx_uint_t) 1 << charge->policy;

    (void) ngx_http_eventsync_limit_count(ctx, names, names + sizeof(names));

    if (ctx->conf->limit.dry_run) {
        return NGX_OK;
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_TOO_LARGE,
                                   "%uL events in one request exceed the "
                                   "quota's burst of %uL.",
                                   charge->cost
                                   + ctx->limit.charged[charge->policy],
                                   burst);

    return ngx_http_eventsync_members(ctx, 64, ",\"maximum\":%uL", burst);
}


/*
 * refuses the request by the policies in ctx->limit.refused; what it was
 * charged before is returned, also in a dry run
 */

ngx_int_t
ngx_http_eventsync_limit_refuse(ngx_http_eventsync_ctx_t *ctx)
{
    time_t       seconds;
    u_char      *last, names[64];
    uint64_t     retry_after;
    ngx_uint_t   i;

    last = ngx_http_eventsync_limit_count(ctx, names, names + sizeof(names));

    ngx_http_eventsync_limit_refund(ctx);

    if (ctx->conf->limit.dry_run) {
        return NGX_OK;
    }

    retry_after = 0;

    for (i = 0; i < ES_POLICIES_ALL; i++) {

        if (ctx->limit.refused & (ngx_uint_t) 1 << i) {
            retry_after = ngx_max(retry_after,
                                  ctx->limit.results[i].retry_after_ns);
        }
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_QUOTA_EXCEEDED,
                                   (ctx->limit.refused
                                    & (1 << ES_POLICY_ADDRESS))
                                   ? "The quota of this client address is "
                                     "used up."
                                   : "The quota of the credential's partner "
                                     "is used up.");

    if (ctx->problem == NULL) {
        return NGX_DECLINED;
    }

    /* rounded up, and spread so that clients do not return at the same time */

    seconds = (time_t) (retry_after / ES_SECOND_NS
                        + (retry_after % ES_SECOND_NS ? 1 : 0));
    seconds += ngx_random() % (seconds / 8 + 2);

    ctx->problem->retry_after = ngx_max(seconds, 1);

    return ngx_http_eventsync_members(ctx, 128, ",\"violated-policies\":[%*s]",
                                      (size_t) (last - names), names);
}


/*
 * counts and logs a refusal, or what would be one without the dry run; writes
 * its policies as JSON strings
 */

static u_char *
ngx_http_eventsync_limit_count(ngx_http_eventsync_ctx_t *ctx, u_char *p,
    u_char *last)
{
    u_char                         *names;
    ngx_uint_t                      i, dry_run;
    _Atomic uint64_t               *counts;
    ngx_http_eventsync_refusals_t  *refusals;

    names = p;
    dry_run = ctx->conf->limit.dry_run;
    refusals = ngx_http_eventsync_zone(ctx)->refusals;
    counts = dry_run ? refusals->dry_run : refusals->refused;

    for (i = 0; i < ES_POLICIES_ALL; i++) {

        if (ctx->limit.refused & (ngx_uint_t) 1 << i) {
            p = ngx_slprintf(p, last, "%s\"%s\"", (p == names) ? "" : ",",
                             es_policy_name(i).data);
            counts[i]++;

            if (!dry_run) {
                ngx_http_eventsync_limit_refused(ctx, i);
            }
        }
    }

    ctx->limit.status = dry_run ? NGX_HTTP_EVENTSYNC_LIMIT_REJECTED_DRY_RUN
                                : NGX_HTTP_EVENTSYNC_LIMIT_REJECTED;

    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "eventsync limits %s \"%V\" by %*s%s",
                  ctx->partner_name.len ? "partner" : "client",
                  ctx->partner_name.len ? &ctx->partner_name
                                  : &ctx->request->connection->addr_text,
                  (size_t) (p - names), names, dry_run ? ", dry run" : "");

    return p;
}


/*
 * completes the problem of a request that a quota of the partner's record
 * refuses
 */

ngx_int_t
ngx_http_eventsync_quota(ngx_http_eventsync_ctx_t *ctx, const char *quota,
    uint64_t limit)
{
    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "eventsync limits partner \"%V\" by quota \"%s\" of %uL",
                  &ctx->partner_name, quota, limit);

    return ngx_http_eventsync_members(ctx, 64, ",\"quota\":\"%s\","
                                      "\"limit\":%uL", quota, limit);
}


/* refusals of an address are not the partner's */

void
ngx_http_eventsync_limit_refused(ngx_http_eventsync_ctx_t *ctx,
    es_policy_t policy)
{
    uint64_t                    old, new, now, policies, n;
    _Atomic uint64_t           *word;
    ngx_http_eventsync_zone_t  *zone;

    zone = ngx_http_eventsync_zone(ctx);

    if (policy >= ES_POLICIES || ctx->partner >= zone->nslots) {
        return;
    }

    word = &zone->slots[ctx->partner].refused;
    now = ngx_http_eventsync_refused_now();
    old = *word;

    do {
        n = ngx_min((old & NGX_HTTP_EVENTSYNC_REFUSED_MAX) + 1,
                    NGX_HTTP_EVENTSYNC_REFUSED_MAX);

        policies = ngx_http_eventsync_refused_policies(old, now);
        policies |= (uint64_t) 1 << policy;

        new = now << NGX_HTTP_EVENTSYNC_REFUSED_SECOND
              | policies << NGX_HTTP_EVENTSYNC_REFUSED_POLICY | n;

    } while (!atomic_compare_exchange_weak(word, &old, new));
}


ngx_uint_t
ngx_http_eventsync_limit_recent(ngx_http_eventsync_zone_t *zone,
    uint32_t partner, uint64_t *refused)
{
    uint64_t  word;

    word = (partner < zone->nslots) ? zone->slots[partner].refused : 0;

    *refused = word & NGX_HTTP_EVENTSYNC_REFUSED_MAX;

    return ngx_http_eventsync_refused_policies(word,
                                          ngx_http_eventsync_refused_now());
}


/* a refusal of another thread may be newer than `now` */

static uint64_t
ngx_http_eventsync_refused_policies(uint64_t word, uint64_t now)
{
    if ((word >> NGX_HTTP_EVENTSYNC_REFUSED_SECOND)
        + NGX_HTTP_EVENTSYNC_RECENT <= now)
    {
        return 0;
    }

    return word >> NGX_HTTP_EVENTSYNC_REFUSED_POLICY & 0xff;
}
