/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Server-Sent Events: the events resource as a stream for a browser's
 * EventSource, with the cursor as the id to reconnect with.
 *
 * A stream is idle, waits for its socket, or waits for its turn. In each state
 * it is parked among the long polls. An idle stream is woken by commits, and
 * its timer is the heartbeat; otherwise its timer is the end of its life. A
 * stream holds one slice of text, which it reads in a transaction of its own
 * after the socket has taken the last slice. An idle stream holds nothing.
 *
 * The reader always knows its position. The stream sends it at the beginning,
 * at the end, and instead of a heartbeat if the stream has passed events that
 * it does not send.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_count.h"
#include "ngx_http_eventsync_encrypt.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_polls.h"
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_stream.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "event/cursor.h"
#include "log/feed.h"
#include "read/reader.h"
#include "store/txn.h"


#define NGX_HTTP_EVENTSYNC_STREAM_EVENTS  64

/* ms in which a socket must take its slice when the worker exits */
#define NGX_HTTP_EVENTSYNC_LINGER        2000


static ngx_int_t ngx_http_eventsync_stream_begin(
    ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_stream_write(ngx_http_request_t *r);
static ngx_int_t ngx_http_eventsync_stream_output(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_stream_fill(ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_stream_resume(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_stream_read(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn);
static ngx_int_t ngx_http_eventsync_stream_check(
    ngx_http_eventsync_ctx_t *ctx, es_rc_t es, const es_feed_t *feed);
static ngx_int_t ngx_http_eventsync_stream_close(
    ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_stream_park(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_state_e state);
static ngx_msec_int_t ngx_http_eventsync_stream_left(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_msec_int_t ngx_http_eventsync_stream_silent(
    ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_stream_cleanup(void *data);


static ngx_str_t  ngx_http_eventsync_stream_vary = ngx_string("Vary");
static ngx_str_t  ngx_http_eventsync_stream_accept = ngx_string("Accept");


/*
 * a stream takes no parameters of pages, and the id that an EventSource sends
 * overrides its beginning
 */

ngx_int_t
ngx_http_eventsync_stream_args(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t                  *name;
    ngx_http_eventsync_args_t  *args;

    static ngx_str_t  limit = ngx_string("limit");
    static ngx_str_t  wait = ngx_string("wait");

    args = ctx->args;
    name = args->has_limit ? &limit : args->has_wait ? &wait : NULL;

    if (name) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"%V\" cannot be used with "
                                     "text/event-stream.", name);
        return ngx_http_eventsync_parameter(ctx, name);
    }

    return ngx_http_eventsync_stream_id(ctx);
}


/* the position has been checked: from here on the status is 200 */

ngx_int_t
ngx_http_eventsync_stream(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_http_eventsync_stream_headers(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method == NGX_HTTP_HEAD) {
        ngx_http_eventsync_limit_leave(ctx);
    }

    rc = ngx_http_eventsync_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    if (ngx_http_eventsync_stream_begin(ctx) != NGX_OK
        || ngx_http_eventsync_hold(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_eventsync_polls_stream(ctx);
    ngx_http_eventsync_stream_run(ctx);

    return NGX_DONE;
}


ngx_int_t
ngx_http_eventsync_stream_headers(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t           *type;
    ngx_http_request_t  *r;

    r = ctx->request;
    type = &ngx_http_eventsync_page_types[NGX_HTTP_EVENTSYNC_SSE];

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_length_n = -1;

    if (ngx_http_eventsync_no_store(r) != NGX_OK
        || ngx_http_eventsync_header(r, &ngx_http_eventsync_stream_vary,
                                     &ngx_http_eventsync_stream_accept)
           != NGX_OK
        || ngx_http_eventsync_no_buffering(r) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_limit_headers(ctx);
}


static ngx_int_t
ngx_http_eventsync_stream_begin(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_pool_cleanup_t           *cln;
    ngx_http_request_t           *r;
    ngx_http_eventsync_stream_t  *stream;

    r = ctx->request;

    stream = ngx_pcalloc(r->pool, sizeof(ngx_http_eventsync_stream_t));
    if (stream == NULL) {
        return NGX_ERROR;
    }

    /* freed with the pool: until then the text may be in an output queue */

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_eventsync_stream_cleanup;
    cln->data = stream;

    stream->buf = ngx_calloc_buf(r->pool);
    if (stream->buf == NULL) {
        return NGX_ERROR;
    }

    stream->buf->tag = (ngx_buf_tag_t) &ngx_http_eventsync_module;
    stream->born = ngx_current_msec;
    stream->asked = ngx_http_eventsync_polls_time();
    stream->ends = ngx_current_msec + ctx->conf->sse_max_time;
    stream->claimed = (ctx->wait && ctx->wait->claim_until);
    stream->held = ctx->reading->scan;

    ctx->stream = stream;

    /* spreads the reconnects of streams that a reload closes together */

    if (ngx_http_eventsync_stream_text(ctx, "retry: %d\n\n",
                                       (int) (500 + ngx_random() % 2000))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_stream_position(ctx);
}


/*
 * Sends as much as the socket takes, one slice in a turn. May end the request.
 */

void
ngx_http_eventsync_stream_run(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    rc = ngx_http_eventsync_stream_output(ctx);

    if (rc == NGX_OK && !ctx->stream->closing) {
        rc = ngx_http_eventsync_stream_fill(ctx);

        if (rc == NGX_OK) {
            rc = ngx_http_eventsync_stream_output(ctx);

            /* the next commit wakes it: no need to look again */

            if (rc == NGX_OK && ctx->stream->current) {
                rc = NGX_BUSY;
            }
        }
    }

    switch (rc) {

    case NGX_OK:

        if (!ctx->stream->closing) {
            ngx_http_eventsync_stream_park(ctx, NGX_HTTP_EVENTSYNC_POSTED);
            ngx_post_event(r->connection->write, &ngx_posted_next_events);
            return;
        }

        rc = ngx_http_send_special(r, NGX_HTTP_LAST);
        ngx_http_finalize_request(r, rc);
        return;

    case NGX_AGAIN:
        ngx_http_eventsync_stream_park(ctx, NGX_HTTP_EVENTSYNC_BLOCKED);

        if (ngx_http_eventsync_block(r) == NGX_OK) {
            return;
        }

        break;

    case NGX_BUSY:
        ngx_http_eventsync_stream_park(ctx, NGX_HTTP_EVENTSYNC_IDLE);
        return;

    case NGX_DONE:
        return;

    default:
        break;
    }

    ngx_http_finalize_request(r, NGX_ERROR);
}


static void
ngx_http_eventsync_stream_write(ngx_http_request_t *r)
{
    ngx_connection_t          *c;
    ngx_http_eventsync_ctx_t  *ctx;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    ngx_http_eventsync_unpark(ctx);

    if (c->write->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;
        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    ngx_http_eventsync_stream_run(ctx);
}


/* the timer of a parked stream: its heartbeat, or the end of its life */

void
ngx_http_eventsync_stream_timeout(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_stream_t  *stream;

    stream = ctx->stream;

    if (stream->state == NGX_HTTP_EVENTSYNC_BLOCKED) {

        /* cut within a slice: the reader ignores an unfinished event */

        ngx_http_finalize_request(ctx->request, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (stream->state == NGX_HTTP_EVENTSYNC_IDLE
        && ngx_http_eventsync_stream_left(ctx) > 0
        && ngx_http_eventsync_stream_silent(ctx) <= 0
        && ngx_http_eventsync_stream_heartbeat(ctx) != NGX_OK)
    {
        ngx_http_finalize_request(ctx->request, NGX_ERROR);
        return;
    }

    ngx_http_eventsync_stream_run(ctx);
}


/* the reader has reconnected: the stream ends when its timer fires */

void
ngx_http_eventsync_stream_displace(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "eventsync ends a stream of \"%V\" whose reader has "
                  "reconnected", &ctx->feed);

    ctx->stream->displaced = 1;

    if (ctx->wait->timer.timer_set) {
        ngx_del_timer(&ctx->wait->timer);
    }

    ngx_add_timer(&ctx->wait->timer, 0);
}


/* NGX_OK: the stream has something to do; NGX_AGAIN: it stays parked */

ngx_int_t
ngx_http_eventsync_stream_again(ngx_http_eventsync_ctx_t *ctx, es_rc_t es,
    const es_feed_t *feed)
{
    ngx_http_eventsync_stream_t  *stream;

    stream = ctx->stream;

    if (stream->state != NGX_HTTP_EVENTSYNC_IDLE) {

        if (ngx_exiting
            && ngx_http_eventsync_stream_left(ctx)
               > NGX_HTTP_EVENTSYNC_LINGER)
        {
            stream->ends = ngx_current_msec + NGX_HTTP_EVENTSYNC_LINGER;
            ngx_add_timer(&ctx->wait->timer, NGX_HTTP_EVENTSYNC_LINGER);
        }

        return NGX_AGAIN;
    }

    return (!ngx_exiting
            && ngx_http_eventsync_stream_check(ctx, es, feed) == NGX_OK
            && feed->last == ctx->reading->scan)
           ? NGX_AGAIN : NGX_OK;
}


/* NGX_AGAIN: the socket has not taken all yet */

static ngx_int_t
ngx_http_eventsync_stream_output(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_buf_t                    *b;
    ngx_chain_t                   out, *in;
    ngx_connection_t             *c;
    ngx_http_request_t           *r;
    ngx_http_eventsync_stream_t  *stream;

    r = ctx->request;
    c = r->connection;
    stream = ctx->stream;
    b = stream->buf;
    in = NULL;

    if (stream->text.len == 0) {
        return NGX_OK;
    }

    if (!stream->given) {
        stream->given = 1;
        stream->said = ngx_current_msec;

        b->pos = (u_char *) stream->text.data;
        b->last = b->pos + stream->text.len;
        b->start = b->pos;
        b->end = b->last;
        b->memory = 1;
        b->flush = 1;

        out.buf = b;
        out.next = NULL;
        in = &out;
    }

    rc = ngx_http_output_filter(r, in);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (r->buffered || r->postponed || c->buffered || b->pos != b->last) {
        return NGX_AGAIN;
    }

    if (c->write->timer_set && !c->write->delayed) {
        ngx_del_timer(c->write);
    }

    if (stream->asked == 0) {
        stream->asked = ngx_http_eventsync_polls_time();
    }

    stream->given = 0;
    es_buf_free(&stream->text);

    return NGX_OK;
}


/*
 * NGX_OK: there is text, there is more to search, or the stream is closing.
 * NGX_BUSY: nothing to do now.  NGX_DONE: it goes on when fields are encrypted.
 */

static ngx_int_t
ngx_http_eventsync_stream_fill(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t    es;
    es_txn_t  *txn;
    ngx_int_t  rc;

    /* left by an earlier check */

    ctx->problem = NULL;
    ctx->stream->current = 0;

    if (ngx_exiting
        || ctx->stream->displaced
        || (ngx_http_eventsync_stream_left(ctx) <= 0
            && ctx->stream->offset == 0))
    {
        return ngx_http_eventsync_stream_close(ctx);
    }

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es == ES_OK) {
        rc = ngx_http_eventsync_stream_read(ctx, txn);
        es_txn_end(txn);

    } else {
        rc = ngx_http_eventsync_fail_store(ctx, es);
    }

    if (ngx_http_eventsync_encrypting(ctx)) {
        rc = ngx_http_eventsync_encrypt(ctx, ngx_http_eventsync_stream_resume);
    }

    return (rc == NGX_DECLINED) ? ngx_http_eventsync_stream_close(ctx) : rc;
}


static ngx_int_t
ngx_http_eventsync_stream_resume(ngx_http_eventsync_ctx_t *ctx)
{
    /* both the task and the stream hold the request */

    ngx_http_eventsync_stream_run(ctx);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_eventsync_stream_read(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn)
{
    es_rc_t                        es;
    es_feed_t                      feed;
    es_page_t                     *page;
    ngx_http_eventsync_args_t     *args;
    ngx_http_eventsync_reading_t  *reading;

    args = ctx->args;
    reading = ctx->reading;
    page = &ctx->worker->page;

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);

    if (ngx_http_eventsync_stream_check(ctx, es, &feed) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (feed.last == reading->scan) {
        return NGX_BUSY;
    }

    es = es_page_read(txn, &feed, reading->scan, es_str(reading->after_text),
                      NGX_HTTP_EVENTSYNC_STREAM_EVENTS,
                      NGX_HTTP_EVENTSYNC_STREAM_BYTES, args->filter,
                      ngx_http_eventsync_fields(ctx), page);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (page->bytes > NGX_HTTP_EVENTSYNC_STREAM_BYTES) {
        return ngx_http_eventsync_stream_part(ctx, &feed, page);
    }

    ngx_http_eventsync_scan(reading, &feed, page->next);

    if (page->count) {
        ctx->stream->current = !page->has_more;

        return ngx_http_eventsync_stream_frame(ctx, &feed, page);
    }

    if (!page->has_more) {
        return NGX_BUSY;
    }

    /* the heartbeat goes on during a long search */

    return (ngx_http_eventsync_stream_silent(ctx) > 0)
           ? NGX_OK : ngx_http_eventsync_stream_heartbeat(ctx);
}


/* checks the credential and the position again */

static ngx_int_t
ngx_http_eventsync_stream_check(ngx_http_eventsync_ctx_t *ctx, es_rc_t es,
    const es_feed_t *feed)
{
    es_cursor_t                    cursor;
    ngx_http_eventsync_reading_t  *reading;

    if (ngx_http_eventsync_permit(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    reading = ctx->reading;

    ngx_memcpy(cursor.epoch, reading->epoch, sizeof(cursor.epoch));
    cursor.sequence = reading->scan;

    if (ngx_http_eventsync_check(ctx, feed, &cursor) != NGX_OK) {
        return NGX_DECLINED;
    }

    /* by this epoch a reconnecting reader claims the slot */

    ngx_memcpy(reading->key.epoch, feed->epoch, sizeof(reading->key.epoch));

    return NGX_OK;
}


/*
 * Sends the last text of a stream: its position, and the problem that ends it,
 * if any. The slot is free before the reader learns of it.
 */

static ngx_int_t
ngx_http_eventsync_stream_close(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_stream_t  *stream;

    stream = ctx->stream;

    if (stream->offset) {

        /* within an event, which the reader ignores if it is unfinished */

        return NGX_ERROR;
    }

    stream->closing = 1;
    stream->ends = ngx_current_msec + NGX_HTTP_EVENTSYNC_LINGER;

    ngx_http_eventsync_limit_leave(ctx);

    if (ngx_http_eventsync_stream_position(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return ctx->problem
           ? ngx_http_eventsync_stream_end(ctx,
                                           es_str(ctx->reading->after_text),
                                           &stream->text)
           : NGX_OK;
}


static void
ngx_http_eventsync_stream_park(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_state_e state)
{
    ngx_msec_int_t  ms;

    ctx->stream->state = state;

    ms = ngx_max(ngx_http_eventsync_stream_left(ctx), 1);

    if (state == NGX_HTTP_EVENTSYNC_IDLE) {
        ctx->request->write_event_handler = ngx_http_request_empty_handler;
        ms = ngx_min(ms, ngx_max(ngx_http_eventsync_stream_silent(ctx), 1));
        ms = ngx_http_eventsync_until(ctx, ms);

    } else {
        ctx->request->write_event_handler = ngx_http_eventsync_stream_write;
    }

    ngx_http_eventsync_park(ctx, ms);
}


static ngx_msec_int_t
ngx_http_eventsync_stream_left(ngx_http_eventsync_ctx_t *ctx)
{
    return (ngx_msec_int_t) (ctx->stream->ends - ngx_current_msec);
}


/*
 * ms until the next heartbeat; searching without a result, and being woken for
 * that, does not postpone it
 */

static ngx_msec_int_t
ngx_http_eventsync_stream_silent(ngx_http_eventsync_ctx_t *ctx)
{
    return (ngx_msec_int_t) (ctx->stream->said + ctx->conf->sse_heartbeat
                             - ngx_current_msec);
}


static void
ngx_http_eventsync_stream_cleanup(void *data)
{
    ngx_http_eventsync_stream_t  *stream = data;

    es_buf_free(&stream->text);
}
