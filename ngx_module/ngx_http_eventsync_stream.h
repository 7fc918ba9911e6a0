/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Server-Sent Events (_stream), and readers that reconnect (_reconnect).
 */


#ifndef _NGX_HTTP_EVENTSYNC_STREAM_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_STREAM_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "fields/fields.h"
#include "log/feed.h"
#include "read/reader.h"


/* why a stream of Server-Sent Events is parked */

/* of a slice; a larger event is sent in parts */
#define NGX_HTTP_EVENTSYNC_STREAM_BYTES  32768


typedef enum {
    NGX_HTTP_EVENTSYNC_IDLE = 0,         /* nothing to send */
    NGX_HTTP_EVENTSYNC_BLOCKED,          /* the socket takes no more */
    NGX_HTTP_EVENTSYNC_POSTED            /* yields to others */
} ngx_http_eventsync_state_e;


struct ngx_http_eventsync_stream_s {
    ngx_http_eventsync_state_e        state;
    ngx_msec_t                        ends;
    ngx_msec_t                        said;       /* when it last sent */
    ngx_msec_t                        born;
    int64_t                           asked;      /* ms: when it could take the
                                                     next events; 0: not yet */
    uint64_t                          held;       /* by the client, as
                                                     after_text of its
                                                     reading */
    es_buf_t                          text;       /* one slice, or empty */
    size_t                            offset;     /* bytes of an event that
                                                     exceeds a slice */
    size_t                            size;       /* of that event */
    u_char                            fields[ES_FIELDS_ID];   /* its lists */
    ngx_buf_t                        *buf;
    ngx_uint_t                        given;      /* to the output filter */
    ngx_uint_t                        current;    /* unsigned  current:1; no
                                                     event follows the text */
    ngx_uint_t                        closing;    /* unsigned  closing:1; the
                                                     text is its last */
    ngx_uint_t                        displaced;  /* unsigned  displaced:1; its
                                                     reader came back */
    ngx_uint_t                        claimed;    /* unsigned  claimed:1; its
                                                     place, see _claim */
};


ngx_int_t ngx_http_eventsync_stream_id(ngx_http_eventsync_ctx_t *ctx);
ngx_uint_t ngx_http_eventsync_reconnects(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_stream_end(ngx_http_eventsync_ctx_t *ctx,
    es_str_t cursor, es_buf_t *out);
ngx_int_t ngx_http_eventsync_send_end(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_stream_displace(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_stream_headers(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_stream_args(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_stream(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_stream_again(ngx_http_eventsync_ctx_t *ctx,
    es_rc_t es, const es_feed_t *feed);
void ngx_http_eventsync_stream_run(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_stream_timeout(ngx_http_eventsync_ctx_t *ctx);

/* _stream_text */

ngx_int_t ngx_http_eventsync_stream_heartbeat(
    ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_stream_position(
    ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_stream_frame(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page);
ngx_int_t ngx_http_eventsync_stream_part(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page);
ngx_int_t ngx_http_eventsync_stream_text(ngx_http_eventsync_ctx_t *ctx,
    const char *fmt, ...);


#endif /* _NGX_HTTP_EVENTSYNC_STREAM_H_INCLUDED_ */
