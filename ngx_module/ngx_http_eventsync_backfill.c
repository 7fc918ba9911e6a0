/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Backfill: a range of events of any length as one stream of lines.
 *
 * It is a transfer: a client that reads slowly, or not at all, holds one slice
 * (_slice) and nothing in the store. An event that is larger than a slice is
 * copied in parts.
 *
 * The last line says that it is the last. If a stream ends early at the end of
 * a line, its last line says so. Without a last line the client knows
 * that the stream was cut.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_backfill.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_transfer.h"
#include "ngx_http_eventsync_worker.h"

#include "event/cursor.h"
#include "limit/limit.h"
#include "log/feed.h"
#include "read/range.h"
#include "store/txn.h"


static ngx_int_t ngx_http_eventsync_backfill_start(
    ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn);
static ngx_int_t ngx_http_eventsync_backfill_admit(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_backfill_headers(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_backfill_prepare(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_backfill_number(ngx_http_request_t *r,
    ngx_str_t *key, uint64_t number);
static ngx_int_t ngx_http_eventsync_backfill_cursor(
    ngx_http_eventsync_ctx_t *ctx, ngx_str_t *key, uint64_t sequence);
static ngx_int_t ngx_http_eventsync_backfill_charge(
    ngx_http_eventsync_transfer_t *t);
static ngx_int_t ngx_http_eventsync_backfill_wait(
    ngx_http_eventsync_transfer_t *t, ngx_msec_t delay);
static ngx_int_t ngx_http_eventsync_backfill_sign(
    ngx_http_eventsync_transfer_t *t);
static void ngx_http_eventsync_backfill_cleanup(void *data);


static ngx_str_t  ngx_http_eventsync_from = ngx_string("Eventsync-From");
static ngx_str_t  ngx_http_eventsync_to = ngx_string("Eventsync-To");
static ngx_str_t  ngx_http_eventsync_events = ngx_string("Eventsync-Events");
static ngx_str_t  ngx_http_eventsync_bytes = ngx_string("Eventsync-Bytes");
static ngx_str_t  ngx_http_eventsync_events_max =
    ngx_string("Eventsync-Events-Max");


ngx_int_t
ngx_http_eventsync_backfill(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t              es;
    es_txn_t            *txn;
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    ctx->backfill = ngx_pcalloc(r->pool,
                                sizeof(ngx_http_eventsync_backfill_t));
    if (ctx->backfill == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es == ES_OK) {
        rc = ngx_http_eventsync_backfill_start(ctx, txn);
        es_txn_end(txn);

    } else {
        rc = ngx_http_eventsync_fail_store(ctx, es);
    }

    if (rc != NGX_OK) {
        ngx_http_eventsync_limit_leave(ctx);

        return ngx_http_eventsync_send_problem(ctx);
    }

    if (ngx_http_eventsync_backfill_headers(ctx) != NGX_OK
        || (r->method != NGX_HTTP_HEAD
            && ngx_http_eventsync_backfill_prepare(ctx) != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_http_eventsync_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    return ngx_http_eventsync_transfer_start(ctx->transfer);
}


static ngx_int_t
ngx_http_eventsync_backfill_start(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn)
{
    es_rc_t                          es;
    es_feed_t                        feed;
    ngx_http_eventsync_backfill_t   *bf;

    bf = ctx->backfill;

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (ngx_http_eventsync_range(ctx, txn, &feed, &bf->after, &bf->to)
        != NGX_OK
        || ngx_http_eventsync_backfill_admit(ctx) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    bf->feed = feed;
    ngx_memcpy(bf->position.epoch, feed.epoch, sizeof(feed.epoch));
    bf->position.sequence = bf->after;
    bf->sent = bf->after;
    (void) es_feed_cursor(&feed, bf->after, bf->prev);

    bf->own = (ctx->args->filter || ngx_http_eventsync_fields(ctx));

    if (!bf->own) {
        es = es_range_bytes(txn, &feed, bf->after, bf->to, &bf->total);

        if (es == ES_OK) {
            es = es_range_digest(txn, &feed, bf->after, bf->chain_from);
        }

        if (es == ES_OK) {
            es = es_range_digest(txn, &feed, bf->to, bf->chain);
        }

        if (es != ES_OK) {
            return ngx_http_eventsync_fail_store(ctx, es);
        }

        bf->total += bf->to - bf->after;    /* one for each line feed */
    }

    es = es_range_count(txn, &feed, bf->after, bf->to, ctx->args->filter,
                        &bf->expected);

    bf->counted = (es == ES_OK);

    if (es == ES_NOT_FOUND) {
        bf->expected = bf->to - bf->after;

    } else if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    return NGX_OK;
}


/* before events are counted, which may take long */

static ngx_int_t
ngx_http_eventsync_backfill_admit(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_charge_t  charges[3];

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


/* headers tell the size before the events come */

static ngx_int_t
ngx_http_eventsync_backfill_headers(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t                      *type;
    ngx_http_request_t             *r;
    ngx_http_eventsync_backfill_t  *bf;

    r = ctx->request;
    bf = ctx->backfill;

    type = &ngx_http_eventsync_page_types[NGX_HTTP_EVENTSYNC_NDJSON];

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_type = *type;
    r->headers_out.content_type_len = type->len;

    if (ngx_http_eventsync_no_store(r) != NGX_OK
        || ngx_http_eventsync_no_buffering(r) != NGX_OK
        || ngx_http_eventsync_backfill_cursor(ctx, &ngx_http_eventsync_from,
                                              bf->after)
           != NGX_OK
        || ngx_http_eventsync_backfill_cursor(ctx, &ngx_http_eventsync_to,
                                              bf->to)
           != NGX_OK
        || ngx_http_eventsync_backfill_number(r,
               bf->counted ? &ngx_http_eventsync_events
                           : &ngx_http_eventsync_events_max,
               bf->expected)
           != NGX_OK
        || (!bf->own
            && ngx_http_eventsync_backfill_number(r,
                   &ngx_http_eventsync_bytes, bf->total)
               != NGX_OK)
        || ngx_http_eventsync_limit_headers(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_backfill_prepare(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_pool_cleanup_t             *cln;
    ngx_http_request_t             *r;
    ngx_http_eventsync_backfill_t  *bf;
    ngx_http_eventsync_transfer_t  *t;

    r = ctx->request;
    bf = ctx->backfill;

    t = ngx_http_eventsync_transfer_create(ctx);
    if (t == NULL) {
        return NGX_ERROR;
    }

    t->fill = ngx_http_eventsync_slice;
    t->charge = ngx_http_eventsync_backfill_charge;
    t->searches = (ctx->args->filter != NULL);
    bf->said = ngx_current_msec;

    /* the store has the digest of all events as they were published */

    if (!bf->own) {
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

    value.len = es_feed_cursor(&ctx->backfill->feed, sequence,
                               (char *) value.data);

    return ngx_http_eventsync_header(ctx->request, key, &value);
}


/*
 * Charges the ready slice to the partner's quota. If the quota is used up, the
 * slice waits as with limit_rate, but never in silence.
 */

static ngx_int_t
ngx_http_eventsync_backfill_charge(ngx_http_eventsync_transfer_t *t)
{
    ngx_buf_t                      *b;
    ngx_int_t                       rc;
    ngx_msec_t                      delay;
    ngx_http_eventsync_ctx_t       *ctx;
    ngx_http_eventsync_backfill_t  *bf;

    b = t->buf;
    ctx = t->ctx;
    bf = ctx->backfill;

    /* gets the current rate, and checks the key again, see _slice */

    if (bf->slowed && ngx_http_eventsync_permit(ctx) != NGX_OK) {
        b->last = b->pos;

        if (ngx_http_eventsync_slice_fail(ctx) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (!bf->failed
        && !bf->told
        && !ngx_http_eventsync_slice_drained(ctx)
        && ngx_http_eventsync_limit_bytes(ctx, b->last - b->pos,
                                          &delay)
           == NGX_AGAIN)
    {
        rc = ngx_http_eventsync_backfill_wait(t, delay);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    bf->slowed = 0;
    bf->begun = 0;
    bf->told = 0;
    bf->said = ngx_current_msec;
    bf->sent = bf->position.sequence;
    bf->sent_offset = bf->offset;

    if (t->closed) {
        ngx_http_eventsync_limit_leave(ctx);
    }

    return NGX_OK;
}


/* NGX_OK: a single byte of the slice was left, and is sent without waiting */

static ngx_int_t
ngx_http_eventsync_backfill_wait(ngx_http_eventsync_transfer_t *t,
    ngx_msec_t delay)
{
    ngx_event_t                    *wev;
    ngx_http_eventsync_backfill_t  *bf;

    bf = t->ctx->backfill;
    wev = t->ctx->request->connection->write;

    bf->slowed = 1;

    if (ngx_http_eventsync_backfill_silent(t->ctx) <= 0) {

        if (t->buf->last - t->buf->pos == 1) {
            return NGX_OK;
        }

        if (ngx_http_eventsync_backfill_sign(t) != NGX_OK) {
            return NGX_ERROR;
        }

        bf->said = ngx_current_msec;
    }

    delay = ngx_min(delay,
                    (ngx_msec_t) ngx_http_eventsync_backfill_silent(t->ctx));

    wev->delayed = 1;
    ngx_add_timer(wev, delay);

    return NGX_DONE;
}


/*
 * ms for which the stream may still be silent: a proxy cuts one that is silent
 * for longer than its read timeout
 */

ngx_msec_int_t
ngx_http_eventsync_backfill_silent(ngx_http_eventsync_ctx_t *ctx)
{
    return (ngx_msec_int_t) (ctx->backfill->said
                             + ctx->conf->backfill_heartbeat
                             - ngx_current_msec);
}


/*
 * Sends the next byte of the slice although the quota is used up. It is not
 * charged.
 */

static ngx_int_t
ngx_http_eventsync_backfill_sign(ngx_http_eventsync_transfer_t *t)
{
    ngx_buf_t                      *b;
    ngx_chain_t                     out;
    ngx_http_eventsync_backfill_t  *bf;

    bf = t->ctx->backfill;
    b = &bf->sign;

    /* the client has not taken the one before */

    if (b->pos != b->last) {
        return NGX_OK;
    }

    ngx_memzero(b, sizeof(ngx_buf_t));

    bf->byte = *t->buf->pos++;
    bf->begun = 1;

    b->start = &bf->byte;
    b->pos = b->start;
    b->last = b->start + 1;
    b->end = b->last;
    b->temporary = 1;
    b->flush = 1;

    out.buf = b;
    out.next = NULL;

    return (ngx_http_output_filter(t->ctx->request, &out) == NGX_ERROR)
           ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_eventsync_backfill_cleanup(void *data)
{
    ngx_http_eventsync_backfill_t  *bf = data;

    EVP_MD_CTX_free(bf->digest);
}
