/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Request bodies. Header fields that describe the body (coding, digest, range)
 * are checked before any of it is read. The body itself is then verified and
 * decoded. A body is refused if it cannot be interpreted exactly as its header
 * fields state.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_body.h"
#include "ngx_http_eventsync_problem.h"

#include "base/base.h"
#include "base/decode.h"
#include "event/attribute.h"
#include "event/body_digest.h"


/* limit of a decoded body, except when publishing */
#define NGX_HTTP_EVENTSYNC_SMALL_BODY  65536

/* limit of a published body if client_max_body_size is 0 */
#define NGX_HTTP_EVENTSYNC_LARGE_BODY  (64 * 1024 * 1024)

#define ngx_http_eventsync_key_is(h, name)                                    \
    ((h)->key.len == sizeof(name) - 1                                         \
     && ngx_memcmp((h)->lowcase_key, name, sizeof(name) - 1) == 0)


static ngx_int_t ngx_http_eventsync_body_header(ngx_http_eventsync_ctx_t *ctx,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_eventsync_body_plain(ngx_str_t *value);
static ngx_int_t ngx_http_eventsync_body_coding(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_http_eventsync_body_digest(ngx_http_eventsync_ctx_t *ctx,
    ngx_table_elt_t *h);
static ngx_int_t ngx_http_eventsync_body_refuse(ngx_http_eventsync_ctx_t *ctx,
    ngx_table_elt_t *h, const char *why);
static ngx_http_eventsync_body_t *ngx_http_eventsync_body_get(
    ngx_http_eventsync_ctx_t *ctx);
static size_t ngx_http_eventsync_body_max(ngx_http_request_t *r);
static ngx_int_t ngx_http_eventsync_body_copy(ngx_http_eventsync_ctx_t *ctx,
    es_str_t *body);


/*
 * Checks the header fields of a request whose body will be read. Sets
 * ctx->body if the body must be verified or decoded.
 */

ngx_int_t
ngx_http_eventsync_body_headers(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &ctx->request->headers_in.headers.part;
         part;
         part = part->next)
    {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (ngx_http_eventsync_body_header(ctx, &h[i]) != NGX_OK) {
                return NGX_DECLINED;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_body_header(ngx_http_eventsync_ctx_t *ctx,
    ngx_table_elt_t *h)
{
    ngx_str_t  name;

    if (h->key.len < 11 || h->key.len > 25) {
        return NGX_OK;
    }

    if (ngx_http_eventsync_key_is(h, "content-encoding")) {
        return ngx_http_eventsync_body_coding(ctx, &h->value);
    }

    if (ngx_http_eventsync_key_is(h, "content-digest")
        || ngx_http_eventsync_key_is(h, "repr-digest"))
    {
        return ngx_http_eventsync_body_digest(ctx, h);
    }

    /* RFC 9110, section 14.5: a part must not be processed as the whole */

    if (ngx_http_eventsync_key_is(h, "content-range")) {
        return ngx_http_eventsync_body_refuse(ctx, h, "is not allowed in a "
                                              "request: the body must be "
                                              "complete");
    }

    /*
     * HTTP does not use this MIME field, but a sender that sets it has encoded
     * the body
     */

    if (ngx_http_eventsync_key_is(h, "content-transfer-encoding")
        && !ngx_http_eventsync_body_plain(&h->value))
    {
        return ngx_http_eventsync_body_refuse(ctx, h, "is not part of HTTP, "
                                              "and the server does not decode "
                                              "such a body");
    }

    if (ngx_http_eventsync_key_is(h, "content-type")) {
        ngx_str_set(&name, "content-type");

        if (ngx_http_eventsync_header_in(ctx->request, &name, h)) {
            return ngx_http_eventsync_body_refuse(ctx, h, "is repeated");
        }
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_eventsync_body_plain(ngx_str_t *value)
{
    ngx_uint_t        i;
    static ngx_str_t  names[] = {
        ngx_string("binary"),
        ngx_string("8bit"),
        ngx_string("7bit"),
        ngx_null_string
    };

    for (i = 0; names[i].len; i++) {

        if (value->len == names[i].len
            && ngx_strncasecmp(value->data, names[i].data, value->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_eventsync_body_coding(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *value)
{
    es_rc_t                     rc;
    es_str_t                    unknown;
    ngx_str_t                   name;
    ngx_http_eventsync_body_t  *body;

    body = ngx_http_eventsync_body_get(ctx);
    if (body == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    rc = es_codings_add(&body->codings, ngx_http_eventsync_str(value),
                        &unknown);
    if (rc == ES_OK) {
        return NGX_OK;
    }

    if (rc == ES_INVALID) {
        name.data = (u_char *) unknown.data;
        name.len = ngx_min(unknown.len, NGX_HTTP_EVENTSYNC_QUOTED);

        (void) ngx_http_eventsync_fail(ctx,
                                   NGX_HTTP_EVENTSYNC_UNSUPPORTED_CODING,
                                   "The content coding \"%V\" of the body is "
                                   "not supported.", &name);

    } else {
        (void) ngx_http_eventsync_fail(ctx,
                                   NGX_HTTP_EVENTSYNC_UNSUPPORTED_CODING,
                                   "The body has more than %d content "
                                   "codings.", ES_CODINGS_MAX);
    }

    if (ctx->problem) {
        ctx->problem->codings = 1;
    }

    return ngx_http_eventsync_members(ctx, 64,
                                      ",\"available\":[\"gzip\",\"deflate\","
                                      "\"zstd\",\"br\"]");
}


static ngx_int_t
ngx_http_eventsync_body_digest(ngx_http_eventsync_ctx_t *ctx,
    ngx_table_elt_t *h)
{
    es_rc_t                     rc;
    ngx_http_eventsync_body_t  *body;

    body = ngx_http_eventsync_body_get(ctx);
    if (body == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    rc = es_body_digests_add(&body->digests,
                             ngx_http_eventsync_str(&h->value));
    if (rc == ES_OK) {
        return NGX_OK;
    }

    return ngx_http_eventsync_body_refuse(ctx, h, rc == ES_TOO_LARGE
                                          ? "exceeds the limit of four "
                                            "digests in all digest headers"
                                          : "does not follow RFC 9530");
}


static ngx_int_t
ngx_http_eventsync_body_refuse(ngx_http_eventsync_ctx_t *ctx,
    ngx_table_elt_t *h, const char *why)
{
    ngx_str_t  name;

    /* the name is one of those above and needs no JSON escaping */

    name.data = h->lowcase_key;
    name.len = h->key.len;

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_HEADER,
                                   "Header \"%V\" %s.", &name, why);

    return ngx_http_eventsync_members(ctx, 64, ",\"header\":\"%V\"", &name);
}


static ngx_http_eventsync_body_t *
ngx_http_eventsync_body_get(ngx_http_eventsync_ctx_t *ctx)
{
    if (ctx->body == NULL) {
        ctx->body = ngx_pcalloc(ctx->request->pool,
                                sizeof(ngx_http_eventsync_body_t));
        if (ctx->body) {
            ctx->body->max = ngx_http_eventsync_body_max(ctx->request);
        }
    }

    return ctx->body;
}


/* the limit of an uncoded body applies to a decoded one, too */

static size_t
ngx_http_eventsync_body_max(ngx_http_request_t *r)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    return clcf->client_max_body_size ? (size_t) clcf->client_max_body_size
                                      : NGX_HTTP_EVENTSYNC_LARGE_BODY;
}


/* runs in a thread: must not use nginx's structures */

es_rc_t
ngx_http_eventsync_body_open(const ngx_http_eventsync_body_t *say, size_t max,
    es_str_t *body, es_buf_t *decoded, es_problem_t *problem)
{
    es_rc_t  rc;

    rc = es_body_digests_check(&say->digests, *body);

    if (rc == ES_MISMATCH) {
        return es_problem_set(problem, rc, -1, NULL, "its digest differs from "
                              "the digest header");
    }

    if (rc != ES_OK || say->codings.n == 0) {
        return rc;
    }

    rc = es_decode(&say->codings, *body, max, decoded, problem);

    if (rc == ES_TOO_LARGE) {
        return es_problem_set(problem, rc, -1, NULL, "after decoding, it has "
                              "more than %zu bytes", max);
    }

    *body = (es_str_t) { decoded->data, decoded->len };

    return rc;
}


ngx_int_t
ngx_http_eventsync_body_fail(ngx_http_eventsync_ctx_t *ctx, es_rc_t rc,
    const es_problem_t *problem)
{
    ngx_http_eventsync_problem_e  type;

    switch (rc) {

    case ES_INVALID:
        type = NGX_HTTP_EVENTSYNC_INVALID_BODY;
        break;

    case ES_MISMATCH:
        type = NGX_HTTP_EVENTSYNC_DIGEST_MISMATCH;
        break;

    case ES_TOO_LARGE:
        type = NGX_HTTP_EVENTSYNC_TOO_LARGE;
        break;

    default:
        return ngx_http_eventsync_fail_store(ctx, rc);
    }

    return ngx_http_eventsync_fail(ctx, type, "Request body: %s.",
                                   problem->detail);
}


/* compares the media type; parameters may follow it */

ngx_int_t
ngx_http_eventsync_body_type(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *type)
{
    u_char           *p, *last;
    ngx_table_elt_t  *h;

    h = ctx->request->headers_in.content_type;

    if (h == NULL
        || h->value.len < type->len
        || ngx_strncasecmp(h->value.data, type->data, type->len) != 0)
    {
        return NGX_DECLINED;
    }

    p = h->value.data + type->len;
    last = h->value.data + h->value.len;

    while (p < last && (*p == ' ' || *p == '\t')) {
        p++;
    }

    return (p == last || *p == ';') ? NGX_OK : NGX_DECLINED;
}


ngx_int_t
ngx_http_eventsync_body_utf8(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_table_elt_t  *h;

    h = ctx->request->headers_in.content_type;

    if (h == NULL || es_media_utf8(ngx_http_eventsync_str(&h->value))) {
        return NGX_OK;
    }

    return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_UNSUPPORTED_TYPE,
                                   "The charset in Content-Type must be "
                                   "utf-8 or us-ascii.");
}


/*
 * Gets a small body of this type, verified and decoded. Without a body it is
 * empty, and its type is not checked. NGX_DECLINED: ctx->problem is set.
 */

ngx_int_t
ngx_http_eventsync_body(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *type,
    es_str_t *body)
{
    ngx_int_t  rc;

    rc = ngx_http_eventsync_small_body(ctx->request, body);

    if (rc == NGX_OK && body->len == 0) {
        return NGX_OK;
    }

    if (ngx_http_eventsync_body_type(ctx, type) != NGX_OK) {
        return ngx_http_eventsync_fail(ctx,
                                       NGX_HTTP_EVENTSYNC_UNSUPPORTED_TYPE,
                                       "Content-Type must be %V.", type);
    }

    if (ngx_http_eventsync_body_utf8(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_TOO_LARGE,
                                       "The request body is too large for "
                                       "this resource.");
    }

    if (rc != NGX_OK) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    return ctx->body ? ngx_http_eventsync_body_copy(ctx, body) : NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_body_copy(ngx_http_eventsync_ctx_t *ctx, es_str_t *body)
{
    u_char        *p;
    es_rc_t        rc;
    es_buf_t       decoded;
    es_problem_t   problem;

    ngx_memzero(&decoded, sizeof(es_buf_t));

    rc = ngx_http_eventsync_body_open(ctx->body,
                                      ngx_min(ctx->body->max,
                                              NGX_HTTP_EVENTSYNC_SMALL_BODY),
                                      body, &decoded, &problem);

    if (rc == ES_OK && decoded.len) {
        p = ngx_pnalloc(ctx->request->pool, decoded.len);

        if (p) {
            ngx_memcpy(p, decoded.data, decoded.len);
            body->data = (char *) p;

        } else {
            rc = ES_NOMEM;
        }
    }

    es_buf_free(&decoded);

    return (rc == ES_OK) ? NGX_OK
                         : ngx_http_eventsync_body_fail(ctx, rc, &problem);
}
