/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Backfills: a range of events as one stream, slice by slice (_slice).
 */


#ifndef _NGX_HTTP_EVENTSYNC_BACKFILL_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_BACKFILL_H_INCLUDED_


#include <openssl/evp.h>

#include "ngx_http_eventsync.h"

#include "event/cursor.h"
#include "event/digest.h"
#include "log/feed.h"


/* a stream of the events in (after, to] */

struct ngx_http_eventsync_backfill_s {
    uint64_t                          after;
    uint64_t                          to;
    es_feed_t                         feed;       /* at the beginning: its
                                                     epochs print cursors */
    es_cursor_t                       position;   /* last event read */
    size_t                            offset;     /* bytes read of the next */
    uint64_t                          sent;       /* last event charged */
    size_t                            sent_offset;
    char                              prev[ES_CURSOR_MAX];

    uint64_t                          count;
    uint64_t                          bytes;
    uint64_t                          first;
    uint64_t                          last;
    uint64_t                          total;      /* bytes of the range */
    uint64_t                          expected;   /* events; at most, unless
                                                     `counted` */
    uint8_t                           chain_from[ES_CHAIN_LEN];
    uint8_t                           chain[ES_CHAIN_LEN];
    EVP_MD_CTX                       *digest;     /* if `own` */

    ngx_msec_t                        said;       /* when bytes were sent */
    ngx_buf_t                         sign;       /* of life: one byte */
    u_char                            byte;

    unsigned                          counted:1;
    unsigned                          own:1;      /* a filter or a field list
                                                     makes it other than the
                                                     log */
    unsigned                          slowed:1;   /* a slice waits for the
                                                     quota */
    unsigned                          begun:1;    /* its first bytes are
                                                     sent */
    unsigned                          told:1;     /* it is a position */
    unsigned                          failed:1;   /* the last one is an
                                                     error */
};


ngx_int_t ngx_http_eventsync_slice(ngx_http_eventsync_transfer_t *t);
ngx_msec_int_t ngx_http_eventsync_backfill_silent(
    ngx_http_eventsync_ctx_t *ctx);
ngx_uint_t ngx_http_eventsync_slice_drained(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_slice_fail(ngx_http_eventsync_ctx_t *ctx);


#endif /* _NGX_HTTP_EVENTSYNC_BACKFILL_H_INCLUDED_ */
