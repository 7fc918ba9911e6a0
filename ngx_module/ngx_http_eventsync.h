/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The context of a request, which all files of the module share; each other
 * header has one subject.
 *
 * A request is created in _request and finds its route in _route.  Then
 * _steps does what every route names, in this order: it discards the body,
 * parses the arguments (_args), authenticates (_auth) and checks permission
 * (_permit), negotiates the format (_accept), charges the limit (_limit) and
 * reads the body (_body).  The resource answers last (_poll, _publish, _feeds
 * ...), through _send.
 *
 * A resource whose cost is known only after it has looked at the store, such
 * as a poll that may be a 304, charges the limit itself.  One that waits or
 * reads for long asks ngx_http_eventsync_permit() again before it goes on.
 *
 * A step returns NGX_OK or, after ngx_http_eventsync_fail(), NGX_DECLINED.
 * The context then has the problem, and only the step's caller sends it.
 */


#ifndef _NGX_HTTP_EVENTSYNC_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>

#include "base/base.h"
#include "event/cursor.h"
#include "log/feed.h"
#include "keys/apikey.h"
#include "registry/registry.h"

#include "ngx_http_eventsync_limit.h"


#define NGX_HTTP_EVENTSYNC_SEGMENTS     3     /* '*' of a URL's pattern */
#define NGX_HTTP_EVENTSYNC_PARTNER_LEN  64
#define NGX_HTTP_EVENTSYNC_QUOTED       64    /* bytes of a request */

/* converts an nginx string, such as a feed's name, for the library */
#define ngx_http_eventsync_str(s)                                             \
    ((es_str_t) { (const char *) (s)->data, (s)->len })

/* appends a string literal at p and returns its end */
#define ngx_http_eventsync_copy(p, text)                                      \
    ngx_cpymem(p, text, sizeof(text) - 1)


/* the resources of a location; each has a directive that enables it */

typedef enum {
    NGX_HTTP_EVENTSYNC_POLL = 0,
    NGX_HTTP_EVENTSYNC_PUBLISH,
    NGX_HTTP_EVENTSYNC_FEEDS,
    NGX_HTTP_EVENTSYNC_ENDPOINTS,
    NGX_HTTP_EVENTSYNC_STATUS,
    NGX_HTTP_EVENTSYNC_OPERATOR,
    NGX_HTTP_EVENTSYNC_PAGES,
    NGX_HTTP_EVENTSYNC_AUTHORIZE,
    NGX_HTTP_EVENTSYNC_BACKFILL,
    NGX_HTTP_EVENTSYNC_SNAPSHOT,
    NGX_HTTP_EVENTSYNC_CATALOGUE,
    NGX_HTTP_EVENTSYNC_OPENAPI,
    NGX_HTTP_EVENTSYNC_DASHBOARD,
    NGX_HTTP_EVENTSYNC_CHECKPOINTS,
    NGX_HTTP_EVENTSYNC_TOKEN,
    NGX_HTTP_EVENTSYNC_HEALTH,
    NGX_HTTP_EVENTSYNC_METRICS,
    NGX_HTTP_EVENTSYNC_RESOURCES
} ngx_http_eventsync_resource_e;


/* in the order in which the server prefers them */

typedef enum {
    NGX_HTTP_EVENTSYNC_JSON = 0,
    NGX_HTTP_EVENTSYNC_NDJSON,
    NGX_HTTP_EVENTSYNC_BATCH,
    NGX_HTTP_EVENTSYNC_SSE,
    NGX_HTTP_EVENTSYNC_FORMATS
} ngx_http_eventsync_format_e;


typedef struct ngx_http_eventsync_args_s  ngx_http_eventsync_args_t;
typedef struct ngx_http_eventsync_backfill_s  ngx_http_eventsync_backfill_t;
typedef struct ngx_http_eventsync_body_s  ngx_http_eventsync_body_t;
typedef struct ngx_http_eventsync_checkpoint_s
    ngx_http_eventsync_checkpoint_t;
typedef struct ngx_http_eventsync_crowd_s  ngx_http_eventsync_crowd_t;
typedef struct ngx_http_eventsync_cached_request_s
    ngx_http_eventsync_cached_request_t;
typedef struct ngx_http_eventsync_encrypt_s  ngx_http_eventsync_encrypt_t;
typedef struct ngx_http_eventsync_exporter_s  ngx_http_eventsync_exporter_t;
typedef struct ngx_http_eventsync_loc_conf_s  ngx_http_eventsync_loc_conf_t;
typedef struct ngx_http_eventsync_otlp_conf_s  ngx_http_eventsync_otlp_conf_t;
typedef struct ngx_http_eventsync_pages_s  ngx_http_eventsync_pages_t;
typedef struct ngx_http_eventsync_peer_s  ngx_http_eventsync_peer_t;
typedef struct ngx_http_eventsync_problem_s  ngx_http_eventsync_problem_t;
typedef struct ngx_http_eventsync_publish_s  ngx_http_eventsync_publish_t;
typedef struct ngx_http_eventsync_reading_s  ngx_http_eventsync_reading_t;
typedef struct ngx_http_eventsync_room_s  ngx_http_eventsync_room_t;
typedef struct ngx_http_eventsync_snapshot_s  ngx_http_eventsync_snapshot_t;
typedef struct ngx_http_eventsync_span_s  ngx_http_eventsync_span_t;
typedef struct ngx_http_eventsync_steps_s  ngx_http_eventsync_steps_t;
typedef struct ngx_http_eventsync_store_s  ngx_http_eventsync_store_t;
typedef struct ngx_http_eventsync_stream_s  ngx_http_eventsync_stream_t;
typedef struct ngx_http_eventsync_task_s  ngx_http_eventsync_task_t;
typedef struct ngx_http_eventsync_token_s  ngx_http_eventsync_token_t;
typedef struct ngx_http_eventsync_transfer_s  ngx_http_eventsync_transfer_t;
typedef struct ngx_http_eventsync_wait_s  ngx_http_eventsync_wait_t;
typedef struct ngx_http_eventsync_work_task_s  ngx_http_eventsync_work_task_t;
typedef struct ngx_http_eventsync_worker_s  ngx_http_eventsync_worker_t;


struct ngx_http_eventsync_ctx_s {
    ngx_http_request_t               *request;
    ngx_http_eventsync_loc_conf_t    *conf;
    ngx_http_eventsync_worker_t      *worker;
    ngx_int_t                         ident;      /* after 3 pointers, as in
                                                     ngx_connection_t */
    ngx_str_t                         segments[NGX_HTTP_EVENTSYNC_SEGMENTS];
    ngx_str_t                         feed;       /* or empty */
    uint32_t                          feed_number;    /* 0: a poll or page that
                                                     has not found it yet */

    es_apikey_t                       key;        /* id "": none */
    ngx_http_eventsync_token_t       *token;      /* NULL: the key itself */
    ngx_http_eventsync_peer_t        *peer;       /* NULL: no certificate */
    ngx_uint_t                        certified;  /* unsigned  certified:1; the
                                                     certificate is the key */
    const es_key_t                   *grant;      /* see _auth */
    ngx_uint_t                        granted;    /* unsigned  granted:1 */
    ngx_uint_t                        waited;     /* unsigned  waited:1; for the
                                                     body or a thread */
    int64_t                           expires_ms; /* 0: never */
    uint32_t                          partner;    /* its number; 0: none */
    ngx_str_t                         partner_name;
    u_char                            name[NGX_HTTP_EVENTSYNC_PARTNER_LEN];
    ngx_http_eventsync_limited_t      limit;

    uint64_t                          first;      /* of the events moved */
    uint64_t                          last;
    uint64_t                          moved;      /* how many, if not in
                                                     `events` */
    char                              epoch[ES_EPOCH_MAX + 1]; /* of last */
    int64_t                           first_ms;   /* commit of the first, in a
                                                     poll */
    int64_t                           answered_ms;
    uint64_t                          warnings;   /* events that have one */
    uint64_t                          events;     /* in the answer, unless they
                                                     were counted as they went,
                                                     see _count */
    ngx_uint_t                        resource;   /* ..._resource_e; or
                                                     RESOURCES: none */

    ngx_uint_t                        format;     /* ..._format_e */
    ngx_str_t                         etag;
    u_char                            etag_text[18];
    ngx_str_t                         next;
    u_char                            next_text[ES_CURSOR_MAX];
    ngx_uint_t                        has_more;   /* unsigned  has_more:1 */
    ngx_buf_t                        *out;        /* the answer, or ... */
    ngx_http_eventsync_transfer_t    *transfer;   /* ... its slices */
    ngx_http_eventsync_room_t        *room;       /* NULL: it needs none */

    ngx_http_eventsync_problem_t     *problem;
    ngx_http_eventsync_body_t        *body;       /* NULL: as it comes */
    const ngx_http_eventsync_steps_t *steps;      /* NULL: it has no route */
    ngx_str_t                        *pattern;    /* of the route; or NULL */
    ngx_http_eventsync_span_t        *span;       /* NULL: no spans are sent */
    ngx_http_eventsync_args_t        *args;       /* NULL: it has none */
    ngx_http_eventsync_reading_t     *reading;
    ngx_http_eventsync_wait_t        *wait;       /* NULL: it never waited */
    ngx_http_eventsync_stream_t      *stream;
    ngx_http_eventsync_publish_t     *publish;
    ngx_http_eventsync_encrypt_t     *encrypt;    /* NULL: never needed */
    ngx_http_eventsync_task_t        *task;
    ngx_http_eventsync_work_task_t   *work;       /* NULL: no task waits or
                                                     runs */
    ngx_http_eventsync_checkpoint_t  *checkpoint;
    ngx_uint_t                        data;       /* of the route */
    ngx_http_eventsync_cached_request_t
                                     *cached;
    ngx_http_eventsync_backfill_t    *backfill;
    ngx_http_eventsync_snapshot_t    *snapshot;
};


ngx_int_t ngx_http_eventsync_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_add_variables(ngx_conf_t *cf);
void ngx_http_eventsync_log_ids(ngx_http_request_t *r);
void ngx_http_eventsync_moved(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, uint64_t first, uint64_t last);
ngx_int_t ngx_http_eventsync_too_large_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
char *ngx_http_eventsync_too_large_page(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf);
ngx_table_elt_t *ngx_http_eventsync_header_in(ngx_http_request_t *r,
    ngx_str_t *name, ngx_table_elt_t *after);
ngx_int_t ngx_http_eventsync_small_body(ngx_http_request_t *r,
    es_str_t *body);


extern ngx_module_t  ngx_http_eventsync_module;


#endif /* _NGX_HTTP_EVENTSYNC_H_INCLUDED_ */
