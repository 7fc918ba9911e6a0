/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The answer to a publish: an outcome for each event. With lenient handling, an
 * outcome may be the problem for which the event is refused.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_publish.h"
#include "ngx_http_eventsync_send.h"

#include "event/batch.h"


static size_t ngx_http_eventsync_results_size(const es_result_t *result);
static u_char *ngx_http_eventsync_results_stored(ngx_http_eventsync_ctx_t *ctx,
    u_char *p, size_t i);
static u_char *ngx_http_eventsync_results_refused(u_char *p,
    const es_result_t *result);
static u_char *ngx_http_eventsync_results_text(u_char *p, const char *text);
static u_char *ngx_http_eventsync_results_detail(u_char *p, const char *text);
static void ngx_http_eventsync_results_log(ngx_http_eventsync_ctx_t *ctx,
    size_t i);


static ngx_str_t  ngx_http_eventsync_applied =
    ngx_string("Preference-Applied");
static ngx_str_t  ngx_http_eventsync_lenient = ngx_string("handling=lenient");


/* returns the code that finalizes the request */

ngx_int_t
ngx_http_eventsync_results(ngx_http_eventsync_ctx_t *ctx)
{
    size_t              i, n, len;
    ngx_buf_t          *b;
    es_batch_t         *batch;
    const es_result_t  *result;

    batch = ctx->publish->batch;
    n = es_batch_count(batch);

    len = sizeof("{\"results\":[]}") - 1;

    for (i = 0; i < n; i++) {
        len += ngx_http_eventsync_results_size(es_batch_result(batch, i));
    }

    b = ngx_create_temp_buf(ctx->request->pool, len);

    if (b == NULL
        || (ctx->publish->lenient
            && ngx_http_eventsync_header(ctx->request,
                                         &ngx_http_eventsync_applied,
                                         &ngx_http_eventsync_lenient)
               != NGX_OK))
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    b->last = ngx_cpymem(b->last, "{\"results\":[", 12);

    for (i = 0; i < n; i++) {
        result = es_batch_result(batch, i);

        if (i) {
            *b->last++ = ',';
        }

        b->last = result->refused
                  ? ngx_http_eventsync_results_refused(b->last, result)
                  : ngx_http_eventsync_results_stored(ctx, b->last, i);
    }

    b->last = ngx_cpymem(b->last, "]}", 2);

    return ngx_http_eventsync_send_json(ctx, ctx->last ? NGX_HTTP_CREATED
                                                       : NGX_HTTP_OK, b);
}


/*
 * Notes for the log which events were stored, after the commit, even if the
 * client has left. If there is none, these are the duplicates: so the line of
 * a repeated request leads to the same events.
 */

void
ngx_http_eventsync_results_moved(ngx_http_eventsync_ctx_t *ctx)
{
    size_t              i;
    u_char             *end;
    ngx_uint_t          duplicates;
    es_batch_t         *batch;
    const es_result_t  *result;

    batch = ctx->publish->batch;

    for (duplicates = 0; duplicates < 2 && ctx->last == 0; duplicates++) {

        for (i = 0; i < es_batch_count(batch); i++) {
            result = es_batch_result(batch, i);

            if (result->refused
                || (ngx_uint_t) result->duplicate != duplicates)
            {
                continue;
            }

            ctx->moved += !duplicates;

            if (ctx->first == 0 || result->sequence < ctx->first) {
                ctx->first = result->sequence;
            }

            if (result->sequence > ctx->last) {
                ctx->last = result->sequence;

                end = (u_char *) ngx_strchr(result->cursor, '-');
                ngx_cpystrn((u_char *) ctx->epoch, (u_char *) result->cursor,
                            ngx_min((size_t) (end - (u_char *) result->cursor)
                                    + 1, sizeof(ctx->epoch)));
            }
        }
    }
}


static size_t
ngx_http_eventsync_results_size(const es_result_t *result)
{
    size_t               len;
    const es_problem_t  *problem;

    len = result->id.len + ES_CURSOR_MAX
          + sizeof("{\"id\":\"\",\"cursor\":\"\",\"duplicate\":false,"
                   "\"replaced\":true},");

    problem = result->refused ? result->refused : result->warning;

    if (problem) {
        len += sizeof(",\"warning\":{\"pointer\":\"\",\"detail\":\"\"}"
                      ",\"keyword\":\"\"")
               + 6 * (ngx_strlen(problem->pointer)
                      + ngx_strlen(problem->detail)
                      + ngx_strlen(problem->keyword));
    }

    return result->refused ? len + NGX_HTTP_EVENTSYNC_PROBLEM_HEAD : len;
}


static u_char *
ngx_http_eventsync_results_stored(ngx_http_eventsync_ctx_t *ctx, u_char *p,
    size_t i)
{
    const es_result_t  *result;

    result = es_batch_result(ctx->publish->batch, i);

    /* an id contains no byte that needs escaping, see event.h */

    p = ngx_http_eventsync_copy(p, "{\"id\":\"");
    p = ngx_cpymem(p, result->id.data, result->id.len);
    p = ngx_http_eventsync_copy(p, "\",\"cursor\":\"");
    p = ngx_cpymem(p, result->cursor, ngx_strlen(result->cursor));
    p = result->duplicate
        ? ngx_http_eventsync_copy(p, "\",\"duplicate\":true")
        : ngx_http_eventsync_copy(p, "\",\"duplicate\":false");

    if (result->replaced) {
        p = ngx_cpymem(p, ",\"replaced\":true",
                       sizeof(",\"replaced\":true") - 1);
    }

    if (result->warning) {
        p = ngx_cpymem(p, ",\"warning\":{\"pointer\":\"", 23);
        p = ngx_http_eventsync_results_text(p, result->warning->pointer);
        p = ngx_cpymem(p, "\",\"detail\":\"", 12);
        p = ngx_http_eventsync_results_text(p, result->warning->detail);
        p = ngx_cpymem(p, "\"}", 2);

        if (ctx->warnings++ == 0) {
            ngx_http_eventsync_results_log(ctx, i);
        }
    }

    *p++ = '}';

    return p;
}


static u_char *
ngx_http_eventsync_results_refused(u_char *p, const es_result_t *result)
{
    const es_problem_t  *problem;

    problem = result->refused;

    if (result->id.len) {
        p = ngx_sprintf(p, "{\"id\":\"%*s\",\"problem\":", result->id.len,
                        result->id.data);
    } else {
        p = ngx_cpymem(p, "{\"id\":null,\"problem\":",
                       sizeof("{\"id\":null,\"problem\":") - 1);
    }

    p = ngx_http_eventsync_problem_head(p,
                               ngx_http_eventsync_publish_type(problem->rc));
    p = ngx_http_eventsync_results_detail(p, problem->detail);
    p = ngx_cpymem(p, "\",\"pointer\":\"", 13);
    p = ngx_http_eventsync_results_text(p, problem->pointer);

    if (problem->keyword[0]) {
        p = ngx_cpymem(p, "\",\"keyword\":\"", 13);
        p = ngx_http_eventsync_results_text(p, problem->keyword);
    }

    return ngx_cpymem(p, "\"}}", 3);
}


/* the names of members can be any text */

static u_char *
ngx_http_eventsync_results_text(u_char *p, const char *text)
{
    return (u_char *) ngx_escape_json(p, (u_char *) text, ngx_strlen(text));
}


/* as in a problem document: a detail may be cut within a character */

static u_char *
ngx_http_eventsync_results_detail(u_char *p, const char *text)
{
    u_char  *last;

    last = ngx_http_eventsync_results_text(p, text);

    for ( /* void */ ; p < last; p++) {
        if (*p >= 0x80) {
            *p = '?';
        }
    }

    return last;
}


static void
ngx_http_eventsync_results_log(ngx_http_eventsync_ctx_t *ctx, size_t i)
{
    u_char              *p, *last;
    es_batch_t          *batch;
    const es_problem_t  *warning;
    u_char               pointer[6 * sizeof(warning->pointer)];

    batch = ctx->publish->batch;
    warning = es_batch_result(batch, i)->warning;

    /* the names of members can be any text: keep the log entry on one line */

    last = (u_char *) ngx_escape_json(pointer, (u_char *) warning->pointer,
                                      ngx_strlen(warning->pointer));

    for (p = pointer; p < last; p++) {
        if (*p > '~') {
            *p = '?';
        }
    }

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                  "eventsync: %uz of %uz events do not match their schemas; "
                  "event %uz, \"%*s\": %s", es_batch_warnings(batch),
                  es_batch_count(batch), i, (size_t) (last - pointer), pointer,
                  warning->detail);
}
