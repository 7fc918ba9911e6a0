/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Figures of polls: what each kind of request adds to them.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_pages.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_polls.h"
#include "ngx_http_eventsync_publish.h"
#include "ngx_http_eventsync_stream.h"
#include "ngx_http_eventsync_worker.h"

#include "limit/batches.h"
#include "limit/polls.h"
#include "registry/registry.h"


static void ngx_http_eventsync_polls_count(ngx_http_eventsync_ctx_t *ctx,
    const es_poll_t *poll);
static ngx_int_t ngx_http_eventsync_polls_begin(ngx_http_eventsync_ctx_t *ctx,
    es_poll_t *poll);
static int64_t ngx_http_eventsync_polls_within(
    ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_polls_position(ngx_http_eventsync_ctx_t *ctx,
    es_poll_t *poll, es_cursor_t *cursor);


static void
ngx_http_eventsync_polls_count(ngx_http_eventsync_ctx_t *ctx,
    const es_poll_t *poll)
{
    ngx_http_eventsync_zone_t  *zone;

    zone = ngx_http_eventsync_zone(ctx);

    es_polls_count(zone->polls, poll);

    if (poll->events) {
        es_batches_count(zone->batches, poll->feed, poll->events);
    }
}


void
ngx_http_eventsync_polls_ended(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t status)
{
    es_poll_t    poll;
    es_cursor_t  cursor;

    if (ctx->stream
        || ngx_http_eventsync_polls_begin(ctx, &poll) != NGX_OK)
    {
        return;
    }

    poll.status = status;

    if (status == NGX_HTTP_OK || status == NGX_HTTP_PARTIAL_CONTENT) {
        poll.events = ctx->events;
        ngx_http_eventsync_polls_position(ctx, &poll, &cursor);
    }

    /* who reads pages, or through caches, decides how fresh they are */

    if (poll.events && ctx->first_ms) {
        poll.within_ms = ngx_http_eventsync_polls_within(ctx);
        poll.first = ctx->first;
        poll.first_ms = ctx->first_ms;
        poll.asked_ms = (int64_t) ctx->request->start_sec * 1000
                        + ctx->request->start_msec;
        poll.answered_ms = ctx->answered_ms;
    }

    ngx_http_eventsync_polls_count(ctx, &poll);
}


/* NGX_DECLINED: the request is not counted */

static ngx_int_t
ngx_http_eventsync_polls_begin(ngx_http_eventsync_ctx_t *ctx, es_poll_t *poll)
{
    /* who looks at the figures with the dashboard must not change them */

    if (ctx->feed_number == 0
        || ctx->request->method == NGX_HTTP_HEAD
        || ngx_http_eventsync_prefers(ctx, "figures", "none"))
    {
        return NGX_DECLINED;
    }

    ngx_memzero(poll, sizeof(es_poll_t));

    poll->partner = ctx->partner;
    poll->feed = ctx->feed_number;
    poll->now_ms = ngx_http_eventsync_polls_time();

    poll->channel = (ctx->resource == NGX_HTTP_EVENTSYNC_PAGES)
                    ? ES_POLL_PAGES
                    : (ctx->format == NGX_HTTP_EVENTSYNC_SSE)
                    ? ES_POLL_STREAM
                    : (ctx->args && ctx->args->wait)
                    ? ES_POLL_LONG : ES_POLL_POLL;

    return NGX_OK;
}


int64_t
ngx_http_eventsync_polls_time(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (int64_t) tp->sec * 1000 + tp->msec;
}


/* the rule is read again when the registry has changed */

static int64_t
ngx_http_eventsync_polls_within(ngx_http_eventsync_ctx_t *ctx)
{
    uint64_t                       version;
    es_feed_rule_t                 rule;
    ngx_http_eventsync_promise_t  *promise;

    if (ctx->worker->es == NULL) {
        return 0;
    }

    promise = &ctx->worker->promises[ctx->feed_number
                                     % NGX_HTTP_EVENTSYNC_PROMISES];
    version = es_registry_version(ctx->worker->es);

    if (promise->feed == ctx->feed_number && promise->version == version) {
        return promise->within;
    }

    if (es_registry_rule(ctx->worker->es, ngx_http_eventsync_str(&ctx->feed),
                         &rule)
        != ES_OK)
    {
        rule.fresh_within_ms = 0;
    }

    promise->feed = ctx->feed_number;
    promise->version = version;
    promise->within = rule.fresh_within_ms;

    return promise->within;
}


/* a poll ends at its `next`, a page at its last event */

static void
ngx_http_eventsync_polls_position(ngx_http_eventsync_ctx_t *ctx,
    es_poll_t *poll, es_cursor_t *cursor)
{
    if (ctx->resource == NGX_HTTP_EVENTSYNC_PAGES) {

        if (ctx->events) {
            poll->epoch = ctx->cached->key.epoch;
            poll->position = ctx->last;
        }

        return;
    }

    if (es_cursor_parse(ngx_http_eventsync_str(&ctx->next), cursor) == ES_OK) {
        poll->epoch = cursor->epoch;
        poll->position = cursor->sequence;
    }
}


void
ngx_http_eventsync_polls_stream(ngx_http_eventsync_ctx_t *ctx)
{
    es_poll_t  poll;

    if (ngx_http_eventsync_polls_begin(ctx, &poll) != NGX_OK) {
        return;
    }

    poll.status = NGX_HTTP_OK;
    poll.epoch = ctx->reading->epoch;
    poll.position = ctx->reading->scan;

    ngx_http_eventsync_polls_count(ctx, &poll);
}


void
ngx_http_eventsync_polls_piece(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page)
{
    es_poll_t  poll;

    if (ngx_http_eventsync_polls_begin(ctx, &poll) != NGX_OK) {
        return;
    }

    poll.piece = 1;
    poll.events = page->count;
    poll.epoch = ctx->reading->epoch;
    poll.position = page->last;

    poll.within_ms = ngx_http_eventsync_polls_within(ctx);
    poll.first = page->first;
    poll.first_ms = page->first_ms;
    poll.asked_ms = ctx->stream->asked;
    poll.answered_ms = poll.now_ms;

    ngx_http_eventsync_polls_count(ctx, &poll);

    /* the reader is ready for the next events when it has taken these */

    ctx->stream->asked = 0;
}
