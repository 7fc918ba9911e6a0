/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * May this credential read the feed: for a cache in front, which asks before
 * it gives a page to somebody (auth_request, ext_authz and the like).
 */


#include "ngx_http_eventsync.h"


/*
 * 204, 401 or 403.  What is not granted is not 404 here, because auth_request
 * knows no other refusals; a feed that is granted need not be there.
 */

ngx_int_t
ngx_http_eventsync_may_authorize(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_eventsync_query(ctx, NULL, 0) != NGX_OK
        || ngx_http_eventsync_authenticate(ctx) != NGX_OK)
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (!ngx_http_eventsync_may_read(ctx, ngx_http_eventsync_str(&ctx->feed)))
    {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                       "This credential has no read access to "
                                       "the feed.");

        return ngx_http_eventsync_send_problem(ctx);
    }

    if (ngx_http_eventsync_no_store(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->headers_out.content_length_n = -1;
    r->header_only = 1;

    return ngx_http_eventsync_send_header(r);
}
