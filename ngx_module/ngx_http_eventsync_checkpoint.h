/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checkpoints: what a request has, and the group that writes them.
 */


#ifndef _NGX_HTTP_EVENTSYNC_CHECKPOINT_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_CHECKPOINT_H_INCLUDED_


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_group.h"

#include "checkpoint/checkpoint.h"


struct ngx_http_eventsync_checkpoint_s {
    ngx_http_eventsync_ctx_t         *ctx;
    es_checkpoint_job_t               job;
    ngx_http_eventsync_job_t          member;     /* the job in a group */
    ngx_uint_t                        done;       /* unsigned  done:1 */
};


ngx_int_t ngx_http_eventsync_checkpoint_commit_init(
    ngx_http_eventsync_worker_t *w, ngx_cycle_t *cycle);
void ngx_http_eventsync_checkpoint_commit(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_checkpoint_commit_free(
    ngx_http_eventsync_worker_t *w);


#endif /* _NGX_HTTP_EVENTSYNC_CHECKPOINT_H_INCLUDED_ */
