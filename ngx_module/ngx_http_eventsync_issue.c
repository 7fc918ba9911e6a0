/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Issues access tokens. A thread signs them, because a signature by RSA takes
 * milliseconds. A worker remembers the tokens that it gave, and gives one again
 * in the first half of its life, if it would have to sign the same claims.
 *
 * The claims are those of the key and partner as they are now: a change of
 * either has another revision, and so another digest.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_token.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "store/txn.h"
#include "token/scope.h"


static void ngx_http_eventsync_issue_cleanup(void *data);
static es_rc_t ngx_http_eventsync_issue_digest(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_issue_t *issue);
static ngx_http_eventsync_issued_t *ngx_http_eventsync_issued(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_issue_t *issue);
static void ngx_http_eventsync_issue_run(ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_issue_answer(
    ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_issue_fail(ngx_http_eventsync_ctx_t *ctx,
    es_rc_t rc);
static void ngx_http_eventsync_issue_remember(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_issue_t *issue, es_buf_t *text);
static void ngx_http_eventsync_issued_forget(
    ngx_http_eventsync_issued_t *issued);
static ngx_int_t ngx_http_eventsync_issue_send(ngx_http_eventsync_ctx_t *ctx,
    es_jwt_t *jwt, es_str_t token, int64_t left_s);


static ngx_str_t  ngx_http_eventsync_issue_pragma = ngx_string("Pragma");
static ngx_str_t  ngx_http_eventsync_issue_no_cache = ngx_string("no-cache");


ngx_http_eventsync_issue_t *
ngx_http_eventsync_issue_create(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_pool_cleanup_t          *cln;
    ngx_http_eventsync_issue_t  *issue;

    issue = ngx_pcalloc(ctx->request->pool,
                        sizeof(ngx_http_eventsync_issue_t));
    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);

    if (issue == NULL || cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_eventsync_issue_cleanup;
    cln->data = issue;

    return issue;
}


static void
ngx_http_eventsync_issue_cleanup(void *data)
{
    ngx_http_eventsync_issue_t  *issue = data;

    es_jwt_free(&issue->jwt);
}


/* NGX_DONE: a thread signs the token; NGX_DECLINED: see ctx->problem */

ngx_int_t
ngx_http_eventsync_issue(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_issue_t *issue)
{
    es_rc_t                       rc;
    ngx_http_eventsync_task_t    *task;
    ngx_http_eventsync_issued_t  *issued;

    rc = ngx_http_eventsync_issue_digest(ctx, issue);
    if (rc != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, rc);
    }

    issued = ngx_http_eventsync_issued(ctx, issue);

    if (issued) {
        return ngx_http_eventsync_issue_send(ctx, &issue->jwt,
                                   ngx_http_eventsync_str(&issued->text),
                                   issued->expires_s - issue->jwt.issued_s);
    }

    task = ngx_http_eventsync_task_create(ctx, NGX_HTTP_EVENTSYNC_WORK_SIGN);
    if (task == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    task->run = ngx_http_eventsync_issue_run;
    task->answer = ngx_http_eventsync_issue_answer;
    task->data = issue;

    return ngx_http_eventsync_task_post(task);
}


static es_rc_t
ngx_http_eventsync_issue_digest(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_issue_t *issue)
{
    es_rc_t          rc;
    es_buf_t         text;
    const es_key_t  *key;

    ngx_memzero(&text, sizeof(es_buf_t));

    key = ctx->grant;

    rc = es_buf_printf(&text, "%p %lld %s %llu %u %llu ",
                       (void *) ctx->conf->token_keys,
                       (long long) ctx->conf->token_lifetime, key->id,
                       (unsigned long long) key->revision,
                       key->partner->number,
                       (unsigned long long) key->partner->revision);

    if (rc == ES_OK) {
        rc = es_scope_print(&issue->jwt.scope, &text);
    }

    if (rc == ES_OK && issue->jwt.bound) {
        rc = es_buf_append(&text, (char *) issue->jwt.certificate,
                           ES_DIGEST_LEN);
    }

    if (rc == ES_OK) {
        es_credential_digest((es_str_t) { text.data, text.len },
                             issue->digest);
    }

    es_buf_free(&text);

    return rc;
}


/* the token that was given for the same claims, in its first half of life */

static ngx_http_eventsync_issued_t *
ngx_http_eventsync_issued(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_issue_t *issue)
{
    int64_t                       now_s;
    ngx_http_eventsync_issued_t  *issued;

    issued = &ctx->worker->issued[issue->digest[0]
                                  % NGX_HTTP_EVENTSYNC_ISSUED];
    now_s = issue->jwt.issued_s;

    return (issued->text.data
            && ngx_memcmp(issued->digest, issue->digest, ES_DIGEST_LEN) == 0
            && now_s >= issued->issued_s
            && now_s - issued->issued_s < issued->expires_s - now_s)
           ? issued : NULL;
}


static void
ngx_http_eventsync_issue_run(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_issue_t  *issue = task->data;

    task->rc = es_jwt_sign(task->ctx->conf->token_keys,
                           es_store_identity(task->es), &issue->jwt,
                           &task->out);
}


/* returns the code that finalizes the request */

static ngx_int_t
ngx_http_eventsync_issue_answer(ngx_http_eventsync_task_t *task)
{
    ngx_int_t                    rc;
    ngx_http_eventsync_ctx_t    *ctx;
    ngx_http_eventsync_issue_t  *issue;

    ctx = task->ctx;
    issue = task->data;

    /* the key may have been revoked meanwhile */

    if (ngx_http_eventsync_admit_again(ctx) != NGX_OK) {
        (void) ngx_http_eventsync_token_unknown(ctx);
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (task->rc != ES_OK) {
        (void) ngx_http_eventsync_issue_fail(ctx, task->rc);
        return ngx_http_eventsync_send_problem(ctx);
    }

    ngx_http_eventsync_issue_remember(ctx, issue, &task->out);

    rc = ngx_http_eventsync_issue_send(ctx, &issue->jwt,
                            (es_str_t) { task->out.data, task->out.len },
                            issue->jwt.expires_s - issue->jwt.issued_s);

    return (rc == NGX_DECLINED) ? ngx_http_eventsync_send_problem(ctx) : rc;
}


static ngx_int_t
ngx_http_eventsync_issue_fail(ngx_http_eventsync_ctx_t *ctx, es_rc_t rc)
{
    if (rc == ES_TOO_LARGE) {
        return ngx_http_eventsync_token_fail(ctx, "invalid_scope",
                                             "Scope: the token would exceed "
                                             "the maximum length.");
    }

    return ngx_http_eventsync_fail_store(ctx, rc);
}


/* without memory, the next request has another token signed */

static void
ngx_http_eventsync_issue_remember(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_issue_t *issue, es_buf_t *text)
{
    ngx_http_eventsync_issued_t  *issued;

    issued = &ctx->worker->issued[issue->digest[0]
                                  % NGX_HTTP_EVENTSYNC_ISSUED];

    ngx_http_eventsync_issued_forget(issued);

    issued->text.data = ngx_alloc(text->len, ctx->request->connection->log);
    if (issued->text.data == NULL) {
        return;
    }

    ngx_memcpy(issued->text.data, text->data, text->len);
    issued->text.len = text->len;

    ngx_memcpy(issued->digest, issue->digest, ES_DIGEST_LEN);
    issued->issued_s = issue->jwt.issued_s;
    issued->expires_s = issue->jwt.expires_s;
}


static void
ngx_http_eventsync_issued_forget(ngx_http_eventsync_issued_t *issued)
{
    if (issued->text.data) {
        ngx_explicit_memzero(issued->text.data, issued->text.len);
        ngx_free(issued->text.data);
        issued->text.data = NULL;
    }
}


void
ngx_http_eventsync_issued_free(ngx_http_eventsync_worker_t *w)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_EVENTSYNC_ISSUED; i++) {
        ngx_http_eventsync_issued_forget(&w->issued[i]);
    }
}


/* writes the answer as JSON; no value in it needs escaping */

static ngx_int_t
ngx_http_eventsync_issue_send(ngx_http_eventsync_ctx_t *ctx, es_jwt_t *jwt,
    es_str_t token, int64_t left_s)
{
    es_rc_t              rc;
    es_buf_t             scope;
    ngx_buf_t           *b;
    ngx_http_request_t  *r;

    r = ctx->request;
    b = NULL;

    ngx_memzero(&scope, sizeof(es_buf_t));

    rc = es_scope_print(&jwt->scope, &scope);

    if (rc == ES_OK) {
        b = ngx_create_temp_buf(r->pool, token.len + scope.len + 128);
    }

    if (b == NULL) {
        es_buf_free(&scope);
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    b->last = ngx_sprintf(b->last, "{\"access_token\":\"%*s\","
                          "\"token_type\":\"Bearer\",\"expires_in\":%L,"
                          "\"scope\":\"%*s\"}", token.len, token.data,
                          left_s, scope.len, scope.data);
    es_buf_free(&scope);

    if (ngx_http_eventsync_header(r, &ngx_http_eventsync_issue_pragma,
                                  &ngx_http_eventsync_issue_no_cache)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send_json(ctx, NGX_HTTP_OK, b);
}
