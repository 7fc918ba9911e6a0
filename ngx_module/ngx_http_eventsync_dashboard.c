/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Dashboard: serves the files of dashboard/ as they were when the module was
 * built. The page holds no data; it requests that with the key of its user.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_file.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"


/* made by dashboard.sh in nginx's build directory, see `config` */

#include <ngx_http_eventsync_dashboard.inc>


static ngx_http_eventsync_file_t *ngx_http_eventsync_dashboard_file(
    ngx_str_t *name);
static ngx_int_t ngx_http_eventsync_dashboard_headers(ngx_http_request_t *r);


/* the page itself, by the value of the directive */

static ngx_str_t  ngx_http_eventsync_dashboard_pages[] = {
    [NGX_HTTP_EVENTSYNC_DASHBOARD_ON] = ngx_string("index.html"),
    [NGX_HTTP_EVENTSYNC_DASHBOARD_OPERATOR] = ngx_string("operator.html")
};

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
    ngx_flag_t                  page;
    ngx_http_eventsync_file_t  *file;

    page = ctx->conf->serves[NGX_HTTP_EVENTSYNC_DASHBOARD];

    name = ctx->segments[0].len ? &ctx->segments[0]
                                : &ngx_http_eventsync_dashboard_pages[page];

    file = ngx_http_eventsync_dashboard_file(name);

    if (file == NULL) {
        (void) ngx_http_eventsync_fail_store(ctx, ES_NOT_FOUND);
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (ngx_http_eventsync_dashboard_headers(ctx->request) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send_file(ctx, file,
                                     &ngx_http_eventsync_dashboard_revalidate);
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
ngx_http_eventsync_dashboard_headers(ngx_http_request_t *r)
{
    ngx_str_t  *field;

    for (field = ngx_http_eventsync_dashboard_fields; field->len; field += 2) {
        if (ngx_http_eventsync_header(r, field, field + 1) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}
