/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Dashboard: serves the files of dashboard/ as they were when the module was
 * built. The page holds no data; it requests that with the key of its user.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"

#include <xxhash.h>


typedef struct {
    ngx_str_t                         name;
    ngx_str_t                         type;
    u_char                           *data;
    size_t                            len;
    uint64_t                          hash;       /* 0: not known yet */
} ngx_http_eventsync_file_t;


/* made by dashboard.sh in nginx's build directory, see `config` */

#include <ngx_http_eventsync_dashboard.inc>


static ngx_http_eventsync_file_t *ngx_http_eventsync_dashboard_file(
    ngx_str_t *name);
static ngx_int_t ngx_http_eventsync_dashboard_headers(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_file_t *file);


static ngx_str_t  ngx_http_eventsync_dashboard_index =
    ngx_string("index.html");

/* an upgrade of the module is seen at once */

static ngx_str_t  ngx_http_eventsync_dashboard_revalidate =
    ngx_string("no-cache");


/* all that the page needs is its own, and no other page may frame it */

static ngx_str_t  ngx_http_eventsync_dashboard_fields[] = {
    ngx_string("Content-Security-Policy"),
    ngx_string("default-src 'none'; script-src 'self'; style-src 'self'; "
               "img-src 'self'; connect-src 'self'; base-uri 'none'; "
               "form-action 'none'; frame-ancestors 'none'"),
    ngx_string("X-Content-Type-Options"),
    ngx_string("nosniff"),
    ngx_string("Referrer-Policy"),
    ngx_string("no-referrer"),
    ngx_string("Cross-Origin-Opener-Policy"),
    ngx_string("same-origin"),
    ngx_null_string
};


ngx_int_t
ngx_http_eventsync_dashboard(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t                  *name;
    ngx_buf_t                  *b;
    ngx_http_request_t         *r;
    ngx_http_eventsync_file_t  *file;

    r = ctx->request;
    name = ctx->segments[0].len ? &ctx->segments[0]
                                : &ngx_http_eventsync_dashboard_index;

    file = ngx_http_eventsync_dashboard_file(name);

    if (file == NULL) {
        (void) ngx_http_eventsync_fail_store(ctx, ES_NOT_FOUND);
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (ngx_http_eventsync_dashboard_headers(ctx, file) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_eventsync_etag_matches(ctx)) {
        return ngx_http_eventsync_send_unchanged(r);
    }

    b = ngx_http_eventsync_memory_buf(r, file->data, file->len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send(r, NGX_HTTP_OK, &file->type, b);
}


static ngx_http_eventsync_file_t *
ngx_http_eventsync_dashboard_file(ngx_str_t *name)
{
    ngx_uint_t                  i, n;
    ngx_http_eventsync_file_t  *file;

    n = sizeof(ngx_http_eventsync_dashboard_files)
        / sizeof(ngx_http_eventsync_file_t);

    for (i = 0; i < n; i++) {
        file = &ngx_http_eventsync_dashboard_files[i];

        if (file->name.len == name->len
            && ngx_memcmp(file->name.data, name->data, name->len) == 0)
        {
            return file;
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_eventsync_dashboard_headers(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_file_t *file)
{
    ngx_str_t           *field;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (file->hash == 0) {
        file->hash = XXH3_64bits(file->data, file->len);
    }

    ctx->etag.data = ctx->etag_text;
    ctx->etag.len = sizeof(ctx->etag_text);

    ctx->etag_text[0] = '"';
    *ngx_hex_dump(ctx->etag_text + 1, (u_char *) &file->hash,
                  sizeof(file->hash)) = '"';

    if (ngx_http_eventsync_etag_header(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    for (field = ngx_http_eventsync_dashboard_fields; field->len; field += 2) {
        if (ngx_http_eventsync_header(r, field, field + 1) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return ngx_http_eventsync_cache_control(r,
                                     &ngx_http_eventsync_dashboard_revalidate);
}
