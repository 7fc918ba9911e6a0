/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The layout of URLs: finds the route of a request, and the steps of each
 * route.  A URL is the prefix of its location and a pattern, with nothing
 * before, between or after them, so that each resource has one URL.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_body.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_operator.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_worker.h"

#include "checkpoint/checkpoint.h"
#include "manage/manage.h"


#define NGX_HTTP_EVENTSYNC_READ  (NGX_HTTP_GET|NGX_HTTP_HEAD)


/* "*" matches one segment; if `feed` is set, the first one names a feed */

typedef struct {
    ngx_str_t                         pattern;
    ngx_uint_t                        feed;       /* unsigned  feed:1 */
    ngx_uint_t                        methods;
    const ngx_http_eventsync_steps_t *steps;
    ngx_uint_t                        data;       /* for the resource */
} ngx_http_eventsync_route_t;


static ngx_int_t ngx_http_eventsync_route_take(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_route_t *route);
static ngx_uint_t ngx_http_eventsync_route_control(ngx_str_t *uri);
static void ngx_http_eventsync_route_path(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *path);
static ngx_uint_t ngx_http_eventsync_route_same(ngx_str_t *one,
    ngx_str_t *two);
static ngx_uint_t ngx_http_eventsync_route_match(ngx_str_t *pattern,
    ngx_str_t *path, ngx_str_t *segments);
static ngx_uint_t ngx_http_eventsync_route_begins(u_char *segment,
    size_t len);
static ngx_int_t ngx_http_eventsync_other_method(
    ngx_http_eventsync_ctx_t *ctx, ngx_uint_t methods);


/*
 * The steps of each kind of request; the columns are the members of
 * ngx_http_eventsync_steps_t.  A missing column does not compile, because nginx
 * is built with -W and no value of the enumerations is 0.
 */

/* a poll is charged when its position has been checked, so that a 304 or an
   error of the position costs nothing */

static const ngx_http_eventsync_steps_t  ngx_http_eventsync_poll_steps = {
    NGX_HTTP_EVENTSYNC_POLL, NGX_HTTP_EVENTSYNC_ARGS_POLL,
    NGX_HTTP_EVENTSYNC_PERMIT_READ, NGX_HTTP_EVENTSYNC_ACCEPT_PAGE,
    NGX_HTTP_EVENTSYNC_LIMIT_OWN, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_poll
};


/* charged as one event first, and the rest when the events are counted */

static const ngx_http_eventsync_steps_t  ngx_http_eventsync_publish_steps = {
    NGX_HTTP_EVENTSYNC_PUBLISH, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_PUBLISH, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_PUBLISH, NGX_HTTP_EVENTSYNC_BODY_OWN,
    NULL, ngx_http_eventsync_publish_fields, ngx_http_eventsync_publish
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_pages_steps = {
    NGX_HTTP_EVENTSYNC_PAGES, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_READ, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_OWN, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    ngx_http_eventsync_pages_parse, NULL, ngx_http_eventsync_pages
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_authorize_steps = {
    NGX_HTTP_EVENTSYNC_AUTHORIZE, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_AUTHORIZE, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_FREE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_authorized
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_backfill_steps = {
    NGX_HTTP_EVENTSYNC_BACKFILL, NGX_HTTP_EVENTSYNC_ARGS_BACKFILL,
    NGX_HTTP_EVENTSYNC_PERMIT_READ, NGX_HTTP_EVENTSYNC_ACCEPT_NDJSON,
    NGX_HTTP_EVENTSYNC_LIMIT_OWN, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_backfill
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_manifest_steps = {
    NGX_HTTP_EVENTSYNC_BACKFILL, NGX_HTTP_EVENTSYNC_ARGS_RANGE,
    NGX_HTTP_EVENTSYNC_PERMIT_READ, NGX_HTTP_EVENTSYNC_ACCEPT_JSON,
    NGX_HTTP_EVENTSYNC_LIMIT_OWN, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_manifest
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_snapshot_steps = {
    NGX_HTTP_EVENTSYNC_SNAPSHOT, NGX_HTTP_EVENTSYNC_ARGS_SNAPSHOT,
    NGX_HTTP_EVENTSYNC_PERMIT_READ, NGX_HTTP_EVENTSYNC_ACCEPT_JSON,
    NGX_HTTP_EVENTSYNC_LIMIT_OWN, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    ngx_http_eventsync_snapshot_parse, NULL, ngx_http_eventsync_snapshot
};


/* charged first, because even a 304 costs a thread */

static const ngx_http_eventsync_steps_t
    ngx_http_eventsync_checkpoint_view_steps =
{
    NGX_HTTP_EVENTSYNC_CHECKPOINTS, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_CHECKPOINT, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_POLL, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    ngx_http_eventsync_checkpoint_parse, NULL, ngx_http_eventsync_checkpoint
};


static const ngx_http_eventsync_steps_t
    ngx_http_eventsync_checkpoint_put_steps =
{
    NGX_HTTP_EVENTSYNC_CHECKPOINTS, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_ACK, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_POLL, NGX_HTTP_EVENTSYNC_BODY_READ,
    ngx_http_eventsync_checkpoint_parse, ngx_http_eventsync_body_headers,
    ngx_http_eventsync_checkpoint
};


static const ngx_http_eventsync_steps_t
    ngx_http_eventsync_checkpoint_remove_steps =
{
    NGX_HTTP_EVENTSYNC_CHECKPOINTS, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_ACK, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_POLL, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    ngx_http_eventsync_checkpoint_parse, NULL, ngx_http_eventsync_checkpoint
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_feed_steps = {
    NGX_HTTP_EVENTSYNC_FEEDS, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_READ, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_POLL, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_feeds
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_feeds_steps = {
    NGX_HTTP_EVENTSYNC_FEEDS, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_KEY, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_POLL, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_feeds
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_status_steps = {
    NGX_HTTP_EVENTSYNC_STATUS, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_STATUS, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_MANAGE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_status
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_partners_steps = {
    NGX_HTTP_EVENTSYNC_OPERATOR, NGX_HTTP_EVENTSYNC_ARGS_PARTNERS,
    NGX_HTTP_EVENTSYNC_PERMIT_ADMIN, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_MANAGE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    ngx_http_eventsync_operator_parse, NULL, ngx_http_eventsync_operator
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_operator_steps = {
    NGX_HTTP_EVENTSYNC_OPERATOR, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_ADMIN, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_MANAGE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    ngx_http_eventsync_operator_parse, NULL, ngx_http_eventsync_operator
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_type_steps = {
    NGX_HTTP_EVENTSYNC_CATALOGUE, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_KEY, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_POLL, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    ngx_http_eventsync_catalogue_parse, NULL, ngx_http_eventsync_catalogue
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_types_steps = {
    NGX_HTTP_EVENTSYNC_CATALOGUE, NGX_HTTP_EVENTSYNC_ARGS_LIST,
    NGX_HTTP_EVENTSYNC_PERMIT_KEY, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_POLL, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    ngx_http_eventsync_catalogue_parse, NULL, ngx_http_eventsync_catalogue
};


static const ngx_http_eventsync_steps_t
    ngx_http_eventsync_manage_list_steps =
{
    NGX_HTTP_EVENTSYNC_ENDPOINTS, NGX_HTTP_EVENTSYNC_ARGS_LIST,
    NGX_HTTP_EVENTSYNC_PERMIT_MANAGE, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_MANAGE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    ngx_http_eventsync_manage_parse, NULL, ngx_http_eventsync_manage
};


/* a 304 returns the charge */

static const ngx_http_eventsync_steps_t
    ngx_http_eventsync_manage_show_steps =
{
    NGX_HTTP_EVENTSYNC_ENDPOINTS, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_MANAGE, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_MANAGE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    ngx_http_eventsync_manage_parse, NULL, ngx_http_eventsync_manage
};


static const ngx_http_eventsync_steps_t
    ngx_http_eventsync_manage_view_steps =
{
    NGX_HTTP_EVENTSYNC_ENDPOINTS, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_MANAGE, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_MANAGE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    ngx_http_eventsync_manage_parse, NULL, ngx_http_eventsync_manage
};


static const ngx_http_eventsync_steps_t
    ngx_http_eventsync_manage_change_steps =
{
    NGX_HTTP_EVENTSYNC_ENDPOINTS, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_MANAGE, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_MANAGE, NGX_HTTP_EVENTSYNC_BODY_READ,
    ngx_http_eventsync_manage_parse, ngx_http_eventsync_body_headers,
    ngx_http_eventsync_manage
};


/* these have events sent, or decide about one by its contents */

static const ngx_http_eventsync_steps_t
    ngx_http_eventsync_manage_read_steps =
{
    NGX_HTTP_EVENTSYNC_ENDPOINTS, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_MANAGE_READ, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_MANAGE, NGX_HTTP_EVENTSYNC_BODY_READ,
    ngx_http_eventsync_manage_parse, ngx_http_eventsync_body_headers,
    ngx_http_eventsync_manage
};


/* the credential is in the body */

static const ngx_http_eventsync_steps_t  ngx_http_eventsync_token_steps = {
    NGX_HTTP_EVENTSYNC_TOKEN, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_ADDRESS, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_OWN, NGX_HTTP_EVENTSYNC_BODY_OWN,
    NULL, ngx_http_eventsync_body_headers, ngx_http_eventsync_token
};


/* the credential is in the body */

static const ngx_http_eventsync_steps_t  ngx_http_eventsync_session_steps = {
    NGX_HTTP_EVENTSYNC_DASHBOARD, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_ADDRESS, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_OWN, NGX_HTTP_EVENTSYNC_BODY_OWN,
    NULL, ngx_http_eventsync_body_headers, ngx_http_eventsync_session
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_healthz_steps = {
    NGX_HTTP_EVENTSYNC_HEALTH, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_ALL, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_FREE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_healthz
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_readyz_steps = {
    NGX_HTTP_EVENTSYNC_HEALTH, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_ALL, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_FREE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_readyz
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_metrics_steps = {
    NGX_HTTP_EVENTSYNC_METRICS, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_ADMIN, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_FREE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_metrics
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_openapi_steps = {
    NGX_HTTP_EVENTSYNC_OPENAPI, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_ALL, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_FREE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_openapi
};


static const ngx_http_eventsync_steps_t  ngx_http_eventsync_dashboard_steps = {
    NGX_HTTP_EVENTSYNC_DASHBOARD, NGX_HTTP_EVENTSYNC_ARGS_NONE,
    NGX_HTTP_EVENTSYNC_PERMIT_ALL, NGX_HTTP_EVENTSYNC_ACCEPT_ANY,
    NGX_HTTP_EVENTSYNC_LIMIT_FREE, NGX_HTTP_EVENTSYNC_BODY_DISCARD,
    NULL, NULL, ngx_http_eventsync_dashboard
};


/* the first match counts: longer patterns come before shorter ones */

static ngx_http_eventsync_route_t  ngx_http_eventsync_routes[] = {

    { ngx_string("/feeds/*/events"), 1, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_poll_steps, 0 },

    { ngx_string("/feeds/*/events"), 1, NGX_HTTP_POST,
      &ngx_http_eventsync_publish_steps, 0 },

    { ngx_string("/feeds/*/pages/*/*"), 1, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_pages_steps, 0 },

    { ngx_string("/feeds/*/authorize"), 1, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_authorize_steps, 0 },

    { ngx_string("/feeds/*/backfill"), 1, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_backfill_steps, 0 },

    { ngx_string("/feeds/*/manifest"), 1, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_manifest_steps, 0 },

    { ngx_string("/feeds/*/snapshot"), 1, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_snapshot_steps, 0 },

    { ngx_string("/feeds/*/checkpoints/*"), 1, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_checkpoint_view_steps, ES_CHECKPOINT_GET },

    { ngx_string("/feeds/*/checkpoints/*"), 1, NGX_HTTP_PUT,
      &ngx_http_eventsync_checkpoint_put_steps, ES_CHECKPOINT_PUT },

    { ngx_string("/feeds/*/checkpoints/*"), 1, NGX_HTTP_DELETE,
      &ngx_http_eventsync_checkpoint_remove_steps, ES_CHECKPOINT_REMOVE },

    { ngx_string("/feeds/*/checkpoints"), 1, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_checkpoint_view_steps, ES_CHECKPOINT_LIST },

    { ngx_string("/feeds/*"), 1, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_feed_steps, 0 },

    { ngx_string("/feeds"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_feeds_steps, 0 },

    { ngx_string("/status"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_status_steps, 0 },

    { ngx_string("/partners/*/status"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_operator_steps,
      NGX_HTTP_EVENTSYNC_OPERATOR_PARTNER },

    { ngx_string("/partners"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_partners_steps,
      NGX_HTTP_EVENTSYNC_OPERATOR_PARTNERS },

    { ngx_string("/store"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_operator_steps, NGX_HTTP_EVENTSYNC_OPERATOR_STORE },

    { ngx_string("/event-types/*/*"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_type_steps, 2 },

    { ngx_string("/event-types/*"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_type_steps, 1 },

    { ngx_string("/event-types"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_types_steps, 0 },

    { ngx_string("/endpoints/*/attempts"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_manage_list_steps, ES_MANAGE_ATTEMPTS },

    { ngx_string("/endpoints/*/dead-letters"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_manage_list_steps, ES_MANAGE_DEAD },

    { ngx_string("/endpoints/*/status"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_manage_view_steps, ES_MANAGE_STATUS },

    { ngx_string("/endpoints/*/keys"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_manage_view_steps, ES_MANAGE_KEYS },

    { ngx_string("/endpoints/*/pause"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_change_steps, ES_MANAGE_PAUSE },

    { ngx_string("/endpoints/*/resume"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_change_steps, ES_MANAGE_RESUME },

    { ngx_string("/endpoints/*/rotate"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_change_steps, ES_MANAGE_ROTATE },

    { ngx_string("/endpoints/*/replay"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_read_steps, ES_MANAGE_REPLAY },

    { ngx_string("/endpoints/*/resend"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_read_steps, ES_MANAGE_RESEND },

    { ngx_string("/endpoints/*/redrive"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_read_steps, ES_MANAGE_REDRIVE },

    { ngx_string("/endpoints/*/skip"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_read_steps, ES_MANAGE_SKIP },

    { ngx_string("/endpoints/*/cancel"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_change_steps, ES_MANAGE_CANCEL },

    { ngx_string("/endpoints/*/discard"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_change_steps, ES_MANAGE_DISCARD },

    { ngx_string("/endpoints/*/test"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_change_steps, ES_MANAGE_TEST },

    { ngx_string("/endpoints/*/simulate"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_change_steps, ES_MANAGE_SIMULATE },

    { ngx_string("/endpoints/*"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_manage_show_steps, ES_MANAGE_SHOW },

    { ngx_string("/endpoints/*"), 0, NGX_HTTP_PATCH,
      &ngx_http_eventsync_manage_change_steps, ES_MANAGE_CHANGE },

    { ngx_string("/endpoints/*"), 0, NGX_HTTP_DELETE,
      &ngx_http_eventsync_manage_view_steps, ES_MANAGE_REMOVE },

    { ngx_string("/endpoints"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_manage_list_steps, ES_MANAGE_LIST },

    { ngx_string("/endpoints"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_manage_read_steps, ES_MANAGE_CREATE },

    { ngx_string("/token"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_token_steps, 0 },

    { ngx_string("/healthz"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_healthz_steps, 0 },

    { ngx_string("/readyz"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_readyz_steps, 0 },

    { ngx_string("/metrics"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_metrics_steps, 0 },

    { ngx_string("/dashboard/session"), 0, NGX_HTTP_POST,
      &ngx_http_eventsync_session_steps, 0 },

    { ngx_string("/dashboard/*"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_dashboard_steps, 0 },

    { ngx_string("/dashboard"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_dashboard_steps, 0 },

    { ngx_string("/openapi.json"), 0, NGX_HTTP_EVENTSYNC_READ,
      &ngx_http_eventsync_openapi_steps, 0 },

    { ngx_null_string, 0, 0, NULL, 0 }
};


ngx_int_t
ngx_http_eventsync_route(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t                   *pattern, path;
    ngx_uint_t                   methods;
    ngx_http_request_t          *r;
    ngx_http_eventsync_route_t  *route;

    r = ctx->request;
    pattern = NULL;
    methods = 0;

    if (ngx_http_eventsync_route_control(&r->uri)) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "The path contains a control "
                                     "character.");
        return ngx_http_eventsync_send_problem(ctx);
    }

    ngx_http_eventsync_route_path(ctx, &path);

    for (route = ngx_http_eventsync_routes; route->steps; route++) {

        if (!ctx->conf->serves[route->steps->resource]) {
            continue;
        }

        if (pattern
            ? !ngx_http_eventsync_route_same(pattern, &route->pattern)
            : !ngx_http_eventsync_route_match(&route->pattern, &path,
                                              ctx->segments))
        {
            continue;
        }

        pattern = &route->pattern;
        ctx->pattern = pattern;
        methods |= route->methods;
        ctx->resource = route->steps->resource;

        if (route->feed) {
            ctx->feed = ctx->segments[0];
        }

        /* a subrequest has the method but not the body of its parent */

        if (!(r->method & route->methods)
            || (r != r->main && !(r->method & NGX_HTTP_EVENTSYNC_READ)))
        {
            continue;
        }

        return ngx_http_eventsync_route_take(ctx, route);
    }

    if (pattern) {
        return ngx_http_eventsync_other_method(ctx,
                                               methods|NGX_HTTP_OPTIONS);
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_NOT_FOUND,
                                   "The resource does not exist.");

    return ngx_http_eventsync_send_problem(ctx);
}


static ngx_int_t
ngx_http_eventsync_route_take(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_route_t *route)
{
    /* health checks report a closed store themselves */

    if (route->steps->resource != NGX_HTTP_EVENTSYNC_HEALTH
        && (ctx->worker == NULL || ctx->worker->es == NULL))
    {
        (void) ngx_http_eventsync_fail_closed(ctx);
        return ngx_http_eventsync_send_problem(ctx);
    }

    ctx->steps = route->steps;
    ctx->data = route->data;

    return ngx_http_eventsync_steps(ctx);
}


/*
 * Whether the path contains a control character.  No name has one, and it could
 * do harm in a header, a log or a variable of the configuration.
 */

static ngx_uint_t
ngx_http_eventsync_route_control(ngx_str_t *uri)
{
    u_char  *p;

    for (p = uri->data; p < uri->data + uri->len; p++) {
        if (*p < ' ' || *p == 0x7f) {
            return 1;
        }
    }

    return 0;
}


/* gets what stands behind the location's prefix; it is empty without one */

static void
ngx_http_eventsync_route_path(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *path)
{
    ngx_str_t  *uri, *prefix;

    uri = &ctx->request->uri;
    prefix = &ctx->conf->prefix;

    if (uri->len < prefix->len
        || ngx_memcmp(uri->data, prefix->data, prefix->len) != 0)
    {
        ngx_str_null(path);
        return;
    }

    path->data = uri->data + prefix->len;
    path->len = uri->len - prefix->len;
}


static ngx_uint_t
ngx_http_eventsync_route_same(ngx_str_t *one, ngx_str_t *two)
{
    return one->len == two->len
           && ngx_strncmp(one->data, two->data, one->len) == 0;
}


static ngx_uint_t
ngx_http_eventsync_route_match(ngx_str_t *pattern, ngx_str_t *path,
    ngx_str_t *segments)
{
    u_char      *p, *u, *last, *start;
    ngx_uint_t   i, n;
    ngx_str_t    found[NGX_HTTP_EVENTSYNC_SEGMENTS];

    u = path->data;
    last = path->data + path->len;
    n = 0;

    for (p = pattern->data; p < pattern->data + pattern->len; p++) {

        if (*p != '*') {

            if (u == last || *u++ != *p) {
                return 0;
            }

            continue;
        }

        for (start = u; u < last && *u != '/'; u++) { /* void */ }

        if (u == start) {
            return 0;
        }

        found[n].data = start;
        found[n++].len = u - start;
    }

    if (u != last) {
        return 0;
    }

    for (i = 0; i < n; i++) {
        segments[i] = found[i];
    }

    return 1;
}


/*
 * The length of the prefix in the name of a location.  It ends before the first
 * segment with which a pattern begins, so that a location of one feed or one
 * resource has the prefix of all others.
 */

size_t
ngx_http_eventsync_route_prefix(ngx_str_t *name)
{
    u_char  *p, *end, *last;

    last = name->data + name->len;

    for (p = name->data; p < last; p = end) {

        end = ngx_strlchr(p + 1, last, '/');
        if (end == NULL) {
            end = last;
        }

        if (ngx_http_eventsync_route_begins(p, end - p)) {
            return p - name->data;
        }
    }

    return (name->len && last[-1] == '/') ? name->len - 1 : name->len;
}


/* whether a pattern begins with the segment, which includes its slash */

static ngx_uint_t
ngx_http_eventsync_route_begins(u_char *segment, size_t len)
{
    ngx_http_eventsync_route_t  *route;

    for (route = ngx_http_eventsync_routes; route->steps; route++) {

        if (route->pattern.len >= len
            && ngx_memcmp(route->pattern.data, segment, len) == 0
            && (route->pattern.len == len || route->pattern.data[len] == '/'))
        {
            return 1;
        }
    }

    return 0;
}


/* answers OPTIONS, or refuses a method that is not served */

static ngx_int_t
ngx_http_eventsync_other_method(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t methods)
{
    u_char      *p;
    ngx_str_t    allow;
    ngx_uint_t   i;

    static struct {
        ngx_uint_t  method;
        ngx_str_t   name;
    } names[] = {
        { NGX_HTTP_GET, ngx_string("GET, ") },
        { NGX_HTTP_HEAD, ngx_string("HEAD, ") },
        { NGX_HTTP_POST, ngx_string("POST, ") },
        { NGX_HTTP_PUT, ngx_string("PUT, ") },
        { NGX_HTTP_PATCH, ngx_string("PATCH, ") },
        { NGX_HTTP_DELETE, ngx_string("DELETE, ") },
        { NGX_HTTP_OPTIONS, ngx_string("OPTIONS, ") }
    };

    allow.len = 0;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (methods & names[i].method) {
            allow.len += names[i].name.len;
        }
    }

    allow.data = ngx_pnalloc(ctx->request->pool, allow.len);
    if (allow.data == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = allow.data;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (methods & names[i].method) {
            p = ngx_cpymem(p, names[i].name.data, names[i].name.len);
        }
    }

    allow.len -= sizeof(", ") - 1;

    if (ctx->request->method == NGX_HTTP_OPTIONS) {
        return ngx_http_eventsync_options(ctx, &allow);
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_METHOD_NOT_ALLOWED,
                                   "Allowed methods: %V.", &allow);

    if (ctx->problem) {
        ctx->problem->allow = allow;
    }

    return ngx_http_eventsync_send_problem(ctx);
}
