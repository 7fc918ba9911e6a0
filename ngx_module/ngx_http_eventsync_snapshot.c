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
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
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
    ngx_buf_t                        *out;
};


static ngx_int_t ngx_http_eventsync_snapshot_malformed(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_snapshot_read(
    ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    ngx_http_eventsync_snapshot_t *sn);
static ngx_int_t ngx_http_eventsync_snapshot_write(
    ngx_http_eventsync_ctx_t *ctx, const es_page_t *page, es_str_t last,
    ngx_http_eventsync_snapshot_t *sn);


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

    return ngx_http_eventsync_send_json(ctx, NGX_HTTP_OK, ctx->snapshot->out);
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
    es_rc_t       es;
    es_str_t      position, last;
    es_feed_t     feed;
    es_page_t    *page;
    ngx_array_t  *without;

    page = &ctx->worker->page;

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (!ctx->args->has_page) {
        ngx_memcpy(sn->place.at.epoch, feed.epoch, sizeof(feed.epoch));
        sn->place.at.sequence = feed.last;

    } else if (ngx_http_eventsync_check(ctx, &feed, &sn->place.at) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ngx_http_eventsync_limit_poll(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    without = ctx->args->tombstones ? NULL : ctx->conf->tombstones;

    position.data = sn->place.position;
    position.len = sn->place.len;

    es = es_snapshot_page(txn, &feed, sn->place.at.sequence, position,
                          without ? without->elts : NULL,
                          without ? without->nelts : 0, ctx->args->limit,
                          NGX_HTTP_EVENTSYNC_SNAPSHOT_BYTES, page, &last);

    if (es == ES_INVALID) {
        return ngx_http_eventsync_snapshot_malformed(ctx);
    }

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    return ngx_http_eventsync_snapshot_write(ctx, page, last, sn);
}


static ngx_int_t
ngx_http_eventsync_snapshot_write(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page, es_str_t last, ngx_http_eventsync_snapshot_t *sn)
{
    size_t      len;
    ngx_buf_t  *b;

    len = sizeof("{\"events\":[],\"cursor\":\"\",\"next\":\"\"}") - 1
          + ES_CURSOR_MAX + ES_SNAPSHOT_TOKEN_MAX + page->bytes;

    b = ngx_create_temp_buf(ctx->request->pool, len);
    if (b == NULL) {
        return NGX_DECLINED;
    }

    b->last = ngx_cpymem(b->last, "{\"events\":[", 11);
    b->last = (u_char *) es_page_copy(page, (char *) b->last);
    b->last = ngx_cpymem(b->last, "],\"cursor\":\"", 12);
    b->last += es_cursor_print(sn->place.at.epoch, sn->place.at.sequence,
                               (char *) b->last);

    if (page->has_more) {
        sn->place.len = last.len;
        ngx_memmove(sn->place.position, last.data, last.len);

        b->last = ngx_cpymem(b->last, "\",\"next\":\"", 10);
        b->last += es_snapshot_token_print(&sn->place,
                                           ngx_http_eventsync_str(&ctx->feed),
                                           ctx->args->tombstones,
                                           (char *) b->last);
        b->last = ngx_cpymem(b->last, "\"}", 2);

    } else {
        b->last = ngx_cpymem(b->last, "\",\"next\":null}", 14);
    }

    sn->out = b;
    ctx->events = page->count;

    return NGX_OK;
}
