/* SPDX-License-Identifier: BSD-2-Clause */

/* Status answers that a worker remembers. */


#ifndef _NGX_HTTP_EVENTSYNC_STATUS_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_STATUS_H_INCLUDED_


#include "ngx_http_eventsync.h"


#define NGX_HTTP_EVENTSYNC_STATUSES  64


typedef struct {
    u_char                            digest[ES_DIGEST_LEN];
    ngx_str_t                         text;       /* NULL: none */
    ngx_msec_t                        since;
} ngx_http_eventsync_status_t;


void ngx_http_eventsync_status_free(ngx_http_eventsync_worker_t *w);


#endif /* _NGX_HTTP_EVENTSYNC_STATUS_H_INCLUDED_ */
