/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Figures of what partners read of feeds, by poll, stream and page, in the
 * store's shared memory.
 */


#ifndef _NGX_HTTP_EVENTSYNC_POLLS_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_POLLS_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "read/reader.h"


#define NGX_HTTP_EVENTSYNC_PROMISES  64


/* what a feed has promised, see eventsyncctl feed change --fresh-within */

typedef struct {
    uint32_t                          feed;
    uint64_t                          version;    /* of the registry */
    int64_t                           within;     /* ms; 0: nothing */
} ngx_http_eventsync_promise_t;


/* the wall clock in ms, as of this turn of the event loop */
int64_t ngx_http_eventsync_polls_time(void);

/*
 * Counts a request that has ended, in the log phase. Requests count whose feed
 * was found, but not those with the method HEAD.
 */
void ngx_http_eventsync_polls_ended(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t status);

/* Counts a stream when it begins, instead of when it ends. */
void ngx_http_eventsync_polls_stream(ngx_http_eventsync_ctx_t *ctx);

/* Counts events that a stream sends; the page has them. */
void ngx_http_eventsync_polls_piece(ngx_http_eventsync_ctx_t *ctx,
    const es_page_t *page);


#endif /* _NGX_HTTP_EVENTSYNC_POLLS_H_INCLUDED_ */
