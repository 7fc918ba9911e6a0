/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reconnects: a reader that returns to its stream sends the last id that it
 * received. A temporary failure must not stop the reader for good, nor must a
 * position that is gone.
 *
 * An EventSource gives up after any status but 200. So if a quota, the store
 * or a position that is gone refuses a reconnect, the answer is a stream that
 * sends the problem as an event and ends. The access log and the counters have
 * the status of the problem.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_stream.h"

#include "base/base.h"
#include "base/query.h"
#include "event/cursor.h"


/* minimum retry time, in ms, of a reader whose position is gone */
#define NGX_HTTP_EVENTSYNC_RETRY_GONE  30000


static ngx_uint_t ngx_http_eventsync_retryable(ngx_http_eventsync_ctx_t *ctx);
static ngx_uint_t ngx_http_eventsync_last_id(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *name, ngx_str_t *value);
static ngx_uint_t ngx_http_eventsync_last_id_arg(es_str_t name);


/* the id in a request for a stream overrides `after` and `from` */

ngx_int_t
ngx_http_eventsync_stream_id(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t                   name, value;
    ngx_http_eventsync_args_t  *args;

    if (!ngx_http_eventsync_last_id(ctx, &name, &value)) {
        return NGX_OK;
    }

    args = ctx->args;
    args->has_after = 1;
    args->has_from = 0;

    /* only a reader with a key can take over the slot of its old stream */

    ctx->limit.patient = (ctx->conf->auth != NGX_HTTP_EVENTSYNC_AUTH_OFF
                          && ctx->request->method == NGX_HTTP_GET);

    if (es_cursor_parse(ngx_http_eventsync_str(&value), &args->after)
        == ES_OK)
    {
        return NGX_OK;
    }

    value.len = ngx_min(value.len, NGX_HTTP_EVENTSYNC_QUOTED);

    return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_CURSOR,
                                   "\"%V\" is not a cursor: \"%V\".", &name,
                                   &value);
}


/*
 * Gets the last id from the header, which is newer, or else from the query,
 * where some readers put it. The query has been checked before, unless the
 * request was refused earlier. An empty id counts as none.
 */

static ngx_uint_t
ngx_http_eventsync_last_id(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *name,
    ngx_str_t *value)
{
    char             *last;
    es_str_t          rest, key, text;
    ngx_table_elt_t  *h;

    ngx_str_set(name, "last-event-id");

    h = ngx_http_eventsync_header_in(ctx->request, name, NULL);

    ngx_str_set(name, "Last-Event-ID");

    if (h && h->value.len) {
        *value = h->value;
        return 1;
    }

    rest = ngx_http_eventsync_str(&ctx->request->args);

    while (es_query_next(&rest, &key, &text)) {

        if (text.len == 0 || !ngx_http_eventsync_last_id_arg(key)) {
            continue;
        }

        name->data = (u_char *) key.data;
        name->len = key.len;

        value->data = ngx_pnalloc(ctx->request->pool, text.len);
        if (value->data == NULL) {
            return 0;
        }

        last = es_query_decode(text, 0, (char *) value->data);
        value->len = last ? last - (char *) value->data : 0;

        return value->len != 0;
    }

    return 0;
}


static ngx_uint_t
ngx_http_eventsync_last_id_arg(es_str_t name)
{
    return es_str_eq(name, es_lit("lastEventId"))
           || es_str_eq(name, es_lit("Last-Event-ID"));
}


/* whether the problem must be sent as a stream, so that the reader retries */

ngx_uint_t
ngx_http_eventsync_reconnects(ngx_http_eventsync_ctx_t *ctx)
{
    int                  preferred;
    ngx_str_t            name, value;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (!ngx_http_eventsync_retryable(ctx)
        || ctx->resource != NGX_HTTP_EVENTSYNC_POLL
        || !ctx->conf->sse
        || r != r->main
        || r->method != NGX_HTTP_GET
        || !ngx_http_eventsync_last_id(ctx, &name, &value))
    {
        return 0;
    }

    return ngx_http_eventsync_preferred(ctx, ngx_http_eventsync_page_types,
                                        NGX_HTTP_EVENTSYNC_FORMATS,
                                        &preferred)
           == NGX_OK
           && preferred == NGX_HTTP_EVENTSYNC_SSE;
}


static ngx_uint_t
ngx_http_eventsync_retryable(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_problem_e  type;

    type = ctx->problem->type;

    return type == NGX_HTTP_EVENTSYNC_CURSOR_EXPIRED
           || type == NGX_HTTP_EVENTSYNC_FEED_RESET
           || type == NGX_HTTP_EVENTSYNC_QUOTA_EXCEEDED
           || type == NGX_HTTP_EVENTSYNC_UNAVAILABLE;
}


/*
 * Appends the last event of a stream: the problem in one line, and the retry
 * time. The event repeats `cursor`, the reader's last id, if it is known.
 */

ngx_int_t
ngx_http_eventsync_stream_end(ngx_http_eventsync_ctx_t *ctx, es_str_t cursor,
    es_buf_t *out)
{
    int                            retry_ms;
    es_rc_t                        es;
    ngx_buf_t                     *b;
    ngx_http_eventsync_problem_t  *problem;

    problem = ctx->problem;

    b = ngx_http_eventsync_problem_body(ctx->request, problem);
    if (b == NULL) {
        return NGX_ERROR;
    }

    retry_ms = 0;

    if (problem->retry_after) {
        retry_ms = (int) ngx_min(problem->retry_after, 86400) * 1000;

    } else if (ngx_http_eventsync_retryable(ctx)) {
        retry_ms = NGX_HTTP_EVENTSYNC_RETRY_GONE
                   + (int) (ngx_random() % NGX_HTTP_EVENTSYNC_RETRY_GONE);
    }

    es = retry_ms ? es_buf_printf(out, "retry: %d\n", retry_ms) : ES_OK;

    if (es == ES_OK && cursor.len) {
        es = es_buf_printf(out, "id: %.*s\n", (int) cursor.len, cursor.data);
    }

    if (es == ES_OK) {
        es = es_buf_printf(out, "event: end\ndata: %.*s\n\n",
                           (int) (b->last - b->pos), b->pos);
    }

    return (es == ES_OK) ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_eventsync_send_end(ngx_http_eventsync_ctx_t *ctx)
{
    es_buf_t             text;
    ngx_buf_t           *b;
    ngx_int_t            rc;
    es_cursor_t          held;
    ngx_str_t            name, value;
    ngx_http_request_t  *r;

    r = ctx->request;
    b = NULL;

    ngx_memzero(&text, sizeof(es_buf_t));

    /* only a valid cursor is safe in a line of its own */

    if (!ngx_http_eventsync_last_id(ctx, &name, &value)
        || es_cursor_parse(ngx_http_eventsync_str(&value), &held) != ES_OK)
    {
        value.len = 0;
    }

    if (ngx_http_eventsync_stream_end(ctx, ngx_http_eventsync_str(&value),
                                      &text)
        == NGX_OK)
    {
        b = ngx_create_temp_buf(r->pool, text.len);
    }

    if (b) {
        b->last = ngx_cpymem(b->last, text.data, text.len);
    }

    es_buf_free(&text);

    if (b == NULL || ngx_http_eventsync_stream_headers(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_eventsync_send(r, NGX_HTTP_OK,
                       &ngx_http_eventsync_page_types[NGX_HTTP_EVENTSYNC_SSE],
                       b);

    /* the status sent was 200; log and counters use that of the problem */

    r->err_status = ngx_http_eventsync_problem_status(ctx->problem);

    return rc;
}
