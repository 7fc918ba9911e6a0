/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Answers: headers and one buffer.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_polls.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_transfer.h"

#include "base/condition.h"


static ngx_int_t ngx_http_eventsync_page_headers(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_next_headers(
    ngx_http_eventsync_ctx_t *ctx);


/* in the order of ngx_http_eventsync_format_e */

ngx_str_t  ngx_http_eventsync_page_types[] = {
    ngx_string("application/json"),
    ngx_string("application/x-ndjson"),
    ngx_string("application/cloudevents-batch+json"),
    ngx_string("text/event-stream")
};

/* none of these is registered, and clients use all of them */

ngx_str_t  ngx_http_eventsync_lines_types[] = {
    ngx_string("application/x-ndjson"),
    ngx_string("application/ndjson"),
    ngx_string("application/jsonl"),
    ngx_string("application/x-jsonl"),
    ngx_string("application/jsonlines"),
    ngx_string("application/x-jsonlines"),
    ngx_null_string
};

ngx_str_t  ngx_http_eventsync_json_type = ngx_string("application/json");

static ngx_str_t  ngx_http_eventsync_vary = ngx_string("Vary");
static ngx_str_t  ngx_http_eventsync_by_accept = ngx_string("Accept");
static ngx_str_t  ngx_http_eventsync_etag_name = ngx_string("ETag");
static ngx_str_t  ngx_http_eventsync_link = ngx_string("Link");
static ngx_str_t  ngx_http_eventsync_next = ngx_string("Eventsync-Next");
static ngx_str_t  ngx_http_eventsync_more = ngx_string("Eventsync-Has-More");
static ngx_str_t  ngx_http_eventsync_true = ngx_string("true");
static ngx_str_t  ngx_http_eventsync_false = ngx_string("false");


/*
 * takes a third of the time of ngx_sprintf(), which matters in answers with
 * many numbers
 */

u_char *
ngx_http_eventsync_number(u_char *p, uint64_t number)
{
    u_char   text[NGX_INT64_LEN];
    u_char  *digit;

    digit = text + NGX_INT64_LEN;

    do {
        *--digit = (u_char) (number % 10 + '0');
        number /= 10;
    } while (number);

    return ngx_cpymem(p, digit, text + NGX_INT64_LEN - digit);
}


ngx_table_elt_t *
ngx_http_eventsync_push_header(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NULL;
    }

    h->hash = 1;
#if (nginx_version >= 1023000)
    h->next = NULL;
#endif
    h->key = *key;
    h->value = *value;

    return h;
}


ngx_int_t
ngx_http_eventsync_header(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *value)
{
    return ngx_http_eventsync_push_header(r, key, value) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_eventsync_cache_control(ngx_http_request_t *r, ngx_str_t *value)
{
    static ngx_str_t  name = ngx_string("Cache-Control");

    return ngx_http_eventsync_header(r, &name, value);
}


ngx_int_t
ngx_http_eventsync_no_store(ngx_http_request_t *r)
{
    static ngx_str_t  no_store = ngx_string("no-store");

    return ngx_http_eventsync_cache_control(r, &no_store);
}


/* nginx in front must pass on each part of the answer when it comes */

ngx_int_t
ngx_http_eventsync_no_buffering(ngx_http_request_t *r)
{
    static ngx_str_t  name = ngx_string("X-Accel-Buffering");
    static ngx_str_t  no = ngx_string("no");

    return ngx_http_eventsync_header(r, &name, &no);
}


/* the client may store the answer, but must revalidate it before each use */

ngx_int_t
ngx_http_eventsync_revalidate(ngx_http_request_t *r)
{
    static ngx_str_t  no_cache = ngx_string("private, no-cache");

    return ngx_http_eventsync_cache_control(r, &no_cache);
}


ngx_int_t
ngx_http_eventsync_send_header(ngx_http_request_t *r)
{
    if (ngx_http_eventsync_deprecated(r) != NGX_OK
        || ngx_http_eventsync_cors(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /*
     * The resources check conditions themselves. nginx would check those of
     * other requests, too, such as for a stream or after a change.
     */

    r->disable_not_modified = 1;

    return ngx_http_send_header(r);
}


/* sends a 304, whose header fields are already set */

ngx_int_t
ngx_http_eventsync_send_unchanged(ngx_http_request_t *r)
{
    ngx_int_t  rc;

    r->headers_out.status = NGX_HTTP_NOT_MODIFIED;
    r->headers_out.content_length_n = -1;
    r->header_only = 1;

    rc = ngx_http_eventsync_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }

    return ngx_http_send_special(r, NGX_HTTP_LAST);
}


ngx_int_t
ngx_http_eventsync_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_buf_t *b)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    r->headers_out.status = status;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_eventsync_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (b->pos == b->last) {

        /* an empty buffer that ends the answer */

        b->temporary = 0;
        b->memory = 0;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/* sends a document that must not be stored; `b` is NULL without memory */

ngx_int_t
ngx_http_eventsync_send_json(ngx_http_eventsync_ctx_t *ctx, ngx_uint_t status,
    ngx_buf_t *b)
{
    if (b == NULL
        || ngx_http_eventsync_no_store(ctx->request) != NGX_OK
        || ngx_http_eventsync_limit_headers(ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send(ctx->request, status,
                                   &ngx_http_eventsync_json_type, b);
}


/* a buffer for bytes that live as long as the request */

ngx_buf_t *
ngx_http_eventsync_memory_buf(ngx_http_request_t *r, void *data, size_t len)
{
    ngx_buf_t  *b;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NULL;
    }

    b->memory = 1;
    b->pos = data;
    b->last = b->pos + len;
    b->start = b->pos;
    b->end = b->last;

    return b;
}


/* waits until the socket takes more, at most send_timeout */

ngx_int_t
ngx_http_eventsync_block(ngx_http_request_t *r)
{
    ngx_event_t               *wev;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    wev = r->connection->write;

    /* limit_rate needs the timer for itself */

    if (!wev->delayed) {
        ngx_add_timer(wev, clcf->send_timeout);
    }

    return ngx_handle_write_event(wev, clcf->send_lowat);
}


ngx_int_t
ngx_http_eventsync_send_page(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t  *type;

    ctx->answered_ms = ngx_http_eventsync_polls_time();

    if (ngx_http_eventsync_page_headers(ctx) != NGX_OK
        || ngx_http_eventsync_next_headers(ctx) != NGX_OK
        || ngx_http_eventsync_limit_headers(ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    type = &ngx_http_eventsync_page_types[ctx->format];

    return ctx->transfer
           ? ngx_http_eventsync_transfer_send(ctx, type)
           : ngx_http_eventsync_send(ctx->request, NGX_HTTP_OK, type,
                                     ctx->out);
}


ngx_int_t
ngx_http_eventsync_send_not_modified(ngx_http_eventsync_ctx_t *ctx)
{
    if (ngx_http_eventsync_page_headers(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send_unchanged(ctx->request);
}


ngx_int_t
ngx_http_eventsync_etag_header(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    r->headers_out.etag = ngx_http_eventsync_push_header(r,
                                                &ngx_http_eventsync_etag_name,
                                                &ctx->etag);

    return r->headers_out.etag ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_eventsync_page_headers(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_http_eventsync_etag_header(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_http_eventsync_revalidate(r) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_header(r, &ngx_http_eventsync_vary,
                                     &ngx_http_eventsync_by_accept);
}


/* formats that cannot contain `next` have it in headers */

static ngx_int_t
ngx_http_eventsync_next_headers(ngx_http_eventsync_ctx_t *ctx)
{
    u_char              *p;
    ngx_str_t            link, query;
    ngx_http_request_t  *r;

    if (ctx->format == NGX_HTTP_EVENTSYNC_JSON) {
        return NGX_OK;
    }

    r = ctx->request;

    if (ngx_http_eventsync_query_after(ctx, &ctx->next, NULL, &query)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    p = ngx_pnalloc(r->pool, sizeof("<?>; rel=\"next\"") - 1 + query.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    link.data = p;
    link.len = ngx_sprintf(p, "<?%V>; rel=\"next\"", &query) - p;

    if (ngx_http_eventsync_header(r, &ngx_http_eventsync_link, &link)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_eventsync_header(r, &ngx_http_eventsync_next, &ctx->next)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_header(r, &ngx_http_eventsync_more,
                                     ctx->has_more ? &ngx_http_eventsync_true
                                                 : &ngx_http_eventsync_false);
}


/* gets the conditions of a change */

void
ngx_http_eventsync_condition(ngx_http_eventsync_ctx_t *ctx,
    es_condition_t *condition)
{
    ngx_http_headers_in_t  *in;

    in = &ctx->request->headers_in;

    if (in->if_match) {
        condition->if_match = ngx_http_eventsync_str(&in->if_match->value);
    }

    if (in->if_none_match) {
        condition->if_none_match =
                              ngx_http_eventsync_str(&in->if_none_match->value);
    }
}


/* If-None-Match: weak comparison, RFC 9110, section 13.1.2 */

ngx_uint_t
ngx_http_eventsync_etag_matches(ngx_http_eventsync_ctx_t *ctx)
{
    u_char           *p, *last;
    ngx_table_elt_t  *h;

    h = ctx->request->headers_in.if_none_match;

    if (h == NULL) {
        return 0;
    }

    p = h->value.data;
    last = p + h->value.len;

    if (h->value.len == 1 && *p == '*') {
        return 1;
    }

    while (p < last) {

        if (last - p > 2 && p[0] == 'W' && p[1] == '/') {
            p += 2;
        }

        if ((size_t) (last - p) >= ctx->etag.len
            && ngx_memcmp(p, ctx->etag.data, ctx->etag.len) == 0)
        {
            return 1;
        }

        /* the ETags of this module contain no comma */

        while (p < last && *p != ',') { p++; }
        while (p < last && (*p == ',' || *p == ' ' || *p == '\t')) { p++; }
    }

    return 0;
}
