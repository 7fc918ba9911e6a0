/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Composes the bytes of a page, and caches the last few pages. Their key is
 * what the ETag is made of, and determines the bytes. So requests that wait
 * for the same commit, or follow the head of the same feed, share the bytes
 * composed for the first of them. Large pages are cached only while waiting
 * requests are due, because many may wait for the same page.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_worker.h"

#include "event/cursor.h"
#include "event/filter.h"
#include "log/feed.h"
#include "read/reader.h"

#include <xxhash.h>


#define NGX_HTTP_EVENTSYNC_FRAME                                              \
    (sizeof("{\"events\":[],\"next\":\"\",\"has_more\":false,"                \
            "\"oldest\":\"\",\"latest\":\"\"}") - 1 + 3 * ES_CURSOR_MAX)

/* with their number, limits the cache of a worker to 2 MB */
#define NGX_HTTP_EVENTSYNC_MEMO_BYTES  65536

/* all larger ones together, unless a single one is larger */
#define NGX_HTTP_EVENTSYNC_MEMO_LARGE  (16 * 1024 * 1024)

#define ngx_http_eventsync_memo_large(page)                                   \
    ((page)->size > NGX_HTTP_EVENTSYNC_FRAME + NGX_HTTP_EVENTSYNC_MEMO_BYTES)


static void ngx_http_eventsync_result(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page);
static u_char *ngx_http_eventsync_write(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page, u_char *p);
static ngx_int_t ngx_http_eventsync_memo_add(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page);
static void ngx_http_eventsync_memo_drop(ngx_http_eventsync_worker_t *w,
    ngx_http_eventsync_memo_t *memo);
static ngx_http_eventsync_memo_t *ngx_http_eventsync_memo(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_memo_use(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_shared_t *shared);
static void ngx_http_eventsync_release(void *data);


/* hashes all that the answer depends on, before events are read */

void
ngx_http_eventsync_etag(ngx_http_eventsync_ctx_t *ctx, const es_feed_t *feed)
{
    u_char                         *p;
    ngx_http_eventsync_page_key_t  *key;

    key = &ctx->reading->key;

    ngx_memcpy(key->epoch, feed->epoch, sizeof(key->epoch));
    key->number = feed->number;
    key->oldest = feed->oldest;
    key->latest = feed->last;
    key->limit = ctx->args->limit;
    key->format = ctx->format;

    if (ctx->args->filter && key->filter == 0) {
        key->filter = es_filter_hash(ctx->args->filter);
    }

    ctx->reading->hash = XXH3_64bits(key, sizeof(*key));

    p = ctx->etag_text;
    *p++ = '"';
    p = ngx_hex_dump(p, (u_char *) &ctx->reading->hash, sizeof(uint64_t));
    *p++ = '"';

    ctx->etag.data = ctx->etag_text;
    ctx->etag.len = p - ctx->etag_text;
}


ngx_int_t
ngx_http_eventsync_compose(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page)
{
    ngx_buf_t  *b;

    ngx_http_eventsync_result(ctx, feed, page);

    ctx->worker->composed += NGX_HTTP_EVENTSYNC_FRAME + page->bytes;

    if (page->count
        && (ctx->worker->waking
            || page->bytes <= NGX_HTTP_EVENTSYNC_MEMO_BYTES))
    {
        return ngx_http_eventsync_memo_add(ctx, feed, page);
    }

    b = ngx_create_temp_buf(ctx->request->pool,
                            NGX_HTTP_EVENTSYNC_FRAME + page->bytes);
    if (b == NULL) {
        return NGX_DECLINED;
    }

    b->last = ngx_http_eventsync_write(ctx, feed, page, b->pos);
    ctx->out = b;

    return NGX_OK;
}


/*
 * Sets `next`. After events it is the cursor of the last event, so that the
 * prevcursor of the next event is the cursor that the client holds. If there
 * are no events, or more may follow, it is the position up to which the feed
 * was searched.
 */

static void
ngx_http_eventsync_result(ngx_http_eventsync_ctx_t *ctx, const es_feed_t *feed,
    const es_page_t *page)
{
    uint64_t  next;

    next = (page->count == 0 || page->has_more) ? page->next : page->last;

    ctx->has_more = page->has_more;
    ctx->first = page->count ? page->first : 0;
    ctx->last = page->count ? page->last : 0;
    ctx->events = page->count;
    ctx->next.data = ctx->next_text;
    ctx->next.len = es_cursor_print(feed->epoch, next,
                                    (char *) ctx->next_text);
}


static u_char *
ngx_http_eventsync_write(ngx_http_eventsync_ctx_t *ctx, const es_feed_t *feed,
    const es_page_t *page, u_char *p)
{
    switch (ctx->format) {

    case NGX_HTTP_EVENTSYNC_NDJSON:
        return ngx_http_eventsync_write_lines(page, p);

    case NGX_HTTP_EVENTSYNC_BATCH:
        *p++ = '[';
        p = (u_char *) es_page_copy(page, (char *) p);
        *p++ = ']';
        return p;

    default: /* NGX_HTTP_EVENTSYNC_JSON */
        break;
    }

    p = ngx_http_eventsync_copy(p, "{\"events\":[");
    p = (u_char *) es_page_copy(page, (char *) p);
    p = ngx_http_eventsync_copy(p, "],\"next\":\"");
    p = ngx_cpymem(p, ctx->next.data, ctx->next.len);

    if (page->has_more) {
        p = ngx_http_eventsync_copy(p, "\",\"has_more\":true,\"oldest\":\"");
    } else {
        p = ngx_http_eventsync_copy(p, "\",\"has_more\":false,\"oldest\":\"");
    }

    p += es_cursor_print(feed->epoch, feed->oldest - 1, (char *) p);
    p = ngx_http_eventsync_copy(p, "\",\"latest\":\"");
    p += es_cursor_print(feed->epoch, feed->last, (char *) p);
    p = ngx_http_eventsync_copy(p, "\"}");

    return p;
}


u_char *
ngx_http_eventsync_write_lines(const es_page_t *page, u_char *p)
{
    u_char    *start;
    unsigned   i;

    if (page->count == 0) {
        return p;
    }

    start = p;
    p = (u_char *) es_page_copy(page, (char *) p);

    for (i = 0; i + 1 < page->count; i++) {
        start[page->ends[i]] = LF;
    }

    *p++ = LF;

    return p;
}


/* caches the composed page, and gives it to the request */

static ngx_int_t
ngx_http_eventsync_memo_add(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page)
{
    size_t                         size, aligned;
    ngx_http_eventsync_memo_t     *memo;
    ngx_http_eventsync_args_t     *args;
    ngx_http_eventsync_worker_t   *w;
    ngx_http_eventsync_shared_t   *shared;
    ngx_http_eventsync_reading_t  *reading;

    w = ctx->worker;
    args = ctx->args;
    reading = ctx->reading;

    size = NGX_HTTP_EVENTSYNC_FRAME + page->bytes;

    aligned = ngx_align(size, NGX_ALIGNMENT);

    shared = ngx_alloc(sizeof(ngx_http_eventsync_shared_t) + aligned
                       + (args->filter ? es_filter_size(args->filter) : 0),
                       ctx->request->connection->log);
    if (shared == NULL) {
        return NGX_DECLINED;
    }

    shared->filter = args->filter
                     ? es_filter_copy(args->filter, shared->data + aligned)
                     : NULL;

    shared->size = size;
    shared->refs = 1;
    shared->first = ctx->first;
    shared->last = ctx->last;
    shared->events = ctx->events;
    shared->has_more = ctx->has_more;
    shared->next_len = ctx->next.len;
    ngx_memcpy(shared->next, ctx->next.data, ctx->next.len);
    shared->len = ngx_http_eventsync_write(ctx, feed, page, shared->data)
                  - shared->data;

    memo = ngx_http_eventsync_memo(ctx);

    ngx_http_eventsync_memo_drop(w, memo);

    if (ngx_http_eventsync_memo_large(shared)) {

        if (w->large + size > NGX_HTTP_EVENTSYNC_MEMO_LARGE) {
            ngx_http_eventsync_memo_trim(w);
        }

        w->large += size;
    }

    memo->page = shared;
    memo->key = reading->key;

    return ngx_http_eventsync_memo_use(ctx, shared);
}


static void
ngx_http_eventsync_memo_drop(ngx_http_eventsync_worker_t *w,
    ngx_http_eventsync_memo_t *memo)
{
    if (memo->page == NULL) {
        return;
    }

    if (ngx_http_eventsync_memo_large(memo->page)) {
        w->large -= memo->page->size;
    }

    ngx_http_eventsync_release(memo->page);
    memo->page = NULL;
}


/* drops the large pages */

void
ngx_http_eventsync_memo_trim(ngx_http_eventsync_worker_t *w)
{
    ngx_uint_t  i;

    if (w->large == 0) {
        return;
    }

    for (i = 0; i < NGX_HTTP_EVENTSYNC_MEMO; i++) {
        if (w->memo[i].page && ngx_http_eventsync_memo_large(w->memo[i].page))
        {
            ngx_http_eventsync_memo_drop(w, &w->memo[i]);
        }
    }
}


ngx_uint_t
ngx_http_eventsync_memo_find(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_memo_t  *memo;

    memo = ngx_http_eventsync_memo(ctx);

    /* the key has only a hash of the filter, so compare the filter itself */

    return memo->page
           && ngx_memcmp(&memo->key, &ctx->reading->key, sizeof(memo->key))
              == 0
           && es_filter_eq(memo->page->filter, ctx->args->filter)
           && ngx_http_eventsync_memo_use(ctx, memo->page) == NGX_OK;
}


static ngx_http_eventsync_memo_t *
ngx_http_eventsync_memo(ngx_http_eventsync_ctx_t *ctx)
{
    return &ctx->worker->memo[ctx->reading->hash % NGX_HTTP_EVENTSYNC_MEMO];
}


static ngx_int_t
ngx_http_eventsync_memo_use(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_shared_t *shared)
{
    ngx_buf_t           *b;
    ngx_pool_cleanup_t  *cln;

    b = ngx_http_eventsync_memory_buf(ctx->request, shared->data, shared->len);
    if (b == NULL) {
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
    if (cln == NULL) {
        return NGX_DECLINED;
    }

    cln->handler = ngx_http_eventsync_release;
    cln->data = shared;
    shared->refs++;

    ctx->out = b;
    ctx->first = shared->first;
    ctx->last = shared->last;
    ctx->events = shared->events;
    ctx->has_more = shared->has_more;
    ctx->next.data = ctx->next_text;
    ctx->next.len = shared->next_len;
    ngx_memcpy(ctx->next_text, shared->next, shared->next_len);

    return NGX_OK;
}


static void
ngx_http_eventsync_release(void *data)
{
    ngx_http_eventsync_shared_t  *shared = data;

    if (shared && --shared->refs == 0) {
        ngx_free(shared);
    }
}


void
ngx_http_eventsync_memo_free(ngx_http_eventsync_worker_t *w)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_EVENTSYNC_MEMO; i++) {
        ngx_http_eventsync_memo_drop(w, &w->memo[i]);
    }
}
