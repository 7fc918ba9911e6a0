/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Answers with a cached page: its headers have been printed. The body is its
 * own memory, or slices that are read from the log or from the stored entry.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_pages.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_transfer.h"
#include "ngx_http_eventsync_worker.h"

#include "base/encode.h"


static ngx_int_t ngx_http_eventsync_cached_whole(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_cached_slices(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_cached_events(
    ngx_http_eventsync_transfer_t *t,
    const ngx_http_eventsync_cached_t *cached);
static ngx_int_t ngx_http_eventsync_cached_fill(
    ngx_http_eventsync_transfer_t *t);
static ngx_int_t ngx_http_eventsync_cached_range(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_cached_headers(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_cached_cache_headers(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_cached_encoding(ngx_http_request_t *r,
    ngx_http_eventsync_cached_t *cached);


/* in the order of es_encoding_t */

static ngx_str_t  ngx_http_eventsync_cached_encodings[] = {
    ngx_string("br"),
    ngx_string("zstd"),
    ngx_string("gzip"),
    ngx_string("identity")
};


static ngx_str_t  ngx_http_eventsync_cached_etag = ngx_string("ETag");
static ngx_str_t  ngx_http_eventsync_cached_link = ngx_string("Link");
static ngx_str_t  ngx_http_eventsync_cached_vary = ngx_string("Vary");
static ngx_str_t  ngx_http_eventsync_cached_accept_encoding =
    ngx_string("Accept-Encoding");
static ngx_str_t  ngx_http_eventsync_cached_content_encoding =
    ngx_string("Content-Encoding");
static ngx_str_t  ngx_http_eventsync_cached_cdn =
    ngx_string("CDN-Cache-Control");
static ngx_str_t  ngx_http_eventsync_cached_accel =
    ngx_string("X-Accel-Expires");
static ngx_str_t  ngx_http_eventsync_cached_surrogate =
    ngx_string("Surrogate-Key");


/* sends 200 or 304; the request holds a reference to the page */

ngx_int_t
ngx_http_eventsync_cached_send(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t status)
{
    ngx_int_t                     rc;
    ngx_http_request_t           *r;
    ngx_http_eventsync_cached_t  *cached;

    r = ctx->request;
    cached = ctx->cached->cached;

    if (ngx_http_eventsync_cached_headers(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (status == NGX_HTTP_NOT_MODIFIED) {
        return ngx_http_eventsync_send_unchanged(r);
    }

    if (ngx_http_eventsync_cached_encoding(r, cached) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* ranges of a full page can be combined, because it never changes */

    r->allow_ranges = cached->full;

    if (cached->key.last >= cached->first) {
        ctx->first = cached->first;
        ctx->last = cached->key.last;
        ctx->events = ctx->last - ctx->first + 1;
        ngx_memcpy(ctx->epoch, cached->key.epoch, sizeof(ctx->epoch));
    }

    rc = cached->data ? ngx_http_eventsync_cached_whole(ctx)
                      : ngx_http_eventsync_cached_slices(ctx);

    if (rc == NGX_HTTP_RANGE_NOT_SATISFIABLE && !r->header_sent) {
        return ngx_http_eventsync_cached_range(ctx);
    }

    return rc;
}


static ngx_int_t
ngx_http_eventsync_cached_whole(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_buf_t                    *b;
    ngx_http_request_t           *r;
    ngx_http_eventsync_cached_t  *cached;

    r = ctx->request;
    cached = ctx->cached->cached;

    b = ngx_http_eventsync_memory_buf(r, cached->data, cached->len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send(r, NGX_HTTP_OK,
                                   &ngx_http_eventsync_json_type, b);
}


static ngx_int_t
ngx_http_eventsync_cached_slices(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t             *r;
    ngx_http_eventsync_cached_t    *cached;
    ngx_http_eventsync_transfer_t  *t;

    r = ctx->request;
    cached = ctx->cached->cached;

    t = ngx_http_eventsync_transfer_create(ctx);
    if (t == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    t->length = cached->len;

    /* nginx finds several ranges in one buffer only */

    r->single_range = 1;

    if (cached->key.encoding != ES_ENCODING_IDENTITY) {
        t->fill = ngx_http_eventsync_cached_fill;
        t->repeats = 1;

    } else if (ngx_http_eventsync_cached_events(t, cached) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_transfer_send(ctx,
                                            &ngx_http_eventsync_json_type);
}


static ngx_int_t
ngx_http_eventsync_cached_events(ngx_http_eventsync_transfer_t *t,
    const ngx_http_eventsync_cached_t *cached)
{
    u_char                    *p;
    ngx_http_eventsync_ctx_t  *ctx;

    static ngx_str_t  begin = ngx_string("{\"events\":[");

    ctx = t->ctx;

    p = ngx_pnalloc(ctx->request->pool, NGX_HTTP_EVENTSYNC_CACHED_FRAME);
    if (p == NULL) {
        return NGX_ERROR;
    }

    t->head = begin;
    t->tail.data = p;
    t->tail.len = ngx_http_eventsync_cached_end(cached, &ctx->feed, p) - p;

    t->count = cached->key.last + 1 - cached->first;
    t->last = cached->key.last;

    ngx_memcpy(t->place.position.epoch, cached->key.epoch,
               sizeof(cached->key.epoch));
    t->place.position.sequence = cached->first - 1;

    ngx_http_eventsync_transfer_range(t);

    return NGX_OK;
}


/* reads a slice of the stored entry */

static ngx_int_t
ngx_http_eventsync_cached_fill(ngx_http_eventsync_transfer_t *t)
{
    size_t                        n;
    ngx_buf_t                    *b;
    es_encoded_key_t              key;
    ngx_http_eventsync_ctx_t     *ctx;
    ngx_http_eventsync_pages_t   *pages;
    ngx_http_eventsync_cached_t  *cached;

    b = t->buf;
    ctx = t->ctx;
    pages = ctx->worker->pages;
    cached = ctx->cached->cached;

    n = (size_t) ngx_min((off_t) t->size, t->length - t->place.body);

    ngx_http_eventsync_cached_key(cached, &key);

    if (ngx_http_eventsync_permit(ctx) != NGX_OK
        || pages->kept == NULL
        || es_encoded_part(pages->kept, &key, &cached->hash,
                           (size_t) t->place.body, b->last, n)
           != ES_OK)
    {
        ngx_http_eventsync_transfer_cut(t);
        return NGX_ERROR;
    }

    b->last += n;
    t->place.body += n;
    t->closed = (t->place.body == t->length);

    return NGX_OK;
}


/* nginx's own error page would have the encoding and the age of the page */

static ngx_int_t
ngx_http_eventsync_cached_range(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_uint_t           i;
    ngx_list_part_t     *part;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = ctx->request;

    part = &r->headers_out.headers.part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (&h[i] != r->headers_out.content_range) {
            h[i].hash = 0;
        }
    }

    r->headers_out.etag = NULL;
    r->headers_out.content_encoding = NULL;

    ctx->first = 0;
    ctx->last = 0;

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_RANGE,
                                   "The page has %uz bytes in this encoding.",
                                   ctx->cached->cached->len);

    return ngx_http_eventsync_send_problem(ctx);
}


static ngx_int_t
ngx_http_eventsync_cached_headers(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t           *r;
    ngx_http_eventsync_cached_t  *cached;

    r = ctx->request;
    cached = ctx->cached->cached;

    r->headers_out.etag = ngx_http_eventsync_push_header(r,
                                              &ngx_http_eventsync_cached_etag,
                                                &cached->etag);

    if (r->headers_out.etag == NULL
        || ngx_http_eventsync_header(r, &ngx_http_eventsync_cached_vary,
                                   &ngx_http_eventsync_cached_accept_encoding)
           != NGX_OK
        || ngx_http_eventsync_header(r, &ngx_http_eventsync_cached_link,
                                     &cached->link)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* under a field list the page may change with the list, and only the
       partner may have it */

    if (cached->full && cached->shared) {
        return ngx_http_eventsync_cached_cache_headers(ctx);
    }

    if (ngx_http_eventsync_revalidate(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_limit_headers(ctx);
}


/*
 * The headers must not depend on the client, because a cache gives the page to
 * others. nginx before 1.23 obeys the first of X-Accel-Expires and
 * Cache-Control.
 */

static ngx_int_t
ngx_http_eventsync_cached_cache_headers(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t                   *r;
    ngx_http_eventsync_cached_t          *cached;
    ngx_http_eventsync_cached_request_t  *lr;

    r = ctx->request;
    lr = ctx->cached;
    cached = lr->cached;

    ngx_http_eventsync_cached_age(cached, lr->retain_ms, lr->bounded);

    if (ctx->conf->cache == NGX_HTTP_EVENTSYNC_CACHE_SHARED
        && (ngx_http_eventsync_header(r, &ngx_http_eventsync_cached_accel,
                                      &cached->expires)
            != NGX_OK
            || ngx_http_eventsync_header(r, &ngx_http_eventsync_cached_cdn,
                                         &cached->cdn)
               != NGX_OK
            || ngx_http_eventsync_header(r,
                                       &ngx_http_eventsync_cached_surrogate,
                                       &cached->surrogate)
               != NGX_OK))
    {
        return NGX_ERROR;
    }

    if (ngx_http_eventsync_cache_control(r, &cached->control) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* nginx's filters must not encode or decode the page: the ETag is strong */

static ngx_int_t
ngx_http_eventsync_cached_encoding(ngx_http_request_t *r,
    ngx_http_eventsync_cached_t *cached)
{
    ngx_str_t  *name;

#if (NGX_HTTP_GZIP)
    r->gzip_tested = 1;
    r->gzip_ok = (cached->key.encoding == ES_ENCODING_GZIP);
#endif

    if (cached->key.encoding == ES_ENCODING_IDENTITY) {
        return NGX_OK;
    }

    name = &ngx_http_eventsync_cached_encodings[cached->key.encoding];

    r->headers_out.content_encoding = ngx_http_eventsync_push_header(r,
                                  &ngx_http_eventsync_cached_content_encoding,
                                    name);

    return r->headers_out.content_encoding ? NGX_OK : NGX_ERROR;
}
