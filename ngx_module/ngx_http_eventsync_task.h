/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tasks: work of one request on a thread, see _work. Posting returns NGX_DONE, or
 * NGX_DECLINED, after which ctx->problem may be set.
 */


#ifndef _NGX_HTTP_EVENTSYNC_TASK_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_TASK_H_INCLUDED_


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_work.h"

#include "base/reason.h"


#define NGX_HTTP_EVENTSYNC_TASK_TIME  60000


/* the work of a request on a thread, see _task */

struct ngx_http_eventsync_task_s {
    ngx_http_eventsync_ctx_t         *ctx;
    es_store_t                       *es;
    ngx_http_eventsync_work_e         kind;

    /* runs in a thread, which may use only this object */
    void                            (*run)(ngx_http_eventsync_task_t *task);

    /*
     * runs in the event loop afterwards; returns the code that finalizes the
     * request
     */
    ngx_int_t                       (*answer)(ngx_http_eventsync_task_t *task);

    void                             *data;
    es_rc_t                           rc;
    es_reason_t                       reason;     /* set by the thread */
    es_buf_t                          out;        /* freed with the request */
    ngx_uint_t                        done;       /* unsigned  done:1 */
};


ngx_http_eventsync_task_t *ngx_http_eventsync_task_create(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_work_e kind);
ngx_int_t ngx_http_eventsync_task_post(ngx_http_eventsync_task_t *task);
ngx_int_t ngx_http_eventsync_task_json(ngx_http_eventsync_task_t *task);
void ngx_http_eventsync_task_unblock(ngx_http_eventsync_ctx_t *ctx);
ngx_uint_t ngx_http_eventsync_task_late(ngx_event_t *ev);


#endif /* _NGX_HTTP_EVENTSYNC_TASK_H_INCLUDED_ */
