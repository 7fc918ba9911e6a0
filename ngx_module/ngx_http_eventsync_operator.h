/* SPDX-License-Identifier: BSD-2-Clause */

/* What an operator may see: the data of its routes. */


#ifndef _NGX_HTTP_EVENTSYNC_OPERATOR_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_OPERATOR_H_INCLUDED_


typedef enum {
    NGX_HTTP_EVENTSYNC_OPERATOR_PARTNERS = 0,
    NGX_HTTP_EVENTSYNC_OPERATOR_PARTNER,
    NGX_HTTP_EVENTSYNC_OPERATOR_STORE
} ngx_http_eventsync_operator_e;


#endif /* _NGX_HTTP_EVENTSYNC_OPERATOR_H_INCLUDED_ */
