/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Publishes: from a body to a batch (_parse) and into a commit (_commit).
 */


#ifndef _NGX_HTTP_EVENTSYNC_PUBLISH_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_PUBLISH_H_INCLUDED_


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_group.h"
#include "ngx_http_eventsync_problem.h"


typedef enum {
    NGX_HTTP_EVENTSYNC_STRUCTURED = 0,
    NGX_HTTP_EVENTSYNC_ARRAY,
    NGX_HTTP_EVENTSYNC_LINES,
    NGX_HTTP_EVENTSYNC_BINARY
} ngx_http_eventsync_mode_e;


struct ngx_http_eventsync_publish_s {
    ngx_http_eventsync_ctx_t         *ctx;
    ngx_http_eventsync_mode_e         mode;
    es_attr_t                        *attrs;      /* binary mode only */
    size_t                            nattrs;
    const es_attr_t                  *malformed;  /* one of them, or NULL */
    es_batch_t                       *batch;
    es_rc_t                           rc;
    es_problem_t                      problem;
    ngx_http_eventsync_job_t          member;     /* the job in a group */
    ngx_uint_t                        unread;     /* unsigned  :1; the problem
                                                     is the body's */
    ngx_uint_t                        lenient;    /* unsigned  :1; each event
                                                     has its own outcome */
    ngx_uint_t                        schema;     /* unsigned  :1; the feed
                                                     validates events */
    ngx_uint_t                        validated;  /* unsigned  :1 */
    ngx_uint_t                        parsed;     /* unsigned  :1 */
    ngx_uint_t                        committed;  /* unsigned  :1 */
};


ngx_int_t ngx_http_eventsync_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_results(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_results_moved(ngx_http_eventsync_ctx_t *ctx);
ngx_http_eventsync_problem_e ngx_http_eventsync_publish_type(es_rc_t rc);
ngx_uint_t ngx_http_eventsync_prefers(ngx_http_eventsync_ctx_t *ctx,
    const char *name, const char *value);
ngx_int_t ngx_http_eventsync_validate(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_commit_init(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle);
void ngx_http_eventsync_commit(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_commit_recover(ngx_http_eventsync_worker_t *w);
void ngx_http_eventsync_commit_free(ngx_http_eventsync_worker_t *w);


#endif /* _NGX_HTTP_EVENTSYNC_PUBLISH_H_INCLUDED_ */
