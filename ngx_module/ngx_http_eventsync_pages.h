/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Immutable pages.
 *
 * A cached page is one page in one encoding, together with its headers.  The
 * event loop or a thread creates it.  From then on it belongs to the event
 * loop, and it is freed with its last reference, which is that of the cache or
 * of an answer.
 */


#ifndef _NGX_HTTP_EVENTSYNC_PAGES_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_PAGES_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "fields/fields.h"
#include "read/encoded_pages.h"


#define NGX_HTTP_EVENTSYNC_CACHED_BUCKETS  1024
#define NGX_HTTP_EVENTSYNC_CACHED_HEADS    64
#define NGX_HTTP_EVENTSYNC_CACHED_TEXT     512
#define NGX_HTTP_EVENTSYNC_CACHED_GROUP    8     /* jobs in one task */

/* text around the events */
#define NGX_HTTP_EVENTSYNC_CACHED_FRAME                                       \
    (sizeof("{\"events\":[],\"feed\":\"\",\"epoch\":\"\",\"page\":,"          \
            "\"first\":null,\"last\":null,\"next\":\"\"}")                    \
     + ES_FEED_MAX + ES_EPOCH_MAX + NGX_INT64_LEN + 3 * ES_CURSOR_MAX)


/* all that the bytes depend on, without padding */

typedef struct {
    uint64_t                          page;
    uint64_t                          last;       /* sequence of the last */
    uint64_t                          erased;     /* events of the store, ever */
    uint32_t                          feed;       /* number */
    uint32_t                          encoding;   /* es_encoding_t */
    char                              epoch[ES_EPOCH_MAX + 1];
    u_char                            fields[ES_FIELDS_ID];   /* see _fields */
} ngx_http_eventsync_cached_key_t;


typedef struct ngx_http_eventsync_cached_s  ngx_http_eventsync_cached_t;

struct ngx_http_eventsync_cached_s {
    ngx_http_eventsync_cached_key_t   key;
    ngx_uint_t                        refs;
    ngx_queue_t                       queue;      /* by use */
    ngx_http_eventsync_cached_t      *next;       /* next in the bucket */

    uint64_t                          first;      /* sequence */
    int64_t                           time_ms;    /* its commit's */
    ngx_uint_t                        full;       /* unsigned  full:1 */
    ngx_uint_t                        shared;     /* unsigned  shared:1; no
                                                     field list holds */

    ngx_str_t                         etag;
    ngx_str_t                         link;
    ngx_str_t                         surrogate;

    /* as of this second, and of this retention */
    time_t                            aged;
    int64_t                           retain_ms;
    ngx_uint_t                        bounded;    /* unsigned  bounded:1 */
    ngx_str_t                         control;
    ngx_str_t                         cdn;
    ngx_str_t                         expires;

    u_char                           *text;       /* end of printed text */
    u_char                            texts[NGX_HTTP_EVENTSYNC_CACHED_TEXT];

    size_t                            len;
    u_char                           *data;       /* NULL: each answer reads
                                                     its slices */
    uint64_t                          source;     /* of the stored entry */
    uint64_t                          hash;       /* its own */
};


typedef struct {
    uint64_t                          version;    /* of the log */
    uint64_t                          erased;     /* as in the key */
    es_feed_t                         feed;
} ngx_http_eventsync_head_t;


/* a cached page that a thread makes, for all requests that wait for it */

typedef struct {
    ngx_http_eventsync_cached_key_t   key;
    ngx_str_t                         feed;       /* in `name` */
    u_char                            name[ES_FEED_MAX];
    const es_fields_t                *fields;     /* of the first request, which
                                                     waits; or NULL */
    ngx_queue_t                       queue;
    ngx_queue_t                       waiters;

    /* set by the thread */
    es_rc_t                           rc;         /* ES_EXPIRED: not as it was
                                                     asked for any more */
    es_feed_t                         head;
    int64_t                           time_ms;
    ngx_http_eventsync_cached_t      *cached;
} ngx_http_eventsync_cached_job_t;


/* the pages of a store in a worker */

struct ngx_http_eventsync_pages_s {
    es_encoded_pages_t               *kept;       /* NULL: not stored */

    ngx_http_eventsync_cached_t
                              *buckets[NGX_HTTP_EVENTSYNC_CACHED_BUCKETS];
    ngx_queue_t                       by_use;
    size_t                            bytes;
    uint64_t                          erased;     /* last seen */

    ngx_http_eventsync_head_t         heads[NGX_HTTP_EVENTSYNC_CACHED_HEADS];

    ngx_queue_t                       jobs;       /* for the next task */
    ngx_queue_t                       running;
    ngx_thread_task_t                *task;
    ngx_uint_t                        busy;       /* unsigned  busy:1 */
    ngx_event_t                       prune;
    uint64_t                          pruned;     /* version of the log */
};


/* a request for a page */

struct ngx_http_eventsync_cached_request_s {
    ngx_http_eventsync_ctx_t         *ctx;
    ngx_uint_t                        head;       /* unsigned  head:1 */
    uint64_t                          asked;      /* page, unless head */
    ngx_uint_t                        encoding;   /* es_encoding_t */

    ngx_http_eventsync_cached_key_t   key;
    uint64_t                          first;
    ngx_uint_t                        full;       /* unsigned  full:1 */
    int64_t                           retain_ms;
    ngx_uint_t                        bounded;    /* unsigned  bounded:1 */

    ngx_queue_t                       queue;
    es_rc_t                           rc;
    ngx_http_eventsync_cached_t      *cached;     /* a reference */
    ngx_uint_t                        charged;    /* unsigned  charged:1 */
};


/* _encode: in a worker */

ngx_int_t ngx_http_eventsync_pages_init(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle);
void ngx_http_eventsync_pages_open(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle);
void ngx_http_eventsync_pages_close(ngx_http_eventsync_worker_t *w);

/* _pages */

ngx_int_t ngx_http_eventsync_pages_resume(ngx_http_eventsync_ctx_t *ctx);

/* _page_cache: any thread may create one; all else is for the event loop */

ngx_http_eventsync_cached_t *ngx_http_eventsync_cached_compose(
    const ngx_http_eventsync_cached_key_t *key, const es_feed_t *feed,
    const es_page_t *page, int64_t time_ms, ngx_log_t *log);
ngx_http_eventsync_cached_t *ngx_http_eventsync_cached_encoded(
    const ngx_http_eventsync_cached_key_t *key, const es_feed_t *feed,
    int64_t time_ms, es_str_t bytes, ngx_log_t *log);
void ngx_http_eventsync_cached_slim(ngx_http_eventsync_pages_t *pages,
    ngx_http_eventsync_cached_t *cached);
void ngx_http_eventsync_cached_key(const ngx_http_eventsync_cached_t *cached,
    es_encoded_key_t *out);
u_char *ngx_http_eventsync_cached_end(
    const ngx_http_eventsync_cached_t *cached, ngx_str_t *feed, u_char *p);
void ngx_http_eventsync_cached_age(ngx_http_eventsync_cached_t *cached,
    int64_t retain_ms, ngx_uint_t bounded);
ngx_http_eventsync_cached_t *ngx_http_eventsync_cached_find(
    ngx_http_eventsync_pages_t *pages,
    const ngx_http_eventsync_cached_key_t *key);
void ngx_http_eventsync_cached_remember(ngx_http_eventsync_pages_t *pages,
    ngx_http_eventsync_cached_t *cached);
void ngx_http_eventsync_cached_release(void *data);
void ngx_http_eventsync_cached_free_all(ngx_http_eventsync_pages_t *pages);
void ngx_http_eventsync_cached_pages_key(
    const ngx_http_eventsync_cached_key_t *key, const es_page_t *page,
    es_encoded_key_t *out);

/* _page_cache_send */

ngx_int_t ngx_http_eventsync_cached_send(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t status);

/* _accept */

ngx_int_t ngx_http_eventsync_accept_encoding(ngx_http_eventsync_ctx_t *ctx,
    es_encoding_t first, ngx_uint_t *encoding);

/* _encode */

ngx_int_t ngx_http_eventsync_encode(ngx_http_eventsync_ctx_t *ctx);


#endif /* _NGX_HTTP_EVENTSYNC_PAGES_H_INCLUDED_ */
