/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Files that are a part of the module. Everybody gets the same bytes: no
 * credential, no quota.
 */


#ifndef _NGX_HTTP_EVENTSYNC_FILE_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_FILE_H_INCLUDED_


#include "ngx_http_eventsync.h"


typedef struct {
    ngx_str_t                         name;
    ngx_str_t                         type;
    u_char                           *data;
    size_t                            len;
    uint64_t                          hash;       /* 0: not known yet */
} ngx_http_eventsync_file_t;


ngx_int_t ngx_http_eventsync_send_file(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_file_t *file, ngx_str_t *cache_control);


#endif /* _NGX_HTTP_EVENTSYNC_FILE_H_INCLUDED_ */
