
/*
 * Poll: one read transaction from the position to the composed page.
 */


#include "ngx_http_eventsync.h"

#include "clock.h"


/* a page ends early when it would pass this */
#define NGX_HTTP_EVENTSYNC_PAGE_BYTES  (4 * 1024 * 1024)


static ngx_uint_t ngx_http_eventsync_formats(ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_poll_first(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn);
static ngx_int_t ngx_http_eventsync_poll_start(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, es_feed_t *feed);
static ngx_int_t ngx_http_eventsync_poll_from(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, es_feed_t *feed, uint64_t *after);
static ngx_int_t ngx_http_eventsync_poll_check(ngx_http_eventsync_ctx_t *ctx,
    es_feed_t *feed);
static ngx_int_t ngx_http_eventsync_poll_page(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, es_feed_t *feed, ngx_uint_t last);


ngx_int_t
ngx_http_eventsync_poll(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t              es;
    es_txn_t            *txn;
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
            && ngx_http_eventsync_stream_args(ctx) != NGX_OK))
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es == ES_OK) {
        rc = ngx_http_eventsync_poll_first(ctx, txn);
        es_txn_end(txn);

    } else {
        rc = ngx_http_eventsync_fail_store(ctx, es);
    }

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

    if (ngx_http_eventsync_limit(ctx, charges, last ? 1 : 2) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ctx->format == NGX_HTTP_EVENTSYNC_SSE) {
        return NGX_AGAIN;
    }

    return ngx_http_eventsync_poll_page(ctx, txn, &feed, last);
}


/* for a request that waits: look once more */

ngx_int_t
ngx_http_eventsync_poll_again(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    ngx_uint_t last)
{
    es_rc_t                     es;
    es_feed_t                   feed;
    ngx_http_eventsync_poll_t  *poll;

    poll = ctx->poll;

    if (ngx_http_eventsync_authenticate(ctx) != NGX_OK
        || ngx_http_eventsync_authorize(ctx, ES_SCOPE_READ) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (!last
        && feed.last == poll->scan
        && ngx_strcmp(feed.epoch, poll->key.epoch) == 0)
    {
        return NGX_AGAIN;
    }

    ngx_memcpy(poll->after.epoch, poll->key.epoch, sizeof(poll->after.epoch));
    poll->after.sequence = poll->scan;

    if (ngx_http_eventsync_poll_check(ctx, &feed) != NGX_OK) {
        return NGX_DECLINED;
    }

    ngx_http_eventsync_etag(ctx, &feed);

    return ngx_http_eventsync_poll_page(ctx, txn, &feed, last);
}


/* where to begin: `after`, `from`, or the oldest event kept */

static ngx_int_t
ngx_http_eventsync_poll_start(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    es_feed_t *feed)
{
    uint64_t                    after;
    ngx_http_eventsync_poll_t  *poll;

    poll = ctx->poll;
    after = feed->oldest - 1;

    if (poll->has_after) {

        if (ngx_http_eventsync_poll_check(ctx, feed) != NGX_OK) {
            return NGX_DECLINED;
        }

        after = poll->after.sequence;

    } else if (poll->has_from
               && ngx_http_eventsync_poll_from(ctx, txn, feed, &after)
                  != NGX_OK)
    {
        return NGX_DECLINED;
    }

    poll->scan = after;
    poll->key.after = after;

    (void) es_cursor_print(feed->epoch, after, poll->after_text);

    ngx_http_eventsync_etag(ctx, feed);

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_poll_from(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    es_feed_t *feed, uint64_t *after)
{
    es_rc_t     es;
    int64_t     ms;
    ngx_str_t  *from, name = ngx_string("from");

    from = &ctx->poll->from;

    if (from->len == 6 && ngx_memcmp(from->data, "oldest", 6) == 0) {
        *after = feed->oldest - 1;
        return NGX_OK;
    }

    if (from->len == 6 && ngx_memcmp(from->data, "latest", 6) == 0) {
        *after = feed->last;
        return NGX_OK;
    }

    if (es_time_parse(ngx_http_eventsync_str(from), &ms) != ES_OK) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"from\" is neither \"oldest\""
                                     ", \"latest\" nor an RFC 3339 time.");
        return ngx_http_eventsync_parameter(ctx, &name);
    }

    es = es_feed_seek_time(txn, feed, ms, after);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_poll_check(ngx_http_eventsync_ctx_t *ctx, es_feed_t *feed)
{
    char     latest[ES_CURSOR_MAX];
    es_rc_t  es;

    es = es_feed_check(feed, &ctx->poll->after);

    switch (es) {

    case ES_OK:
        return NGX_OK;

    case ES_RESET:
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FEED_RESET,
                                       "The feed was reset since this cursor "
                                       "was given: begin again.");
        return ngx_http_eventsync_gone(ctx, feed, &ctx->poll->after,
                                       &ctx->request->uri);

    case ES_EXPIRED:
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_CURSOR_EXPIRED,
                                       "Events after this cursor are no "
                                       "longer kept.");
        return ngx_http_eventsync_gone(ctx, feed, &ctx->poll->after,
                                       &ctx->request->uri);

    case ES_AHEAD:
        (void) es_cursor_print(feed->epoch, feed->last, latest);

        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_CURSOR_AHEAD,
                                       "The feed has no such event yet.");
        return ngx_http_eventsync_members(ctx, ES_CURSOR_MAX + 16,
                                          ",\"latest\":\"%s\"", latest);

    default:
        return ngx_http_eventsync_fail_store(ctx, es);
    }
}


/* what a client needs to go on at `path`: no secret of the feed's */

ngx_int_t
ngx_http_eventsync_gone(ngx_http_eventsync_ctx_t *ctx, const es_feed_t *feed,
    const es_cursor_t *held, ngx_str_t *path)
{
    char                 oldest[ES_CURSOR_MAX], latest[ES_CURSOR_MAX];
    u_char              *p, missed[NGX_INT64_LEN + 1];
    ngx_str_t            uri, query, cursor;

    (void) es_cursor_print(feed->epoch, feed->oldest - 1, oldest);
    (void) es_cursor_print(feed->epoch, feed->last, latest);

    /* nobody knows how many events another epoch had */

    if (ngx_strcmp(feed->epoch, held->epoch) == 0) {
        ngx_sprintf(missed, "%uL%Z",
                    feed->oldest - 1 - held->sequence);
    } else {
        ngx_sprintf(missed, "null%Z");
    }

    uri.len = path->len + 2 * ngx_escape_uri(NULL, path->data, path->len,
                                             NGX_ESCAPE_URI);

    p = ngx_pnalloc(ctx->request->pool, uri.len);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    uri.data = p;
    (void) ngx_escape_uri(p, path->data, path->len, NGX_ESCAPE_URI);

    cursor.data = (u_char *) oldest;
    cursor.len = ngx_strlen(oldest);

    if (ngx_http_eventsync_query_after(ctx, &cursor, &query) != NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_http_eventsync_members(ctx, uri.len + query.len
                                      + 2 * ES_CURSOR_MAX + 128,
                                      ",\"oldest\":\"%s\",\"latest\":\"%s\","
                                      "\"missed\":%s,\"restart\":\"%V?%V\"",
                                      oldest, latest, missed, &uri, &query);
}


static ngx_int_t
ngx_http_eventsync_poll_page(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    es_feed_t *feed, ngx_uint_t last)
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
