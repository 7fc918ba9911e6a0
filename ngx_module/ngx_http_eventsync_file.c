/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sends a file that is a part of the module, with an ETag of its bytes.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_file.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_send.h"

#include <xxhash.h>


static ngx_int_t ngx_http_eventsync_file_headers(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_file_t *file, ngx_str_t *cache_control);


ngx_int_t
ngx_http_eventsync_send_file(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_file_t *file, ngx_str_t *cache_control)
{
    ngx_buf_t           *b;
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_http_eventsync_file_headers(ctx, file, cache_control) != NGX_OK) {
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


static ngx_int_t
ngx_http_eventsync_file_headers(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_file_t *file, ngx_str_t *cache_control)
{
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

    return ngx_http_eventsync_cache_control(ctx->request, cache_control);
}
