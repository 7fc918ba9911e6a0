/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The query of a request: its parameters as text (_query) and as values
 * (_args).
 */


#ifndef _NGX_HTTP_EVENTSYNC_ARGS_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_ARGS_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "event/cursor.h"
#include "event/filter.h"
#include "log/feed.h"


/* query parameters; a route has a set of them, see _args */

typedef enum {
    NGX_HTTP_EVENTSYNC_ARG_AFTER = 0,
    NGX_HTTP_EVENTSYNC_ARG_FROM,
    NGX_HTTP_EVENTSYNC_ARG_TO,
    NGX_HTTP_EVENTSYNC_ARG_LIMIT,
    NGX_HTTP_EVENTSYNC_ARG_WAIT,
    NGX_HTTP_EVENTSYNC_ARG_TYPES,
    NGX_HTTP_EVENTSYNC_ARG_SUBJECT,
    NGX_HTTP_EVENTSYNC_ARG_PAGE,
    NGX_HTTP_EVENTSYNC_ARG_TOMBSTONES,
    NGX_HTTP_EVENTSYNC_ARG_LAST_ID,
    NGX_HTTP_EVENTSYNC_ARG_LAST_EVENT_ID,
    NGX_HTTP_EVENTSYNC_ARG_LIST_AFTER,
    NGX_HTTP_EVENTSYNC_ARG_LIST_LIMIT,
    NGX_HTTP_EVENTSYNC_ARG_SORT,
    NGX_HTTP_EVENTSYNC_ARG_SEARCH,
    NGX_HTTP_EVENTSYNC_ARGS
} ngx_http_eventsync_arg_e;


#define NGX_HTTP_EVENTSYNC_ARGS_NONE      (1 << NGX_HTTP_EVENTSYNC_ARGS)

#define NGX_HTTP_EVENTSYNC_ARGS_FILTER                                        \
    (1 << NGX_HTTP_EVENTSYNC_ARG_TYPES | 1 << NGX_HTTP_EVENTSYNC_ARG_SUBJECT)

#define NGX_HTTP_EVENTSYNC_ARGS_RANGE                                         \
    (1 << NGX_HTTP_EVENTSYNC_ARG_AFTER | 1 << NGX_HTTP_EVENTSYNC_ARG_FROM     \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_TO)

#define NGX_HTTP_EVENTSYNC_ARGS_BACKFILL                                      \
    (NGX_HTTP_EVENTSYNC_ARGS_RANGE | NGX_HTTP_EVENTSYNC_ARGS_FILTER)

#define NGX_HTTP_EVENTSYNC_ARGS_POLL                                          \
    (1 << NGX_HTTP_EVENTSYNC_ARG_AFTER | 1 << NGX_HTTP_EVENTSYNC_ARG_FROM     \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_LIMIT | 1 << NGX_HTTP_EVENTSYNC_ARG_WAIT   \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_LAST_ID                                    \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_LAST_EVENT_ID                              \
     | NGX_HTTP_EVENTSYNC_ARGS_FILTER)

#define NGX_HTTP_EVENTSYNC_ARGS_SNAPSHOT                                      \
    (1 << NGX_HTTP_EVENTSYNC_ARG_LIMIT | 1 << NGX_HTTP_EVENTSYNC_ARG_PAGE     \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_TOMBSTONES)

#define NGX_HTTP_EVENTSYNC_ARGS_LIST                                          \
    (1 << NGX_HTTP_EVENTSYNC_ARG_LIST_AFTER                                   \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_LIST_LIMIT)

#define NGX_HTTP_EVENTSYNC_ARGS_PARTNERS                                      \
    (NGX_HTTP_EVENTSYNC_ARGS_LIST                                             \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_SORT | 1 << NGX_HTTP_EVENTSYNC_ARG_SEARCH)


/* the parsed query; the route says which parameters a resource takes */

struct ngx_http_eventsync_args_s {
    ngx_uint_t                        has_after;  /* unsigned  :1 */
    ngx_uint_t                        has_from;   /* unsigned  :1 */
    ngx_uint_t                        has_to;     /* unsigned  :1 */
    ngx_uint_t                        has_limit;  /* unsigned  :1 */
    ngx_uint_t                        has_wait;   /* unsigned  :1 */
    ngx_uint_t                        has_page;   /* unsigned  :1 */
    ngx_uint_t                        tombstones; /* unsigned  :1 */
    es_cursor_t                       after;
    ngx_str_t                         from;       /* a time, see _position */
    ngx_str_t                         to;
    ngx_uint_t                        limit;
    ngx_msec_t                        wait;
    ngx_str_t                         page;
    ngx_uint_t                        has_list_after; /* unsigned  :1 */
    ngx_str_t                         list_after; /* name or page token */
    ngx_uint_t                        has_sort;   /* unsigned  has_sort:1 */
    ngx_str_t                         sort;       /* see _operator */
    ngx_str_t                         search;
    es_filter_t                      *filter;     /* NULL: all events */
    es_buf_t                          scratch;    /* the filter's text */
    ngx_str_t                         last_id;    /* name of the parameter
                                                     that only streams have */
};


/* one known query parameter; unknown ones are refused */

typedef struct {
    ngx_str_t                         name;
    ngx_str_t                         value;
    ngx_uint_t                        set;        /* how often it is given */
    ngx_uint_t                        plus;       /* '+' is not a space */
    ngx_uint_t                        list;       /* may be repeated */
    ngx_uint_t                        off;        /* not taken by the route */
} ngx_http_eventsync_arg_t;


ngx_int_t ngx_http_eventsync_query(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *args, ngx_uint_t n);
ngx_int_t ngx_http_eventsync_parameter(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *name);
ngx_int_t ngx_http_eventsync_unknown(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *name);
ngx_int_t ngx_http_eventsync_args(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_bad_after(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_no_stream_args(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_query_after(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *cursor, const es_feed_t *feed, ngx_str_t *query);
ngx_int_t ngx_http_eventsync_escape_path(ngx_http_request_t *r,
    ngx_str_t *path, ngx_str_t *escaped);


#endif /* _NGX_HTTP_EVENTSYNC_ARGS_H_INCLUDED_ */
