/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Transfers: answers that are sent slice by slice.
 *
 * A transfer reads a slice after the socket has taken the one before, in a
 * transaction of its own.  While the socket is full, the transfer holds no
 * memory if it can read the slice again, and otherwise one slice (_transfer).
 *
 * An answer with events is a text, the events, and another text
 * (_transfer_events).
 */


#ifndef _NGX_HTTP_EVENTSYNC_TRANSFER_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_TRANSFER_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "event/cursor.h"
#include "event/filter.h"
#include "fields/fields.h"
#include "read/reader.h"
#include "read/snapshot_token.h"
#include "store/txn.h"


#define NGX_HTTP_EVENTSYNC_SLICE         65536

/* a connection can have many streams of HTTP/2 */
#define NGX_HTTP_EVENTSYNC_SLICE_STREAM  16384


/* how far an answer has been read */

typedef struct {
    off_t                             body;       /* bytes before it */
    uint64_t                          count;      /* events before it */
    uint64_t                          last;       /* sequence of the last */
    size_t                            offset;     /* bytes of the next one */
    size_t                            size;       /* its size, if `offset` */
    es_cursor_t                       position;   /* in the feed */
    char                              prev[ES_CURSOR_MAX];
    size_t                            len;
    char                              subject[ES_SNAPSHOT_POSITION_MAX];
} ngx_http_eventsync_place_t;


struct ngx_http_eventsync_transfer_s {
    ngx_http_eventsync_ctx_t         *ctx;

    /*
     * Appends the next slice to `buf`, which is empty and has `size` bytes,
     * and sets `closed` with the last one.  The buffer stays empty while a
     * search has found nothing.  NGX_ERROR cuts the answer.
     */
    ngx_int_t                       (*fill)(ngx_http_eventsync_transfer_t *t);

    /* asked before a slice is sent, or NULL; NGX_DONE: it set a timer */
    ngx_int_t                       (*charge)(
                                          ngx_http_eventsync_transfer_t *t);

    ngx_buf_t                        *buf;
    size_t                            size;
    size_t                            taken;      /* of a dropped slice */
    ngx_http_eventsync_place_t        begin;      /* of the slice */
    ngx_http_eventsync_place_t        place;      /* after the slice */

    unsigned                          repeats:1;  /* fill() gives the same
                                                     bytes again */
    unsigned                          searches:1; /* one slice in a turn */
    unsigned                          ready:1;    /* nginx has not seen it */
    unsigned                          closed:1;   /* the last slice */
    unsigned                          dropped:1;  /* nginx still waits for
                                                     bytes that were freed */

    /* the rest is for events */

    off_t                             length;     /* of the body */
    uint64_t                          count;
    ngx_str_t                         head;
    ngx_str_t                         tail;
    ngx_uint_t                        lines;      /* unsigned  lines:1 */

    /* reads the next events into the worker's page: at most so many bytes, or
       a single event */
    ngx_int_t                       (*read)(ngx_http_eventsync_transfer_t *t,
                                            es_txn_t *txn, size_t bytes);

    /* moves `place` behind the page */
    void                            (*move)(ngx_http_eventsync_transfer_t *t,
                                            const es_page_t *page);

    uint64_t                          last;       /* sequence */
    char                              epoch[ES_EPOCH_MAX + 1];    /* of the
                                                     last event read */
    const es_filter_t                *filter;
    u_char                            fields[ES_FIELDS_ID];   /* at its
                                                     beginning */
};


ngx_http_eventsync_transfer_t *ngx_http_eventsync_transfer_create(
    ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_transfer_send(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *type);
ngx_int_t ngx_http_eventsync_transfer_start(ngx_http_eventsync_transfer_t *t);
void ngx_http_eventsync_transfer_range(ngx_http_eventsync_transfer_t *t);
void ngx_http_eventsync_transfer_events(ngx_http_eventsync_transfer_t *t);
void ngx_http_eventsync_transfer_cut(ngx_http_eventsync_transfer_t *t);
u_char *ngx_http_eventsync_transfer_part(const es_page_t *page, size_t offset,
    size_t size, u_char *p);


#endif /* _NGX_HTTP_EVENTSYNC_TRANSFER_H_INCLUDED_ */
