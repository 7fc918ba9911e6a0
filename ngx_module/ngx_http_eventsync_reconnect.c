/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reconnects: a stream's reader that comes back says so by the id that it holds,
 * and is not turned away by what passes, nor by what it must be told.
 *
 * An EventSource gives up for good on any answer but 200.  So what refuses a
 * reconnect, and is no matter of its credential, is an event of a stream that
 * ends at once.  The log and the counters have the status of the refusal.
 */


#include "ngx_http_eventsync.h"

#include "base/query.h"


/* ms until a reader whose position is gone is told so once more, at least */
#define NGX_HTTP_EVENTSYNC_RETRY_GONE  30000


static ngx_uint_t ngx_http_eventsync_passes(ngx_http_eventsync_ctx_t *ctx);
static ngx_uint_t ngx_http_eventsync_last_id(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *name, ngx_str_t *value);
static ngx_uint_t ngx_http_eventsync_last_id_arg(es_str_t name);


/* the id of a stream's request overrules `after` and `from` */

ngx_int_t
ngx_http_eventsync_stream_id(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t                   name, value;
    ngx_http_eventsync_poll_t  *poll;

    if (!ngx_http_eventsync_last_id(ctx, &name, &value)) {
        return NGX_OK;
    }

    poll = ctx->poll;
    poll->has_after = 1;
    poll->has_from = 0;

    /* one without a key has no place of its own */

    ctx->limit.patient = (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_KEY
                          && ctx->request->method == NGX_HTTP_GET);

    if (es_cursor_parse(ngx_http_eventsync_str(&value), &poll->after)
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
 * The header, which is of a later moment, or else the query, to which some
 * readers add it.  The parameter has been judged with the others, or what
 * refuses comes before that; an empty value is none.
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


/* whether the request's problem is one that must not end its reader */

ngx_uint_t
ngx_http_eventsync_reconnects(ngx_http_eventsync_ctx_t *ctx)
{
    int                  preferred;
    ngx_str_t            name, value;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (!ngx_http_eventsync_passes(ctx)
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
ngx_http_eventsync_passes(ngx_http_eventsync_ctx_t *ctx)
{
    switch (ctx->problem->type) {

    case NGX_HTTP_EVENTSYNC_CURSOR_EXPIRED:
    case NGX_HTTP_EVENTSYNC_FEED_RESET:
    case NGX_HTTP_EVENTSYNC_QUOTA_EXCEEDED:
    case NGX_HTTP_EVENTSYNC_UNAVAILABLE:
        return 1;

    default:
        return 0;
    }
}


/*
 * Appends how a stream ends that will not go on: its problem in one line, and
 * when to come back.  `cursor` is what the reader holds, if it is known,
 * and its id again.
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

    } else if (ngx_http_eventsync_passes(ctx)) {
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

    /* only what is a cursor can stand in a line of its own */

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

    /* what the log and the counters go by, now that the header is gone */

    r->err_status = ngx_http_eventsync_problem_status(ctx->problem);

    return rc;
}
