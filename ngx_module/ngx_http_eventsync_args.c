/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Arguments: the parameters of the query as typed values in ctx->args.
 *
 * The table below contains the parameters of all resources, and each route has
 * a set of bits that says which of them it takes. All others are refused, so
 * that a client learns of a misspelt name.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"

#include "base/base.h"
#include "event/cursor.h"
#include "event/filter.h"


/* for lists of other items than events */
#define NGX_HTTP_EVENTSYNC_LIST_LIMIT      100
#define NGX_HTTP_EVENTSYNC_LIST_LIMIT_MAX  1000

#define ngx_http_eventsync_has_arg(ctx, arg)                                  \
    ((ctx)->steps->args & (ngx_uint_t) 1 << (arg))


static ngx_int_t ngx_http_eventsync_args_parse(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *arg);
static ngx_int_t ngx_http_eventsync_args_last_id(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_arg_t *id,
    ngx_http_eventsync_arg_t *header);
static ngx_int_t ngx_http_eventsync_args_position(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_arg_t *after,
    ngx_http_eventsync_arg_t *from);
static ngx_int_t ngx_http_eventsync_args_limit(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *limit, ngx_uint_t max);
static ngx_int_t ngx_http_eventsync_args_wait(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *wait);
static ngx_int_t ngx_http_eventsync_args_tombstones(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_arg_t *arg);
static ngx_int_t ngx_http_eventsync_args_filter(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *arg);
static void ngx_http_eventsync_args_cleanup(void *data);


static const ngx_http_eventsync_arg_t
    ngx_http_eventsync_known_args[NGX_HTTP_EVENTSYNC_ARGS] =
{
    [NGX_HTTP_EVENTSYNC_ARG_AFTER] = { .name = ngx_string("after") },
    [NGX_HTTP_EVENTSYNC_ARG_FROM] = { .name = ngx_string("from"), .plus = 1 },
    [NGX_HTTP_EVENTSYNC_ARG_TO] = { .name = ngx_string("to"), .plus = 1 },
    [NGX_HTTP_EVENTSYNC_ARG_LIMIT] = { .name = ngx_string("limit") },
    [NGX_HTTP_EVENTSYNC_ARG_WAIT] = { .name = ngx_string("wait") },
    [NGX_HTTP_EVENTSYNC_ARG_TYPES] =
        { .name = ngx_string("types"), .list = 1 },
    [NGX_HTTP_EVENTSYNC_ARG_SUBJECT] = { .name = ngx_string("subject") },
    [NGX_HTTP_EVENTSYNC_ARG_PAGE] = { .name = ngx_string("page") },
    [NGX_HTTP_EVENTSYNC_ARG_TOMBSTONES] = { .name = ngx_string("tombstones") },

    /* two spellings of the position of a stream, see _reconnect */
    [NGX_HTTP_EVENTSYNC_ARG_LAST_ID] = { .name = ngx_string("lastEventId") },
    [NGX_HTTP_EVENTSYNC_ARG_LAST_EVENT_ID] =
        { .name = ngx_string("Last-Event-ID") },

    /* for lists of other items than events */
    [NGX_HTTP_EVENTSYNC_ARG_LIST_AFTER] = { .name = ngx_string("after") },
    [NGX_HTTP_EVENTSYNC_ARG_LIST_LIMIT] = { .name = ngx_string("limit") },
    [NGX_HTTP_EVENTSYNC_ARG_SORT] = { .name = ngx_string("sort") },
    [NGX_HTTP_EVENTSYNC_ARG_SEARCH] = { .name = ngx_string("search") },
};


ngx_int_t
ngx_http_eventsync_args(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_uint_t                i;
    ngx_http_eventsync_arg_t  arg[NGX_HTTP_EVENTSYNC_ARGS];

    if (ctx->steps->args == NGX_HTTP_EVENTSYNC_ARGS_NONE) {
        return ngx_http_eventsync_query(ctx, NULL, 0);
    }

    ctx->args = ngx_pcalloc(ctx->request->pool,
                            sizeof(ngx_http_eventsync_args_t));
    if (ctx->args == NULL) {
        return NGX_DECLINED;
    }

    ngx_memcpy(arg, ngx_http_eventsync_known_args, sizeof(arg));

    for (i = 0; i < NGX_HTTP_EVENTSYNC_ARGS; i++) {
        arg[i].off = !ngx_http_eventsync_has_arg(ctx, i);
    }

    if (!ctx->conf->sse) {
        arg[NGX_HTTP_EVENTSYNC_ARG_LAST_ID].off = 1;
        arg[NGX_HTTP_EVENTSYNC_ARG_LAST_EVENT_ID].off = 1;
    }

    if (ngx_http_eventsync_query(ctx, arg, NGX_HTTP_EVENTSYNC_ARGS)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_eventsync_args_parse(ctx, arg);
}


/* parameters that the route does not take stay unset */

static ngx_int_t
ngx_http_eventsync_args_parse(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *arg)
{
    ngx_http_eventsync_args_t      *args;
    ngx_http_eventsync_loc_conf_t  *conf;

    args = ctx->args;
    conf = ctx->conf;

    if (ngx_http_eventsync_args_last_id(ctx,
                                  &arg[NGX_HTTP_EVENTSYNC_ARG_LAST_ID],
                                  &arg[NGX_HTTP_EVENTSYNC_ARG_LAST_EVENT_ID])
        != NGX_OK
        || ngx_http_eventsync_args_position(ctx,
                                  &arg[NGX_HTTP_EVENTSYNC_ARG_AFTER],
                                  &arg[NGX_HTTP_EVENTSYNC_ARG_FROM])
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    args->has_to = arg[NGX_HTTP_EVENTSYNC_ARG_TO].set;
    args->to = arg[NGX_HTTP_EVENTSYNC_ARG_TO].value;

    args->limit = ngx_http_eventsync_has_arg(ctx,
                                         NGX_HTTP_EVENTSYNC_ARG_LIST_LIMIT)
                  ? NGX_HTTP_EVENTSYNC_LIST_LIMIT : conf->poll_limit;

    if (ngx_http_eventsync_args_limit(ctx,
                                      &arg[NGX_HTTP_EVENTSYNC_ARG_LIMIT],
                                      conf->poll_limit_max)
        != NGX_OK
        || ngx_http_eventsync_args_limit(ctx,
                                      &arg[NGX_HTTP_EVENTSYNC_ARG_LIST_LIMIT],
                                      NGX_HTTP_EVENTSYNC_LIST_LIMIT_MAX)
           != NGX_OK
        || ngx_http_eventsync_args_wait(ctx,
                                        &arg[NGX_HTTP_EVENTSYNC_ARG_WAIT])
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    args->has_list_after = arg[NGX_HTTP_EVENTSYNC_ARG_LIST_AFTER].set;
    args->list_after = arg[NGX_HTTP_EVENTSYNC_ARG_LIST_AFTER].value;

    args->has_sort = arg[NGX_HTTP_EVENTSYNC_ARG_SORT].set;
    args->sort = arg[NGX_HTTP_EVENTSYNC_ARG_SORT].value;
    args->search = arg[NGX_HTTP_EVENTSYNC_ARG_SEARCH].value;

    args->has_page = arg[NGX_HTTP_EVENTSYNC_ARG_PAGE].set;
    args->page = arg[NGX_HTTP_EVENTSYNC_ARG_PAGE].value;

    if (ngx_http_eventsync_args_tombstones(ctx,
                                     &arg[NGX_HTTP_EVENTSYNC_ARG_TOMBSTONES])
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_eventsync_args_filter(ctx,
                                        &arg[NGX_HTTP_EVENTSYNC_ARG_TYPES]);
}


/*
 * two spellings of one parameter; only streams take it, and the format is not
 * known yet
 */

static ngx_int_t
ngx_http_eventsync_args_last_id(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *id, ngx_http_eventsync_arg_t *header)
{
    if (id->set && header->set) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameters \"%V\" and \"%V\" exclude "
                                     "each other.", &id->name, &header->name);
        return ngx_http_eventsync_parameter(ctx, &header->name);
    }

    if (id->set || header->set) {
        ctx->args->last_id = id->set ? id->name : header->name;
    }

    return NGX_OK;
}


/* refuses the parameters of streams in a request for another format */

ngx_int_t
ngx_http_eventsync_no_stream_args(ngx_http_eventsync_ctx_t *ctx)
{
    return ctx->args->last_id.len
           ? ngx_http_eventsync_unknown(ctx, &ctx->args->last_id) : NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_args_position(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *after, ngx_http_eventsync_arg_t *from)
{
    ngx_http_eventsync_args_t  *args;

    args = ctx->args;

    if (after->set && from->set) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameters \"after\" and \"from\" "
                                     "exclude each other.");
        return ngx_http_eventsync_parameter(ctx, &from->name);
    }

    if (after->set) {
        args->has_after = 1;

        if (es_cursor_parse(ngx_http_eventsync_str(&after->value),
                            &args->after)
            != ES_OK)
        {
            after->value.len = ngx_min(after->value.len,
                                       NGX_HTTP_EVENTSYNC_QUOTED);

            return ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_CURSOR,
                                     "Parameter \"after\" is not a cursor: "
                                     "\"%V\".", &after->value);
        }
    }

    /* the time is parsed later, when its feed is known */

    args->has_from = from->set;
    args->from = from->value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_args_limit(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *limit, ngx_uint_t max)
{
    ngx_int_t  n;

    if (!limit->set) {
        return NGX_OK;
    }

    n = ngx_atoi(limit->value.data, limit->value.len);

    if (n < 1 || (ngx_uint_t) n > max) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"limit\" must be between 1 "
                                     "and %ui.", max);
        return ngx_http_eventsync_members(ctx, 64,
                                     ",\"parameter\":\"limit\","
                                     "\"maximum\":%ui", max);
    }

    ctx->args->has_limit = 1;
    ctx->args->limit = n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_args_wait(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *wait)
{
    ngx_int_t   n;
    ngx_uint_t  max;

    if (!wait->set) {
        return NGX_OK;
    }

    n = ngx_atoi(wait->value.data, wait->value.len);
    max = ctx->conf->poll_wait_max;

    if (n < 0 || (ngx_uint_t) n > max) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"wait\" must be between 0 "
                                     "and %ui seconds.", max);
        return ngx_http_eventsync_members(ctx, 64,
                                     ",\"parameter\":\"wait\","
                                     "\"maximum\":%ui", max);
    }

    ctx->args->has_wait = 1;
    ctx->args->wait = (ngx_msec_t) n * 1000;

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_args_tombstones(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *arg)
{
    if (!arg->set) {
        return NGX_OK;
    }

    if (arg->value.len != 1
        || (arg->value.data[0] != '0' && arg->value.data[0] != '1'))
    {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"tombstones\" must be 0 or "
                                     "1.");
        return ngx_http_eventsync_parameter(ctx, &arg->name);
    }

    ctx->args->tombstones = (arg->value.data[0] == '1');

    return NGX_OK;
}


/* the parameters of a filter are adjacent, in the order of its table */

_Static_assert(NGX_HTTP_EVENTSYNC_ARG_SUBJECT
               == NGX_HTTP_EVENTSYNC_ARG_TYPES + ES_FILTER_PARAMS - 1,
               "each parameter of a filter is an argument");


static ngx_int_t
ngx_http_eventsync_args_filter(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *arg)
{
    es_rc_t                     rc;
    ngx_uint_t                  i;
    es_problem_t                problem;
    ngx_pool_cleanup_t         *cln;
    ngx_http_eventsync_args_t  *args;

    for (i = 0; i < ES_FILTER_PARAMS && !arg[i].set; i++) { /* void */ }

    if (i == ES_FILTER_PARAMS) {
        return NGX_OK;
    }

    args = ctx->args;

    args->filter = ngx_pcalloc(ctx->request->pool, sizeof(es_filter_t));
    if (args->filter == NULL) {
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
    if (cln == NULL) {
        return NGX_DECLINED;
    }

    cln->handler = ngx_http_eventsync_args_cleanup;
    cln->data = args;

    for (i = 0; i < ES_FILTER_PARAMS; i++) {

        if (!arg[i].set) {
            continue;
        }

        rc = es_filter_params[i].set(args->filter,
                                     ngx_http_eventsync_str(&arg[i].value),
                                     &args->scratch, &problem);

        if (rc == ES_INVALID || rc == ES_TOO_LARGE) {
            (void) ngx_http_eventsync_fail(ctx,
                                         NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                         "Parameter \"%V\": %s.",
                                         &arg[i].name, problem.detail);
            return ngx_http_eventsync_parameter(ctx, &arg[i].name);
        }

        if (rc != ES_OK) {
            return ngx_http_eventsync_fail_store(ctx, rc);
        }
    }

    if (es_filter_is_all(args->filter)) {
        args->filter = NULL;
    }

    return NGX_OK;
}


static void
ngx_http_eventsync_args_cleanup(void *data)
{
    ngx_http_eventsync_args_t  *args = data;

    es_buf_free(&args->scratch);
}


/*
 * refuses a position of a list, after its charge; a parameter that is wrong is
 * free
 */

ngx_int_t
ngx_http_eventsync_bad_after(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t  name = ngx_string("after");

    ngx_http_eventsync_limit_refund(ctx);

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                   "Parameter \"after\" must be the \"next\" "
                                   "value of a page of this list.");

    return ngx_http_eventsync_parameter(ctx, &name);
}
