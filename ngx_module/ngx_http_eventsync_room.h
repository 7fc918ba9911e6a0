/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Room in a worker's memory for answers of more than a slice that are sent in
 * one piece: lists, documents, metrics.
 */


#ifndef _NGX_HTTP_EVENTSYNC_ROOM_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_ROOM_H_INCLUDED_


#include "ngx_http_eventsync.h"


struct ngx_http_eventsync_room_s {
    ngx_queue_t                       queue;
    uint32_t                          partner;
    size_t                            bytes;      /* 0: given back */
};


/*
 * Takes room for an answer until the request ends. Up to a slice needs none.
 * A request to read counts to the policy "waits" meanwhile, too. NGX_DECLINED:
 * there is none, and ctx->problem is set. Must be called before any header
 * field is set, and by a request that changes something before it does.
 */
ngx_int_t ngx_http_eventsync_room(ngx_http_eventsync_ctx_t *ctx,
    size_t bytes);

/* The same without a problem and without "waits". */
ngx_int_t ngx_http_eventsync_room_take(ngx_http_eventsync_ctx_t *ctx,
    size_t bytes);

/* Gives the room back before the request ends. */
void ngx_http_eventsync_room_leave(ngx_http_eventsync_ctx_t *ctx);


#endif /* _NGX_HTTP_EVENTSYNC_ROOM_H_INCLUDED_ */
