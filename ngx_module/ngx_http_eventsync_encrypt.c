/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Encrypts the fields of a request's events in a thread.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_encrypt.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_worker.h"

#include "read/ciphertexts.h"
#include "read/encrypter.h"


/* tasks of one read: more means that ciphertexts do not stay */
#define NGX_HTTP_EVENTSYNC_ENCRYPT_PASSES  1000


static void ngx_http_eventsync_encrypt_run(ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_encrypt_done(
    ngx_http_eventsync_task_t *task);
static const char *ngx_http_eventsync_encrypt_reason(es_rc_t rc);
static void ngx_http_eventsync_encrypt_cleanup(void *data);


/* opens no environment before it is needed */

ngx_int_t
ngx_http_eventsync_encrypt_open(ngx_http_eventsync_worker_t *w)
{
    w->ciphertexts = es_ciphertexts_create(w->es, ES_CIPHERTEXTS_HALF);

    if (w->ciphertexts == NULL) {
        return NGX_ERROR;
    }

    es_encrypter_init(&w->encrypter, w->ciphertexts);
    w->page.seal = &w->encrypter.seal;

    return NGX_OK;
}


void
ngx_http_eventsync_encrypt_close(ngx_http_eventsync_worker_t *w)
{
    w->page.seal = NULL;

    es_encrypter_free(&w->encrypter);
    es_ciphertexts_free(w->ciphertexts);
    w->ciphertexts = NULL;
}


ngx_int_t
ngx_http_eventsync_encrypt_take(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t                        rc;
    ngx_pool_cleanup_t            *cln;
    ngx_http_eventsync_encrypt_t  *en;

    en = ctx->encrypt;

    if (en == NULL) {
        en = ngx_pcalloc(ctx->request->pool,
                         sizeof(ngx_http_eventsync_encrypt_t));
        cln = ngx_pool_cleanup_add(ctx->request->pool, 0);

        if (en == NULL || cln == NULL) {
            return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
        }

        cln->handler = ngx_http_eventsync_encrypt_cleanup;
        cln->data = en;

        ctx->encrypt = en;
    }

    rc = en->rc;

    if (rc == ES_OK && ++en->passes > NGX_HTTP_EVENTSYNC_ENCRYPT_PASSES) {
        rc = ES_BUSY;
    }

    if (rc != ES_OK) {
        en->rc = ES_OK;
        en->passes = 0;
        return ngx_http_eventsync_fail_encrypt(ctx, rc);
    }

    es_encrypter_free(&en->values);
    es_encrypter_move(&ctx->worker->encrypter, &en->values);
    en->pending = 1;
    ctx->problem = NULL;

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_eventsync_encrypt(ngx_http_eventsync_ctx_t *ctx,
    ngx_int_t (*again)(ngx_http_eventsync_ctx_t *ctx))
{
    ngx_http_eventsync_task_t  *task;

    ctx->encrypt->pending = 0;
    ctx->encrypt->again = again;

    task = ngx_http_eventsync_task_create(ctx,
                                          NGX_HTTP_EVENTSYNC_WORK_ENCRYPT);
    if (task == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    task->run = ngx_http_eventsync_encrypt_run;
    task->answer = ngx_http_eventsync_encrypt_done;
    task->data = ctx->encrypt;

    return ngx_http_eventsync_task_post(task);
}


static void
ngx_http_eventsync_encrypt_run(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_encrypt_t  *en = task->data;

    en->rc = es_encrypter_make(&en->values);
}


static ngx_int_t
ngx_http_eventsync_encrypt_done(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_ctx_t      *ctx;
    ngx_http_eventsync_encrypt_t  *en;

    ctx = task->ctx;
    en = ctx->encrypt;

    if (en->rc != ES_OK) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "eventsync cannot encrypt fields of feed \"%V\" for "
                      "partner \"%V\": %s", &ctx->feed, &ctx->partner_name,
                      ngx_http_eventsync_encrypt_reason(en->rc));
    }

    return en->again(ctx);
}


es_rc_t
ngx_http_eventsync_encrypt_now(es_encrypter_t *values, ngx_log_t *log)
{
    es_rc_t  rc;

    rc = es_encrypter_make(values);

    if (rc == ES_OK) {
        return ES_OK;
    }

    ngx_log_error(NGX_LOG_ERR, log, 0, "eventsync cannot encrypt fields: %s",
                  ngx_http_eventsync_encrypt_reason(rc));

    return ES_DENIED;
}


static const char *
ngx_http_eventsync_encrypt_reason(es_rc_t rc)
{
    return (rc == ES_INVALID) ? "the partner's key cannot be used"
                              : es_reason(rc);
}


static void
ngx_http_eventsync_encrypt_cleanup(void *data)
{
    ngx_http_eventsync_encrypt_t  *en = data;

    es_encrypter_free(&en->values);
}
