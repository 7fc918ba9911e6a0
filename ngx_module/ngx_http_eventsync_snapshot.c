/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Snapshot: the latest event of each subject, in pages that all show the same
 * moment, and the cursor to poll from afterwards.
 *
 * The server keeps no state between two pages. The page token contains the
 * moment and the position, and the store finds the events that were the latest
 * then.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_transfer.h"
#include "ngx_http_eventsync_worker.h"

#include "event/cursor.h"
#include "log/feed.h"
#include "read/reader.h"
#include "read/snapshot.h"
#include "read/snapshot_token.h"
#include "store/txn.h"


/* maximum size of a page of several events */
#define NGX_HTTP_EVENTSYNC_SNAPSHOT_BYTES  (4 * 1024 * 1024)


struct ngx_http_eventsync_snapshot_s {
    es_snapshot_token_t               place;      /* page token */
    uint64_t                          oldest;     /* sequence in this page */
    es_str_t                          subject;    /* the last one read, within
                                                     a transaction */
};


static ngx_int_t ngx_http_eventsync_snapshot_malformed(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_snapshot_read(
    ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    ngx_http_eventsync_snapshot_t *sn);
static ngx_int_t ngx_http_eventsync_snapshot_page(
    ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn, const es_feed_t *feed,
    es_str_t position, ngx_uint_t limit, size_t bytes);
static ngx_int_t ngx_http_eventsync_snapshot_write(
    ngx_http_eventsync_ctx_t *ctx, const es_page_t *page,
    ngx_http_eventsync_snapshot_t *sn);
static ngx_int_t ngx_http_eventsync_snapshot_end(
    ngx_http_eventsync_ctx_t *ctx, const es_page_t *page,
    ngx_http_eventsync_snapshot_t *sn, ngx_str_t *text);
static ngx_int_t ngx_http_eventsync_snapshot_transfer(
    ngx_http_eventsync_ctx_t *ctx, const es_page_t *page, es_str_t position,
    ngx_str_t *end);
static ngx_int_t ngx_http_eventsync_snapshot_slice(
    ngx_http_eventsync_transfer_t *t, es_txn_t *txn, size_t bytes);
static void ngx_http_eventsync_snapshot_move(ngx_http_eventsync_transfer_t *t,
    const es_page_t *page);


static ngx_str_t  ngx_http_eventsync_snapshot_begin =
    ngx_string("{\"events\":[");

/* by default, a type such as order.deleted marks a deletion */

static es_str_t  ngx_http_eventsync_deleted = { ".deleted", 8 };

ngx_array_t  ngx_http_eventsync_tombstones = {
    &ngx_http_eventsync_deleted, 1, sizeof(es_str_t), 1, NULL
};


char *
ngx_http_eventsync_tombstones_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    es_str_t    *suffix;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (elcf->tombstones != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        elcf->tombstones = NULL;
        return NGX_CONF_OK;
    }

    elcf->tombstones = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                        sizeof(es_str_t));
    if (elcf->tombstones == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "a suffix must not be empty");
            return NGX_CONF_ERROR;
        }

        if (ngx_strcmp(value[i].data, "off") == 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "\"off\" cannot be used with suffixes");
            return NGX_CONF_ERROR;
        }

        suffix = ngx_array_push(elcf->tombstones);
        if (suffix == NULL) {
            return NGX_CONF_ERROR;
        }

        *suffix = ngx_http_eventsync_str(&value[i]);
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_eventsync_snapshot_parse(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_snapshot_t  *sn;

    sn = ngx_pcalloc(ctx->request->pool,
                     sizeof(ngx_http_eventsync_snapshot_t));
    if (sn == NULL) {
        return NGX_DECLINED;
    }

    ctx->snapshot = sn;

    if (!ctx->args->has_page
        || es_snapshot_token_parse(ngx_http_eventsync_str(&ctx->args->page),
                                   ngx_http_eventsync_str(&ctx->feed),
                                   ctx->args->tombstones, &sn->place)
           == ES_OK)
    {
        return NGX_OK;
    }

    return ngx_http_eventsync_snapshot_malformed(ctx);
}


ngx_int_t
ngx_http_eventsync_snapshot(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t     es;
    es_txn_t   *txn;
    ngx_int_t   rc;

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es == ES_OK) {
        rc = ngx_http_eventsync_snapshot_read(ctx, txn, ctx->snapshot);
        es_txn_end(txn);

    } else {
        rc = ngx_http_eventsync_fail_store(ctx, es);
    }

    if (rc != NGX_OK) {
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (ctx->transfer == NULL) {
        return ngx_http_eventsync_send_json(ctx, NGX_HTTP_OK, ctx->out);
    }

    if (ngx_http_eventsync_no_store(ctx->request) != NGX_OK
        || ngx_http_eventsync_limit_headers(ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_transfer_send(ctx,
                                            &ngx_http_eventsync_json_type);
}


static ngx_int_t
ngx_http_eventsync_snapshot_malformed(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t  name = ngx_string("page");

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                   "Parameter \"page\" must be the \"next\" "
                                   "value of the previous page, with the same "
                                   "feed and \"tombstones\".");

    return ngx_http_eventsync_parameter(ctx, &name);
}


static ngx_int_t
ngx_http_eventsync_snapshot_read(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    ngx_http_eventsync_snapshot_t *sn)
{
    es_rc_t    es;
    es_str_t   position;
    es_feed_t  feed;
    ngx_int_t  rc;

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (!ctx->args->has_page) {
        ngx_memcpy(sn->place.at.epoch, es_feed_epoch_of(&feed, feed.last),
                   sizeof(feed.epoch));
        sn->place.at.sequence = feed.last;

    } else if (ngx_http_eventsync_check(ctx, &feed, &sn->place.at) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ngx_http_eventsync_limit_poll(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    position.data = sn->place.position;
    position.len = sn->place.len;

    rc = ngx_http_eventsync_snapshot_page(ctx, txn, &feed, position,
                                          ctx->args->limit,
                                          NGX_HTTP_EVENTSYNC_SNAPSHOT_BYTES);

    return (rc == NGX_OK)
           ? ngx_http_eventsync_snapshot_write(ctx, &ctx->worker->page, sn)
           : rc;
}


static ngx_int_t
ngx_http_eventsync_snapshot_page(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    const es_feed_t *feed, es_str_t position, ngx_uint_t limit, size_t bytes)
{
    es_rc_t                         es;
    ngx_array_t                    *without;
    ngx_http_eventsync_snapshot_t  *sn;

    sn = ctx->snapshot;
    without = ctx->args->tombstones ? NULL : ctx->conf->tombstones;

    es = es_snapshot_page(txn, feed, sn->place.at.sequence, position,
                          without ? without->elts : NULL,
                          without ? without->nelts : 0, limit, bytes,
                          ngx_http_eventsync_fields(ctx), &ctx->worker->page,
                          &sn->subject);

    if (es == ES_INVALID) {
        return ngx_http_eventsync_snapshot_malformed(ctx);
    }

    return (es == ES_OK) ? NGX_OK : ngx_http_eventsync_fail_store(ctx, es);
}


static ngx_int_t
ngx_http_eventsync_snapshot_write(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page, ngx_http_eventsync_snapshot_t *sn)
{
    size_t                len;
    es_str_t              position;
    ngx_buf_t            *b;
    ngx_str_t             end;
    ngx_http_request_t   *r;
    es_snapshot_token_t   begin;

    r = ctx->request;

    /* the text after the events moves the place behind them */

    begin = sn->place;
    position.data = begin.position;
    position.len = begin.len;

    if (ngx_http_eventsync_snapshot_end(ctx, page, sn, &end) != NGX_OK) {
        return NGX_DECLINED;
    }

    ctx->events = page->count;

    len = ngx_http_eventsync_snapshot_begin.len + page->bytes + end.len;

    /* a subrequest cannot wait for the socket */

    if (len > NGX_HTTP_EVENTSYNC_SLICE && r == r->main) {
        return ngx_http_eventsync_snapshot_transfer(ctx, page, position, &end);
    }

    if (ngx_http_eventsync_room(ctx, len) != NGX_OK) {
        return NGX_DECLINED;
    }

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_DECLINED;
    }

    b->last = ngx_cpymem(b->last, ngx_http_eventsync_snapshot_begin.data,
                         ngx_http_eventsync_snapshot_begin.len);
    b->last = (u_char *) es_page_copy(page, (char *) b->last);
    b->last = ngx_cpymem(b->last, end.data, end.len);

    ctx->out = b;

    return NGX_OK;
}


/* makes the text after the events */

static ngx_int_t
ngx_http_eventsync_snapshot_end(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page, ngx_http_eventsync_snapshot_t *sn, ngx_str_t *text)
{
    u_char  *p;

    p = ngx_pnalloc(ctx->request->pool,
                    sizeof("],\"cursor\":\"\",\"next\":\"\"}") - 1
                    + ES_CURSOR_MAX + ES_SNAPSHOT_TOKEN_MAX);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    p = ngx_http_eventsync_copy(p, "],\"cursor\":\"");
    p += es_cursor_print(sn->place.at.epoch, sn->place.at.sequence,
                         (char *) p);

    if (page->has_more) {
        sn->place.len = sn->subject.len;
        ngx_memmove(sn->place.position, sn->subject.data, sn->subject.len);

        p = ngx_http_eventsync_copy(p, "\",\"next\":\"");
        p += es_snapshot_token_print(&sn->place,
                                     ngx_http_eventsync_str(&ctx->feed),
                                     ctx->args->tombstones, (char *) p);
        p = ngx_http_eventsync_copy(p, "\"}");

    } else {
        p = ngx_http_eventsync_copy(p, "\",\"next\":null}");
    }

    text->len = p - text->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_snapshot_transfer(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page, es_str_t position, ngx_str_t *end)
{
    ngx_http_eventsync_transfer_t  *t;

    t = ngx_http_eventsync_transfer_create(ctx);
    if (t == NULL) {
        return NGX_DECLINED;
    }

    t->head = ngx_http_eventsync_snapshot_begin;
    t->tail = *end;
    t->length = t->head.len + page->bytes + t->tail.len;
    t->count = page->count;

    t->place.len = position.len;
    ngx_memcpy(t->place.subject, position.data, position.len);

    t->read = ngx_http_eventsync_snapshot_slice;
    t->move = ngx_http_eventsync_snapshot_move;

    ngx_http_eventsync_transfer_events(t);

    ctx->snapshot->oldest = page->first;

    return NGX_OK;
}


/* gives the same events as before, as long as all of them are kept */

static ngx_int_t
ngx_http_eventsync_snapshot_slice(ngx_http_eventsync_transfer_t *t,
    es_txn_t *txn, size_t bytes)
{
    es_rc_t                    es;
    es_str_t                   position;
    es_feed_t                  feed;
    es_cursor_t                before;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = t->ctx;

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    before = ctx->snapshot->place.at;
    before.sequence = ctx->snapshot->oldest - 1;

    if (ngx_http_eventsync_check(ctx, &feed, &before) != NGX_OK) {
        return NGX_DECLINED;
    }

    position.data = t->place.subject;
    position.len = t->place.len;

    return ngx_http_eventsync_snapshot_page(ctx, txn, &feed, position,
                                            t->count - t->place.count, bytes);
}


static void
ngx_http_eventsync_snapshot_move(ngx_http_eventsync_transfer_t *t,
    const es_page_t *page)
{
    es_str_t  *subject;

    subject = &t->ctx->snapshot->subject;

    t->place.len = subject->len;
    ngx_memmove(t->place.subject, subject->data, subject->len);
}
