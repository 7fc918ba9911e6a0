/* SPDX-License-Identifier: BSD-2-Clause */

/* Groups: one task does jobs of many requests together, such as a commit. */


#ifndef _NGX_HTTP_EVENTSYNC_GROUP_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_GROUP_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "base/reason.h"


/* the job of a request in a group */

typedef struct {
    ngx_http_eventsync_ctx_t         *ctx;
    void                             *item;       /* for the thread */
    ngx_queue_t                       queue;
} ngx_http_eventsync_job_t;


/* jobs that one task does together, see _group */

typedef struct ngx_http_eventsync_group_s  ngx_http_eventsync_group_t;

struct ngx_http_eventsync_group_s {
    ngx_http_eventsync_worker_t      *worker;
    ngx_thread_task_t                *task;
    char                             *name;
    ngx_int_t                         ident;      /* after 3 pointers, as in
                                                     ngx_connection_t */
    ngx_queue_t                       next;       /* jobs of the next task */
    ngx_queue_t                       running;    /* jobs being done */
    ngx_queue_t                       finished;   /* jobs to be answered */
    ngx_event_t                       turn;       /* ends a turn of the event
                                                     loop */
    ngx_uint_t                        busy;       /* unsigned  busy:1 */

    es_store_t                       *es;
    void                            **items;      /* of the running jobs */
    size_t                            n;
    size_t                            cap;

    /*
     * runs in a thread, which may use the members above from `es` on, `rc` and
     * `took`
     */
    void                            (*run)(ngx_http_eventsync_group_t *group);
    es_rc_t                           rc;
    uint64_t                          took;       /* us */
    es_reason_t                       reason;

    /* afterwards, in the event loop: once, and for each job */
    void                            (*done)(ngx_http_eventsync_group_t *group,
                                            ngx_log_t *log);
    void                            (*answer)(ngx_http_eventsync_job_t *job,
                                              es_rc_t rc);
};


ngx_int_t ngx_http_eventsync_group_init(ngx_http_eventsync_group_t *group,
    ngx_http_eventsync_worker_t *w, ngx_cycle_t *cycle);
void ngx_http_eventsync_group_add(ngx_http_eventsync_group_t *group,
    ngx_http_eventsync_job_t *job);
ngx_int_t ngx_http_eventsync_group_start(ngx_http_eventsync_group_t *group);
void ngx_http_eventsync_group_free(ngx_http_eventsync_group_t *group);


#endif /* _NGX_HTTP_EVENTSYNC_GROUP_H_INCLUDED_ */
