/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sends an answer slice by slice: a client that reads slowly, or not at all,
 * holds no more than a slice, and nothing in the store.
 *
 * If the socket is full and only nginx's write filter has the buffer, its
 * memory is freed, and the rest of the slice is read again when the socket
 * takes more. Other filters, such as gzip, and HTTP/2 keep pointers to the
 * buffer; then its memory stays.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_encrypt.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_transfer.h"


/* slices in one turn of the event loop */
#define NGX_HTTP_EVENTSYNC_TRANSFER_TURN  4

/* about the memory of nginx's gzip filter, and a slice */
#define NGX_HTTP_EVENTSYNC_TRANSFER_GZIP  (512 * 1024)


static void ngx_http_eventsync_transfer_gzip(ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_transfer_write(ngx_http_request_t *r);
static ngx_int_t ngx_http_eventsync_transfer_run(
    ngx_http_eventsync_transfer_t *t);
static ngx_int_t ngx_http_eventsync_transfer_fill(
    ngx_http_eventsync_transfer_t *t);
static ngx_int_t ngx_http_eventsync_transfer_encrypt(
    ngx_http_eventsync_transfer_t *t);
static ngx_int_t ngx_http_eventsync_transfer_again(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_transfer_repeat(
    ngx_http_eventsync_transfer_t *t);
static ngx_int_t ngx_http_eventsync_transfer_output(
    ngx_http_eventsync_transfer_t *t);
static void ngx_http_eventsync_transfer_drop(ngx_http_eventsync_transfer_t *t);
static void ngx_http_eventsync_transfer_yield(ngx_http_request_t *r);
static void ngx_http_eventsync_transfer_free(void *data);


ngx_http_eventsync_transfer_t *
ngx_http_eventsync_transfer_create(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t             *r;
    ngx_pool_cleanup_t             *cln;
    ngx_http_eventsync_transfer_t  *t;

    r = ctx->request;

    t = ngx_pcalloc(r->pool, sizeof(ngx_http_eventsync_transfer_t));
    cln = ngx_pool_cleanup_add(r->pool, 0);

    if (t == NULL || cln == NULL) {
        return NULL;
    }

    t->buf = ngx_calloc_buf(r->pool);
    if (t->buf == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_eventsync_transfer_free;
    cln->data = t;

    t->ctx = ctx;
    ngx_http_eventsync_fields_id(ctx, t->fields);
    t->size = (r->http_version < NGX_HTTP_VERSION_20)
              ? NGX_HTTP_EVENTSYNC_SLICE : NGX_HTTP_EVENTSYNC_SLICE_STREAM;
    t->buf->temporary = 1;
    t->buf->flush = 1;

    ctx->transfer = t;

    return t;
}


/* sends an answer whose header fields are already set */

ngx_int_t
ngx_http_eventsync_transfer_send(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *type)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;
    r->headers_out.content_length_n = ctx->transfer->length;

    ngx_http_eventsync_transfer_gzip(ctx);

    rc = ngx_http_eventsync_send_header(r);

    if (r->headers_out.content_length_n != -1) {

        /* it is not compressed */

        ngx_http_eventsync_room_leave(ctx);
    }

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_eventsync_transfer_start(ctx->transfer);
}


/* a compressor needs memory for as long as it waits for the client */

static void
ngx_http_eventsync_transfer_gzip(ngx_http_eventsync_ctx_t *ctx)
{
#if (NGX_HTTP_GZIP)

    ngx_http_request_t  *r;

    r = ctx->request;

    if (r->method == NGX_HTTP_HEAD) {
        return;
    }

    if (!r->gzip_tested) {
        (void) ngx_http_gzip_ok(r);
    }

    if (r->gzip_ok
        && ngx_http_eventsync_room_take(ctx, NGX_HTTP_EVENTSYNC_TRANSFER_GZIP)
           != NGX_OK)
    {
        r->gzip_ok = 0;
    }

#endif
}


/* the header was sent; returns the code that finalizes the request */

ngx_int_t
ngx_http_eventsync_transfer_start(ngx_http_eventsync_transfer_t *t)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = t->ctx->request;

    /* notice a client that leaves while there is nothing to write */

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_eventsync_transfer_write;

    rc = ngx_http_eventsync_transfer_run(t);

    if (rc == NGX_DONE) {
        r->main->count++;
    }

    return rc;
}


static void
ngx_http_eventsync_transfer_write(ngx_http_request_t *r)
{
    ngx_int_t                  rc;
    ngx_event_t               *wev;
    ngx_connection_t          *c;
    ngx_http_eventsync_ctx_t  *ctx;

    c = r->connection;
    wev = c->write;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "eventsync transfer continues: \"%V?%V\"",
                   &r->uri, &r->args);

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;

        ngx_http_finalize_request(r, NGX_HTTP_REQUEST_TIME_OUT);
        return;
    }

    if (wev->delayed) {
        rc = (ngx_handle_write_event(wev, 0) == NGX_OK) ? NGX_DONE : NGX_ERROR;

    } else {
        ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);
        rc = ngx_http_eventsync_transfer_run(ctx->transfer);
    }

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


/* NGX_DONE: the transfer continues with another event of the loop */

static ngx_int_t
ngx_http_eventsync_transfer_run(ngx_http_eventsync_transfer_t *t)
{
    ngx_int_t            rc;
    ngx_buf_t           *b;
    ngx_uint_t           n;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = t->ctx->request;
    c = r->connection;
    b = t->buf;

    for (n = 0; n < NGX_HTTP_EVENTSYNC_TRANSFER_TURN; n++) {

        if (t->dropped) {

            rc = ngx_http_eventsync_transfer_repeat(t);

            if (rc != NGX_OK) {
                return rc;
            }

        } else if (b->pos == b->last && !c->buffered) {

            if (n && t->searches) {
                break;
            }

            rc = ngx_http_eventsync_transfer_fill(t);

            if (rc != NGX_OK) {
                return rc;
            }

            if (b->pos == b->last) {
                continue;
            }

            t->ready = 1;
        }

        rc = ngx_http_eventsync_transfer_output(t);

        if (rc != NGX_OK) {
            return rc;
        }

        if (b->pos != b->last || c->buffered) {
            ngx_http_eventsync_transfer_drop(t);

            return (ngx_http_eventsync_block(r) == NGX_OK) ? NGX_DONE
                                                           : NGX_ERROR;
        }

        if (t->closed) {
            return NGX_OK;
        }
    }

    ngx_http_eventsync_transfer_free(t);
    ngx_http_eventsync_transfer_yield(r);

    return NGX_DONE;
}


/* NGX_DONE: the slice comes when its fields are encrypted */

static ngx_int_t
ngx_http_eventsync_transfer_fill(ngx_http_eventsync_transfer_t *t)
{
    ngx_int_t   rc;
    ngx_buf_t  *b;

    b = t->buf;

    if (b->start == NULL) {
        b->start = ngx_alloc(t->size, t->ctx->request->connection->log);
        if (b->start == NULL) {
            return NGX_ERROR;
        }

        b->end = b->start + t->size;
    }

    b->pos = b->start;
    b->last = b->start;

    t->begin = t->place;

    rc = t->fill(t);

    if (rc == NGX_OK || !ngx_http_eventsync_encrypting(t->ctx)) {
        return (rc == NGX_OK) ? NGX_OK : NGX_ERROR;
    }

    t->place = t->begin;
    b->last = b->pos;

    return ngx_http_eventsync_transfer_encrypt(t);
}


static ngx_int_t
ngx_http_eventsync_transfer_encrypt(ngx_http_eventsync_transfer_t *t)
{
    ngx_event_t  *wev;

    wev = t->ctx->request->connection->write;

    /* the client is not the one who is late */

    if (wev->timer_set && !wev->delayed) {
        ngx_del_timer(wev);
    }

    return (ngx_http_eventsync_encrypt(t->ctx,
                                       ngx_http_eventsync_transfer_again)
            == NGX_DONE)
           ? NGX_DONE : NGX_ERROR;
}


static ngx_int_t
ngx_http_eventsync_transfer_again(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;
    r->write_event_handler = ngx_http_eventsync_transfer_write;

    rc = ngx_http_eventsync_transfer_run(ctx->transfer);

    /* both the task and the transfer hold the request */

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }

    return NGX_DONE;
}


/*
 * Reads a dropped slice again. It may come in several: a search can stop
 * earlier than before.
 */

static ngx_int_t
ngx_http_eventsync_transfer_repeat(ngx_http_eventsync_transfer_t *t)
{
    size_t      n;
    ngx_int_t   rc;
    ngx_buf_t  *b;

    b = t->buf;

    t->place = t->begin;
    t->closed = 0;

    for ( ;; ) {

        rc = ngx_http_eventsync_transfer_fill(t);

        if (rc != NGX_OK) {
            return rc;
        }

        n = b->last - b->pos;

        if (n > t->taken) {
            break;
        }

        if (t->closed) {
            return NGX_ERROR;
        }

        t->taken -= n;
    }

    b->pos += t->taken;
    t->dropped = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_transfer_output(ngx_http_eventsync_transfer_t *t)
{
    ngx_int_t            rc;
    ngx_chain_t          out, *in;
    ngx_http_request_t  *r;

    in = NULL;
    r = t->ctx->request;

    if (t->ready) {

        rc = t->charge ? t->charge(t) : NGX_OK;

        if (rc != NGX_OK) {
            return rc;
        }

        t->ready = 0;

        out.buf = t->buf;
        out.next = NULL;
        in = &out;
    }

    t->buf->last_buf = (t->closed && r == r->main);
    t->buf->last_in_chain = t->closed;

    return (ngx_http_output_filter(r, in) == NGX_ERROR) ? NGX_ERROR : NGX_OK;
}


/*
 * The socket is full. Chunks have announced their size, and ranges are cut
 * out of the buffer, so that such a slice cannot be repeated.
 */

static void
ngx_http_eventsync_transfer_drop(ngx_http_eventsync_transfer_t *t)
{
    size_t               taken;
    ngx_buf_t           *b;
    ngx_chain_t         *cl;
    ngx_http_request_t  *r;

    b = t->buf;
    r = t->ctx->request;

    if (b->pos == b->last) {
        ngx_http_eventsync_transfer_free(t);
        return;
    }

    if (!t->repeats
        || r->headers_out.content_length_n == -1
        || r->headers_out.status != NGX_HTTP_OK)
    {
        return;
    }

    for (cl = r->out; cl; cl = cl->next) {

        if (cl->buf == b) {
            taken = b->pos - b->start;

            ngx_http_eventsync_transfer_free(t);

            t->taken = taken;
            t->dropped = 1;

            return;
        }
    }
}


static void
ngx_http_eventsync_transfer_yield(ngx_http_request_t *r)
{
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *clcf;

    c = r->connection;

    /*
     * Yields to other requests. The timer is set because an exiting worker
     * waits only for timers.
     */

    if (!c->write->delayed) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
        ngx_add_timer(c->write, clcf->send_timeout);
    }

    ngx_post_event(c->write, &ngx_posted_next_events);
}


static void
ngx_http_eventsync_transfer_free(void *data)
{
    ngx_http_eventsync_transfer_t  *t = data;

    if (t->buf->start) {
        ngx_free(t->buf->start);

        t->buf->start = NULL;
        t->buf->pos = NULL;
        t->buf->last = NULL;
        t->buf->end = NULL;
    }
}
