/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * OpenAPI: serves docs/openapi.json, which describes the interface, as it was
 * when the module was built.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"

#include <xxhash.h>


/* made by openapi.sh in nginx's build directory, see `config` */

static u_char  ngx_http_eventsync_openapi_json[] = {
#include <ngx_http_eventsync_openapi.inc>
};


static ngx_int_t ngx_http_eventsync_openapi_headers(
    ngx_http_eventsync_ctx_t *ctx);


static ngx_str_t  ngx_http_eventsync_openapi_public =
    ngx_string("public, max-age=3600");


/* everybody gets the same document: no credential, no quota */

ngx_int_t
ngx_http_eventsync_openapi(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_buf_t           *b;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_http_eventsync_openapi_headers(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_eventsync_etag_matches(ctx)) {
        return ngx_http_eventsync_send_unchanged(r);
    }

    b = ngx_http_eventsync_memory_buf(r, ngx_http_eventsync_openapi_json,
                                      sizeof(ngx_http_eventsync_openapi_json));
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send(r, NGX_HTTP_OK,
                                   &ngx_http_eventsync_json_type, b);
}


static ngx_int_t
ngx_http_eventsync_openapi_headers(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    static uint64_t  hash;

    r = ctx->request;

    if (hash == 0) {
        hash = XXH3_64bits(ngx_http_eventsync_openapi_json,
                           sizeof(ngx_http_eventsync_openapi_json));
    }

    ctx->etag.data = ctx->etag_text;
    ctx->etag.len = sizeof(ctx->etag_text);

    ctx->etag_text[0] = '"';
    *ngx_hex_dump(ctx->etag_text + 1, (u_char *) &hash, sizeof(hash)) = '"';

    if (ngx_http_eventsync_etag_header(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_cache_control(r,
                                         &ngx_http_eventsync_openapi_public);
}
