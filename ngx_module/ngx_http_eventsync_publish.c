/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Publish: puts the events of a request into a batch, which joins the next
 * commit, and answers with the outcome. While a thread works for the request,
 * it is blocked: nginx can terminate but not free it.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_body.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_publish.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_trace.h"
#include "ngx_http_eventsync_worker.h"

#include "base/query.h"
#include "base/reason.h"
#include "event/batch.h"


/* memory of batches that a worker keeps: of one, and of all */
#define NGX_HTTP_EVENTSYNC_BATCH_KEPT    (1024 * 1024)
#define NGX_HTTP_EVENTSYNC_BATCHES_KEPT  (8 * 1024 * 1024)

/* about the bytes of an event in the answer */
#define NGX_HTTP_EVENTSYNC_RESULT      128


static ngx_int_t ngx_http_eventsync_publish_mode(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_uint_t ngx_http_eventsync_publish_lines(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_publish_no_mode(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_publish_attrs(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_publish_unquote(es_str_t *value,
    char *out);
static ngx_table_elt_t *ngx_http_eventsync_next_attr(ngx_list_part_t **part,
    ngx_uint_t *i);
static ngx_int_t ngx_http_eventsync_publish_batch(
    ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_publish_resume(ngx_http_request_t *r);
static ngx_int_t ngx_http_eventsync_publish_parsed(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_publish_problem(
    ngx_http_eventsync_ctx_t *ctx, es_rc_t rc, const es_problem_t *problem);
static ngx_int_t ngx_http_eventsync_publish_done(
    ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_publish_cleanup(void *data);


/* finds the format of the body, and whether it is supported */

ngx_int_t
ngx_http_eventsync_publish_fields(ngx_http_eventsync_ctx_t *ctx)
{
    if (ngx_http_eventsync_publish_batch(ctx) != NGX_OK
        || ngx_http_eventsync_publish_mode(ctx) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_eventsync_body_headers(ctx);
}


/* NGX_DONE: a thread parses the body, or it is in a queue */

ngx_int_t
ngx_http_eventsync_publish(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    r->write_event_handler = ngx_http_eventsync_publish_resume;

    rc = ngx_http_eventsync_parse(ctx);

    if (rc == NGX_AGAIN) {
        rc = NGX_DONE;

    } else if (rc == NGX_OK) {
        rc = ngx_http_eventsync_publish_parsed(ctx);
    }

    if (rc == NGX_DONE) {
        r->main->count++;
    }

    return rc;
}


static ngx_int_t
ngx_http_eventsync_publish_batch(ngx_http_eventsync_ctx_t *ctx)
{
    es_limits_t                    limits;
    ngx_pool_cleanup_t            *cln;
    ngx_http_eventsync_worker_t   *w;
    ngx_http_eventsync_publish_t  *publish;

    publish = ngx_pcalloc(ctx->request->pool,
                          sizeof(ngx_http_eventsync_publish_t));
    if (publish == NULL) {
        return NGX_DECLINED;
    }

    /* freed with the pool: a thread may outlive the finalized request */

    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
    if (cln == NULL) {
        return NGX_DECLINED;
    }

    publish->lenient = ngx_http_eventsync_prefers(ctx, "handling", "lenient");

    limits.event_max = ctx->conf->max_event;
    limits.count_max = 0;
    limits.handling = publish->lenient ? ES_HANDLE_REPLACE|ES_HANDLE_EACH : 0;

    w = ctx->worker;

    if (w->nbatches) {
        publish->batch = w->batches[--w->nbatches];
        w->batches_size -= es_batch_kept(publish->batch);

        es_batch_reset(publish->batch, ngx_http_eventsync_str(&ctx->feed),
                       &limits);

    } else {
        publish->batch = es_batch_create(ngx_http_eventsync_str(&ctx->feed),
                                         &limits);
        if (publish->batch == NULL) {
            return NGX_DECLINED;
        }
    }

    if (ctx->grant) {
        publish->batch->publisher.partner = ctx->grant->partner->number;
        publish->batch->publisher.key = ctx->grant->number;
    }

    cln->handler = ngx_http_eventsync_publish_cleanup;
    cln->data = publish;

    publish->ctx = ctx;
    ctx->publish = publish;

    return ngx_http_eventsync_trace_batch(ctx, publish->batch)
           == NGX_OK ? NGX_OK : NGX_DECLINED;
}


/* CloudEvents HTTP binding 1.0.2, section 3: finds the mode */

static ngx_int_t
ngx_http_eventsync_publish_mode(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_table_elt_t               *h;
    ngx_http_eventsync_publish_t  *publish;

    static ngx_str_t  any = ngx_string("application/cloudevents");
    static ngx_str_t  structured = ngx_string("application/cloudevents+json");
    static ngx_str_t  array =
        ngx_string("application/cloudevents-batch+json");
    publish = ctx->publish;

    if (ngx_http_eventsync_body_type(ctx, &structured) == NGX_OK) {
        publish->mode = NGX_HTTP_EVENTSYNC_STRUCTURED;
        return ngx_http_eventsync_body_utf8(ctx);
    }

    if (ngx_http_eventsync_body_type(ctx, &array) == NGX_OK) {
        publish->mode = NGX_HTTP_EVENTSYNC_ARRAY;
        return ngx_http_eventsync_body_utf8(ctx);
    }

    /* an event in an unsupported format must not be taken as data */

    h = ctx->request->headers_in.content_type;

    if (h && h->value.len >= any.len
        && ngx_strncasecmp(h->value.data, any.data, any.len) == 0)
    {
        return ngx_http_eventsync_publish_no_mode(ctx);
    }

    if (ngx_http_eventsync_publish_attrs(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (publish->nattrs) {
        publish->mode = NGX_HTTP_EVENTSYNC_BINARY;
        return NGX_OK;
    }

    if (ngx_http_eventsync_publish_lines(ctx)) {
        publish->mode = NGX_HTTP_EVENTSYNC_LINES;
        return ngx_http_eventsync_body_utf8(ctx);
    }

    if (ngx_http_eventsync_body_type(ctx, &ngx_http_eventsync_json_type)
        == NGX_OK)
    {
        publish->mode = NGX_HTTP_EVENTSYNC_STRUCTURED;
        return ngx_http_eventsync_body_utf8(ctx);
    }

    return ngx_http_eventsync_publish_no_mode(ctx);
}


static ngx_uint_t
ngx_http_eventsync_publish_lines(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t  *type;

    for (type = ngx_http_eventsync_lines_types; type->len; type++) {
        if (ngx_http_eventsync_body_type(ctx, type) == NGX_OK) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_eventsync_publish_no_mode(ngx_http_eventsync_ctx_t *ctx)
{
    return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_UNSUPPORTED_TYPE,
                                   "Content-Type must be "
                                   "application/cloudevents+json, "
                                   "application/cloudevents-batch+json, "
                                   "application/x-ndjson or application/json, "
                                   "unless ce- headers carry the attributes "
                                   "of the event.");
}


/*
 * In binary mode each "ce-" header is an attribute. Its value is unquoted and
 * then percent-decoded, as section 3.1.3.2 requires.
 */

static ngx_int_t
ngx_http_eventsync_publish_attrs(ngx_http_eventsync_ctx_t *ctx)
{
    char                          *dst, *end;
    es_str_t                       value;
    es_attr_t                     *attr;
    ngx_uint_t                     i, n;
    ngx_list_part_t               *part;
    ngx_table_elt_t               *h;
    ngx_http_request_t            *r;
    ngx_http_eventsync_publish_t  *publish;

    r = ctx->request;
    publish = ctx->publish;

    n = 0;
    i = 0;
    part = &r->headers_in.headers.part;

    while (ngx_http_eventsync_next_attr(&part, &i)) {
        n++;
    }

    if (n == 0) {
        return NGX_OK;
    }

    publish->attrs = ngx_palloc(r->pool, n * sizeof(es_attr_t));
    if (publish->attrs == NULL) {
        return NGX_DECLINED;
    }

    i = 0;
    part = &r->headers_in.headers.part;

    while ((h = ngx_http_eventsync_next_attr(&part, &i)) != NULL) {

        dst = ngx_pnalloc(r->pool, 2 * h->value.len);
        if (dst == NULL) {
            return NGX_DECLINED;
        }

        attr = &publish->attrs[publish->nattrs++];

        attr->name.data = (char *) h->lowcase_key + 3;
        attr->name.len = h->key.len - 3;
        attr->value.data = dst;

        value = ngx_http_eventsync_str(&h->value);

        end = ngx_http_eventsync_publish_unquote(&value, dst + value.len)
              == NGX_OK
              ? es_query_decode(value, 1, dst) : NULL;

        if (end == NULL) {
            publish->malformed = attr;
            end = dst;
        }

        attr->value.len = end - dst;
    }

    return NGX_OK;
}


/* the quoted-string must be the whole value; `out` is large enough */

static ngx_int_t
ngx_http_eventsync_publish_unquote(es_str_t *value, char *out)
{
    char        *p;
    const char  *src, *last;

    if (value->len == 0 || value->data[0] != '"') {
        return NGX_OK;
    }

    src = value->data + 1;
    last = value->data + value->len;

    for (p = out; src < last && *src != '"'; src++) {

        if (*src == '\\' && ++src == last) {
            return NGX_DECLINED;
        }

        *p++ = *src;
    }

    if (src != last - 1) {
        return NGX_DECLINED;
    }

    value->data = out;
    value->len = p - out;

    return NGX_OK;
}


static ngx_table_elt_t *
ngx_http_eventsync_next_attr(ngx_list_part_t **part, ngx_uint_t *i)
{
    ngx_table_elt_t  *h;

    for ( ;; ) {

        if (*i >= (*part)->nelts) {

            if ((*part)->next == NULL) {
                return NULL;
            }

            *part = (*part)->next;
            *i = 0;
            continue;
        }

        h = (ngx_table_elt_t *) (*part)->elts + (*i)++;

        if (h->key.len > 3 && ngx_strncmp(h->lowcase_key, "ce-", 3) == 0) {
            return h;
        }
    }
}


static void
ngx_http_eventsync_publish_resume(ngx_http_request_t *r)
{
    ngx_int_t                      rc;
    ngx_http_eventsync_ctx_t      *ctx;
    ngx_http_eventsync_publish_t  *publish;

    if (r->aio) {

        /* ignore a writable socket for now */

        return;
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);
    publish = ctx->publish;

    if (publish->committed) {
        r->write_event_handler = ngx_http_request_empty_handler;
        rc = ngx_http_eventsync_publish_done(ctx);

    } else if (publish->parsed) {
        publish->parsed = 0;
        rc = ngx_http_eventsync_publish_parsed(ctx);

    } else {
        return;
    }

    if (rc != NGX_DONE) {
        ngx_http_finalize_request(r, rc);
    }
}


/*
 * Charges the events, has them validated, and adds them to a commit; called
 * again after the validation. NGX_DONE: the batch is in a queue; NGX_AGAIN: an
 * answer is being sent.
 */

static ngx_int_t
ngx_http_eventsync_publish_parsed(ngx_http_eventsync_ctx_t *ctx)
{
    size_t                         n;
    ngx_http_eventsync_publish_t  *publish;

    publish = ctx->publish;

    if (publish->unread) {
        (void) ngx_http_eventsync_body_fail(ctx, publish->rc,
                                            &publish->problem);
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (publish->rc != ES_OK) {
        (void) ngx_http_eventsync_publish_problem(ctx, publish->rc,
                                                  &publish->problem);
        return ngx_http_eventsync_send_problem(ctx);
    }

    n = es_batch_count(publish->batch);

    if (n == 0) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_EVENT,
                                       "The request contains no event.");
        return ngx_http_eventsync_send_problem(ctx);
    }

    /*
     * reading the body, or validating its events, may have taken long: check
     * the permission again
     */

    if ((ctx->waited && ngx_http_eventsync_permit(ctx) != NGX_OK)
        || ngx_http_eventsync_limit_publish(ctx, n) != NGX_OK
        || ngx_http_eventsync_room(ctx, n * NGX_HTTP_EVENTSYNC_RESULT)
           != NGX_OK)
    {
        return ngx_http_eventsync_send_problem(ctx);
    }

    if (!publish->schema || publish->validated) {
        ngx_http_eventsync_commit(ctx);
        return NGX_DONE;
    }

    return (ngx_http_eventsync_validate(ctx) == NGX_OK)
           ? NGX_DONE : ngx_http_eventsync_send_problem(ctx);
}


/* what is wrong with an event; NGX_HTTP_EVENTSYNC_PROBLEMS: nothing */

ngx_http_eventsync_problem_e
ngx_http_eventsync_publish_type(es_rc_t rc)
{
    switch (rc) {

    case ES_INVALID:
        return NGX_HTTP_EVENTSYNC_INVALID_EVENT;

    case ES_TOO_LARGE:
        return NGX_HTTP_EVENTSYNC_TOO_LARGE;

    case ES_CONFLICT:
        return NGX_HTTP_EVENTSYNC_CONFLICT;

    case ES_ERASED:
        return NGX_HTTP_EVENTSYNC_ERASED;

    case ES_MISMATCH:
        return NGX_HTTP_EVENTSYNC_MISMATCH;

    default:
        return NGX_HTTP_EVENTSYNC_PROBLEMS;
    }
}


static ngx_int_t
ngx_http_eventsync_publish_problem(ngx_http_eventsync_ctx_t *ctx, es_rc_t rc,
    const es_problem_t *problem)
{
    u_char                        *p;
    size_t                         len;
    ngx_http_eventsync_problem_e   type;

    type = ngx_http_eventsync_publish_type(rc);

    if (type == NGX_HTTP_EVENTSYNC_PROBLEMS) {

        /*
         * it may have failed in a thread, which left the reason in the problem
         */

        (void) es_refused_text(rc, "%s", problem->detail);

        return ngx_http_eventsync_fail_store(ctx, rc);
    }

    if (problem->index < 0) {
        return ngx_http_eventsync_fail(ctx, type, "Request refused: %s.",
                                       problem->detail);
    }

    (void) ngx_http_eventsync_fail(ctx, type, "Event %d: %s.", problem->index,
                                   problem->detail);

    /* the names of members can be any text: escape the pointer */

    len = ngx_strlen(problem->pointer);

    p = ngx_pnalloc(ctx->request->pool, len * 6 + 1);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    *(u_char *) ngx_escape_json(p, (u_char *) problem->pointer, len) = '\0';

    if (problem->keyword[0]) {
        return ngx_http_eventsync_members(ctx, len * 6 + 128,
                                          ",\"index\":%d,\"pointer\":\"%s\","
                                          "\"keyword\":\"%s\"",
                                          problem->index, p,
                                          problem->keyword);
    }

    return ngx_http_eventsync_members(ctx, len * 6 + 64,
                                      ",\"index\":%d,\"pointer\":\"%s\"",
                                      problem->index, p);
}


static ngx_int_t
ngx_http_eventsync_publish_done(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t                        rc;
    ngx_http_eventsync_publish_t  *publish;

    publish = ctx->publish;
    rc = publish->rc;

    if (rc == ES_OK) {
        rc = es_batch_rc(publish->batch);
    }

    if (rc != ES_OK) {
        (void) ngx_http_eventsync_publish_problem(ctx, rc,
                                           es_batch_problem(publish->batch));
        return ngx_http_eventsync_send_problem(ctx);
    }

    return ngx_http_eventsync_results(ctx);
}


static void
ngx_http_eventsync_publish_cleanup(void *data)
{
    ngx_http_eventsync_publish_t  *publish = data;

    size_t                        size;
    ngx_http_eventsync_worker_t  *w;

    w = publish->ctx->worker;
    size = es_batch_kept(publish->batch);

    /* clearing fresh memory page by page costs more than parsing */

    if (w->nbatches < NGX_HTTP_EVENTSYNC_BATCHES
        && size <= NGX_HTTP_EVENTSYNC_BATCH_KEPT
        && size <= NGX_HTTP_EVENTSYNC_BATCHES_KEPT - w->batches_size)
    {
        w->batches[w->nbatches++] = publish->batch;
        w->batches_size += size;
        return;
    }

    es_batch_destroy(publish->batch);
}
