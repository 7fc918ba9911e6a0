/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Answers whether a credential may read a feed. A cache in front of the module
 * asks this before it answers from its own pages (auth_request, ext_authz and
 * the like).
 *
 * It refuses a partner that a field list keeps from seeing whole events, because
 * the pages of the cache have them.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"


/*
 * Refuses with 401 or 403, never with 404, because auth_request knows no other
 * refusal. A feed that the credential may read need not exist.
 */

ngx_int_t
ngx_http_eventsync_may_authorize(ngx_http_eventsync_ctx_t *ctx)
{
    if (ngx_http_eventsync_may_read(ctx, ngx_http_eventsync_str(&ctx->feed)))
    {
        if (ngx_http_eventsync_fields(ctx) == NULL) {
            return NGX_OK;
        }

        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                       "A field list holds for this feed, so "
                                       "no shared cache may answer.");
    }

    return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                   "This credential has no read access to the "
                                   "feed.");
}


ngx_int_t
ngx_http_eventsync_authorized(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ngx_http_eventsync_no_store(r) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->headers_out.content_length_n = -1;
    r->header_only = 1;

    return ngx_http_eventsync_send_header(r);
}
