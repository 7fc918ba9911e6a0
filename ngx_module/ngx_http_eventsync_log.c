/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What logs say of a request: the variables of the access log, and the ids in
 * lines of the error log.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_trace.h"

#include "log/feed.h"
#include "registry/access.h"
#include "trace/context.h"


static ngx_int_t ngx_http_eventsync_name_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_feed_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_key_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_epoch_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_problem_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_trace_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_issuer_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_certificate_variable(
    ngx_http_request_t *r, ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_events_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static void ngx_http_eventsync_variable(ngx_http_variable_value_t *v,
    const void *data, size_t len);
static u_char *ngx_http_eventsync_log_error(ngx_http_request_t *r,
    ngx_http_request_t *sr, u_char *buf, size_t len);


static ngx_http_variable_t  ngx_http_eventsync_vars[] = {

    { ngx_string("eventsync_partner"), NULL, ngx_http_eventsync_name_variable,
      offsetof(ngx_http_eventsync_ctx_t, partner_name),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_key"), NULL, ngx_http_eventsync_key_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_issuer"), NULL,
      ngx_http_eventsync_issuer_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_certificate"), NULL,
      ngx_http_eventsync_certificate_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_feed"), NULL, ngx_http_eventsync_feed_variable,
      offsetof(ngx_http_eventsync_ctx_t, feed),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_epoch"), NULL, ngx_http_eventsync_epoch_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_first"), NULL,
      ngx_http_eventsync_number_variable,
      offsetof(ngx_http_eventsync_ctx_t, first),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_last"), NULL,
      ngx_http_eventsync_number_variable,
      offsetof(ngx_http_eventsync_ctx_t, last),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_events"), NULL,
      ngx_http_eventsync_events_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_warnings"), NULL,
      ngx_http_eventsync_number_variable,
      offsetof(ngx_http_eventsync_ctx_t, warnings),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_problem"), NULL,
      ngx_http_eventsync_problem_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_trace_id"), NULL,
      ngx_http_eventsync_trace_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    /* internal, see ngx_http_eventsync_too_large_page() */

    { ngx_string("eventsync_too_large"), NULL,
      ngx_http_eventsync_too_large_variable, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


/* the first two are the same for all requests */

static ngx_int_t                ngx_http_eventsync_request_id;
static ngx_http_log_handler_pt  ngx_http_eventsync_log_next;
static ngx_str_t                ngx_http_eventsync_request_id_name =
    ngx_string("request_id");


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

    ngx_http_eventsync_request_id
        = ngx_http_get_variable_index(cf, &ngx_http_eventsync_request_id_name);

    if (ngx_http_eventsync_request_id == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_limit_variables(cf);
}


/* from here on, the request's lines of the error log have its ids */

void
ngx_http_eventsync_log_ids(ngx_http_request_t *r)
{
    r = r->main;

    if (r->log_handler != ngx_http_eventsync_log_error) {
        ngx_http_eventsync_log_next = r->log_handler;
        r->log_handler = ngx_http_eventsync_log_error;
    }
}


/*
 * The ids come before the request line, which may be so long that nginx cuts
 * it.
 */

static u_char *
ngx_http_eventsync_log_error(ngx_http_request_t *r, ngx_http_request_t *sr,
    u_char *buf, size_t len)
{
    char                        hex[2 * ES_TRACE_ID];
    u_char                     *p, *last;
    es_trace_t                  trace;
    ngx_http_variable_value_t  *v;

    static ngx_uint_t  busy;

    p = buf;
    last = buf + len;

    /* without memory for the id, nginx logs that, and comes here again */

    if (!busy) {
        busy = 1;
        v = ngx_http_get_indexed_variable(r, ngx_http_eventsync_request_id);
        busy = 0;

        if (v && !v->not_found) {
            p = ngx_slprintf(p, last, ", request_id: \"%v\"", v);
        }
    }

    if (ngx_http_eventsync_trace_of(r, &trace) == NGX_OK) {
        (void) es_trace_hex(trace.id, ES_TRACE_ID, hex);
        p = ngx_slprintf(p, last, ", trace_id: \"%*s\"", sizeof(hex), hex);
    }

    return ngx_http_eventsync_log_next(r, sr, p, last - p);
}


/* the events that the request has sent or stored so far */

void
ngx_http_eventsync_moved(ngx_http_eventsync_ctx_t *ctx, const es_feed_t *feed,
    uint64_t first, uint64_t last)
{
    if (ctx->first == 0) {
        ctx->first = first;
    }

    ctx->last = last;

    ngx_cpystrn((u_char *) ctx->epoch,
                (u_char *) es_feed_epoch_of(feed, last), sizeof(ctx->epoch));
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

    ngx_http_eventsync_variable(v, name->data, name->len);

    return NGX_OK;
}


/*
 * the client chose the name, and a configuration may put it into a header:
 * check it
 */

static ngx_int_t
ngx_http_eventsync_feed_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    if (ctx == NULL || !es_feed_name_ok(ngx_http_eventsync_str(&ctx->feed))) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_eventsync_name_variable(r, v, data);
}


/* of the key that was sent, or for which the token was issued, once valid */

static ngx_int_t
ngx_http_eventsync_key_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    if (ctx == NULL || ctx->partner == 0 || ctx->key.id[0] == '\0'
        || ctx->key.id[0] == ES_ACCESS_NO_KEY)
    {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_eventsync_variable(v, ctx->key.id, ngx_strlen(ctx->key.id));

    return NGX_OK;
}


/* the request keeps its token until after it is logged */

static ngx_int_t
ngx_http_eventsync_issuer_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    es_str_t                   iss;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    if (ctx == NULL || ctx->partner == 0 || ctx->token == NULL
        || ctx->token->issuer == NULL)
    {
        v->not_found = 1;
        return NGX_OK;
    }

    iss = es_issuer_conf(ctx->token->issuer)->iss;
    ngx_http_eventsync_variable(v, iss.data, iss.len);

    return NGX_OK;
}


/* by its SHA-256; where nginx trusts the certificate, and the client is known by
   it or by a token that is bound to it */

static ngx_int_t
ngx_http_eventsync_certificate_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                    *p;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    if (ctx == NULL || ctx->partner == 0 || ctx->peer == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, 2 * ES_DIGEST_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_hex_dump(p, ctx->peer->cert.names[0].digest, ES_DIGEST_LEN);
    ngx_http_eventsync_variable(v, p, 2 * ES_DIGEST_LEN);

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_epoch_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    if (ctx == NULL || ctx->last == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    ngx_http_eventsync_variable(v, ctx->epoch, ngx_strlen(ctx->epoch));

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_problem_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    es_str_t                   name;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    if (ctx == NULL || ctx->problem == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    name = ngx_http_eventsync_problem_name(ctx->problem->type);
    ngx_http_eventsync_variable(v, name.data, name.len);

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_trace_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    char        *hex;
    es_trace_t   trace;

    if (ngx_http_eventsync_trace_of(r, &trace) != NGX_OK) {
        v->not_found = 1;
        return NGX_OK;
    }

    hex = ngx_pnalloc(r->pool, 2 * ES_TRACE_ID);
    if (hex == NULL) {
        return NGX_ERROR;
    }

    (void) es_trace_hex(trace.id, ES_TRACE_ID, hex);
    ngx_http_eventsync_variable(v, hex, 2 * ES_TRACE_ID);

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_number_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                    *p;
    uint64_t                   number;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    number = ctx ? *(uint64_t *) ((char *) ctx + data) : 0;

    if (number == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_http_eventsync_variable(v, p, ngx_sprintf(p, "%uL", number) - p);

    return NGX_OK;
}


/* the events of the answer, or those that were counted as they went */

static ngx_int_t
ngx_http_eventsync_events_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    return ngx_http_eventsync_number_variable(r, v,
               (ctx && ctx->events)
               ? offsetof(ngx_http_eventsync_ctx_t, events)
               : offsetof(ngx_http_eventsync_ctx_t, moved));
}


static void
ngx_http_eventsync_variable(ngx_http_variable_value_t *v, const void *data,
    size_t len)
{
    v->len = len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = (u_char *) data;
}
