/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Routes: the steps of each kind of request, and the entry point of each
 * resource.
 */


#ifndef _NGX_HTTP_EVENTSYNC_ROUTE_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_ROUTE_H_INCLUDED_


#include "ngx_http_eventsync.h"


/* the permission that a request needs, see ngx_http_eventsync_permit() */

typedef enum {
    NGX_HTTP_EVENTSYNC_PERMIT_ALL = 1,   /* nothing */
    NGX_HTTP_EVENTSYNC_PERMIT_ADDRESS,   /* an address within its limit */
    NGX_HTTP_EVENTSYNC_PERMIT_KEY,       /* a credential of any scope */
    NGX_HTTP_EVENTSYNC_PERMIT_READ,      /* a scope on the feed */
    NGX_HTTP_EVENTSYNC_PERMIT_PUBLISH,
    NGX_HTTP_EVENTSYNC_PERMIT_AUTHORIZE, /* the same as READ, but never 404 */
    NGX_HTTP_EVENTSYNC_PERMIT_CHECKPOINT, /* READ by a partner */
    NGX_HTTP_EVENTSYNC_PERMIT_ACK,       /* ACK, for the consumer */
    NGX_HTTP_EVENTSYNC_PERMIT_MANAGE,    /* a scope on no feed */
    NGX_HTTP_EVENTSYNC_PERMIT_MANAGE_READ,
    NGX_HTTP_EVENTSYNC_PERMIT_STATUS,    /* MANAGE or READ, on no feed */
    NGX_HTTP_EVENTSYNC_PERMIT_ADMIN
} ngx_http_eventsync_permit_e;


typedef enum {
    NGX_HTTP_EVENTSYNC_ACCEPT_ANY = 1,   /* Accept is ignored */
    NGX_HTTP_EVENTSYNC_ACCEPT_JSON,
    NGX_HTTP_EVENTSYNC_ACCEPT_NDJSON,
    NGX_HTTP_EVENTSYNC_ACCEPT_PAGE       /* every format of a poll */
} ngx_http_eventsync_accept_e;


typedef enum {
    NGX_HTTP_EVENTSYNC_LIMIT_FREE = 1,
    NGX_HTTP_EVENTSYNC_LIMIT_POLL,       /* as one poll, before it is read */
    NGX_HTTP_EVENTSYNC_LIMIT_MANAGE,     /* see ..._limit_manage() */
    NGX_HTTP_EVENTSYNC_LIMIT_PUBLISH,    /* as one event, before it is read;
                                            the rest by the resource */
    NGX_HTTP_EVENTSYNC_LIMIT_OWN         /* by the resource, once it knows
                                            that, or what, it must charge */
} ngx_http_eventsync_limit_e;


typedef enum {
    NGX_HTTP_EVENTSYNC_BODY_DISCARD = 1,
    NGX_HTTP_EVENTSYNC_BODY_READ,        /* and permission is checked again */
    NGX_HTTP_EVENTSYNC_BODY_OWN          /* the resource reads it */
} ngx_http_eventsync_body_e;


typedef ngx_int_t (*ngx_http_eventsync_step_pt)(ngx_http_eventsync_ctx_t *ctx);


/*
 * The steps of a route, see _route. A step returns NGX_OK, or NGX_DECLINED
 * after it has set ctx->problem. `answer` may also return the code that
 * finalizes the request.
 */

struct ngx_http_eventsync_steps_s {
    ngx_http_eventsync_resource_e     resource;
    ngx_uint_t                        args;       /* set of ..._arg_e */
    ngx_http_eventsync_permit_e       permit;
    ngx_http_eventsync_accept_e       accept;
    ngx_http_eventsync_limit_e       limit;
    ngx_http_eventsync_body_e         body;
    ngx_http_eventsync_step_pt        parse;      /* the resource's own names
                                                     and texts; or NULL */
    ngx_http_eventsync_step_pt        fields;     /* of a body; or NULL */
    ngx_http_eventsync_step_pt        answer;
};


ngx_int_t ngx_http_eventsync_route(ngx_http_eventsync_ctx_t *ctx);
size_t ngx_http_eventsync_route_prefix(ngx_str_t *name);
ngx_int_t ngx_http_eventsync_steps(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_steps_again(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_session(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_token(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_poll(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_publish_fields(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_publish(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_feeds(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_status(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_operator_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_operator(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_manage_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_manage(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_catalogue_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_catalogue(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_authorized(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_checkpoint_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_checkpoint(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_pages_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_pages(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_backfill(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_manifest(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_snapshot_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_snapshot(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_healthz(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_readyz(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_metrics(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_openapi(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_dashboard(ngx_http_eventsync_ctx_t *ctx);


#endif /* _NGX_HTTP_EVENTSYNC_ROUTE_H_INCLUDED_ */
