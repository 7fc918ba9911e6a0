/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Poll: reads events from a position and composes a page, in one read
 * transaction.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_stream.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "event/cursor.h"
#include "limit/limit.h"
#include "log/feed.h"
#include "read/reader.h"
#include "store/txn.h"


/* maximum size of a page of several events */
#define NGX_HTTP_EVENTSYNC_PAGE_BYTES  (4 * 1024 * 1024)


static ngx_int_t ngx_http_eventsync_poll_look(ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_poll_first(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn);
static ngx_int_t ngx_http_eventsync_poll_start(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, es_feed_t *feed);
static ngx_int_t ngx_http_eventsync_poll_page(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, const es_feed_t *feed, ngx_uint_t last);


ngx_int_t
ngx_http_eventsync_poll(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t  rc;

    if ((ctx->format == NGX_HTTP_EVENTSYNC_SSE
         ? ngx_http_eventsync_stream_args(ctx)
         : ngx_http_eventsync_no_stream_args(ctx))
        != NGX_OK)
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    ctx->reading = ngx_pcalloc(ctx->request->pool,
                               sizeof(ngx_http_eventsync_reading_t));
    if (ctx->reading == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_eventsync_poll_look(ctx);

    if (rc == NGX_BUSY) {

        if (ngx_http_eventsync_claim(ctx) == NGX_DONE) {
            return NGX_DONE;
        }

        ctx->limit.patient = 0;

        rc = ngx_http_eventsync_poll_look(ctx);
    }

    return ngx_http_eventsync_poll_answer(ctx, rc);
}


/* tries again for a reader that waits for a slot */

ngx_int_t
ngx_http_eventsync_poll_retry(ngx_http_eventsync_ctx_t *ctx)
{
    return (ngx_http_eventsync_permit(ctx) == NGX_OK)
           ? ngx_http_eventsync_poll_look(ctx) : NGX_DECLINED;
}


static ngx_int_t
ngx_http_eventsync_poll_look(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t     es;
    es_txn_t   *txn;
    ngx_int_t   rc;

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    rc = ngx_http_eventsync_poll_first(ctx, txn);

    es_txn_end(txn);

    return rc;
}


/* returns the code that finalizes the request */

ngx_int_t
ngx_http_eventsync_poll_answer(ngx_http_eventsync_ctx_t *ctx, ngx_int_t rc)
{
    if (rc == NGX_AGAIN) {
        return (ctx->format == NGX_HTTP_EVENTSYNC_SSE)
               ? ngx_http_eventsync_stream(ctx) : ngx_http_eventsync_wait(ctx);
    }

    ngx_http_eventsync_limit_leave(ctx);

    switch (rc) {

    case NGX_OK:
        return ngx_http_eventsync_send_page(ctx);

    case NGX_HTTP_NOT_MODIFIED:
        return ngx_http_eventsync_send_not_modified(ctx);

    default: /* NGX_DECLINED */
        return ngx_http_eventsync_send_problem(ctx);
    }
}


/* reads the page, or finds out that the request must wait */

static ngx_int_t
ngx_http_eventsync_poll_first(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn)
{
    es_rc_t                      es;
    es_feed_t                    feed;
    ngx_int_t                    rc;
    ngx_uint_t                   last;
    ngx_http_request_t          *r;
    ngx_http_eventsync_charge_t  charges[2];

    r = ctx->request;

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    ctx->feed_number = feed.number;

    if (ngx_http_eventsync_poll_start(ctx, txn, &feed) != NGX_OK) {
        return NGX_DECLINED;
    }

    last = (ctx->format != NGX_HTTP_EVENTSYNC_SSE
            && (ctx->args->wait == 0 || ngx_exiting || r != r->main));

    /* a request that may wait wants new events, not a 304 */

    if (last && ngx_http_eventsync_etag_matches(ctx)) {
        return NGX_HTTP_NOT_MODIFIED;
    }

    charges[0].policy = ES_POLICY_POLL;
    charges[0].cost = 1;
    charges[1].policy = ES_POLICY_WAITS;
    charges[1].cost = 1;

    rc = ngx_http_eventsync_limit(ctx, charges, last ? 1 : 2);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ctx->format == NGX_HTTP_EVENTSYNC_SSE) {
        return NGX_AGAIN;
    }

    return ngx_http_eventsync_poll_page(ctx, txn, &feed, last);
}


/* checks the feed again for a waiting request */

ngx_int_t
ngx_http_eventsync_poll_again(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    es_rc_t es, const es_feed_t *feed, ngx_uint_t last)
{
    es_cursor_t                    position;
    ngx_http_eventsync_reading_t  *reading;

    reading = ctx->reading;

    if (ngx_http_eventsync_permit(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (!last
        && feed->last == reading->scan
        && ngx_strcmp(feed->epoch, reading->key.epoch) == 0)
    {
        return NGX_AGAIN;
    }

    ngx_memcpy(position.epoch, reading->epoch, sizeof(position.epoch));
    position.sequence = reading->scan;

    if (ngx_http_eventsync_check(ctx, feed, &position) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_eventsync_etag(ctx, txn, feed);

    return ngx_http_eventsync_poll_page(ctx, txn, feed, last);
}


/* the feed was read up to here */

void
ngx_http_eventsync_scan(ngx_http_eventsync_reading_t *reading,
    const es_feed_t *feed, uint64_t sequence)
{
    reading->scan = sequence;
    ngx_memcpy(reading->epoch, es_feed_epoch_of(feed, sequence),
               sizeof(reading->epoch));
}


/* finds the beginning: `after`, `from`, or the oldest event retained */

static ngx_int_t
ngx_http_eventsync_poll_start(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    es_feed_t *feed)
{
    uint64_t                       after;
    ngx_http_eventsync_reading_t  *reading;

    reading = ctx->reading;

    if (ngx_http_eventsync_begin(ctx, txn, feed, 0, &after) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_eventsync_scan(reading, feed, after);
    reading->key.after = after;

    (void) es_feed_cursor(feed, after, reading->after_text);

    ngx_http_eventsync_etag(ctx, txn, feed);

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_poll_page(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    const es_feed_t *feed, ngx_uint_t last)
{
    es_rc_t                        es;
    es_page_t                     *page;
    ngx_http_eventsync_args_t     *args;
    ngx_http_eventsync_reading_t  *reading;

    args = ctx->args;
    reading = ctx->reading;
    page = &ctx->worker->page;

    if (ngx_http_eventsync_memo_find(ctx)) {
        return NGX_OK;
    }

    es = es_page_read(txn, feed, reading->scan, es_str(reading->after_text),
                      args->limit, NGX_HTTP_EVENTSYNC_PAGE_BYTES,
                      args->filter, ngx_http_eventsync_fields(ctx), page);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (page->count == 0) {
        ngx_http_eventsync_scan(reading, feed, page->next);

        if (!last && !page->has_more) {
            return NGX_AGAIN;
        }
    }

    return ngx_http_eventsync_compose(ctx, feed, page);
}
