
/*
 * Backfill: a range of events as one stream of lines, however long.
 *
 * A stream has one buffer.  It is filled in a read transaction of its own when
 * the socket has taken all of the slice before, so a client that reads slowly,
 * or not at all, holds that buffer and nothing in the store.  An event that is
 * larger than the buffer is copied in parts.
 *
 * The last line tells that it is the last.  What ends a stream early, at the
 * end of a line, is told in its place; and without any such line the client
 * knows that it was cut.
 */


#include "ngx_http_eventsync.h"


#define NGX_HTTP_EVENTSYNC_SLICE        65536

/* what the closing line needs at most */
#define NGX_HTTP_EVENTSYNC_CLOSING      1024

#define NGX_HTTP_EVENTSYNC_SLICE_BYTES                                        \
    (NGX_HTTP_EVENTSYNC_SLICE - NGX_HTTP_EVENTSYNC_CLOSING)

/* more events than a slice has room for */
#define NGX_HTTP_EVENTSYNC_SLICE_LIMIT  4096

/* slices until it is others' turn; those of a filter cost more to find */
#define NGX_HTTP_EVENTSYNC_TURN         4

/* milliseconds that streams go on when their worker is to exit */
#define NGX_HTTP_EVENTSYNC_DRAIN        30000


static ngx_int_t ngx_http_eventsync_backfill_start(
    ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn);
static ngx_int_t ngx_http_eventsync_backfill_headers(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_backfill_number(ngx_http_request_t *r,
    ngx_str_t *key, uint64_t number);
static ngx_int_t ngx_http_eventsync_backfill_cursor(
    ngx_http_eventsync_ctx_t *ctx, ngx_str_t *key, uint64_t sequence);
static void ngx_http_eventsync_backfill_write(ngx_http_request_t *r);
static ngx_int_t ngx_http_eventsync_backfill_run(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_backfill_charge(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_backfill_may_read(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_backfill_slice(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_uint_t ngx_http_eventsync_backfill_drained(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_backfill_read(
    ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn);
static ngx_int_t ngx_http_eventsync_backfill_copy(
    ngx_http_eventsync_ctx_t *ctx, const es_page_t *page);
static u_char *ngx_http_eventsync_backfill_part(const es_page_t *page,
    size_t offset, size_t size, u_char *p);
static ngx_int_t ngx_http_eventsync_backfill_close(
    ngx_http_eventsync_ctx_t *ctx, ngx_uint_t complete);
static ngx_int_t ngx_http_eventsync_backfill_fail(
    ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_backfill_cleanup(void *data);


static ngx_str_t  ngx_http_eventsync_backfill_cache_control =
    ngx_string("Cache-Control");
static ngx_str_t  ngx_http_eventsync_backfill_no_store =
    ngx_string("no-store");
static ngx_str_t  ngx_http_eventsync_from = ngx_string("Eventsync-From");
static ngx_str_t  ngx_http_eventsync_to = ngx_string("Eventsync-To");
static ngx_str_t  ngx_http_eventsync_events = ngx_string("Eventsync-Events");
static ngx_str_t  ngx_http_eventsync_events_max =
    ngx_string("Eventsync-Events-Max");


ngx_int_t
ngx_http_eventsync_backfill(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t              es;
    es_txn_t            *txn;
    ngx_int_t            rc;
    ngx_uint_t           format;
    ngx_http_request_t  *r;

    r = ctx->request;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ctx->poll = ngx_pcalloc(r->pool, sizeof(ngx_http_eventsync_poll_t));
    ctx->backfill = ngx_pcalloc(r->pool,
                                sizeof(ngx_http_eventsync_backfill_t));

    if (ctx->poll == NULL || ctx->backfill == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_eventsync_range_args(ctx, 1) != NGX_OK
        || ngx_http_eventsync_authenticate(ctx) != NGX_OK
        || ngx_http_eventsync_authorize(ctx, ES_SCOPE_READ) != NGX_OK
        || ngx_http_eventsync_accept(ctx,
               &ngx_http_eventsync_page_types[NGX_HTTP_EVENTSYNC_NDJSON], 1,
               &format)
           != NGX_OK)
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es == ES_OK) {
        rc = ngx_http_eventsync_backfill_start(ctx, txn);
        es_txn_end(txn);

    } else {
        rc = ngx_http_eventsync_fail_store(ctx, es);
    }

    if (rc != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (ngx_http_eventsync_backfill_headers(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_eventsync_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    /* see a client that leaves while there is nothing to be written */

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_eventsync_backfill_write;

    rc = ngx_http_eventsync_backfill_run(ctx);

    if (rc == NGX_DONE) {
        r->main->count++;
    }

    return rc;
}


static ngx_int_t
ngx_http_eventsync_backfill_start(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn)
{
    es_rc_t                          es;
    es_feed_t                        feed;
    ngx_http_eventsync_charge_t      charges[3];
    ngx_http_eventsync_backfill_t   *bf;

    bf = ctx->backfill;

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (ngx_http_eventsync_range(ctx, txn, &feed, &bf->after, &bf->to)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_memcpy(bf->position.epoch, feed.epoch, sizeof(feed.epoch));
    bf->position.sequence = bf->after;
    bf->sent = bf->after;
    (void) es_cursor_print(feed.epoch, bf->after, bf->prev);

    charges[0].policy = ES_POLICY_POLL;
    charges[0].cost = 1;
    charges[1].policy = ES_POLICY_BACKFILL;
    charges[1].cost = 0;
    charges[2].policy = ES_POLICY_WAITS;
    charges[2].cost = 1;

    return ngx_http_eventsync_limit(ctx, charges,
                                    (ctx->request->method == NGX_HTTP_HEAD)
                                    ? 1 : 3);
}


/* what is coming is said before it comes */

static ngx_int_t
ngx_http_eventsync_backfill_headers(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_buf_t                      *b;
    ngx_str_t                      *type;
    ngx_pool_cleanup_t             *cln;
    ngx_http_request_t             *r;
    ngx_http_eventsync_backfill_t  *bf;

    r = ctx->request;
    bf = ctx->backfill;

    type = &ngx_http_eventsync_page_types[NGX_HTTP_EVENTSYNC_NDJSON];

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;

    if (ngx_http_eventsync_header(r,
                                  &ngx_http_eventsync_backfill_cache_control,
                                  &ngx_http_eventsync_backfill_no_store)
        != NGX_OK
        || ngx_http_eventsync_backfill_cursor(ctx, &ngx_http_eventsync_from,
                                              bf->after)
           != NGX_OK
        || ngx_http_eventsync_backfill_cursor(ctx, &ngx_http_eventsync_to,
                                              bf->to)
           != NGX_OK
        || ngx_http_eventsync_backfill_number(r,
               ctx->poll->filter ? &ngx_http_eventsync_events_max
                                 : &ngx_http_eventsync_events,
               bf->to - bf->after)
           != NGX_OK
        || ngx_http_eventsync_limit_headers(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (r->method == NGX_HTTP_HEAD) {
        return NGX_OK;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_eventsync_backfill_cleanup;
    cln->data = bf;

    bf->digest = EVP_MD_CTX_new();

    if (bf->digest == NULL
        || EVP_DigestInit_ex(bf->digest, EVP_sha256(), NULL) != 1)
    {
        return NGX_ERROR;
    }

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_EVENTSYNC_SLICE);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->flush = 1;
    bf->buf = b;

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_backfill_number(ngx_http_request_t *r, ngx_str_t *key,
    uint64_t number)
{
    ngx_str_t  value;

    value.data = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = ngx_http_eventsync_number(value.data, number) - value.data;

    return ngx_http_eventsync_header(r, key, &value);
}


static ngx_int_t
ngx_http_eventsync_backfill_cursor(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *key, uint64_t sequence)
{
    ngx_str_t  value;

    value.data = ngx_pnalloc(ctx->request->pool, ES_CURSOR_MAX);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    value.len = es_cursor_print(ctx->backfill->position.epoch, sequence,
                                (char *) value.data);

    return ngx_http_eventsync_header(ctx->request, key, &value);
}


static void
ngx_http_eventsync_backfill_write(ngx_http_request_t *r)
{
    ngx_int_t          rc;
    ngx_event_t       *wev;
    ngx_connection_t  *c;

    c = r->connection;
    wev = c->write;

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "eventsync backfill goes on: \"%V?%V\"", &r->uri, &r->args);

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
        rc = ngx_http_eventsync_backfill_run(
                        ngx_http_get_module_ctx(r, ngx_http_eventsync_module));
    }

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


/* NGX_DONE: it goes on with the next event */

static ngx_int_t
ngx_http_eventsync_backfill_run(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t                       rc;
    ngx_uint_t                      n;
    ngx_chain_t                     out, *in;
    ngx_connection_t               *c;
    ngx_http_request_t             *r;
    ngx_http_core_loc_conf_t       *clcf;
    ngx_http_eventsync_backfill_t  *bf;

    r = ctx->request;
    c = r->connection;
    bf = ctx->backfill;

    for (n = 0; n < NGX_HTTP_EVENTSYNC_TURN; n++) {

        in = NULL;

        if (bf->buf->pos == bf->buf->last && !c->buffered) {

            if (n && ctx->poll->filter) {
                break;
            }

            if (ngx_http_eventsync_backfill_slice(ctx) != NGX_OK) {
                return NGX_ERROR;
            }

            if (bf->buf->pos == bf->buf->last) {
                continue;
            }
        }

        if (bf->ready) {
            rc = ngx_http_eventsync_backfill_charge(ctx);

            if (rc != NGX_OK) {
                return rc;
            }

            out.buf = bf->buf;
            out.next = NULL;
            in = &out;
        }

        rc = ngx_http_output_filter(r, in);

        if (rc == NGX_ERROR || bf->closed) {
            return rc;
        }

        if (bf->buf->pos != bf->buf->last || c->buffered) {
            return (ngx_http_eventsync_block(r) == NGX_OK) ? NGX_DONE
                                                           : NGX_ERROR;
        }
    }

    /*
     * Others have their turn.  The timer is there because a worker that is to
     * exit waits for its timers only.
     */

    if (!c->write->delayed) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
        ngx_add_timer(c->write, clcf->send_timeout);
    }

    ngx_post_event(c->write, &ngx_posted_next_events);

    return NGX_DONE;
}


/*
 * The slice that is ready, against the partner's quota.  It waits for that as
 * limit_rate does.
 */

static ngx_int_t
ngx_http_eventsync_backfill_charge(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_msec_t                      delay;
    ngx_event_t                    *wev;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;

    /* the rate that is in force, and whether the key still is, see _slice */

    if (bf->slowed && ngx_http_eventsync_backfill_may_read(ctx) != NGX_OK) {
        bf->buf->last = bf->buf->pos;

        if (ngx_http_eventsync_backfill_fail(ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (!bf->failed
        && !ngx_http_eventsync_backfill_drained(ctx)
        && ngx_http_eventsync_limit_bytes(ctx, bf->buf->last - bf->buf->pos,
                                          &delay)
           == NGX_AGAIN)
    {
        bf->slowed = 1;

        wev = ctx->request->connection->write;
        wev->delayed = 1;
        ngx_add_timer(wev, delay);

        return NGX_DONE;
    }

    bf->slowed = 0;
    bf->ready = 0;
    bf->sent = bf->position.sequence;
    bf->sent_offset = bf->offset;

    if (bf->closed) {
        ngx_http_eventsync_limit_leave(ctx);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_backfill_may_read(ngx_http_eventsync_ctx_t *ctx)
{
    if (ngx_http_eventsync_authenticate(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_http_eventsync_authorize(ctx, ES_SCOPE_READ);
}


/* fills the buffer; it stays empty when nothing matched */

static ngx_int_t
ngx_http_eventsync_backfill_slice(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t                         es;
    es_txn_t                       *txn;
    ngx_int_t                       rc;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;

    bf->buf->pos = bf->buf->start;
    bf->buf->last = bf->buf->start;
    bf->ready = 1;

    if (bf->offset == 0 && ngx_http_eventsync_backfill_drained(ctx)) {
        return ngx_http_eventsync_backfill_close(ctx, 0);
    }

    if (bf->position.sequence == bf->to) {
        return ngx_http_eventsync_backfill_close(ctx, 1);
    }

    rc = ngx_http_eventsync_backfill_may_read(ctx);

    if (rc == NGX_OK) {
        es = es_txn_begin(ctx->worker->es, &txn);

        if (es == ES_OK) {
            rc = ngx_http_eventsync_backfill_read(ctx, txn);
            es_txn_end(txn);

        } else {
            rc = ngx_http_eventsync_fail_store(ctx, es);
        }
    }

    if (rc != NGX_OK) {
        return ngx_http_eventsync_backfill_fail(ctx);
    }

    if (EVP_DigestUpdate(bf->digest, bf->buf->pos,
                         bf->buf->last - bf->buf->pos)
        != 1)
    {
        return NGX_ERROR;
    }

    bf->bytes += bf->buf->last - bf->buf->pos;

    if (bf->position.sequence == bf->to) {
        return ngx_http_eventsync_backfill_close(ctx, 1);
    }

    return NGX_OK;
}


/* a worker that is to exit gives its streams some time, but not for ever */

static ngx_uint_t
ngx_http_eventsync_backfill_drained(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_msec_t                     drain;
    ngx_core_conf_t               *ccf;
    ngx_http_eventsync_worker_t   *w;

    w = ctx->worker;

    if (!ngx_exiting) {
        return 0;
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);

    /* nginx closes what is still open after this one */

    drain = ccf->shutdown_timeout
            ? ngx_min(ccf->shutdown_timeout / 2, NGX_HTTP_EVENTSYNC_DRAIN)
            : NGX_HTTP_EVENTSYNC_DRAIN;

    return (ngx_msec_int_t) (ngx_current_msec - w->exiting - drain) >= 0;
}


static ngx_int_t
ngx_http_eventsync_backfill_read(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn)
{
    es_rc_t                         es;
    es_feed_t                       feed;
    es_page_t                      *page;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;
    page = &ctx->worker->page;

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (ngx_http_eventsync_check(ctx, &feed, &bf->position) != NGX_OK) {
        return NGX_DECLINED;
    }

    /* what came since the beginning is not of this range */

    feed.last = bf->to;

    es = es_page_read(txn, &feed, bf->position.sequence, es_str(bf->prev),
                      NGX_HTTP_EVENTSYNC_SLICE_LIMIT,
                      NGX_HTTP_EVENTSYNC_SLICE_BYTES - 1, ctx->poll->filter,
                      page);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (page->count) {
        return ngx_http_eventsync_backfill_copy(ctx, page);
    }

    bf->position.sequence = page->next;

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_backfill_copy(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page)
{
    size_t                          size;
    ngx_buf_t                      *b;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;
    b = bf->buf;

    if (page->bytes < NGX_HTTP_EVENTSYNC_SLICE_BYTES) {
        b->last = ngx_http_eventsync_write_lines(page, b->pos);

    } else {

        /* one event alone is over the limit of bytes */

        size = ngx_min(page->bytes - bf->offset,
                       NGX_HTTP_EVENTSYNC_SLICE_BYTES - 1);

        b->last = ngx_http_eventsync_backfill_part(page, bf->offset, size,
                                                   b->pos);
        bf->offset += size;

        if (bf->offset < page->bytes) {
            return NGX_OK;
        }

        *b->last++ = LF;
        bf->offset = 0;
    }

    if (bf->count == 0) {
        bf->first = page->first;
        ctx->first = page->first;
    }

    bf->count += page->count;
    bf->last = page->last;
    ctx->last = page->last;

    bf->position.sequence = page->next;
    (void) es_cursor_print(bf->position.epoch, page->last, bf->prev);

    return NGX_OK;
}


static u_char *
ngx_http_eventsync_backfill_part(const es_page_t *page, size_t offset,
    size_t size, u_char *p)
{
    size_t  i, n;

    for (i = 0; size; i++) {

        if (offset >= page->slices[i].len) {
            offset -= page->slices[i].len;
            continue;
        }

        n = ngx_min(page->slices[i].len - offset, size);

        p = ngx_cpymem(p, page->slices[i].data + offset, n);

        size -= n;
        offset = 0;
    }

    return p;
}


/* the manifest: after it, nothing */

static ngx_int_t
ngx_http_eventsync_backfill_close(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t complete)
{
    char                            from[ES_CURSOR_MAX], to[ES_CURSOR_MAX];
    char                            next[ES_CURSOR_MAX];
    u_char                         *p, digest[EVP_MAX_MD_SIZE];
    ngx_buf_t                      *b;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;
    b = bf->buf;

    if (EVP_DigestFinal_ex(bf->digest, digest, NULL) != 1) {
        return NGX_ERROR;
    }

    (void) es_cursor_print(bf->position.epoch, bf->after, from);
    (void) es_cursor_print(bf->position.epoch, bf->to, to);
    (void) es_cursor_print(bf->position.epoch, bf->position.sequence, next);

    p = ngx_sprintf(b->last, "{\"manifest\":{\"complete\":%s,\"from\":\"%s\","
                    "\"to\":\"%s\",\"count\":%uL,\"bytes\":%uL,",
                    complete ? "true" : "false", from, to, bf->count,
                    bf->bytes);

    if (bf->count) {
        (void) es_cursor_print(bf->position.epoch, bf->first, from);
        (void) es_cursor_print(bf->position.epoch, bf->last, to);

        p = ngx_sprintf(p, "\"first\":\"%s\",\"last\":\"%s\",", from, to);

    } else {
        p = ngx_sprintf(p, "\"first\":null,\"last\":null,");
    }

    p = ngx_sprintf(p, "\"next\":\"%s\",\"algorithm\":\"sha256\","
                    "\"digest\":\"", next);
    p = ngx_hex_dump(p, digest, 32);
    b->last = ngx_cpymem(p, "\"}}\n", 4);

    b->last_buf = (ctx->request == ctx->request->main) ? 1 : 0;
    b->last_in_chain = 1;
    bf->closed = 1;

    return NGX_OK;
}


/*
 * The answer has begun: a problem is its last line.  In the midst of a line
 * there is no place for one, and the stream is cut.
 */

static ngx_int_t
ngx_http_eventsync_backfill_fail(ngx_http_eventsync_ctx_t *ctx)
{
    char                            next[ES_CURSOR_MAX];
    size_t                          len;
    ngx_buf_t                      *b, *body;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;
    b = bf->buf;

    if (bf->sent_offset || ctx->problem == NULL) {
        return NGX_ERROR;
    }

    body = ngx_http_eventsync_problem_body(ctx->request, ctx->problem);

    if (body == NULL) {
        return NGX_ERROR;
    }

    len = body->last - body->pos;

    if (len > NGX_HTTP_EVENTSYNC_SLICE_BYTES) {
        return NGX_ERROR;
    }

    (void) es_cursor_print(bf->position.epoch, bf->sent, next);

    b->last = ngx_sprintf(b->last, "{\"error\":%*s,\"next\":\"%s\"}\n", len,
                          body->pos, next);

    b->last_buf = (ctx->request == ctx->request->main) ? 1 : 0;
    b->last_in_chain = 1;
    bf->closed = 1;
    bf->failed = 1;

    return NGX_OK;
}


static void
ngx_http_eventsync_backfill_cleanup(void *data)
{
    ngx_http_eventsync_backfill_t  *bf = data;

    EVP_MD_CTX_free(bf->digest);
}
