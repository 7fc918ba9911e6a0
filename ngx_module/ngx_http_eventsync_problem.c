/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The table of problems in the HTTP contract. Each type, title and status is
 * defined once, here; other files use its name. Bodies follow RFC 9457.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_encrypt.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_stream.h"


#define NGX_HTTP_EVENTSYNC_DETAIL  384
#define NGX_HTTP_EVENTSYNC_URN     "urn:eventsync:problem:"


typedef struct {
    ngx_uint_t                        status;
    ngx_str_t                         type;
    ngx_str_t                         title;
} ngx_http_eventsync_problem_type_t;


static ngx_int_t ngx_http_eventsync_fail_later(ngx_http_eventsync_ctx_t *ctx,
    const char *detail);
static ngx_uint_t ngx_http_eventsync_problem_free(
    const ngx_http_eventsync_problem_t *problem);
static ngx_buf_t *ngx_http_eventsync_oauth_body(ngx_http_request_t *r,
    ngx_http_eventsync_problem_t *problem);
static ngx_int_t ngx_http_eventsync_problem_headers(ngx_http_request_t *r,
    ngx_http_eventsync_problem_t *problem);


static ngx_http_eventsync_problem_type_t  ngx_http_eventsync_problems[] = {

    [NGX_HTTP_EVENTSYNC_INVALID_PARAMETER] = {
        400, ngx_string(NGX_HTTP_EVENTSYNC_URN "invalid-parameter"),
        ngx_string("Invalid request parameter")
    },

    [NGX_HTTP_EVENTSYNC_INVALID_CURSOR] = {
        400, ngx_string(NGX_HTTP_EVENTSYNC_URN "invalid-cursor"),
        ngx_string("Malformed cursor")
    },

    [NGX_HTTP_EVENTSYNC_CURSOR_AHEAD] = {
        400, ngx_string(NGX_HTTP_EVENTSYNC_URN "cursor-ahead"),
        ngx_string("Cursor is ahead of the log")
    },

    [NGX_HTTP_EVENTSYNC_INVALID_EVENT] = {
        400, ngx_string(NGX_HTTP_EVENTSYNC_URN "invalid-event"),
        ngx_string("Invalid event")
    },

    [NGX_HTTP_EVENTSYNC_INVALID_BODY] = {
        400, ngx_string(NGX_HTTP_EVENTSYNC_URN "invalid-body"),
        ngx_string("Invalid request body")
    },

    [NGX_HTTP_EVENTSYNC_INVALID_HEADER] = {
        400, ngx_string(NGX_HTTP_EVENTSYNC_URN "invalid-header"),
        ngx_string("Invalid request header")
    },

    [NGX_HTTP_EVENTSYNC_DIGEST_MISMATCH] = {
        400, ngx_string(NGX_HTTP_EVENTSYNC_URN "digest-mismatch"),
        ngx_string("Body does not match its digest")
    },

    [NGX_HTTP_EVENTSYNC_UNAUTHORIZED] = {
        401, ngx_string(NGX_HTTP_EVENTSYNC_URN "unauthorized"),
        ngx_string("Missing or invalid credential")
    },

    [NGX_HTTP_EVENTSYNC_FORBIDDEN] = {
        403, ngx_string(NGX_HTTP_EVENTSYNC_URN "forbidden"),
        ngx_string("Permission denied")
    },

    [NGX_HTTP_EVENTSYNC_NOT_FOUND] = {
        404, ngx_string(NGX_HTTP_EVENTSYNC_URN "not-found"),
        ngx_string("Not found")
    },

    [NGX_HTTP_EVENTSYNC_METHOD_NOT_ALLOWED] = {
        405, ngx_string(NGX_HTTP_EVENTSYNC_URN "method-not-allowed"),
        ngx_string("Method not allowed")
    },

    [NGX_HTTP_EVENTSYNC_NOT_ACCEPTABLE] = {
        406, ngx_string(NGX_HTTP_EVENTSYNC_URN "not-acceptable"),
        ngx_string("No acceptable representation")
    },

    [NGX_HTTP_EVENTSYNC_CONFLICT] = {
        409, ngx_string(NGX_HTTP_EVENTSYNC_URN "conflict"),
        ngx_string("Event already exists with different content")
    },

    [NGX_HTTP_EVENTSYNC_ERASED] = {
        409, ngx_string(NGX_HTTP_EVENTSYNC_URN "erased"),
        ngx_string("Event was erased")
    },

    [NGX_HTTP_EVENTSYNC_IN_USE] = {
        409, ngx_string(NGX_HTTP_EVENTSYNC_URN "in-use"),
        ngx_string("Resource is in use")
    },

    [NGX_HTTP_EVENTSYNC_NOT_STANDING] = {
        409, ngx_string(NGX_HTTP_EVENTSYNC_URN "not-standing"),
        ngx_string("Event does not block the endpoint")
    },

    [NGX_HTTP_EVENTSYNC_COUNT_MISMATCH] = {
        409, ngx_string(NGX_HTTP_EVENTSYNC_URN "count-mismatch"),
        ngx_string("Event count does not match")
    },

    [NGX_HTTP_EVENTSYNC_UNVERIFIED] = {
        409, ngx_string(NGX_HTTP_EVENTSYNC_URN "unverified"),
        ngx_string("Endpoint has not agreed")
    },

    [NGX_HTTP_EVENTSYNC_CHECKPOINT_BEHIND] = {
        409, ngx_string(NGX_HTTP_EVENTSYNC_URN "checkpoint-behind"),
        ngx_string("Checkpoint would move back")
    },

    [NGX_HTTP_EVENTSYNC_TOO_MANY] = {
        409, ngx_string(NGX_HTTP_EVENTSYNC_URN "too-many"),
        ngx_string("Quota reached")
    },

    [NGX_HTTP_EVENTSYNC_CURSOR_EXPIRED] = {
        410, ngx_string(NGX_HTTP_EVENTSYNC_URN "cursor-expired"),
        ngx_string("Cursor has expired")
    },

    [NGX_HTTP_EVENTSYNC_FEED_RESET] = {
        410, ngx_string(NGX_HTTP_EVENTSYNC_URN "feed-reset"),
        ngx_string("Feed was reset")
    },

    [NGX_HTTP_EVENTSYNC_LINK_USED] = {
        410, ngx_string(NGX_HTTP_EVENTSYNC_URN "link-used"),
        ngx_string("Link was used already")
    },

    [NGX_HTTP_EVENTSYNC_LINK_EXPIRED] = {
        410, ngx_string(NGX_HTTP_EVENTSYNC_URN "link-expired"),
        ngx_string("Link has expired")
    },

    [NGX_HTTP_EVENTSYNC_LINK_REVOKED] = {
        410, ngx_string(NGX_HTTP_EVENTSYNC_URN "link-revoked"),
        ngx_string("Link was revoked")
    },

    [NGX_HTTP_EVENTSYNC_PRECONDITION_FAILED] = {
        412, ngx_string(NGX_HTTP_EVENTSYNC_URN "precondition-failed"),
        ngx_string("Precondition failed")
    },

    [NGX_HTTP_EVENTSYNC_TOO_LARGE] = {
        413, ngx_string(NGX_HTTP_EVENTSYNC_URN "too-large"),
        ngx_string("Content too large")
    },

    [NGX_HTTP_EVENTSYNC_UNSUPPORTED_TYPE] = {
        415, ngx_string(NGX_HTTP_EVENTSYNC_URN "unsupported-media-type"),
        ngx_string("Unsupported media type")
    },

    [NGX_HTTP_EVENTSYNC_UNSUPPORTED_CODING] = {
        415, ngx_string(NGX_HTTP_EVENTSYNC_URN "unsupported-encoding"),
        ngx_string("Unsupported content coding")
    },

    [NGX_HTTP_EVENTSYNC_RANGE] = {
        416, ngx_string(NGX_HTTP_EVENTSYNC_URN "range-not-satisfiable"),
        ngx_string("Range not satisfiable")
    },

    [NGX_HTTP_EVENTSYNC_MISMATCH] = {
        422, ngx_string(NGX_HTTP_EVENTSYNC_URN "schema-mismatch"),
        ngx_string("Event does not match its schema")
    },

    [NGX_HTTP_EVENTSYNC_QUOTA_EXCEEDED] = {
        429, ngx_string("https://iana.org/assignments/http-problem-types"
                   "#quota-exceeded"),
        ngx_string("Request cannot be satisfied as assigned quota has been "
                   "exceeded")
    },

    [NGX_HTTP_EVENTSYNC_INTERNAL] = {
        500, ngx_string(NGX_HTTP_EVENTSYNC_URN "internal"),
        ngx_string("Internal error")
    },

    [NGX_HTTP_EVENTSYNC_UNAVAILABLE] = {
        503, ngx_string(NGX_HTTP_EVENTSYNC_URN "unavailable"),
        ngx_string("Service unavailable")
    },

    [NGX_HTTP_EVENTSYNC_FIELD_LIST] = {
        503, ngx_string(NGX_HTTP_EVENTSYNC_URN "field-list"),
        ngx_string("Field lists do not allow an answer now")
    },

    [NGX_HTTP_EVENTSYNC_STORE_FULL] = {
        507, ngx_string(NGX_HTTP_EVENTSYNC_URN "store-full"),
        ngx_string("Store is full")
    },
};

_Static_assert(sizeof(ngx_http_eventsync_problems)
               == NGX_HTTP_EVENTSYNC_PROBLEMS
                  * sizeof(ngx_http_eventsync_problem_type_t),
               "each problem has an entry");


static ngx_str_t  ngx_http_eventsync_problem_content_type =
    ngx_string("application/problem+json");


static ngx_str_t  ngx_http_eventsync_retry_after = ngx_string("Retry-After");
static ngx_str_t  ngx_http_eventsync_allow = ngx_string("Allow");
static ngx_str_t  ngx_http_eventsync_accept_encoding_name =
    ngx_string("Accept-Encoding");
static ngx_str_t  ngx_http_eventsync_codings =
    ngx_string("gzip, deflate, zstd, br");
static ngx_str_t  ngx_http_eventsync_www_authenticate =
    ngx_string("WWW-Authenticate");


ngx_int_t ngx_cdecl
ngx_http_eventsync_fail(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_problem_e type, const char *fmt, ...)
{
    u_char                        *p;
    va_list                        args;
    ngx_http_eventsync_problem_t  *problem;

    /* without memory for the problem, the answer is a bare 500 */

    ctx->problem = NULL;

    problem = ngx_pcalloc(ctx->request->pool,
                          sizeof(ngx_http_eventsync_problem_t));
    if (problem == NULL) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(ctx->request->pool, NGX_HTTP_EVENTSYNC_DETAIL);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    problem->type = type;
    problem->detail.data = p;

    va_start(args, fmt);
    p = ngx_vslprintf(p, p + NGX_HTTP_EVENTSYNC_DETAIL, fmt, args);
    va_end(args);

    problem->detail.len = p - problem->detail.data;
    ctx->problem = problem;

    return NGX_DECLINED;
}


ngx_int_t
ngx_http_eventsync_fail_store(ngx_http_eventsync_ctx_t *ctx, es_rc_t rc)
{
    switch (rc) {

    case ES_NOT_FOUND:
        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_NOT_FOUND,
                                       "The feed does not exist, or this "
                                       "credential has no access to it.");

    case ES_FULL:
        ngx_log_error(NGX_LOG_CRIT, ctx->request->connection->log, 0,
                      "eventsync store is full, nothing of a request was "
                      "stored: %s", es_reason(rc));

        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_STORE_FULL,
                                       "Nothing of this request was stored: "
                                       "%s.", es_reason(rc));

    case ES_BUSY:
    case ES_IO:
    case ES_TAKEN:
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "eventsync store failed: %s", es_reason(rc));

        return ngx_http_eventsync_fail_later(ctx,
                                         "The event store is temporarily "
                                         "unavailable.");

    case ES_PENDING:
        return ngx_http_eventsync_encrypt_take(ctx);

    case ES_DENIED:
        if (ngx_http_eventsync_fields(ctx)) {
            return ngx_http_eventsync_fail_fields(ctx);
        }

        /* fall through */

    default:
        ngx_log_error(NGX_LOG_CRIT, ctx->request->connection->log, 0,
                      "eventsync store failed: %s", es_reason(rc));

        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INTERNAL,
                                       "The event store failed.");
    }
}


/* the worker logs the reason every second; clients must not see it */

ngx_int_t
ngx_http_eventsync_fail_closed(ngx_http_eventsync_ctx_t *ctx)
{
    return ngx_http_eventsync_fail_later(ctx,
                                         "The server cannot open the event "
                                         "store; its error log states the "
                                         "reason.");
}


/* the error log states the reason */

ngx_int_t
ngx_http_eventsync_fail_issuer(ngx_http_eventsync_ctx_t *ctx)
{
    return ngx_http_eventsync_fail_later(ctx,
                                         "The server cannot read the keys of "
                                         "the token's issuer.");
}


/* nothing is sent, because nobody knows what may be */

ngx_int_t
ngx_http_eventsync_fail_fields(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "eventsync refuses events of feed \"%V\" to partner \"%V\": "
                  "its field lists cannot be applied", &ctx->feed,
                  &ctx->partner_name);

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FIELD_LIST,
                                   "The server cannot apply the field lists "
                                   "of the partner; its error log says "
                                   "more.");

    if (ctx->problem) {
        ctx->problem->retry_after = 1 + ngx_random() % 3;
    }

    return NGX_DECLINED;
}


/* the error log states the reason */

ngx_int_t
ngx_http_eventsync_fail_encrypt(ngx_http_eventsync_ctx_t *ctx, es_rc_t rc)
{
    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FIELD_LIST,
                                   (rc == ES_INVALID)
                                   ? "Fields cannot be encrypted to the "
                                     "partner's key."
                                   : "Encrypted fields cannot be kept now.");

    if (ctx->problem) {
        ctx->problem->retry_after = 1 + ngx_random() % 3;
    }

    return NGX_DECLINED;
}


/* the client's partner has too many tasks, so other partners are served */

ngx_int_t
ngx_http_eventsync_fail_busy(ngx_http_eventsync_ctx_t *ctx)
{
    return ngx_http_eventsync_fail_later(ctx,
                                         "Too many requests of this partner "
                                         "are waiting.");
}


static ngx_int_t
ngx_http_eventsync_fail_later(ngx_http_eventsync_ctx_t *ctx,
    const char *detail)
{
    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_UNAVAILABLE,
                                   "%s", detail);

    if (ctx->problem) {
        ctx->problem->retry_after = 1 + ngx_random() % 3;
    }

    return NGX_DECLINED;
}


/* adds members to those that the problem has */

ngx_int_t ngx_cdecl
ngx_http_eventsync_members(ngx_http_eventsync_ctx_t *ctx, size_t size,
    const char *fmt, ...)
{
    u_char     *p, *last;
    va_list     args;
    ngx_str_t  *members;

    if (ctx->problem == NULL) {
        return NGX_DECLINED;
    }

    members = &ctx->problem->members;

    p = ngx_pnalloc(ctx->request->pool, members->len + size);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    last = p;

    if (members->len) {
        last = ngx_cpymem(last, members->data, members->len);
    }

    members->data = p;

    va_start(args, fmt);
    last = ngx_vslprintf(last, last + size, fmt, args);
    va_end(args);

    members->len = last - p;

    return NGX_DECLINED;
}


/* the end of the type, such as "invalid-cursor" */

es_str_t
ngx_http_eventsync_problem_name(ngx_http_eventsync_problem_e type)
{
    u_char     *p;
    ngx_str_t  *uri;

    uri = &ngx_http_eventsync_problems[type].type;

    for (p = uri->data + uri->len; p > uri->data; p--) {
        if (p[-1] == ':' || p[-1] == '#') {
            break;
        }
    }

    return (es_str_t) { (char *) p, uri->data + uri->len - p };
}


ngx_int_t
ngx_http_eventsync_send_problem(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_buf_t                     *b;
    ngx_http_request_t            *r;
    ngx_http_eventsync_problem_t  *problem;

    r = ctx->request;

    if (ngx_http_eventsync_encrypting(ctx)
        && ngx_http_eventsync_encrypt(ctx, ngx_http_eventsync_steps_again)
           == NGX_DONE)
    {
        ngx_http_eventsync_limit_refund(ctx);
        return NGX_DONE;
    }

    problem = ctx->problem;

    if (problem == NULL || ngx_http_eventsync_problem_free(problem)) {
        ngx_http_eventsync_limit_refund(ctx);
    }

    if (problem == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /* unread bytes of the body must not be parsed as the next request */

    if (ngx_http_discard_request_body(r) != NGX_OK) {
        r->keepalive = 0;
    }

    if (ngx_http_eventsync_reconnects(ctx)) {
        return ngx_http_eventsync_send_end(ctx);
    }

    b = problem->oauth.len ? ngx_http_eventsync_oauth_body(r, problem)
                           : ngx_http_eventsync_problem_body(r, problem);

    if (b == NULL
        || ngx_http_eventsync_problem_headers(r, problem) != NGX_OK
        || ngx_http_eventsync_limit_headers(ctx) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_eventsync_send(r,
                          ngx_http_eventsync_problems[problem->type].status,
                          problem->oauth.len
                          ? &ngx_http_eventsync_json_type
                          : &ngx_http_eventsync_problem_content_type, b);
}


/* whether the server or a quota, not the request, is the reason */

static ngx_uint_t
ngx_http_eventsync_problem_free(const ngx_http_eventsync_problem_t *problem)
{
    ngx_uint_t  status;

    status = ngx_http_eventsync_problem_status(problem);

    return status >= NGX_HTTP_INTERNAL_SERVER_ERROR
           || status == NGX_HTTP_TOO_MANY_REQUESTS
           || problem->type == NGX_HTTP_EVENTSYNC_TOO_MANY;
}


ngx_uint_t
ngx_http_eventsync_problem_status(const ngx_http_eventsync_problem_t *problem)
{
    return ngx_http_eventsync_problems[problem->type].status;
}


/* RFC 6749, section 5.2, allows only some ASCII characters in a description */

static ngx_buf_t *
ngx_http_eventsync_oauth_body(ngx_http_request_t *r,
    ngx_http_eventsync_problem_t *problem)
{
    u_char     *p;
    ngx_buf_t  *b;

    b = ngx_create_temp_buf(r->pool,
                            sizeof("{\"error\":\"\","
                                   "\"error_description\":\"\"}") - 1
                            + problem->oauth.len + problem->detail.len);
    if (b == NULL) {
        return NULL;
    }

    for (p = problem->detail.data;
         p < problem->detail.data + problem->detail.len;
         p++)
    {
        if (*p == '"') {
            *p = '\'';

        } else if (*p < ' ' || *p > '~' || *p == '\\') {
            *p = '?';
        }
    }

    b->last = ngx_sprintf(b->last, "{\"error\":\"%V\","
                          "\"error_description\":\"%V\"}",
                          &problem->oauth, &problem->detail);

    return b;
}


/* writes a problem up to the text of its detail */

u_char *
ngx_http_eventsync_problem_head(u_char *p, ngx_http_eventsync_problem_e type)
{
    ngx_http_eventsync_problem_type_t  *t;

    t = &ngx_http_eventsync_problems[type];

    return ngx_sprintf(p, "{\"type\":\"%V\",\"title\":\"%V\","
                       "\"status\":%ui,\"detail\":\"",
                       &t->type, &t->title, t->status);
}


ngx_buf_t *
ngx_http_eventsync_problem_body(ngx_http_request_t *r,
    ngx_http_eventsync_problem_t *problem)
{
    u_char                             *p;
    size_t                              len;
    ngx_buf_t                          *b;
    ngx_http_eventsync_problem_type_t  *type;

    type = &ngx_http_eventsync_problems[problem->type];

    /*
     * a detail may quote the request: its bytes may be invalid UTF-8, or
     * control a terminal
     */

    for (p = problem->detail.data;
         p < problem->detail.data + problem->detail.len;
         p++)
    {
        if (*p < ' ' || *p > '~') {
            *p = '?';
        }
    }

    len = sizeof("{\"type\":\"\",\"title\":\"\",\"status\":,\"detail\":\"\"}")
          - 1 + type->type.len + type->title.len + NGX_INT_T_LEN
          + problem->detail.len
          + ngx_escape_json(NULL, problem->detail.data, problem->detail.len)
          + problem->members.len;

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NULL;
    }

    b->last = ngx_http_eventsync_problem_head(b->last, problem->type);
    b->last = (u_char *) ngx_escape_json(b->last, problem->detail.data,
                                         problem->detail.len);
    b->last = ngx_sprintf(b->last, "\"%V}", &problem->members);

    return b;
}


static ngx_int_t
ngx_http_eventsync_problem_headers(ngx_http_request_t *r,
    ngx_http_eventsync_problem_t *problem)
{
    ngx_str_t  seconds;
    u_char    *p;

    if (ngx_http_eventsync_no_store(r) != NGX_OK) {
        return NGX_ERROR;
    }

    if (problem->allow.len
        && ngx_http_eventsync_header(r, &ngx_http_eventsync_allow,
                                     &problem->allow)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (problem->challenge.len
        && ngx_http_eventsync_header(r, &ngx_http_eventsync_www_authenticate,
                                     &problem->challenge)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (problem->codings
        && ngx_http_eventsync_header(r,
                                     &ngx_http_eventsync_accept_encoding_name,
                                     &ngx_http_eventsync_codings)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (problem->retry_after == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_TIME_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    seconds.data = p;
    seconds.len = ngx_sprintf(p, "%T", problem->retry_after) - p;

    return ngx_http_eventsync_header(r, &ngx_http_eventsync_retry_after,
                                     &seconds);
}
