/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Encryption of fields: a read in the event loop only finds ciphertexts that
 * are kept. If some are missing, the read fails, a thread makes them, and then
 * the same is read again.
 *
 * So every read ends in one of three ways:
 *
 *   - its outcome is ES_PENDING, and ngx_http_eventsync_fail_store() leaves the
 *     request "pending", with the values and without a problem;
 *   - whoever would send the problem, or cut the answer, asks
 *     ngx_http_eventsync_encrypting() first, and posts the task if it is true;
 *   - a failure of the task becomes the problem of the next such read.
 */


#ifndef _NGX_HTTP_EVENTSYNC_ENCRYPT_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_ENCRYPT_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "read/encrypter.h"


struct ngx_http_eventsync_encrypt_s {
    es_encrypter_t                    values;
    es_rc_t                           rc;         /* of the last task */
    ngx_uint_t                        passes;     /* tasks of the request */
    ngx_uint_t                        pending;    /* unsigned  pending:1 */

    /* reads again; returns the code that finalizes the request */
    ngx_int_t                       (*again)(ngx_http_eventsync_ctx_t *ctx);
};


#define ngx_http_eventsync_encrypting(ctx)                                    \
    ((ctx)->encrypt && (ctx)->encrypt->pending)


ngx_int_t ngx_http_eventsync_encrypt_open(ngx_http_eventsync_worker_t *w);
void ngx_http_eventsync_encrypt_close(ngx_http_eventsync_worker_t *w);

/* takes the values that the last read of the worker's page has collected */
ngx_int_t ngx_http_eventsync_encrypt_take(ngx_http_eventsync_ctx_t *ctx);

/* NGX_DONE: the task was posted; NGX_DECLINED: ctx->problem is set */
ngx_int_t ngx_http_eventsync_encrypt(ngx_http_eventsync_ctx_t *ctx,
    ngx_int_t (*again)(ngx_http_eventsync_ctx_t *ctx));


/* in a thread: ES_OK, or ES_DENIED after a failure that was logged */
es_rc_t ngx_http_eventsync_encrypt_now(es_encrypter_t *values, ngx_log_t *log);


#endif /* _NGX_HTTP_EVENTSYNC_ENCRYPT_H_INCLUDED_ */
