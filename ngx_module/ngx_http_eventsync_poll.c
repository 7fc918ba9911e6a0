/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Poll: one read transaction from the position to the composed page.
 */


#include "ngx_http_eventsync.h"


/* a page ends early when it would pass this */
#define NGX_HTTP_EVENTSYNC_PAGE_BYTES  (4 * 1024 * 1024)


static ngx_uint_t ngx_http_eventsync_formats(ngx_http_eventsync_ctx_t *ctx);
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
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx->poll = ngx_pcalloc(r->pool, sizeof(ngx_http_eventsync_poll_t));
    if (ctx->poll == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->poll->ctx = ctx;

    if (ngx_http_eventsync_poll_args(ctx) != NGX_OK
        || ngx_http_eventsync_authenticate(ctx) != NGX_OK
        || ngx_http_eventsync_authorize(ctx, ES_SCOPE_READ) != NGX_OK
        || ngx_http_eventsync_accept(ctx, ngx_http_eventsync_page_types,
                                     ngx_http_eventsync_formats(ctx),
                                     &ctx->format)
           != NGX_OK
        || (ctx->format == NGX_HTTP_EVENTSYNC_SSE
            ? ngx_http_eventsync_stream_args(ctx)
            : ngx_http_eventsync_no_stream_args(ctx))
           != NGX_OK)
    {
        return ngx_http_eventsync_send_problem(ctx);
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


/* once more, of a reader that waits for its place */

ngx_int_t
ngx_http_eventsync_poll_retry(ngx_http_eventsync_ctx_t *ctx)
{
    if (ngx_http_eventsync_authenticate(ctx) != NGX_OK
        || ngx_http_eventsync_authorize(ctx, ES_SCOPE_READ) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_eventsync_poll_look(ctx);
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


/* what the request is finalized with */

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


static ngx_uint_t
ngx_http_eventsync_formats(ngx_http_eventsync_ctx_t *ctx)
{
    return (ctx->conf->sse && ctx->request == ctx->request->main)
           ? NGX_HTTP_EVENTSYNC_FORMATS : NGX_HTTP_EVENTSYNC_SSE;
}


/* from the feed's head to the page, or to the knowledge that it must wait */

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

    if (ngx_http_eventsync_poll_start(ctx, txn, &feed) != NGX_OK) {
        return NGX_DECLINED;
    }

    last = (ctx->format != NGX_HTTP_EVENTSYNC_SSE
            && (ctx->poll->wait == 0 || ngx_exiting || r != r->main));

    /* who waits wants what is new: "unchanged" is no answer to that */

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


/* for a request that waits: look once more at what its feed was found to be */

ngx_int_t
ngx_http_eventsync_poll_again(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    es_rc_t es, const es_feed_t *feed, ngx_uint_t last)
{
    ngx_http_eventsync_poll_t  *poll;

    poll = ctx->poll;

    if (ngx_http_eventsync_authenticate(ctx) != NGX_OK
        || ngx_http_eventsync_authorize(ctx, ES_SCOPE_READ) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (!last
        && feed->last == poll->scan
        && ngx_strcmp(feed->epoch, poll->key.epoch) == 0)
    {
        return NGX_AGAIN;
    }

    ngx_memcpy(poll->after.epoch, poll->key.epoch, sizeof(poll->after.epoch));
    poll->after.sequence = poll->scan;

    if (ngx_http_eventsync_check(ctx, feed, &poll->after) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_eventsync_etag(ctx, feed);

    return ngx_http_eventsync_poll_page(ctx, txn, feed, last);
}


/* where to begin: `after`, `from`, or the oldest event kept */

static ngx_int_t
ngx_http_eventsync_poll_start(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    es_feed_t *feed)
{
    uint64_t                    after;
    ngx_http_eventsync_poll_t  *poll;

    poll = ctx->poll;

    if (ngx_http_eventsync_begin(ctx, txn, feed, 0, &after) != NGX_OK) {
        return NGX_DECLINED;
    }

    poll->scan = after;
    poll->key.after = after;

    (void) es_cursor_print(feed->epoch, after, poll->after_text);

    ngx_http_eventsync_etag(ctx, feed);

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_poll_page(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    const es_feed_t *feed, ngx_uint_t last)
{
    es_rc_t                     es;
    es_page_t                  *page;
    ngx_http_eventsync_poll_t  *poll;

    poll = ctx->poll;
    page = &ctx->worker->page;

    if (ngx_http_eventsync_memo_find(ctx)) {
        return NGX_OK;
    }

    es = es_page_read(txn, feed, poll->scan, es_str(poll->after_text),
                      poll->limit, NGX_HTTP_EVENTSYNC_PAGE_BYTES,
                      poll->filter, page);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (page->count == 0) {
        poll->scan = page->next;

        if (!last && !page->has_more) {
            return NGX_AGAIN;
        }
    }

    return ngx_http_eventsync_compose(ctx, feed, page);
}
