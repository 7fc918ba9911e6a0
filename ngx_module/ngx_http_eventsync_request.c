
/*
 * A request: which step it is for, and what the log may know of it.
 */


#include "ngx_http_eventsync.h"


typedef ngx_int_t (*ngx_http_eventsync_step_pt)(ngx_http_eventsync_ctx_t *ctx);


static ngx_int_t ngx_http_eventsync_dispatch(ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_dispatch_events(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_run(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_step_pt step);
static ngx_int_t ngx_http_eventsync_not_allowed(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *allow);
static ngx_int_t ngx_http_eventsync_name_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_sequence_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_eventsync_vars[] = {

    { ngx_string("eventsync_partner"), NULL, ngx_http_eventsync_name_variable,
      offsetof(ngx_http_eventsync_ctx_t, partner_name),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_feed"), NULL, ngx_http_eventsync_name_variable,
      offsetof(ngx_http_eventsync_ctx_t, feed),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_first"), NULL,
      ngx_http_eventsync_sequence_variable,
      offsetof(ngx_http_eventsync_ctx_t, first),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_last"), NULL,
      ngx_http_eventsync_sequence_variable,
      offsetof(ngx_http_eventsync_ctx_t, last),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_eventsync_handler(ngx_http_request_t *r)
{
    ngx_http_eventsync_ctx_t       *ctx;
    ngx_http_eventsync_loc_conf_t  *elcf;

    elcf = ngx_http_get_module_loc_conf(r, ngx_http_eventsync_module);

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_eventsync_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->request = r;
    ctx->conf = elcf;
    ctx->ident = -1;
    ctx->worker = elcf->store->worker;

    ngx_http_set_ctx(r, ctx, ngx_http_eventsync_module);

    /* nginx itself refused the body and came back for the words */

    if (r->err_status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_TOO_LARGE,
                                       "The request's body is over the "
                                       "maximum of this location.");
        return ngx_http_eventsync_send_problem(ctx);
    }

    return ngx_http_eventsync_dispatch(ctx);
}


static ngx_int_t
ngx_http_eventsync_dispatch(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t             *r;
    ngx_http_eventsync_loc_conf_t  *elcf;

    static ngx_str_t  read_only = ngx_string("GET, HEAD");

    r = ctx->request;
    elcf = ctx->conf;

    ctx->route = ngx_http_eventsync_route(&r->uri, &ctx->feed);

    switch (ctx->route) {

    case NGX_HTTP_EVENTSYNC_ROUTE_EVENTS:

        if (elcf->poll || elcf->publish) {
            return ngx_http_eventsync_dispatch_events(ctx);
        }

        break;

    case NGX_HTTP_EVENTSYNC_ROUTE_FEEDS:
    case NGX_HTTP_EVENTSYNC_ROUTE_FEED:

        if (!elcf->feeds) {
            break;
        }

        if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
            return ngx_http_eventsync_not_allowed(ctx, &read_only);
        }

        return ngx_http_eventsync_run(ctx, ngx_http_eventsync_feeds);

    default: /* NGX_HTTP_EVENTSYNC_ROUTE_NONE */
        break;
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_NOT_FOUND,
                                   "There is no such resource.");

    return ngx_http_eventsync_send_problem(ctx);
}


static ngx_int_t
ngx_http_eventsync_dispatch_events(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t             *r;
    ngx_http_eventsync_loc_conf_t  *elcf;

    static ngx_str_t  both = ngx_string("GET, HEAD, POST");
    static ngx_str_t  poll = ngx_string("GET, HEAD");
    static ngx_str_t  publish = ngx_string("POST");

    r = ctx->request;
    elcf = ctx->conf;

    if (elcf->poll && (r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_eventsync_run(ctx, ngx_http_eventsync_poll);
    }

    if (elcf->publish && (r->method & NGX_HTTP_POST) && r == r->main) {
        return ngx_http_eventsync_run(ctx, ngx_http_eventsync_publish);
    }

    return ngx_http_eventsync_not_allowed(ctx,
                                          !elcf->publish ? &poll
                                          : elcf->poll ? &both : &publish);
}


/* only with a store that is open */

static ngx_int_t
ngx_http_eventsync_run(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_step_pt step)
{
    if (ctx->worker == NULL || ctx->worker->es == NULL) {
        (void) ngx_http_eventsync_fail_store(ctx, ES_BUSY);
        return ngx_http_eventsync_send_problem(ctx);
    }

    return step(ctx);
}


static ngx_int_t
ngx_http_eventsync_not_allowed(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *allow)
{
    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_METHOD_NOT_ALLOWED,
                                   "Methods allowed here: %V.", allow);

    if (ctx->problem) {
        ctx->problem->allow = *allow;
    }

    return ngx_http_eventsync_send_problem(ctx);
}


ngx_int_t
ngx_http_eventsync_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_eventsync_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_name_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                 *name;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    name = ctx ? (ngx_str_t *) ((char *) ctx + data) : NULL;

    if (name == NULL || name->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = name->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = name->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_sequence_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                    *p;
    uint64_t                   sequence;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    sequence = ctx ? *(uint64_t *) ((char *) ctx + data) : 0;

    if (sequence == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(p, "%uL", sequence) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = p;

    return NGX_OK;
}
