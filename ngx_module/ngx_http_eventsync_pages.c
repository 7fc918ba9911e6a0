/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Pages: a feed in pages of a fixed number of events. A full page never
 * changes.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_pages.h"
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "base/encode.h"
#include "event/cursor.h"
#include "limit/limit.h"
#include "log/erased.h"
#include "log/feed.h"
#include "read/encoded_pages.h"
#include "read/reader.h"
#include "store/txn.h"


/* limit of a page that the event loop itself reads and copies */
#define NGX_HTTP_EVENTSYNC_PAGES_INLINE  (512 * 1024)


static ngx_int_t ngx_http_eventsync_pages_number(
    ngx_http_eventsync_ctx_t *ctx, ngx_str_t *page);
static ngx_int_t ngx_http_eventsync_pages_malformed(
    ngx_http_eventsync_ctx_t *ctx, char *parameter, char *detail);
static ngx_int_t ngx_http_eventsync_pages_head(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_head_t **head);
static ngx_int_t ngx_http_eventsync_pages_judge(ngx_http_eventsync_ctx_t *ctx,
    es_feed_t *feed);
static ngx_int_t ngx_http_eventsync_pages_gone(ngx_http_eventsync_ctx_t *ctx,
    es_feed_t *feed, uint64_t after);
static ngx_int_t ngx_http_eventsync_pages_begin(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_pages_read(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, es_feed_t *feed);
static ngx_int_t ngx_http_eventsync_pages_kept(ngx_http_eventsync_ctx_t *ctx,
    es_feed_t *feed, const es_page_t *page, int64_t time_ms);
static ngx_int_t ngx_http_eventsync_pages_charge(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_pages_send(ngx_http_eventsync_ctx_t *ctx);


/* parses the URL: an epoch, and the number of a page or "head" */

ngx_int_t
ngx_http_eventsync_pages_parse(ngx_http_eventsync_ctx_t *ctx)
{
    u_char                               *p;
    size_t                                len;
    ngx_str_t                            *epoch, *page;
    ngx_http_eventsync_cached_request_t  *lr;

    lr = ngx_pcalloc(ctx->request->pool,
                     sizeof(ngx_http_eventsync_cached_request_t));
    if (lr == NULL) {
        return NGX_DECLINED;
    }

    lr->ctx = ctx;
    ctx->cached = lr;

    epoch = &ctx->segments[1];
    page = &ctx->segments[2];

    len = epoch->len;

    for (p = epoch->data; p < epoch->data + epoch->len; p++) {
        if (!((*p >= 'a' && *p <= 'z') || (*p >= '2' && *p <= '7'))) {
            len = 0;
            break;
        }
    }

    if (len == 0 || len > ES_EPOCH_MAX) {
        return ngx_http_eventsync_pages_malformed(ctx, "epoch",
                                                  "The epoch in the URL is "
                                                  "malformed.");
    }

    ngx_memcpy(lr->key.epoch, epoch->data, len);

    if (page->len == 4 && ngx_memcmp(page->data, "head", 4) == 0) {
        lr->head = 1;
        return NGX_OK;
    }

    return ngx_http_eventsync_pages_number(ctx, page);
}


static ngx_int_t
ngx_http_eventsync_pages_number(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *page)
{
    u_char    *p, *last;
    uint64_t   n;

    n = 0;
    p = page->data;
    last = p + page->len;

    if (p == last || *p == '0') {
        goto malformed;
    }

    for ( /* void */ ; p < last; p++) {

        if (*p < '0' || *p > '9') {
            goto malformed;
        }

        /* no sequence is that high: the page will never exist */

        if (n <= ES_SEQUENCE_MAX) {
            n = n * 10 + (*p - '0');
        }
    }

    ctx->cached->asked = n;

    return NGX_OK;

malformed:

    return ngx_http_eventsync_pages_malformed(ctx, "page",
                                              "The page in the URL must be a "
                                              "number from 1, or \"head\".");
}


static ngx_int_t
ngx_http_eventsync_pages_malformed(ngx_http_eventsync_ctx_t *ctx,
    char *parameter, char *detail)
{
    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                   "%s", detail);

    return ngx_http_eventsync_members(ctx, 64, ",\"parameter\":\"%s\"",
                                      parameter);
}


ngx_int_t
ngx_http_eventsync_pages(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t                             rc;
    ngx_http_eventsync_head_t            *head;
    ngx_http_eventsync_cached_request_t  *lr;

    lr = ctx->cached;

    if (ngx_http_eventsync_pages_head(ctx, &head) != NGX_OK
        || ngx_http_eventsync_accept_encoding(ctx, 0, &lr->encoding) != NGX_OK
        || ngx_http_eventsync_pages_judge(ctx, &head->feed) != NGX_OK)
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    lr->key.erased = head->erased;
    lr->cached = ngx_http_eventsync_cached_find(ctx->worker->pages, &lr->key);

    rc = lr->cached ? NGX_OK : ngx_http_eventsync_pages_begin(ctx);

    if (rc == NGX_OK) {
        return ngx_http_eventsync_pages_send(ctx);
    }

    /* charge work of a thread before it is done */

    if (rc == NGX_AGAIN
        && ngx_http_eventsync_pages_charge(ctx) == NGX_OK
        && ngx_http_eventsync_encode(ctx) == NGX_OK)
    {
        ctx->request->main->count++;
        return NGX_DONE;
    }

    return ngx_http_eventsync_send_problem(ctx);
}


/* a thread has made the page */

ngx_int_t
ngx_http_eventsync_pages_resume(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_head_t            *head;
    ngx_http_eventsync_cached_request_t  *lr;

    lr = ctx->cached;

    if (lr->cached) {
        return ngx_http_eventsync_pages_send(ctx);
    }

    if (lr->rc != ES_EXPIRED) {
        (void) ngx_http_eventsync_fail_store(ctx, lr->rc);

    } else if (ngx_http_eventsync_pages_head(ctx, &head) == NGX_OK
               && ngx_http_eventsync_pages_judge(ctx, &head->feed) == NGX_OK)
    {
        (void) ngx_http_eventsync_fail_store(ctx, ES_BUSY);
    }

    return ngx_http_eventsync_send_problem(ctx);
}


/* the head of a feed is read once for each commit */

static ngx_int_t
ngx_http_eventsync_pages_head(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_head_t **result)
{
    es_rc_t                      es;
    uint64_t                     version;
    es_txn_t                    *txn;
    ngx_uint_t                   hash;
    ngx_http_eventsync_head_t   *head;
    ngx_http_eventsync_pages_t  *pages;

    hash = ngx_crc32_short(ctx->feed.data, ctx->feed.len);
    head = &ctx->worker->pages->heads[hash % NGX_HTTP_EVENTSYNC_CACHED_HEADS];

    *result = head;

    version = es_store_version(ctx->worker->es);

    if (head->version == version
        && ngx_strncmp(head->feed.name, ctx->feed.data, ctx->feed.len) == 0
        && head->feed.name[ctx->feed.len] == '\0')
    {
        ctx->feed_number = head->feed.number;
        return NGX_OK;
    }

    head->version = 0;

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es == ES_OK) {
        version = es_txn_version(txn);
        es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &head->feed);

        if (es == ES_OK) {
            es = es_erasures_count(txn, &head->erased);
        }

        es_txn_end(txn);
    }

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    head->version = version;
    ctx->feed_number = head->feed.number;

    /* any page in the cache may have had an event that was erased */

    pages = ctx->worker->pages;

    if (pages->erased != head->erased) {
        pages->erased = head->erased;
        ngx_http_eventsync_cached_free_all(pages);
    }

    return NGX_OK;
}


/* checks that the page exists, and finds its events */

static ngx_int_t
ngx_http_eventsync_pages_judge(ngx_http_eventsync_ctx_t *ctx, es_feed_t *feed)
{
    uint64_t                              end, current, page;
    ngx_uint_t                            encoding;
    ngx_http_eventsync_cached_key_t      *key;
    ngx_http_eventsync_cached_request_t  *lr;

    lr = ctx->cached;
    key = &lr->key;

    /* the pages of an earlier epoch end where the next one began */

    if (!es_feed_epoch(feed, key->epoch, &end)) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FEED_RESET,
                                       "The feed was reset after this page "
                                       "was created; start over.");
        return ngx_http_eventsync_pages_gone(ctx, feed, 0);
    }

    end = ngx_min(end, feed->last);
    current = end / feed->page_size + 1;
    page = lr->head ? current : lr->asked;

    if (page > current && ngx_strcmp(key->epoch, feed->epoch) != 0) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FEED_RESET,
                                       "Another epoch of the feed began "
                                       "before this page.");
        return ngx_http_eventsync_pages_gone(ctx, feed, end + 1);
    }

    if (page > current) {
        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_NOT_FOUND,
                                       "The feed does not have this page "
                                       "yet.");
    }

    lr->first = (page - 1) * feed->page_size + 1;

    if (lr->first < feed->oldest) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_CURSOR_EXPIRED,
                                       "The feed no longer retains the events "
                                       "of this page.");
        return ngx_http_eventsync_pages_gone(ctx, feed, lr->first - 1);
    }

    lr->full = (page < current);
    lr->retain_ms = feed->retain_ms;
    lr->bounded = (feed->retain_count || feed->retain_bytes);

    key->page = page;
    key->last = lr->full ? page * feed->page_size : end;
    key->feed = feed->number;
    key->encoding = lr->encoding;
    ngx_http_eventsync_fields_id(ctx, key->fields);

    if (lr->full || key->encoding == ES_ENCODING_IDENTITY) {
        return NGX_OK;
    }

    /* a page that will change soon is not worth encoding */

    key->encoding = ES_ENCODING_IDENTITY;

    return ngx_http_eventsync_accept_encoding(ctx, ES_ENCODING_IDENTITY,
                                              &encoding);
}


/* a client can poll the events that are left */

static ngx_int_t
ngx_http_eventsync_pages_gone(ngx_http_eventsync_ctx_t *ctx, es_feed_t *feed,
    uint64_t after)
{
    size_t        len;
    u_char       *p;
    ngx_str_t     path;
    es_cursor_t   held;

    len = ctx->segments[1].data - (sizeof("/pages/") - 1)
          - ctx->request->uri.data;

    p = ngx_pnalloc(ctx->request->pool, len + sizeof("/events") - 1);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    path.data = p;
    p = ngx_cpymem(p, ctx->request->uri.data, len);
    p = ngx_http_eventsync_copy(p, "/events");
    path.len = p - path.data;

    ngx_memcpy(held.epoch, ctx->cached->key.epoch, sizeof(held.epoch));
    held.sequence = after;

    return ngx_http_eventsync_gone(ctx, feed, &held, &path);
}


static ngx_int_t
ngx_http_eventsync_pages_begin(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t     es;
    es_txn_t   *txn;
    es_feed_t   feed;
    ngx_int_t   rc;

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);

    if (es != ES_OK) {
        rc = ngx_http_eventsync_fail_store(ctx, es);

    } else {

        /* check again: another commit may have come meanwhile */

        rc = ngx_http_eventsync_pages_judge(ctx, &feed);

        if (rc == NGX_OK) {
            rc = ngx_http_eventsync_pages_read(ctx, txn, &feed);
        }
    }

    es_txn_end(txn);

    return rc;
}


/* NGX_AGAIN: a thread must make it */

static ngx_int_t
ngx_http_eventsync_pages_read(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    es_feed_t *feed)
{
    es_rc_t                               es;
    es_page_t                            *page;
    es_event_t                            event;
    ngx_http_eventsync_cached_request_t  *lr;

    lr = ctx->cached;
    page = &ctx->worker->page;
    event.time_ms = 0;

    es = es_page_read(txn, feed, lr->first - 1, es_null_str,
                      (unsigned) (lr->key.last + 1 - lr->first),
                      NGX_HTTP_EVENTSYNC_PAGES_INLINE, NULL,
                      ngx_http_eventsync_fields(ctx), page);

    if (es == ES_OK && page->count) {
        es = es_event_get(txn, feed, lr->first, &event);
    }

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (page->count < lr->key.last + 1 - lr->first) {
        return NGX_AGAIN;
    }

    if (lr->key.encoding != ES_ENCODING_IDENTITY) {
        return ngx_http_eventsync_pages_kept(ctx, feed, page, event.time_ms);
    }

    lr->cached = ngx_http_eventsync_cached_compose(&lr->key, feed, page,
                                                   event.time_ms,
                                              ctx->request->connection->log);
    if (lr->cached == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    ngx_http_eventsync_cached_slim(ctx->worker->pages, lr->cached);
    ngx_http_eventsync_cached_remember(ctx->worker->pages, lr->cached);

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_pages_kept(ngx_http_eventsync_ctx_t *ctx, es_feed_t *feed,
    const es_page_t *page, int64_t time_ms)
{
    es_rc_t                               es;
    es_str_t                              bytes;
    es_buf_t                              out;
    es_encoded_key_t                      key;
    ngx_http_eventsync_pages_t           *pages;
    ngx_http_eventsync_cached_request_t  *lr;

    lr = ctx->cached;
    pages = ctx->worker->pages;

    /* the stored pages are those of the log */

    if (pages->kept == NULL
        || !ngx_http_eventsync_fields_none(lr->key.fields))
    {
        return NGX_AGAIN;
    }

    ngx_memzero(&out, sizeof(es_buf_t));
    ngx_http_eventsync_cached_pages_key(&lr->key, page, &key);

    es = es_encoded_get(pages->kept, &key, &out);

    if (es == ES_OK) {
        bytes.data = out.data;
        bytes.len = out.len;

        lr->cached = ngx_http_eventsync_cached_encoded(&lr->key, feed, time_ms,
                                                   bytes,
                                              ctx->request->connection->log);
    }

    es_buf_free(&out);

    if (lr->cached == NULL) {
        return NGX_AGAIN;
    }

    lr->cached->source = key.source;

    ngx_http_eventsync_cached_slim(pages, lr->cached);
    ngx_http_eventsync_cached_remember(pages, lr->cached);

    return NGX_OK;
}


/* charges a request once */

static ngx_int_t
ngx_http_eventsync_pages_charge(ngx_http_eventsync_ctx_t *ctx)
{
    if (ctx->cached->charged) {
        return NGX_OK;
    }

    ctx->cached->charged = 1;

    return ngx_http_eventsync_limit_poll(ctx);
}


static ngx_int_t
ngx_http_eventsync_pages_send(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_pool_cleanup_t                   *cln;
    ngx_http_eventsync_cached_request_t  *lr;

    lr = ctx->cached;

    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
    if (cln == NULL) {
        ngx_http_eventsync_cached_release(lr->cached);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    cln->handler = ngx_http_eventsync_cached_release;
    cln->data = lr->cached;

    ctx->etag = lr->cached->etag;

    if (ngx_http_eventsync_etag_matches(ctx)) {

        /* a thread may have had to make the page to know its ETag */

        ngx_http_eventsync_limit_refund(ctx);

        return ngx_http_eventsync_cached_send(ctx, NGX_HTTP_NOT_MODIFIED);
    }

    if (ngx_http_eventsync_pages_charge(ctx) != NGX_OK
        || (lr->cached->data
            && ngx_http_eventsync_room(ctx, lr->cached->len) != NGX_OK))
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    return ngx_http_eventsync_cached_send(ctx, NGX_HTTP_OK);
}
