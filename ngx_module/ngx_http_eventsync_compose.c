/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Composes the bytes of a page, and caches the last few pages. Their key is
 * what the ETag is made of, and determines the bytes. So requests that wait
 * for the same commit, or follow the head of the same feed, share the bytes
 * composed for the first of them. Of a page that exceeds a slice they share
 * what the first of them has found out, and each sends its own slices.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_transfer.h"
#include "ngx_http_eventsync_worker.h"

#include "event/cursor.h"
#include "event/filter.h"
#include "log/erased.h"
#include "log/feed.h"
#include "read/reader.h"

#include <xxhash.h>


#define NGX_HTTP_EVENTSYNC_FRAME                                              \
    (sizeof("{\"events\":[],\"next\":\"\",\"has_more\":false,"                \
            "\"oldest\":\"\",\"latest\":\"\"}") - 1 + 3 * ES_CURSOR_MAX)

/* such a page is sent in slices */
#define ngx_http_eventsync_large(page)                                        \
    (NGX_HTTP_EVENTSYNC_FRAME + (page)->bytes > NGX_HTTP_EVENTSYNC_SLICE)


static uint64_t ngx_http_eventsync_erased(ngx_http_eventsync_worker_t *w,
    es_txn_t *txn);
static void ngx_http_eventsync_result(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page);
static u_char *ngx_http_eventsync_write(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page, u_char *p);
static u_char *ngx_http_eventsync_write_end(ngx_http_eventsync_ctx_t *ctx,
    u_char *p);
static ngx_int_t ngx_http_eventsync_memo_add(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page);
static ngx_http_eventsync_memo_t *ngx_http_eventsync_memo(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_memo_use(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_shared_t *shared);
static ngx_int_t ngx_http_eventsync_memo_transfer(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_shared_t *shared);
static void ngx_http_eventsync_release(void *data);


/* the text before the events, in the order of ngx_http_eventsync_format_e */

static ngx_str_t  ngx_http_eventsync_begin_text[] = {
    ngx_string("{\"events\":["),
    ngx_null_string,
    ngx_string("[")
};


/* an erasure changes events; their number is read once for each commit */

static uint64_t
ngx_http_eventsync_erased(ngx_http_eventsync_worker_t *w, es_txn_t *txn)
{
    if (w->erased_as != es_txn_version(txn)) {
        w->erased_as = es_txn_version(txn);

        if (es_erasures_count(txn, &w->erased) != ES_OK) {
            w->erased = w->erased_as;
        }
    }

    return w->erased;
}


/* hashes all that the answer depends on, before events are read */

void
ngx_http_eventsync_etag(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    const es_feed_t *feed)
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
    key->erased = ngx_http_eventsync_erased(ctx->worker, txn);

    ngx_http_eventsync_fields_id(ctx, key->fields);

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
    ngx_buf_t           *b;
    ngx_http_request_t  *r;

    r = ctx->request;

    ngx_http_eventsync_result(ctx, feed, page);

    ctx->worker->composed += NGX_HTTP_EVENTSYNC_FRAME + page->bytes;

    /* a subrequest cannot wait for the socket */

    if (page->count
        && (r == r->main || !ngx_http_eventsync_large(page)))
    {
        return ngx_http_eventsync_memo_add(ctx, page);
    }

    if (ngx_http_eventsync_room(ctx, NGX_HTTP_EVENTSYNC_FRAME + page->bytes)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_EVENTSYNC_FRAME + page->bytes);
    if (b == NULL) {
        return NGX_DECLINED;
    }

    b->last = ngx_http_eventsync_write(ctx, page, b->pos);
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
    ctx->first = 0;
    ctx->last = 0;
    ctx->first_ms = page->first_ms;
    ctx->events = page->count;

    if (page->count) {
        ngx_http_eventsync_moved(ctx, feed, page->first, page->last);
    }

    ctx->next.data = ctx->next_text;
    ctx->next.len = es_feed_cursor(feed, next, (char *) ctx->next_text);

    (void) es_feed_cursor(feed, feed->oldest - 1, ctx->reading->oldest_text);
    (void) es_feed_cursor(feed, feed->last, ctx->reading->latest_text);
}


static u_char *
ngx_http_eventsync_write(ngx_http_eventsync_ctx_t *ctx, const es_page_t *page,
    u_char *p)
{
    if (ctx->format == NGX_HTTP_EVENTSYNC_NDJSON) {
        return ngx_http_eventsync_write_lines(page, p);
    }

    p = ngx_cpymem(p, ngx_http_eventsync_begin_text[ctx->format].data,
                   ngx_http_eventsync_begin_text[ctx->format].len);
    p = (u_char *) es_page_copy(page, (char *) p);

    return ngx_http_eventsync_write_end(ctx, p);
}


/* writes the text after the events */

static u_char *
ngx_http_eventsync_write_end(ngx_http_eventsync_ctx_t *ctx, u_char *p)
{
    ngx_http_eventsync_reading_t  *reading;

    switch (ctx->format) {

    case NGX_HTTP_EVENTSYNC_NDJSON:
        return p;

    case NGX_HTTP_EVENTSYNC_BATCH:
        *p++ = ']';
        return p;

    default: /* NGX_HTTP_EVENTSYNC_JSON */
        break;
    }

    reading = ctx->reading;

    p = ngx_http_eventsync_copy(p, "],\"next\":\"");
    p = ngx_cpymem(p, ctx->next.data, ctx->next.len);

    if (ctx->has_more) {
        p = ngx_http_eventsync_copy(p, "\",\"has_more\":true,\"oldest\":\"");
    } else {
        p = ngx_http_eventsync_copy(p, "\",\"has_more\":false,\"oldest\":\"");
    }

    p = ngx_cpymem(p, reading->oldest_text, ngx_strlen(reading->oldest_text));
    p = ngx_http_eventsync_copy(p, "\",\"latest\":\"");
    p = ngx_cpymem(p, reading->latest_text, ngx_strlen(reading->latest_text));
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


/* caches the page, composed unless it is large, and gives it to the request */

static ngx_int_t
ngx_http_eventsync_memo_add(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page)
{
    size_t                        size, aligned;
    ngx_uint_t                    large;
    ngx_http_eventsync_memo_t    *memo;
    ngx_http_eventsync_args_t    *args;
    ngx_http_eventsync_shared_t  *shared;

    args = ctx->args;
    large = ngx_http_eventsync_large(page);

    size = NGX_HTTP_EVENTSYNC_FRAME + (large ? 0 : page->bytes);

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

    shared->refs = 1;
    shared->first = ctx->first;
    shared->first_ms = ctx->first_ms;
    shared->last = ctx->last;
    ngx_memcpy(shared->epoch, ctx->epoch, sizeof(shared->epoch));
    shared->events = ctx->events;
    shared->has_more = ctx->has_more;
    shared->next_len = ctx->next.len;
    ngx_memcpy(shared->next, ctx->next.data, ctx->next.len);

    if (large) {
        shared->large = page->bytes;
        shared->len = ngx_http_eventsync_write_end(ctx, shared->data)
                      - shared->data;

    } else {
        shared->large = 0;
        shared->len = ngx_http_eventsync_write(ctx, page, shared->data)
                      - shared->data;
    }

    memo = ngx_http_eventsync_memo(ctx);

    ngx_http_eventsync_release(memo->page);

    memo->page = shared;
    memo->key = ctx->reading->key;

    return ngx_http_eventsync_memo_use(ctx, shared);
}


ngx_uint_t
ngx_http_eventsync_memo_find(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_memo_t  *memo;

    memo = ngx_http_eventsync_memo(ctx);

    /* the key has only a hash of the filter, so compare the filter itself */

    return memo->page
           && (memo->page->large == 0 || ctx->request == ctx->request->main)
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
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
    if (cln == NULL) {
        return NGX_DECLINED;
    }

    cln->handler = ngx_http_eventsync_release;
    cln->data = shared;
    shared->refs++;

    ctx->first = shared->first;
    ctx->first_ms = shared->first_ms;
    ctx->last = shared->last;
    ngx_memcpy(ctx->epoch, shared->epoch, sizeof(ctx->epoch));
    ctx->events = shared->events;
    ctx->has_more = shared->has_more;
    ctx->next.data = ctx->next_text;
    ctx->next.len = shared->next_len;
    ngx_memcpy(ctx->next_text, shared->next, shared->next_len);

    if (shared->large) {
        return ngx_http_eventsync_memo_transfer(ctx, shared);
    }

    ctx->out = ngx_http_eventsync_memory_buf(ctx->request, shared->data,
                                             shared->len);

    return ctx->out ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_eventsync_memo_transfer(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_shared_t *shared)
{
    ngx_http_eventsync_reading_t   *reading;
    ngx_http_eventsync_transfer_t  *t;

    reading = ctx->reading;

    t = ngx_http_eventsync_transfer_create(ctx);
    if (t == NULL) {
        return NGX_DECLINED;
    }

    t->head = ngx_http_eventsync_begin_text[ctx->format];
    t->tail.data = shared->data;
    t->tail.len = shared->len;
    t->lines = (ctx->format == NGX_HTTP_EVENTSYNC_NDJSON);
    t->length = t->head.len + shared->large + t->lines + t->tail.len;

    t->count = shared->events;
    t->last = shared->last;
    t->filter = shared->filter;
    t->searches = (t->filter != NULL);

    ngx_memcpy(t->place.position.epoch, reading->key.epoch,
               sizeof(reading->key.epoch));
    t->place.position.sequence = shared->first - 1;
    ngx_memcpy(t->place.prev, reading->after_text, ES_CURSOR_MAX);

    ngx_http_eventsync_transfer_range(t);

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
        ngx_http_eventsync_release(w->memo[i].page);
        w->memo[i].page = NULL;
    }
}
