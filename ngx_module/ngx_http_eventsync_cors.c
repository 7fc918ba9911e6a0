/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Cross-origin requests (CORS, in the Fetch standard): the headers that let a
 * browser give an answer to a page of another origin, and OPTIONS, which
 * browsers send first.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_send.h"


/* room for header names that a preflight adds to the allowed ones */
#define NGX_HTTP_EVENTSYNC_CORS_BYTES  1024


static char *ngx_http_eventsync_cors_check(ngx_conf_t *cf, ngx_str_t *origin);
static u_char *ngx_http_eventsync_cors_span(u_char *p, u_char *last,
    char *others);
static ngx_uint_t ngx_http_eventsync_cors_any(ngx_array_t *origins);
static ngx_int_t ngx_http_eventsync_cors_varies(ngx_http_request_t *r);
static ngx_str_t *ngx_http_eventsync_cors_allowed(ngx_http_request_t *r,
    ngx_array_t *origins);
static ngx_int_t ngx_http_eventsync_preflight(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *methods);
static ngx_int_t ngx_http_eventsync_preflight_headers(ngx_http_request_t *r,
    ngx_str_t *headers);
static ngx_uint_t ngx_http_eventsync_cors_attribute(u_char *p, size_t len);


static ngx_str_t  ngx_http_eventsync_cors_true = ngx_string("true");
static ngx_str_t  ngx_http_eventsync_cors_origin = ngx_string("Origin");
static ngx_str_t  ngx_http_eventsync_cors_vary = ngx_string("Vary");
static ngx_str_t  ngx_http_eventsync_allow = ngx_string("Allow");

static ngx_str_t  ngx_http_eventsync_allow_origin =
    ngx_string("Access-Control-Allow-Origin");
static ngx_str_t  ngx_http_eventsync_allow_credentials =
    ngx_string("Access-Control-Allow-Credentials");
static ngx_str_t  ngx_http_eventsync_allow_methods =
    ngx_string("Access-Control-Allow-Methods");
static ngx_str_t  ngx_http_eventsync_allow_headers =
    ngx_string("Access-Control-Allow-Headers");
static ngx_str_t  ngx_http_eventsync_max_age =
    ngx_string("Access-Control-Max-Age");
static ngx_str_t  ngx_http_eventsync_expose_headers =
    ngx_string("Access-Control-Expose-Headers");

/*
 * request headers that the module reads, except those that a page may always
 * send and extension attributes of events
 */

static ngx_str_t  ngx_http_eventsync_request_headers =
    ngx_string("Authorization, Content-Digest, Content-Encoding, "
               "Content-Type, If-Match, If-None-Match, Last-Event-ID, "
               "Prefer, Repr-Digest, traceparent, tracestate, ce-specversion, "
               "ce-id, ce-source, ce-type, ce-subject, ce-time, "
               "ce-dataschema");

/* response headers, except those that a page may always read */

static ngx_str_t  ngx_http_eventsync_response_headers =
    ngx_string("Accept-Encoding, Accept-Ranges, Allow, Content-Range, "
               "Deprecation, ETag, Eventsync-Bytes, Eventsync-Events, Eventsync-Events-Max, "
               "Eventsync-From, Eventsync-Has-More, Eventsync-Next, "
               "Eventsync-To, Eventsync-Undelivered, Link, Location, "
               "Preference-Applied, "
               "RateLimit, RateLimit-Policy, Retry-After, Sunset, "
               "WWW-Authenticate, X-RateLimit-Limit, X-RateLimit-Remaining, "
               "X-RateLimit-Reset");

/* Chromium caches a preflight no longer than this */

static ngx_str_t  ngx_http_eventsync_two_hours = ngx_string("7200");


char *
ngx_http_eventsync_cors_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    ngx_str_t   *value, *origin;
    ngx_uint_t   i;

    if (elcf->cors != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        elcf->cors = NULL;
        return NGX_CONF_OK;
    }

    elcf->cors = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                  sizeof(ngx_str_t));
    if (elcf->cors == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (cf->args->nelts != 2 || ngx_strcmp(value[i].data, "*") != 0) {

            if (ngx_http_eventsync_cors_check(cf, &value[i]) != NGX_CONF_OK) {
                return NGX_CONF_ERROR;
            }
        }

        origin = ngx_array_push(elcf->cors);
        if (origin == NULL) {
            return NGX_CONF_ERROR;
        }

        *origin = value[i];
    }

    return NGX_CONF_OK;
}


/*
 * An origin must be written as browsers send it (RFC 6454, section 6.2): in
 * lower case, without a path. Otherwise it would never match.
 */

static char *
ngx_http_eventsync_cors_check(ngx_conf_t *cf, ngx_str_t *origin)
{
    u_char      *p, *last, *host;
    ngx_uint_t   n;

    p = origin->data;
    last = p + origin->len;

    p = ngx_http_eventsync_cors_span(p, last, "+-.");

    if (p == origin->data || last - p < 4 || ngx_strncmp(p, "://", 3) != 0) {
        goto invalid;
    }

    host = p + 3;

    if (*host == '[') {
        p = ngx_http_eventsync_cors_span(host + 1, last, ":.");

        if (p == last || *p++ != ']') {
            goto invalid;
        }

    } else {
        p = ngx_http_eventsync_cors_span(host, last, "-._");
    }

    if (p == host) {
        goto invalid;
    }

    if (p < last && *p == ':') {
        n = last - ++p;

        if (n < 1 || n > 5 || ngx_atoi(p, n) < 1) {
            goto invalid;
        }

        p = last;
    }

    if (p == last) {
        return NGX_CONF_OK;
    }

invalid:

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid origin \"%V\", it must be \"scheme://host\" or "
                       "\"scheme://host:port\" in lower case, or \"*\" alone",
                       origin);

    return NGX_CONF_ERROR;
}


static u_char *
ngx_http_eventsync_cors_span(u_char *p, u_char *last, char *others)
{
    while (p < last
           && ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')
               || (*p && ngx_strchr(others, *p))))
    {
        p++;
    }

    return p;
}


static ngx_uint_t
ngx_http_eventsync_cors_any(ngx_array_t *origins)
{
    ngx_str_t  *origin;

    origin = origins->elts;

    return origins->nelts == 1 && origin->len == 1 && *origin->data == '*';
}


/* lets a page of an allowed origin read the answer */

ngx_int_t
ngx_http_eventsync_cors(ngx_http_request_t *r)
{
    ngx_str_t                      *origin;
    ngx_uint_t                      any;
    ngx_http_eventsync_loc_conf_t  *elcf;

    elcf = ngx_http_get_module_loc_conf(r, ngx_http_eventsync_module);

    if (elcf->cors == NULL || r != r->main) {
        return NGX_OK;
    }

    any = ngx_http_eventsync_cors_any(elcf->cors);

    /* a cache must not give the answer of one origin to another */

    if (!any && ngx_http_eventsync_cors_varies(r) != NGX_OK) {
        return NGX_ERROR;
    }

    origin = ngx_http_eventsync_cors_allowed(r, elcf->cors);

    if (origin == NULL) {
        return NGX_OK;
    }

    if (!any
        && ngx_http_eventsync_header(r, &ngx_http_eventsync_allow_credentials,
                                     &ngx_http_eventsync_cors_true)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_eventsync_header(r, &ngx_http_eventsync_allow_origin, origin)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (r->method == NGX_HTTP_OPTIONS) {
        return NGX_OK;
    }

    return ngx_http_eventsync_header(r, &ngx_http_eventsync_expose_headers,
                                     &ngx_http_eventsync_response_headers);
}


/* extends an existing field: caches of nginx before 1.23 use only the last */

static ngx_int_t
ngx_http_eventsync_cors_varies(ngx_http_request_t *r)
{
    u_char           *p;
    size_t            len;
    ngx_uint_t        i;
    ngx_str_t        *vary;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    vary = &ngx_http_eventsync_cors_vary;

    for (part = &r->headers_out.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].hash == 0
                || h[i].key.len != vary->len
                || ngx_strncasecmp(h[i].key.data, vary->data, vary->len) != 0)
            {
                continue;
            }

            len = h[i].value.len + sizeof(", ") - 1
                  + ngx_http_eventsync_cors_origin.len;

            p = ngx_pnalloc(r->pool, len);
            if (p == NULL) {
                return NGX_ERROR;
            }

            (void) ngx_sprintf(p, "%V, %V", &h[i].value,
                               &ngx_http_eventsync_cors_origin);

            h[i].value.data = p;
            h[i].value.len = len;

            return NGX_OK;
        }
    }

    return ngx_http_eventsync_header(r, vary, &ngx_http_eventsync_cors_origin);
}


static ngx_str_t *
ngx_http_eventsync_cors_allowed(ngx_http_request_t *r, ngx_array_t *origins)
{
    ngx_str_t         name = ngx_string("origin");
    ngx_str_t        *origin;
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    origin = origins->elts;

    if (ngx_http_eventsync_cors_any(origins)) {
        return origin;
    }

    h = ngx_http_eventsync_header_in(r, &name, NULL);

    if (h == NULL) {
        return NULL;
    }

    for (i = 0; i < origins->nelts; i++) {
        if (origin[i].len == h->value.len
            && ngx_memcmp(origin[i].data, h->value.data, h->value.len) == 0)
        {
            return &origin[i];
        }
    }

    return NULL;
}


/* the methods of a resource are no secret: OPTIONS needs no credential */

ngx_int_t
ngx_http_eventsync_options(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *methods)
{
    ngx_int_t            rc;
    ngx_http_request_t  *r;

    r = ctx->request;

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_http_eventsync_header(r, &ngx_http_eventsync_allow, methods)
        != NGX_OK
        || ngx_http_eventsync_preflight(ctx, methods) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;
    r->headers_out.content_length_n = -1;
    r->header_only = 1;

    return ngx_http_eventsync_send_header(r);
}


static ngx_int_t
ngx_http_eventsync_preflight(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *methods)
{
    ngx_str_t            headers;
    ngx_str_t            name = ngx_string("access-control-request-method");
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->conf->cors == NULL
        || ngx_http_eventsync_header_in(r, &name, NULL) == NULL
        || ngx_http_eventsync_cors_allowed(r, ctx->conf->cors) == NULL)
    {
        return NGX_OK;
    }

    if (ngx_http_eventsync_header(r, &ngx_http_eventsync_allow_methods,
                                  methods)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_eventsync_preflight_headers(r, &headers) != NGX_OK
        || ngx_http_eventsync_header(r, &ngx_http_eventsync_allow_headers,
                                     &headers)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_header(r, &ngx_http_eventsync_max_age,
                                     &ngx_http_eventsync_two_hours);
}


/*
 * Publishing reads every "ce-" header, extensions have any name, and "*" is
 * not valid for requests with credentials. So the answer also allows the "ce-"
 * headers that the preflight names.
 */

static ngx_int_t
ngx_http_eventsync_preflight_headers(ngx_http_request_t *r, ngx_str_t *headers)
{
    u_char           *p, *last, *name, *out, *end, *stop;
    ngx_str_t         asked = ngx_string("access-control-request-headers");
    ngx_table_elt_t  *h;

    *headers = ngx_http_eventsync_request_headers;

    h = ngx_http_eventsync_header_in(r, &asked, NULL);

    if (h == NULL) {
        return NGX_OK;
    }

    out = ngx_pnalloc(r->pool, headers->len + NGX_HTTP_EVENTSYNC_CORS_BYTES);
    if (out == NULL) {
        return NGX_ERROR;
    }

    end = out + headers->len + NGX_HTTP_EVENTSYNC_CORS_BYTES;

    p = ngx_cpymem(out, headers->data, headers->len);
    headers->data = out;
    out = p;

    p = h->value.data;
    last = p + h->value.len;

    while (p < last) {

        if (*p == ',' || *p == ' ' || *p == '\t') {
            p++;
            continue;
        }

        for (name = p; p < last && *p != ','; p++) { /* void */ }
        for (stop = p; stop[-1] == ' ' || stop[-1] == '\t'; stop--) {
            /* void */
        }

        if (ngx_http_eventsync_cors_attribute(name, stop - name)
            && end - out >= stop - name + 2)
        {
            *out++ = ',';
            *out++ = ' ';
            out = ngx_cpymem(out, name, stop - name);
        }
    }

    headers->len = out - headers->data;

    return NGX_OK;
}


/* browsers send the names in lower case */

static ngx_uint_t
ngx_http_eventsync_cors_attribute(u_char *p, size_t len)
{
    return len > 3
           && ngx_strncmp(p, "ce-", 3) == 0
           && ngx_http_eventsync_cors_span(p, p + len, "-") == p + len;
}
