/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Manifest: count, bytes and digest of a range. With it a client can prove
 * that its copy of the range is complete and unchanged.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_backfill.h"
#include "ngx_http_eventsync_encrypt.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_worker.h"

#include "event/cursor.h"
#include "event/digest.h"
#include "log/feed.h"
#include "read/ciphertexts.h"
#include "read/encrypter.h"
#include "read/range.h"
#include "read/reader.h"
#include "store/txn.h"


#define NGX_HTTP_EVENTSYNC_MANIFEST                                           \
    (sizeof("{\"feed\":\"\",\"epoch\":\"\",\"from\":\"\",\"to\":\"\","        \
            "\"count\":,\"bytes\":,\"algorithm\":\"\",\"digest_from\":\"\","  \
            "\"digest\":\"\"}") - 1                                           \
     + ES_FEED_MAX + ES_EPOCH_MAX + 2 * ES_CURSOR_MAX + 2 * NGX_INT64_LEN     \
     + sizeof(ES_CHAIN_SHOWN_NAME) + 4 * ES_CHAIN_LEN)

/* events that a thread reads for one answer */
#define NGX_HTTP_EVENTSYNC_MANIFEST_MAX  20000


typedef struct {
    es_feed_t                         feed;
    uint64_t                          after;
    uint64_t                          to;
    uint64_t                          bytes;
    uint8_t                           digest_from[ES_CHAIN_LEN];
    uint8_t                           digest[ES_CHAIN_LEN];
    const es_fields_t                *fields;     /* NULL: none; valid while
                                                     the request waits */
    es_ciphertexts_t                 *ciphertexts;
} ngx_http_eventsync_manifest_t;


static ngx_int_t ngx_http_eventsync_manifest_read(
    ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    ngx_http_eventsync_manifest_t *m);
static ngx_int_t ngx_http_eventsync_manifest_store(
    ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    ngx_http_eventsync_manifest_t *m);
static ngx_int_t ngx_http_eventsync_manifest_shown(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_manifest_t *m);
static void ngx_http_eventsync_manifest_run(ngx_http_eventsync_task_t *task);
static es_rc_t ngx_http_eventsync_manifest_part(es_store_t *es,
    ngx_http_eventsync_manifest_t *m, uint64_t *position, es_page_t *page);
static ngx_int_t ngx_http_eventsync_manifest_answer(
    ngx_http_eventsync_task_t *task);
static ngx_buf_t *ngx_http_eventsync_manifest_write(ngx_http_request_t *r,
    ngx_http_eventsync_manifest_t *m);


ngx_int_t
ngx_http_eventsync_manifest(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t                         es;
    es_txn_t                       *txn;
    ngx_int_t                       rc;
    ngx_http_eventsync_manifest_t  *m;

    m = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_eventsync_manifest_t));
    if (m == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    m->fields = ngx_http_eventsync_fields(ctx);
    m->ciphertexts = ctx->worker->ciphertexts;

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es == ES_OK) {
        rc = ngx_http_eventsync_manifest_read(ctx, txn, m);
        es_txn_end(txn);

    } else {
        rc = ngx_http_eventsync_fail_store(ctx, es);
    }

    if (rc == NGX_OK && m->fields) {
        rc = ngx_http_eventsync_manifest_shown(ctx, m);

        if (rc == NGX_DONE) {
            return NGX_DONE;
        }
    }

    if (rc != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    return ngx_http_eventsync_send_json(ctx, NGX_HTTP_OK,
                            ngx_http_eventsync_manifest_write(ctx->request,
                                                              m));
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

    if (m->to > m->after) {
        ngx_http_eventsync_moved(ctx, &m->feed, m->after + 1, m->to);
    }

    return m->fields ? NGX_OK : ngx_http_eventsync_manifest_store(ctx, txn, m);
}


/* the store has all of it */

static ngx_int_t
ngx_http_eventsync_manifest_store(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, ngx_http_eventsync_manifest_t *m)
{
    es_rc_t  es;

    es = es_range_bytes(txn, &m->feed, m->after, m->to, &m->bytes);

    if (es == ES_OK) {
        es = es_range_digest(txn, &m->feed, m->after, m->digest_from);
    }

    if (es == ES_OK) {
        es = es_range_digest(txn, &m->feed, m->to, m->digest);
    }

    return (es == ES_OK) ? NGX_OK : ngx_http_eventsync_fail_store(ctx, es);
}


/* under field lists the events must be read, so a thread does it */

static ngx_int_t
ngx_http_eventsync_manifest_shown(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_manifest_t *m)
{
    ngx_http_eventsync_task_t  *task;

    if (m->to - m->after > NGX_HTTP_EVENTSYNC_MANIFEST_MAX) {
        (void) ngx_http_eventsync_fail(ctx,
                                       NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                       "Under a field list a manifest has at "
                                       "most %d events; this range has %uL.",
                                       NGX_HTTP_EVENTSYNC_MANIFEST_MAX,
                                       m->to - m->after);

        return ngx_http_eventsync_members(ctx, 64, ",\"parameter\":\"to\"");
    }

    task = ngx_http_eventsync_task_create(ctx,
                                          NGX_HTTP_EVENTSYNC_WORK_MANAGE);
    if (task == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    task->run = ngx_http_eventsync_manifest_run;
    task->answer = ngx_http_eventsync_manifest_answer;
    task->data = m;

    return ngx_http_eventsync_task_post(task);
}


static void
ngx_http_eventsync_manifest_run(ngx_http_eventsync_task_t *task)
{
    uint64_t                        position;
    es_page_t                       page;
    es_encrypter_t                  encrypter;
    ngx_http_eventsync_manifest_t  *m;

    m = task->data;
    position = m->after;
    ngx_memzero(&page, sizeof(es_page_t));
    ngx_memzero(&encrypter, sizeof(es_encrypter_t));

    es_encrypter_init(&encrypter, m->ciphertexts);
    page.seal = &encrypter.seal;

    while (task->rc == ES_OK && position < m->to) {
        task->rc = ngx_http_eventsync_manifest_part(task->es, m, &position,
                                                    &page);

        if (task->rc == ES_PENDING) {
            task->rc = ngx_http_eventsync_encrypt_now(&encrypter,
                                                      ngx_cycle->log);
        }
    }

    es_encrypter_free(&encrypter);
    es_page_free(&page);
}


/* no transaction lasts longer than one part; ES_BUSY: the next request learns
   what has become of the feed */

static es_rc_t
ngx_http_eventsync_manifest_part(es_store_t *es,
    ngx_http_eventsync_manifest_t *m, uint64_t *position, es_page_t *page)
{
    es_rc_t     rc;
    es_txn_t   *txn;
    es_feed_t   feed;

    rc = es_txn_begin(es, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_feed_get(txn, es_str(m->feed.name), &feed);

    if (rc == ES_OK
        && (feed.number != m->feed.number
            || feed.oldest > *position + 1
            || !es_feed_has(&feed, es_feed_epoch_of(&m->feed, m->to), m->to)))
    {
        rc = ES_BUSY;
    }

    if (rc == ES_OK) {
        rc = es_range_shown(txn, &feed, position, m->to, m->fields, page,
                            m->digest, &m->bytes);
    }

    es_txn_end(txn);

    return rc;
}


static ngx_int_t
ngx_http_eventsync_manifest_answer(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = task->ctx;

    /* the permission may have been revoked meanwhile */

    if (ngx_http_eventsync_permit(ctx) != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (task->rc != ES_OK) {
        (void) ngx_http_eventsync_fail_store(ctx, task->rc);
        return ngx_http_eventsync_send_problem(ctx);
    }

    return ngx_http_eventsync_send_json(ctx, NGX_HTTP_OK,
                            ngx_http_eventsync_manifest_write(ctx->request,
                                                              task->data));
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
                          "\"bytes\":%uL,\"algorithm\":\"%s\","
                          "\"digest_from\":\"",
                          m->feed.name, m->feed.epoch, from, to, count,
                          m->bytes + count,
                          m->fields ? ES_CHAIN_SHOWN_NAME : ES_CHAIN_NAME);

    b->last = ngx_hex_dump(b->last, m->digest_from, ES_CHAIN_LEN);
    b->last = ngx_cpymem(b->last, "\",\"digest\":\"", 12);
    b->last = ngx_hex_dump(b->last, m->digest, ES_CHAIN_LEN);
    b->last = ngx_cpymem(b->last, "\"}", 2);

    return b;
}
