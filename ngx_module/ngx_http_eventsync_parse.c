/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Parses the body of a publish into events, and validates them by schema. The
 * event loop parses a small body. A thread parses a body that is large, is in
 * a temporary file, must be verified or decoded, or belongs to a feed that
 * validates events.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_body.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_publish.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_work.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "base/reason.h"
#include "limit/limit.h"
#include "registry/registry.h"


/* up to this size, parsing costs no more than handing the body to a thread */
#define NGX_HTTP_EVENTSYNC_INLINE  16384


typedef struct {
    ngx_http_eventsync_publish_t     *publish;
    ngx_chain_t                      *in;
    size_t                            size;
} ngx_http_eventsync_parse_t;


static ngx_int_t ngx_http_eventsync_parse_post(
    ngx_http_eventsync_ctx_t *ctx, size_t size);
static ngx_int_t ngx_http_eventsync_parse_task(ngx_http_eventsync_ctx_t *ctx,
    ngx_thread_task_t *task);
static void ngx_http_eventsync_parse_thread(void *data, ngx_log_t *log);
static ngx_uint_t ngx_http_eventsync_parse_owes(
    ngx_http_eventsync_publish_t *publish);
static void ngx_http_eventsync_validate_thread(void *data, ngx_log_t *log);
static void ngx_http_eventsync_validate_batch(
    ngx_http_eventsync_publish_t *publish);
static es_rc_t ngx_http_eventsync_gather(ngx_chain_t *in, es_buf_t *body);
static void ngx_http_eventsync_parse_open(
    ngx_http_eventsync_publish_t *publish, es_str_t body);
static void ngx_http_eventsync_parse_body(
    ngx_http_eventsync_publish_t *publish, es_str_t body);
static es_rc_t ngx_http_eventsync_parse_malformed(
    ngx_http_eventsync_publish_t *publish);
static void ngx_http_eventsync_parse_event(ngx_event_t *ev);


/*
 * NGX_OK: parsed, the outcome is in ctx->publish. NGX_AGAIN: a thread parses
 * the body, and the request will be resumed. NGX_DECLINED: ctx->problem may be
 * set.
 */

ngx_int_t
ngx_http_eventsync_parse(ngx_http_eventsync_ctx_t *ctx)
{
    off_t            size;
    es_rc_t          rc;
    es_str_t         body;
    ngx_buf_t       *b;
    ngx_chain_t     *in, *cl;
    ngx_uint_t       file;
    es_feed_rule_t   rule;

    rc = es_registry_rule(ctx->worker->es, ngx_http_eventsync_str(&ctx->feed),
                          &rule);
    if (rc != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, rc);
    }

    ctx->publish->schema = (rule.schema != ES_SCHEMA_OFF);

    in = ctx->request->request_body ? ctx->request->request_body->bufs : NULL;

    size = 0;
    file = 0;

    for (cl = in; cl; cl = cl->next) {
        size += ngx_buf_size(cl->buf);
        file |= !ngx_buf_in_memory(cl->buf);
    }

    if (size > NGX_HTTP_EVENTSYNC_INLINE
        || (ctx->publish->schema && size)
        || (ctx->body && size)
        || (in && (in->next || (file && size))))
    {
        return ngx_http_eventsync_parse_post(ctx, size);
    }

    body = es_lit("");

    if (in && size) {
        b = in->buf;
        body.data = (char *) b->pos;
        body.len = b->last - b->pos;
    }

    if (ctx->body) {
        ngx_http_eventsync_parse_open(ctx->publish, body);

    } else {
        ngx_http_eventsync_parse_body(ctx->publish, body);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_parse_post(ngx_http_eventsync_ctx_t *ctx, size_t size)
{
    ngx_thread_task_t           *task;
    ngx_http_request_t          *r;
    ngx_http_eventsync_parse_t  *parse;

    r = ctx->request;

    task = ngx_thread_task_alloc(r->pool, sizeof(ngx_http_eventsync_parse_t));
    if (task == NULL) {
        return NGX_DECLINED;
    }

    parse = task->ctx;
    parse->publish = ctx->publish;
    parse->in = r->request_body->bufs;
    parse->size = size;

    task->handler = ngx_http_eventsync_parse_thread;

    return (ngx_http_eventsync_parse_task(ctx, task) == NGX_OK) ? NGX_AGAIN
                                                               : NGX_DECLINED;
}


/*
 * Validates a parsed batch in a thread: a batch of many events, once all of
 * them are charged. NGX_OK: the request will be resumed.
 */

ngx_int_t
ngx_http_eventsync_validate(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_thread_task_t  *task;

    task = ngx_thread_task_alloc(ctx->request->pool, 0);
    if (task == NULL) {
        return NGX_DECLINED;
    }

    task->ctx = ctx->publish;
    task->handler = ngx_http_eventsync_validate_thread;

    return ngx_http_eventsync_parse_task(ctx, task);
}


static ngx_int_t
ngx_http_eventsync_parse_task(ngx_http_eventsync_ctx_t *ctx,
    ngx_thread_task_t *task)
{
    ctx->waited = 1;

    task->event.handler = ngx_http_eventsync_parse_event;
    task->event.data = ctx;
    task->event.log = ctx->request->connection->log;

    return ngx_http_eventsync_work(ctx, NGX_HTTP_EVENTSYNC_WORK_PARSE, task);
}


static void
ngx_http_eventsync_parse_thread(void *data, ngx_log_t *log)
{
    ngx_http_eventsync_parse_t  *parse = data;

    es_buf_t                       body;
    ngx_http_eventsync_publish_t  *publish;

    publish = parse->publish;

    ngx_memzero(&body, sizeof(es_buf_t));

    publish->rc = es_buf_reserve(&body, parse->size);

    if (publish->rc == ES_OK) {
        publish->rc = ngx_http_eventsync_gather(parse->in, &body);
    }

    if (publish->rc != ES_OK) {
        (void) es_problem_set(&publish->problem, publish->rc, -1, NULL, "%s",
                              es_reason(publish->rc));
    }

    if (publish->rc == ES_OK && publish->ctx->body) {
        ngx_http_eventsync_parse_open(publish,
                                      (es_str_t) { body.data, body.len });

    } else if (publish->rc == ES_OK) {
        ngx_http_eventsync_parse_body(publish,
                                      (es_str_t) { body.data, body.len });
    }

    if (publish->rc == ES_OK && !ngx_http_eventsync_parse_owes(publish)) {
        ngx_http_eventsync_validate_batch(publish);
    }

    es_buf_free(&body);
}


/* whether events must be charged before a thread may validate them */

static ngx_uint_t
ngx_http_eventsync_parse_owes(ngx_http_eventsync_publish_t *publish)
{
    ngx_http_eventsync_limited_t  *limit;

    limit = &publish->ctx->limit;

    return publish->schema
           && limit->rates[ES_POLICY_PUBLISH].burst
           && es_batch_count(publish->batch)
              > limit->charged[ES_POLICY_PUBLISH];
}


static void
ngx_http_eventsync_validate_thread(void *data, ngx_log_t *log)
{
    ngx_http_eventsync_validate_batch(data);
}


/* before the commit, because commits are made one at a time */

static void
ngx_http_eventsync_validate_batch(ngx_http_eventsync_publish_t *publish)
{
    publish->validated = 1;
    publish->rc = es_batch_validate(publish->ctx->worker->es, publish->batch,
                                    &publish->problem);
}


static es_rc_t
ngx_http_eventsync_gather(ngx_chain_t *in, es_buf_t *body)
{
    off_t       offset;
    es_rc_t     rc;
    ssize_t     n;
    ngx_buf_t  *b;

    for ( /* void */ ; in; in = in->next) {
        b = in->buf;

        if (ngx_buf_in_memory(b)) {
            rc = es_buf_append(body, b->pos, b->last - b->pos);
            if (rc != ES_OK) {
                return rc;
            }

            continue;
        }

        if (!b->in_file) {
            continue;
        }

        rc = es_buf_reserve(body, b->file_last - b->file_pos);
        if (rc != ES_OK) {
            return rc;
        }

        for (offset = b->file_pos; offset < b->file_last; offset += n) {

            n = pread(b->file->fd, body->data + body->len,
                      b->file_last - offset, offset);

            if (n == -1 && ngx_errno == NGX_EINTR) {
                n = 0;
                continue;
            }

            if (n <= 0) {
                return es_refused(n ? ngx_errno : EIO, "read",
                                (char *) b->file->name.data);
            }

            body->len += n;
        }
    }

    return ES_OK;
}


/* parses a body that must be verified or decoded first */

static void
ngx_http_eventsync_parse_open(ngx_http_eventsync_publish_t *publish,
    es_str_t body)
{
    es_buf_t                    decoded;
    ngx_http_eventsync_body_t  *say;

    say = publish->ctx->body;

    ngx_memzero(&decoded, sizeof(es_buf_t));

    publish->rc = ngx_http_eventsync_body_open(say, say->max, &body, &decoded,
                                               &publish->problem);
    if (publish->rc == ES_OK) {
        ngx_http_eventsync_parse_body(publish, body);

    } else {
        publish->unread = 1;
    }

    es_buf_free(&decoded);
}


static void
ngx_http_eventsync_parse_body(ngx_http_eventsync_publish_t *publish,
    es_str_t body)
{
    ngx_str_t         type;
    es_problem_t     *problem;
    ngx_table_elt_t  *h;

    problem = &publish->problem;

    switch (publish->mode) {

    case NGX_HTTP_EVENTSYNC_STRUCTURED:
        publish->rc = es_batch_add(publish->batch, body.data, body.len,
                                   problem);
        break;

    case NGX_HTTP_EVENTSYNC_ARRAY:
        publish->rc = es_batch_add_array(publish->batch, body.data, body.len,
                                         problem);
        break;

    case NGX_HTTP_EVENTSYNC_LINES:
        publish->rc = es_batch_add_ndjson(publish->batch, body.data, body.len,
                                          problem);
        break;

    case NGX_HTTP_EVENTSYNC_BINARY:
        if (publish->malformed) {
            publish->rc = ngx_http_eventsync_parse_malformed(publish);
            break;
        }

        h = publish->ctx->request->headers_in.content_type;

        ngx_str_null(&type);

        if (h) {
            type = h->value;
        }

        publish->rc = es_batch_add_binary(publish->batch, publish->attrs,
                                          publish->nattrs,
                                          ngx_http_eventsync_str(&type),
                                          body.data, body.len, problem);
        break;
    }
}


static es_rc_t
ngx_http_eventsync_parse_malformed(ngx_http_eventsync_publish_t *publish)
{
    char  pointer[64];

    pointer[0] = '\0';
    es_pointer_add(pointer, sizeof(pointer), publish->malformed->name);

    return es_problem_set(&publish->problem, ES_INVALID, 0, pointer,
                          "%s has malformed quoting or percent-encoding",
                          pointer + 1);
}


static void
ngx_http_eventsync_parse_event(ngx_event_t *ev)
{
    ngx_http_eventsync_ctx_t  *ctx = ev->data;

    if (ngx_http_eventsync_task_late(ev)) {
        return;
    }

    ctx->publish->parsed = 1;

    ngx_http_eventsync_task_unblock(ctx);
}
