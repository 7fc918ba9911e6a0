/* SPDX-License-Identifier: BSD-2-Clause */

/* Work of requests for threads: kinds of work, and turns of partners. */


#ifndef _NGX_HTTP_EVENTSYNC_WORK_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_WORK_H_INCLUDED_


#include "ngx_http_eventsync.h"


/* each kind has threads of its own, so that no kind waits for another */

typedef enum {
    NGX_HTTP_EVENTSYNC_WORK_MANAGE = 0,  /* and all lists */
    NGX_HTTP_EVENTSYNC_WORK_PARSE,       /* and judge events */
    NGX_HTTP_EVENTSYNC_WORK_SIGN,
    NGX_HTTP_EVENTSYNC_WORK_ENCRYPT,
    NGX_HTTP_EVENTSYNC_WORK_METRICS,
    NGX_HTTP_EVENTSYNC_WORK_HEALTH,
    NGX_HTTP_EVENTSYNC_WORKS
} ngx_http_eventsync_work_e;


/* a kind of work of a store in one worker */

typedef struct {
    ngx_uint_t                        running;
    ngx_queue_t                       turns;      /* partners whose tasks
                                                     wait, the next first */
    ngx_rbtree_t                      partners;   /* who have tasks */
    ngx_rbtree_node_t                 sentinel;
} ngx_http_eventsync_work_t;


ngx_int_t ngx_http_eventsync_work_pools(ngx_conf_t *cf);
void ngx_http_eventsync_work_init(ngx_http_eventsync_work_t *works);
ngx_int_t ngx_http_eventsync_work(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_work_e kind, ngx_thread_task_t *task);
void ngx_http_eventsync_work_done(ngx_http_eventsync_ctx_t *ctx);


#endif /* _NGX_HTTP_EVENTSYNC_WORK_H_INCLUDED_ */
