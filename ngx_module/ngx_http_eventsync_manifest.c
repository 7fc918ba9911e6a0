/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Manifest: count, bytes and digest of a range. With it a client can prove
 * that its copy of the range is complete and unchanged.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_backfill.h"
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_worker.h"

#include "event/cursor.h"
#include "event/digest.h"
#include "log/feed.h"
#include "read/range.h"
#include "store/txn.h"


#define NGX_HTTP_EVENTSYNC_MANIFEST                                           \
    (sizeof("{\"feed\":\"\",\"epoch\":\"\",\"from\":\"\",\"to\":\"\","        \
            "\"count\":,\"bytes\":,\"algorithm\":\"\",\"digest_from\":\"\","  \
            "\"digest\":\"\"}") - 1                                           \
     + ES_FEED_MAX + ES_EPOCH_MAX + 2 * ES_CURSOR_MAX + 2 * NGX_INT64_LEN     \
     + sizeof(ES_CHAIN_NAME) + 4 * ES_CHAIN_LEN)


typedef struct {
    es_feed_t                         feed;
    uint64_t                          after;
    uint64_t                          to;
    uint64_t                          bytes;
    uint8_t                           digest_from[ES_CHAIN_LEN];
    uint8_t                           digest[ES_CHAIN_LEN];
} ngx_http_eventsync_manifest_t;


static ngx_int_t ngx_http_eventsync_manifest_read(
    ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    ngx_http_eventsync_manifest_t *m);
static ngx_buf_t *ngx_http_eventsync_manifest_write(ngx_http_request_t *r,
    ngx_http_eventsync_manifest_t *m);


ngx_int_t
ngx_http_eventsync_manifest(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t                         es;
    es_txn_t                       *txn;
    ngx_int_t                       rc;
    ngx_http_eventsync_manifest_t   m;

    ngx_memzero(&m, sizeof(ngx_http_eventsync_manifest_t));

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es == ES_OK) {
        rc = ngx_http_eventsync_manifest_read(ctx, txn, &m);
        es_txn_end(txn);

    } else {
        rc = ngx_http_eventsync_fail_store(ctx, es);
    }

    if (rc != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    return ngx_http_eventsync_send_json(ctx, NGX_HTTP_OK,
                            ngx_http_eventsync_manifest_write(ctx->request,
                                                              &m));
}


static ngx_int_t
ngx_http_eventsync_manifest_read(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    ngx_http_eventsync_manifest_t *m)
{
    es_rc_t  es;

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &m->feed);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (ngx_http_eventsync_range(ctx, txn, &m->feed, &m->after, &m->to)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_http_eventsync_limit_poll(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    es = es_range_bytes(txn, &m->feed, m->after, m->to, &m->bytes);

    if (es == ES_OK) {
        es = es_range_digest(txn, &m->feed, m->after, m->digest_from);
    }

    if (es == ES_OK) {
        es = es_range_digest(txn, &m->feed, m->to, m->digest);
    }

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (m->to > m->after) {
        ngx_http_eventsync_moved(ctx, &m->feed, m->after + 1, m->to);
    }

    return NGX_OK;
}


static ngx_buf_t *
ngx_http_eventsync_manifest_write(ngx_http_request_t *r,
    ngx_http_eventsync_manifest_t *m)
{
    char        from[ES_CURSOR_MAX], to[ES_CURSOR_MAX];
    uint64_t    count;
    ngx_buf_t  *b;

    b = ngx_create_temp_buf(r->pool, NGX_HTTP_EVENTSYNC_MANIFEST);
    if (b == NULL) {
        return NULL;
    }

    (void) es_feed_cursor(&m->feed, m->after, from);
    (void) es_feed_cursor(&m->feed, m->to, to);

    count = m->to - m->after;

    /* count a line feed for each event, as a backfill sends it */

    b->last = ngx_sprintf(b->last, "{\"feed\":\"%s\",\"epoch\":\"%s\","
                          "\"from\":\"%s\",\"to\":\"%s\",\"count\":%uL,"
                          "\"bytes\":%uL,\"algorithm\":\""
                          ES_CHAIN_NAME "\",\"digest_from\":\"",
                          m->feed.name, m->feed.epoch, from, to, count,
                          m->bytes + count);

    b->last = ngx_hex_dump(b->last, m->digest_from, ES_CHAIN_LEN);
    b->last = ngx_cpymem(b->last, "\",\"digest\":\"", 12);
    b->last = ngx_hex_dump(b->last, m->digest, ES_CHAIN_LEN);
    b->last = ngx_cpymem(b->last, "\"}", 2);

    return b;
}
