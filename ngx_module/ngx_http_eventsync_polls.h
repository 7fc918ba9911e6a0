/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Figures of what partners read of feeds, by poll, stream and page, in the
 * store's shared memory.
 */


#ifndef _NGX_HTTP_EVENTSYNC_POLLS_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_POLLS_H_INCLUDED_


#include "ngx_http_eventsync.h"


/*
 * Counts a request that has ended, in the log phase. Requests count whose feed
 * was found, but not those with the method HEAD.
 */
void ngx_http_eventsync_polls_ended(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t status);

/* Counts a stream when it begins, instead of when it ends. */
void ngx_http_eventsync_polls_stream(ngx_http_eventsync_ctx_t *ctx);

/* Counts events that a stream sends up to ctx->last. */
void ngx_http_eventsync_polls_piece(ngx_http_eventsync_ctx_t *ctx,
    uint64_t events);


#endif /* _NGX_HTTP_EVENTSYNC_POLLS_H_INCLUDED_ */
