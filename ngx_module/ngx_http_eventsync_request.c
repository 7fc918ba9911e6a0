/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A request: its context, and what the access log may know of it.
 */


#include "ngx_http_eventsync.h"


static ngx_int_t ngx_http_eventsync_name_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_feed_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_sequence_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_eventsync_too_large_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


static ngx_http_variable_t  ngx_http_eventsync_vars[] = {

    { ngx_string("eventsync_partner"), NULL, ngx_http_eventsync_name_variable,
      offsetof(ngx_http_eventsync_ctx_t, partner_name),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("eventsync_feed"), NULL, ngx_http_eventsync_feed_variable,
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

    { ngx_string("eventsync_warnings"), NULL,
      ngx_http_eventsync_sequence_variable,
      offsetof(ngx_http_eventsync_ctx_t, warnings),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    /* for the module itself, see ngx_http_eventsync_too_large_page() */

    { ngx_string("eventsync_too_large"), NULL,
      ngx_http_eventsync_too_large_variable, 0,
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
    ctx->resource = NGX_HTTP_EVENTSYNC_RESOURCES;

    ngx_http_set_ctx(r, ctx, ngx_http_eventsync_module);

    /* nginx itself refused the body and came back for the words */

    if (r->err_status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_TOO_LARGE,
                                       "The request body exceeds the maximum "
                                       "size of this location.");
        return ngx_http_eventsync_send_problem(ctx);
    }

    return ngx_http_eventsync_route(ctx);
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

    return ngx_http_eventsync_limit_variables(cf);
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


/* the client has chosen it, and a configuration may put it into a header */

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


/*
 * Where a body that is too large is redirected to.  Over HTTP/2 nginx does not
 * note that the body is discarded already, would judge its length once more,
 * and give up.
 */

static ngx_int_t
ngx_http_eventsync_too_large_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    r->discard_body = 1;

    v->len = r->uri.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = r->uri.data;

    return NGX_OK;
}


/* the next header of the request by its name in lower case, or NULL */

ngx_table_elt_t *
ngx_http_eventsync_header_in(ngx_http_request_t *r, ngx_str_t *name,
    ngx_table_elt_t *after)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (after) {
                after = (after == &h[i]) ? NULL : after;
                continue;
            }

            if (h[i].key.len == name->len
                && ngx_memcmp(h[i].lowcase_key, name->data, name->len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}


/*
 * A body that is small, in one piece: what came with the header and what came
 * after it are two.  NGX_DECLINED: it was too large to be kept in memory.
 */

ngx_int_t
ngx_http_eventsync_small_body(ngx_http_request_t *r, es_str_t *body)
{
    u_char       *p;
    ngx_chain_t  *in, *cl;

    in = r->request_body ? r->request_body->bufs : NULL;

    body->data = "";
    body->len = 0;

    for (cl = in; cl; cl = cl->next) {

        if (cl->buf->in_file) {
            return NGX_DECLINED;
        }

        body->len += ngx_buf_size(cl->buf);
    }

    if (body->len == 0) {
        return NGX_OK;
    }

    if (in->next == NULL) {
        body->data = (char *) in->buf->pos;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, body->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    body->data = (char *) p;

    for (cl = in; cl; cl = cl->next) {
        p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
    }

    return NGX_OK;
}
