/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Positions in a feed: where a request begins and ends, and errors of cursors.
 */


#ifndef _NGX_HTTP_EVENTSYNC_POSITION_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_POSITION_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "event/cursor.h"
#include "log/feed.h"
#include "store/txn.h"


ngx_int_t ngx_http_eventsync_begin(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, const es_feed_t *feed, ngx_uint_t cursors, uint64_t *after);
ngx_int_t ngx_http_eventsync_range(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, const es_feed_t *feed, uint64_t *after, uint64_t *to);
ngx_int_t ngx_http_eventsync_check(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_cursor_t *cursor);
ngx_int_t ngx_http_eventsync_gone(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_cursor_t *held, ngx_str_t *path);


#endif /* _NGX_HTTP_EVENTSYNC_POSITION_H_INCLUDED_ */
