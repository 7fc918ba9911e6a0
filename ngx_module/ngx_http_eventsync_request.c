/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The content handler, which creates the context of a request, and access to
 * request headers and bodies.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_otlp.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_worker.h"


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

    ngx_http_eventsync_log_ids(r);

    if (ctx->worker && ctx->worker->exporter) {
        ngx_http_eventsync_span_begin(ctx);
    }

    /* nginx refused the body and redirected the request here for an answer */

    if (r->err_status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_TOO_LARGE,
                                       "The request body exceeds the maximum "
                                       "size of this location.");
        return ngx_http_eventsync_send_problem(ctx);
    }

    return ngx_http_eventsync_route(ctx);
}


/*
 * nginx checks client_max_body_size before it calls a location's handler. To
 * give the 413 a problem as its body, as every other error has, nginx
 * redirects it to the same URI, unless the configuration has an error_page for
 * it.
 */

char *
ngx_http_eventsync_too_large_page(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf)
{
    ngx_str_t                          uri;
    ngx_uint_t                         i;
    ngx_array_t                       *pages;
    ngx_http_err_page_t               *page, *old;
    ngx_http_compile_complex_value_t   ccv;

    pages = ngx_array_create(cf->pool, 4, sizeof(ngx_http_err_page_t));
    if (pages == NULL) {
        return NGX_CONF_ERROR;
    }

    if (clcf->error_pages) {
        old = clcf->error_pages->elts;

        for (i = 0; i < clcf->error_pages->nelts; i++) {

            if (old[i].status == NGX_HTTP_REQUEST_ENTITY_TOO_LARGE) {
                return NGX_CONF_OK;
            }

            page = ngx_array_push(pages);
            if (page == NULL) {
                return NGX_CONF_ERROR;
            }

            *page = old[i];
        }
    }

    page = ngx_array_push(pages);
    if (page == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(page, sizeof(ngx_http_err_page_t));
    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ngx_str_set(&uri, "$eventsync_too_large");

    page->status = NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;
    page->overwrite = -1;

    ccv.cf = cf;
    ccv.value = &uri;
    ccv.complex_value = &page->value;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    clcf->error_pages = pages;

    return NGX_CONF_OK;
}


/*
 * The URI to which a 413 is redirected. Over HTTP/2, nginx does not record
 * that it has discarded the body; without this flag it would check the length
 * again and fail.
 *
 * nginx takes what follows a question mark for arguments.  It must not: the
 * client could choose another location with the rest, even an internal one.
 */

ngx_int_t
ngx_http_eventsync_too_large_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char  *p, *u;

    r->discard_body = 1;

    p = ngx_pnalloc(r->pool, 3 * r->uri.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;

    for (u = r->uri.data; u < r->uri.data + r->uri.len; u++) {

        if (*u == '?') {
            p = ngx_cpymem(p, "%3F", 3);

        } else {
            *p++ = *u;
        }
    }

    v->len = p - v->data;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;

    return NGX_OK;
}


/* finds the next header of the request by its lower-case name, or NULL */

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
 * Gets a small body in one piece; nginx may hold it in several buffers.
 * NGX_DECLINED: the body is in a file, because it exceeds
 * client_body_buffer_size.
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

        /* the last buffer of a body in chunks may have no memory */

        if (cl->buf->last > cl->buf->pos) {
            p = ngx_cpymem(p, cl->buf->pos, cl->buf->last - cl->buf->pos);
        }
    }

    return NGX_OK;
}
