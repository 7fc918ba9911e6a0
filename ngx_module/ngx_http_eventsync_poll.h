/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Polls: how far a request has read, the cache of composed pages (_compose),
 * and requests that wait for a commit (_wait, _wake) or for a slot (_claim).
 */


#ifndef _NGX_HTTP_EVENTSYNC_POLL_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_POLL_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "event/filter.h"
#include "fields/fields.h"
#include "log/feed.h"
#include "read/reader.h"
#include "store/txn.h"


#define NGX_HTTP_EVENTSYNC_TICK  100


/* a page that answers share, freed with the last of them */

typedef struct {
    ngx_uint_t                        refs;
    uint64_t                          first;
    int64_t                           first_ms;
    uint64_t                          last;
    char                              epoch[ES_EPOCH_MAX + 1];
    uint64_t                          events;
    ngx_uint_t                        has_more;   /* unsigned  has_more:1 */
    size_t                            next_len;
    u_char                            next[ES_CURSOR_MAX];
    const es_filter_t                *filter;     /* after `data`, or NULL */
    size_t                            large;      /* bytes of events, if these
                                                     are sent in slices */
    size_t                            len;        /* of the text in `data` */
    u_char                            data[];     /* the page; if large, the
                                                     text after the events */
} ngx_http_eventsync_shared_t;


/* all that the bytes of a page depend on */

typedef struct {
    char                              epoch[ES_EPOCH_MAX + 1];
    uint64_t                          number;
    uint64_t                          oldest;
    uint64_t                          latest;
    uint64_t                          after;
    uint64_t                          limit;
    uint64_t                          format;
    uint64_t                          filter;     /* its hash, or 0 */
    uint64_t                          erased;     /* events of the store, ever */
    u_char                            fields[ES_FIELDS_ID];   /* see _fields */
} ngx_http_eventsync_page_key_t;


typedef struct {
    ngx_http_eventsync_page_key_t     key;
    ngx_http_eventsync_shared_t      *page;       /* NULL: none */
} ngx_http_eventsync_memo_t;


/* the requests that wait for one feed; exists while there are any */

struct ngx_http_eventsync_crowd_s {
    ngx_str_node_t                    node;       /* its name */
    ngx_uint_t                        refs;
    ngx_queue_t                       waiters;    /* have seen all events */
    ngx_queue_t                       due;        /* must check the feed */
    ngx_queue_t                       queue;      /* if any may be due */
    ngx_uint_t                        listed;     /* unsigned  listed:1 */
    char                              epoch[ES_EPOCH_MAX + 1];
    uint64_t                          last;       /* at the last check */
    ngx_uint_t                        turn;       /* that these are of: */
    es_rc_t                           rc;
    es_feed_t                         feed;
    u_char                            name[ES_FEED_MAX];
};


/* how far a poll or a stream has read, and the key of its page */

struct ngx_http_eventsync_reading_s {
    uint64_t                          scan;       /* sequence */
    char                              epoch[ES_EPOCH_MAX + 1];    /* of it */
    char                              after_text[ES_CURSOR_MAX];
    char                              oldest_text[ES_CURSOR_MAX];
    char                              latest_text[ES_CURSOR_MAX];
    ngx_http_eventsync_page_key_t     key;
    uint64_t                          hash;       /* of `key` */
};


/* a parked request: in a crowd, or waiting for a slot */

struct ngx_http_eventsync_wait_s {
    ngx_http_eventsync_ctx_t         *ctx;
    ngx_http_eventsync_crowd_t       *crowd;      /* while it is held */
    ngx_queue_t                       queue;
    ngx_event_t                       timer;
    ngx_uint_t                        parked;     /* unsigned  :1 */

    void                             *claim;      /* see _claim; or NULL */
    uint64_t                          claim_until; /* 0: none was made */
    ngx_msec_t                        claim_began;
    ngx_uint_t                        claiming;   /* unsigned  claiming:1 */
};


ngx_int_t ngx_http_eventsync_poll_again(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, es_rc_t es, const es_feed_t *feed, ngx_uint_t last);
ngx_int_t ngx_http_eventsync_wait(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_poll_retry(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_poll_answer(ngx_http_eventsync_ctx_t *ctx,
    ngx_int_t rc);
ngx_int_t ngx_http_eventsync_stay(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_wait_create(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_hold(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_park(ngx_http_eventsync_ctx_t *ctx, ngx_msec_t time);
void ngx_http_eventsync_park_until(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_unpark(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_answer(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_wake_init(ngx_http_eventsync_worker_t *w,
    ngx_log_t *log);
ngx_int_t ngx_http_eventsync_crowd_join(ngx_http_eventsync_ctx_t *ctx);
ngx_http_eventsync_crowd_t *ngx_http_eventsync_crowd(
    ngx_http_eventsync_worker_t *w, ngx_str_t *feed);
void ngx_http_eventsync_crowd_leave(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_expire(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_wake(ngx_http_eventsync_worker_t *w);
void ngx_http_eventsync_tick(ngx_event_t *ev);
size_t ngx_http_eventsync_claims_init(ngx_http_eventsync_zone_t *zone,
    u_char *p);
ngx_int_t ngx_http_eventsync_claim(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_claims_check(ngx_http_eventsync_worker_t *w);
void ngx_http_eventsync_scan(ngx_http_eventsync_reading_t *reading,
    const es_feed_t *feed, uint64_t sequence);
void ngx_http_eventsync_etag(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    const es_feed_t *feed);
ngx_int_t ngx_http_eventsync_compose(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page);
u_char *ngx_http_eventsync_write_lines(const es_page_t *page, u_char *p);
ngx_uint_t ngx_http_eventsync_memo_find(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_memo_free(ngx_http_eventsync_worker_t *w);
ngx_buf_t *ngx_http_eventsync_memory_buf(ngx_http_request_t *r, void *data,
    size_t len);


#endif /* _NGX_HTTP_EVENTSYNC_POLL_H_INCLUDED_ */
