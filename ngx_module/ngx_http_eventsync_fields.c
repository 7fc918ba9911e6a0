/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Field lists of the partner that asks. They are compiled with its record, see
 * registry/field_lists.h.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_problem.h"

#include "fields/fields.h"
#include "registry/registry.h"


static const u_char  ngx_http_eventsync_fields_zeros[ES_FIELDS_ID];


const es_fields_t *
ngx_http_eventsync_fields(ngx_http_eventsync_ctx_t *ctx)
{
    if (ctx->grant) {
        return es_partner_fields(ctx->grant->partner,
                                 ngx_http_eventsync_str(&ctx->feed));
    }

    /* nobody is asked for in such a location, and nobody has a list */

    return (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_OFF)
           ? NULL : es_fields_unreadable;
}


void
ngx_http_eventsync_fields_id(ngx_http_eventsync_ctx_t *ctx, u_char *id)
{
    const es_fields_t  *fields;

    fields = ngx_http_eventsync_fields(ctx);

    ngx_memcpy(id, fields ? es_fields_id(fields)
                          : ngx_http_eventsync_fields_zeros, ES_FIELDS_ID);
}


ngx_uint_t
ngx_http_eventsync_fields_none(const u_char *id)
{
    return ngx_memcmp(id, ngx_http_eventsync_fields_zeros, ES_FIELDS_ID) == 0;
}


ngx_int_t
ngx_http_eventsync_fields_check(ngx_http_eventsync_ctx_t *ctx)
{
    return (ngx_http_eventsync_fields(ctx) == es_fields_unreadable)
           ? ngx_http_eventsync_fail_fields(ctx) : NGX_OK;
}


ngx_int_t
ngx_http_eventsync_fields_same(ngx_http_eventsync_ctx_t *ctx,
    const u_char *id)
{
    u_char  now[ES_FIELDS_ID];

    ngx_http_eventsync_fields_id(ctx, now);

    return (ngx_memcmp(now, id, ES_FIELDS_ID) == 0)
           ? NGX_OK
           : ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FIELD_LIST,
                                     "The field lists of the partner have "
                                     "changed meanwhile.");
}
