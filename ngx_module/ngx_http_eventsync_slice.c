/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Slices of a backfill: fills the buffer with event lines, each time in one
 * read transaction, and writes the line that ends it.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_backfill.h"
#include "ngx_http_eventsync_count.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_transfer.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "event/cursor.h"
#include "event/digest.h"
#include "log/feed.h"
#include "read/range.h"
#include "read/reader.h"
#include "store/txn.h"


/* maximum size of the closing line */
#define NGX_HTTP_EVENTSYNC_CLOSING      1024

#define ngx_http_eventsync_slice_bytes(ctx)                                   \
    ((ctx)->transfer->size - NGX_HTTP_EVENTSYNC_CLOSING)

/* more events than fit into a slice */
#define NGX_HTTP_EVENTSYNC_SLICE_LIMIT  4096

/* ms that streams continue after their worker begins to exit */
#define NGX_HTTP_EVENTSYNC_DRAIN        30000


static ngx_int_t ngx_http_eventsync_slice_read(
    ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn);
static unsigned ngx_http_eventsync_slice_limit(
    ngx_http_eventsync_ctx_t *ctx, const es_feed_t *feed);
static ngx_int_t ngx_http_eventsync_slice_copy(
    ngx_http_eventsync_ctx_t *ctx, const es_page_t *page);
static void ngx_http_eventsync_slice_search(ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_slice_stop(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_slice_close(
    ngx_http_eventsync_ctx_t *ctx, ngx_uint_t complete);


/* fills the buffer, which stays empty if no event matches */

ngx_int_t
ngx_http_eventsync_slice(ngx_http_eventsync_transfer_t *t)
{
    es_rc_t                         es;
    es_txn_t                       *txn;
    ngx_buf_t                      *b;
    ngx_int_t                       rc;
    ngx_http_eventsync_ctx_t       *ctx;
    ngx_http_eventsync_backfill_t  *bf;

    b = t->buf;
    ctx = t->ctx;
    bf = ctx->backfill;

    if (bf->offset == 0 && ngx_http_eventsync_slice_drained(ctx)) {
        return ngx_http_eventsync_slice_stop(ctx);
    }

    if (bf->position.sequence == bf->to) {
        return ngx_http_eventsync_slice_close(ctx, 1);
    }

    rc = ngx_http_eventsync_permit(ctx);

    if (rc == NGX_OK) {
        rc = ngx_http_eventsync_fields_same(ctx, t->fields);
    }

    if (rc == NGX_OK) {
        es = es_txn_begin(ctx->worker->es, &txn);

        if (es == ES_OK) {
            rc = ngx_http_eventsync_slice_read(ctx, txn);
            es_txn_end(txn);

        } else {
            rc = ngx_http_eventsync_fail_store(ctx, es);
        }
    }

    if (rc != NGX_OK) {
        return ngx_http_eventsync_slice_fail(ctx);
    }

    if (bf->digest
        && EVP_DigestUpdate(bf->digest, b->pos, b->last - b->pos) != 1)
    {
        return NGX_ERROR;
    }

    bf->bytes += b->last - b->pos;

    if (bf->position.sequence == bf->to) {
        return ngx_http_eventsync_slice_close(ctx, 1);
    }

    if (b->last == b->pos) {
        ngx_http_eventsync_slice_search(ctx);
    }

    return NGX_OK;
}


/* an exiting worker gives its streams a limited time */

ngx_uint_t
ngx_http_eventsync_slice_drained(ngx_http_eventsync_ctx_t *ctx)
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

    /* nginx itself closes all connections after shutdown_timeout */

    drain = ccf->shutdown_timeout
            ? ngx_min(ccf->shutdown_timeout / 2, NGX_HTTP_EVENTSYNC_DRAIN)
            : NGX_HTTP_EVENTSYNC_DRAIN;

    return (ngx_msec_int_t) (ngx_current_msec - w->exiting - drain) >= 0;
}


static ngx_int_t
ngx_http_eventsync_slice_read(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn)
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

    /* events committed after the request began are not in its range */

    feed.last = bf->to;

    es = es_page_read(txn, &feed, bf->position.sequence, es_str(bf->prev),
                      ngx_http_eventsync_slice_limit(ctx, &feed),
                      ngx_http_eventsync_slice_bytes(ctx) - 1, ctx->args->filter,
                      ngx_http_eventsync_fields(ctx), page);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (page->count) {
        return ngx_http_eventsync_slice_copy(ctx, page);
    }

    bf->position.sequence = page->next;

    return NGX_OK;
}


/*
 * The store verifies the hash of whole chunks, and no chunk crosses the end of
 * a page. A chunk that two slices share is verified twice. So a slice ends
 * with a page if, by the average size so far, a page ends within it.
 */

static unsigned
ngx_http_eventsync_slice_limit(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed)
{
    uint64_t                        fit, end;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;

    if (bf->own || bf->count == 0) {
        return NGX_HTTP_EVENTSYNC_SLICE_LIMIT;
    }

    fit = ngx_http_eventsync_slice_bytes(ctx) / (bf->bytes / bf->count + 1);
    end = bf->position.sequence + fit;
    end -= end % feed->page_size;

    return (end > bf->position.sequence)
           ? (unsigned) (end - bf->position.sequence)
           : NGX_HTTP_EVENTSYNC_SLICE_LIMIT;
}


static ngx_int_t
ngx_http_eventsync_slice_copy(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page)
{
    size_t                          size;
    ngx_buf_t                      *b;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;
    b = ctx->transfer->buf;

    if (page->bytes < ngx_http_eventsync_slice_bytes(ctx)) {
        b->last = ngx_http_eventsync_write_lines(page, b->pos);

    } else {

        /* a single event exceeds the limit of bytes */

        size = ngx_min(page->bytes - bf->offset,
                       ngx_http_eventsync_slice_bytes(ctx) - 1);

        b->last = ngx_http_eventsync_transfer_part(page, bf->offset, size,
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
    }

    bf->count += page->count;
    bf->last = page->last;

    ngx_http_eventsync_moved(ctx, &bf->feed, page->first, page->last);
    ngx_http_eventsync_count_sent(ctx, page->count);

    bf->position.sequence = page->next;
    (void) es_feed_cursor(&bf->feed, page->last, bf->prev);

    return NGX_OK;
}


/*
 * A filter has found nothing yet. By the clock the stream says how far it is:
 * so no proxy takes it for dead, and a reader that is cut off need not have
 * the same events searched again.
 */

static void
ngx_http_eventsync_slice_search(ngx_http_eventsync_ctx_t *ctx)
{
    char                            cursor[ES_CURSOR_MAX];
    ngx_buf_t                      *b;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;
    b = ctx->transfer->buf;

    bf->sent = bf->position.sequence;

    if (ngx_http_eventsync_backfill_silent(ctx) > 0) {
        return;
    }

    (void) es_feed_cursor(&bf->feed, bf->position.sequence, cursor);

    b->last = ngx_sprintf(b->last, "{\"position\":{\"cursor\":\"%s\"}}\n",
                          cursor);
    bf->told = 1;
}


/* ends the range early; the digest covers it up to here */

static ngx_int_t
ngx_http_eventsync_slice_stop(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t                         es;
    es_txn_t                       *txn;
    es_feed_t                       feed;
    ngx_int_t                       rc;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;

    if (bf->own) {
        return ngx_http_eventsync_slice_close(ctx, 0);
    }

    rc = NGX_OK;
    es = es_txn_begin(ctx->worker->es, &txn);

    if (es == ES_OK) {
        es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);

        if (es == ES_OK) {
            rc = ngx_http_eventsync_check(ctx, &feed, &bf->position);
        }

        if (es == ES_OK && rc == NGX_OK) {
            es = es_range_digest(txn, &feed, bf->position.sequence,
                                 bf->chain);
        }

        es_txn_end(txn);
    }

    if (es != ES_OK) {
        rc = ngx_http_eventsync_fail_store(ctx, es);
    }

    return (rc == NGX_OK) ? ngx_http_eventsync_slice_close(ctx, 0)
                          : ngx_http_eventsync_slice_fail(ctx);
}


/* writes the manifest, which is the last line */

static ngx_int_t
ngx_http_eventsync_slice_close(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t complete)
{
    char                            from[ES_CURSOR_MAX], to[ES_CURSOR_MAX];
    char                            next[ES_CURSOR_MAX];
    u_char                         *p;
    ngx_buf_t                      *b;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;
    b = ctx->transfer->buf;

    if (bf->digest && EVP_DigestFinal_ex(bf->digest, bf->chain, NULL) != 1) {
        return NGX_ERROR;
    }

    (void) es_feed_cursor(&bf->feed, bf->after, from);
    (void) es_feed_cursor(&bf->feed, bf->to, to);
    (void) es_feed_cursor(&bf->feed, bf->position.sequence, next);

    p = ngx_sprintf(b->last, "{\"manifest\":{\"complete\":%s,\"from\":\"%s\","
                    "\"to\":\"%s\",\"next\":\"%s\",\"count\":%uL,"
                    "\"bytes\":%uL,",
                    complete ? "true" : "false", from, to, next, bf->count,
                    bf->bytes);

    if (bf->count) {
        (void) es_feed_cursor(&bf->feed, bf->first, from);
        (void) es_feed_cursor(&bf->feed, bf->last, to);

        p = ngx_sprintf(p, "\"first\":\"%s\",\"last\":\"%s\",", from, to);

    } else {
        p = ngx_sprintf(p, "\"first\":null,\"last\":null,");
    }

    if (bf->digest) {
        p = ngx_sprintf(p, "\"algorithm\":\"sha256\",");

    } else {
        p = ngx_sprintf(p, "\"algorithm\":\"" ES_CHAIN_NAME "\","
                        "\"digest_from\":\"");
        p = ngx_hex_dump(p, bf->chain_from, ES_CHAIN_LEN);
        p = ngx_sprintf(p, "\",");
    }

    p = ngx_sprintf(p, "\"digest\":\"");
    p = ngx_hex_dump(p, bf->chain, ES_CHAIN_LEN);
    b->last = ngx_cpymem(p, "\"}}\n", 4);

    ctx->transfer->closed = 1;

    return NGX_OK;
}


/*
 * The answer has begun, so a problem becomes its last line. Within a line that
 * is not possible, and the connection is cut.
 */

ngx_int_t
ngx_http_eventsync_slice_fail(ngx_http_eventsync_ctx_t *ctx)
{
    char                            next[ES_CURSOR_MAX];
    size_t                          len;
    ngx_buf_t                      *b, *body;
    ngx_http_eventsync_backfill_t  *bf;

    bf = ctx->backfill;
    b = ctx->transfer->buf;

    if (bf->sent_offset || bf->begun || ctx->problem == NULL) {
        return NGX_ERROR;
    }

    body = ngx_http_eventsync_problem_body(ctx->request, ctx->problem);

    if (body == NULL) {
        return NGX_ERROR;
    }

    len = body->last - body->pos;

    if (len > ngx_http_eventsync_slice_bytes(ctx)) {
        return NGX_ERROR;
    }

    (void) es_feed_cursor(&bf->feed, bf->sent, next);

    b->last = ngx_sprintf(b->last, "{\"error\":%*s,\"next\":\"%s\"}\n", len,
                          body->pos, next);

    ctx->transfer->closed = 1;
    bf->failed = 1;

    return NGX_OK;
}
