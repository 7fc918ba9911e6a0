/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Field lists: what the partner of a request may see of the feed's events.
 * Every reader gives them to the library, which shows the events.
 */


#ifndef _NGX_HTTP_EVENTSYNC_FIELDS_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_FIELDS_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "fields/fields.h"


/* the lists at the last ngx_http_eventsync_permit(); NULL: everything */
const es_fields_t *ngx_http_eventsync_fields(ngx_http_eventsync_ctx_t *ctx);

/* what identifies them in caches; zeros: everything is shown */
void ngx_http_eventsync_fields_id(ngx_http_eventsync_ctx_t *ctx, u_char *id);
ngx_uint_t ngx_http_eventsync_fields_none(const u_char *id);

/* NGX_DECLINED: they cannot be read */
ngx_int_t ngx_http_eventsync_fields_check(ngx_http_eventsync_ctx_t *ctx);

/* an answer in several parts must not begin under one list and end under
   another; NGX_DECLINED: they are not those of `id` any more */
ngx_int_t ngx_http_eventsync_fields_same(ngx_http_eventsync_ctx_t *ctx,
    const u_char *id);


#endif /* _NGX_HTTP_EVENTSYNC_FIELDS_H_INCLUDED_ */
