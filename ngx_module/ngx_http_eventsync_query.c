/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The query as text: finds and decodes parameters, and prints URLs for
 * answers. _args parses the values.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_problem.h"

#include "base/base.h"
#include "base/query.h"
#include "event/cursor.h"
#include "log/feed.h"


static ngx_uint_t ngx_http_eventsync_still_to(es_str_t name, es_str_t value,
    const es_feed_t *feed);
static u_char *ngx_http_eventsync_escape_arg(u_char *p, u_char *src,
    u_char *last);
static ngx_int_t ngx_http_eventsync_query_arg(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *args, ngx_uint_t n, ngx_str_t *name,
    ngx_str_t *value);
static ngx_int_t ngx_http_eventsync_query_join(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *arg, ngx_str_t *value);
static ngx_int_t ngx_http_eventsync_decode(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *name, ngx_str_t *value, ngx_uint_t plus);


ngx_int_t
ngx_http_eventsync_query(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *args, ngx_uint_t n)
{
    es_str_t   rest, name_text, value_text;
    ngx_str_t  name, value;

    rest = ngx_http_eventsync_str(&ctx->request->args);

    while (es_query_next(&rest, &name_text, &value_text)) {

        name.data = (u_char *) name_text.data;
        name.len = name_text.len;
        value.data = (u_char *) value_text.data;
        value.len = value_text.len;

        if (ngx_http_eventsync_query_arg(ctx, args, n, &name, &value)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


/*
 * Prints the same query with another cursor, or without any. It drops the end
 * of the range, unless that is a valid cursor of the feed. All characters are
 * safe in a header and in JSON.
 */

ngx_int_t
ngx_http_eventsync_query_after(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *cursor, const es_feed_t *feed, ngx_str_t *query)
{
    u_char      *p;
    es_str_t     rest, name, value;
    ngx_uint_t   i;

    static es_str_t  places[] = {
        { "after", 5 }, { "from", 4 }, { "to", 2 }, { "page", 4 },
        { "lastEventId", 11 }, { "Last-Event-ID", 13 }
    };

    rest = ngx_http_eventsync_str(&ctx->request->args);

    p = ngx_pnalloc(ctx->request->pool,
                    sizeof("after=&") - 1 + ES_CURSOR_MAX + 3 * rest.len);
    if (p == NULL) {
        return NGX_DECLINED;
    }

    query->data = p;

    if (cursor) {
        p = ngx_sprintf(p, "after=%V", cursor);
    }

    while (es_query_next(&rest, &name, &value)) {

        for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            if (es_str_eq(name, places[i])) {
                break;
            }
        }

        if (i < sizeof(places) / sizeof(places[0])
            && !(feed && ngx_http_eventsync_still_to(name, value, feed)))
        {
            continue;
        }

        if (p != query->data) {
            *p++ = '&';
        }

        p = ngx_http_eventsync_escape_arg(p, (u_char *) name.data,
                                          (u_char *) value.data + value.len);
    }

    query->len = p - query->data;

    return NGX_OK;
}


/* whether the end is a valid cursor; a time may be before the oldest event */

static ngx_uint_t
ngx_http_eventsync_still_to(es_str_t name, es_str_t value,
    const es_feed_t *feed)
{
    es_cursor_t  to;

    return es_str_eq(name, es_str("to"))
           && es_cursor_parse(value, &to) == ES_OK
           && es_feed_check(feed, &to) == ES_OK;
}


/* keeps existing percent-encoding */

static u_char *
ngx_http_eventsync_escape_arg(u_char *p, u_char *src, u_char *last)
{
    for ( /* void */ ; src < last; src++) {

        if ((*src >= '0' && *src <= '9') || (*src >= 'A' && *src <= 'Z')
            || (*src >= 'a' && *src <= 'z')
            || (*src && ngx_strchr("-._~!$'()*+,;=:@/?%", *src)))
        {
            *p++ = *src;

        } else {
            p = ngx_sprintf(p, "%%%02Xi", (ngx_int_t) *src);
        }
    }

    return p;
}


/*
 * nginx has decoded the path of the request. Answers must encode it again, in
 * characters that are safe in a header and in JSON.
 */

ngx_int_t
ngx_http_eventsync_escape_path(ngx_http_request_t *r, ngx_str_t *path,
    ngx_str_t *escaped)
{
    escaped->len = path->len + 2 * ngx_escape_uri(NULL, path->data, path->len,
                                                  NGX_ESCAPE_URI);

    escaped->data = ngx_pnalloc(r->pool, escaped->len);
    if (escaped->data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_escape_uri(escaped->data, path->data, path->len,
                          NGX_ESCAPE_URI);

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_query_arg(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *args, ngx_uint_t n, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {

        if (args[i].off
            || args[i].name.len != name->len
            || ngx_memcmp(args[i].name.data, name->data, name->len) != 0)
        {
            continue;
        }

        if (args[i].set && !args[i].list) {
            (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"%V\" is repeated.", name);
            return ngx_http_eventsync_parameter(ctx, name);
        }

        if (ngx_http_eventsync_decode(ctx, name, value, args[i].plus)
            != NGX_OK)
        {
            return NGX_DECLINED;
        }

        if (args[i].set++) {
            return ngx_http_eventsync_query_join(ctx, &args[i], value);
        }

        args[i].value = *value;

        return NGX_OK;
    }

    return ngx_http_eventsync_unknown(ctx, name);
}


/* a repeated list has the items of all its values; they fit, with a comma in
   place of each name */

static ngx_int_t
ngx_http_eventsync_query_join(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *arg, ngx_str_t *value)
{
    u_char  *p;

    p = arg->value.data;

    if (arg->set == 2) {
        p = ngx_pnalloc(ctx->request->pool, ctx->request->args.len);
        if (p == NULL) {
            return NGX_DECLINED;
        }

        ngx_memcpy(p, arg->value.data, arg->value.len);
        arg->value.data = p;
    }

    p += arg->value.len;
    *p++ = ',';
    p = ngx_cpymem(p, value->data, value->len);

    arg->value.len = p - arg->value.data;

    return NGX_OK;
}


ngx_int_t
ngx_http_eventsync_unknown(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *name)
{
    name->len = ngx_min(name->len, NGX_HTTP_EVENTSYNC_QUOTED);

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                   "Parameter \"%V\" is unknown.", name);

    return ngx_http_eventsync_parameter(ctx, name);
}


/* names the parameter for programs; the name may contain any byte */

ngx_int_t
ngx_http_eventsync_parameter(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *name)
{
    u_char      text[NGX_HTTP_EVENTSYNC_QUOTED];
    u_char      escaped[6 * NGX_HTTP_EVENTSYNC_QUOTED];
    size_t      len;
    ngx_str_t   value;
    ngx_uint_t  i;

    len = ngx_min(name->len, NGX_HTTP_EVENTSYNC_QUOTED);

    for (i = 0; i < len; i++) {
        text[i] = (name->data[i] <= '~') ? name->data[i] : '?';
    }

    value.data = escaped;
    value.len = (u_char *) ngx_escape_json(escaped, text, len) - escaped;

    return ngx_http_eventsync_members(ctx, sizeof(escaped) + 32,
                                      ",\"parameter\":\"%V\"", &value);
}


/* decodes percent-encoding, and '+' as a space where forms use it */

static ngx_int_t
ngx_http_eventsync_decode(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *name,
    ngx_str_t *value, ngx_uint_t plus)
{
    char      *out, *end;
    es_str_t   text;

    text = ngx_http_eventsync_str(value);

    if (!es_query_encoded(text)) {
        return NGX_OK;
    }

    out = ngx_pnalloc(ctx->request->pool, text.len);
    if (out == NULL) {
        return NGX_DECLINED;
    }

    end = es_query_decode(text, plus, out);

    if (end == NULL) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"%V\" has a malformed "
                                     "percent-encoding.", name);
        return ngx_http_eventsync_parameter(ctx, name);
    }

    value->data = (u_char *) out;
    value->len = end - out;

    return NGX_OK;
}
