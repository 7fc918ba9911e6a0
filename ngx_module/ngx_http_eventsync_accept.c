/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Content negotiation: chooses a representation by Accept and Accept-Encoding.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_pages.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_send.h"

#include "base/accept.h"
#include "base/encode.h"


static ngx_int_t ngx_http_eventsync_not_acceptable(
    ngx_http_eventsync_ctx_t *ctx, ngx_str_t *types, ngx_uint_t n);


/* sets `*index` to that of the preferred type, of at most ten */

ngx_int_t
ngx_http_eventsync_accept(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *types,
    ngx_uint_t n, ngx_uint_t *index)
{
    int  preferred;

    if (ngx_http_eventsync_preferred(ctx, types, n, &preferred) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (preferred < 0) {
        return ngx_http_eventsync_not_acceptable(ctx, types, n);
    }

    *index = preferred;

    return NGX_OK;
}


/*
 * Sets `*preferred` to the index, or to -1 if no type is acceptable. Other
 * names of NDJSON mean the type that is offered. Does not set ctx->problem.
 */

ngx_int_t
ngx_http_eventsync_preferred(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *types,
    ngx_uint_t n, int *preferred)
{
    int          chosen, lines;
    es_str_t     offers[ES_ACCEPT_OFFERS_MAX];
    ngx_str_t   *type, value, name = ngx_string("accept");
    ngx_uint_t   i, m;

    if (ngx_http_eventsync_accept_value(ctx->request, &name, &value)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    lines = -1;

    for (i = 0; i < n; i++) {
        offers[i] = ngx_http_eventsync_str(&types[i]);

        if (&types[i]
            == &ngx_http_eventsync_page_types[NGX_HTTP_EVENTSYNC_NDJSON])
        {
            lines = i;
        }
    }

    m = n;

    if (lines >= 0) {
        for (type = ngx_http_eventsync_lines_types; type->len; type++) {
            offers[m++] = ngx_http_eventsync_str(type);
        }
    }

    chosen = es_accept(ngx_http_eventsync_str(&value), offers, (int) m);

    *preferred = (chosen < (int) n) ? chosen : lines;

    return NGX_OK;
}


/* joins repeated fields to one list (RFC 9110, section 5.3) */

ngx_int_t
ngx_http_eventsync_accept_value(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    u_char           *p;
    ngx_str_t         joined;
    ngx_table_elt_t  *h;

    h = ngx_http_eventsync_header_in(r, name, NULL);

    if (h == NULL) {
        ngx_str_null(value);
        return NGX_OK;
    }

    *value = h->value;

    while ((h = ngx_http_eventsync_header_in(r, name, h)) != NULL) {

        joined.len = value->len + 1 + h->value.len;
        joined.data = ngx_pnalloc(r->pool, joined.len);
        if (joined.data == NULL) {
            return NGX_DECLINED;
        }

        p = ngx_cpymem(joined.data, value->data, value->len);
        *p++ = ',';
        ngx_memcpy(p, h->value.data, h->value.len);

        *value = joined;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_not_acceptable(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *types, ngx_uint_t n)
{
    u_char      *p, *last, names[256];
    ngx_str_t    available;
    ngx_uint_t   i;

    p = names;
    last = names + sizeof(names);

    for (i = 0; i < n; i++) {
        p = ngx_slprintf(p, last, "%s\"%V\"", i ? "," : "", &types[i]);
    }

    available.data = names;
    available.len = p - names;

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_NOT_ACCEPTABLE,
                                   "No media type that \"Accept\" allows is "
                                   "available for this resource.");

    return ngx_http_eventsync_members(ctx, sizeof(names) + 32,
                                      ",\"available\":[%V]", &available);
}


/* sets `*encoding` to an es_encoding_t from `first` on */

ngx_int_t
ngx_http_eventsync_accept_encoding(ngx_http_eventsync_ctx_t *ctx,
    es_encoding_t first, ngx_uint_t *encoding)
{
    int         preferred;
    u_char     *p, names[64];
    ngx_str_t   value, available, name = ngx_string("accept-encoding");
    ngx_uint_t  i;

    if (ngx_http_eventsync_accept_value(ctx->request, &name, &value)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    preferred = es_accept_encoding(ngx_http_eventsync_str(&value),
                                   &es_encoding_names[first],
                                   ES_ENCODINGS - first);

    if (preferred >= 0) {
        *encoding = first + preferred;
        return NGX_OK;
    }

    p = names;

    for (i = first; i < ES_ENCODINGS; i++) {
        p = ngx_sprintf(p, "%s\"%s\"", (p == names) ? "" : ",",
                        es_encoding_names[i].data);
    }

    available.data = names;
    available.len = p - names;

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_NOT_ACCEPTABLE,
                                   "No coding that \"Accept-Encoding\" allows "
                                   "is available for this resource.");

    return ngx_http_eventsync_members(ctx, sizeof(names) + 32,
                                      ",\"available\":[%V]", &available);
}
