/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The query: untrusted text to typed values; and how an answer names the URL.
 */


#include "ngx_http_eventsync.h"

#include "base/query.h"


static ngx_uint_t ngx_http_eventsync_still_to(es_str_t name, es_str_t value,
    const es_feed_t *feed);
static u_char *ngx_http_eventsync_escape_arg(u_char *p, u_char *src,
    u_char *last);
static ngx_int_t ngx_http_eventsync_query_arg(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *args, ngx_uint_t n, ngx_str_t *name,
    ngx_str_t *value);
static ngx_int_t ngx_http_eventsync_decode(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *name, ngx_str_t *value, ngx_uint_t plus);
static ngx_int_t ngx_http_eventsync_unknown(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *name);
static ngx_int_t ngx_http_eventsync_poll_last_id(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_arg_t *id,
    ngx_http_eventsync_arg_t *header);
static ngx_int_t ngx_http_eventsync_poll_position(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_arg_t *after,
    ngx_http_eventsync_arg_t *from);
static ngx_int_t ngx_http_eventsync_poll_numbers(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_arg_t *limit,
    ngx_http_eventsync_arg_t *wait);
static ngx_int_t ngx_http_eventsync_poll_filter(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *types, ngx_http_eventsync_arg_t *subject);
static void ngx_http_eventsync_poll_cleanup(void *data);


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
 * The same query from another cursor, or without any, and to the end, or to
 * its own if that is of the feed, in characters that need no escape in a header
 * or in JSON.
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


/* an end that is a cursor and still there: a time may be before the oldest */

static ngx_uint_t
ngx_http_eventsync_still_to(es_str_t name, es_str_t value,
    const es_feed_t *feed)
{
    es_cursor_t  to;

    return es_str_eq(name, es_str("to"))
           && es_cursor_parse(value, &to) == ES_OK
           && es_feed_check(feed, &to) == ES_OK;
}


/* what is encoded stays as it is */

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
 * nginx has decoded the path of a request.  An answer names it only as a URL
 * spells it, in characters that need no escape in a header or in JSON.
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

        if (args[i].name.len != name->len
            || ngx_memcmp(args[i].name.data, name->data, name->len) != 0)
        {
            continue;
        }

        if (args[i].set) {
            (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"%V\" is repeated.", name);
            return ngx_http_eventsync_parameter(ctx, name);
        }

        args[i].set = 1;
        args[i].value = *value;

        return ngx_http_eventsync_decode(ctx, name, &args[i].value,
                                         args[i].plus);
    }

    return ngx_http_eventsync_unknown(ctx, name);
}


static ngx_int_t
ngx_http_eventsync_unknown(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *name)
{
    name->len = ngx_min(name->len, NGX_HTTP_EVENTSYNC_QUOTED);

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                   "Parameter \"%V\" is unknown.", name);

    return ngx_http_eventsync_parameter(ctx, name);
}


/* which one it was, for programs; any byte may be in a name */

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
        text[i] = (name->data[i] < 0x80) ? name->data[i] : '?';
    }

    value.data = escaped;
    value.len = (u_char *) ngx_escape_json(escaped, text, len) - escaped;

    return ngx_http_eventsync_members(ctx, sizeof(escaped) + 32,
                                      ",\"parameter\":\"%V\"", &value);
}


/* percent-encoding, and '+' for a space as forms have it */

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


ngx_int_t
ngx_http_eventsync_poll_args(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_uint_t                 n;
    ngx_http_eventsync_arg_t  *after, *from, *limit, *wait, *types, *subject;
    ngx_http_eventsync_arg_t   args[] = {
        { ngx_string("after"), ngx_null_string, 0, 0 },
        { ngx_string("limit"), ngx_null_string, 0, 0 },
        { ngx_string("wait"), ngx_null_string, 0, 0 },
        { ngx_string("types"), ngx_null_string, 0, 0 },
        { ngx_string("subject"), ngx_null_string, 0, 0 },
        { ngx_string("from"), ngx_null_string, 0, 1 },
        { ngx_string("lastEventId"), ngx_null_string, 0, 0 },
        { ngx_string("Last-Event-ID"), ngx_null_string, 0, 0 },
    };

    /* the last two are of streams, see _reconnect */

    n = ctx->conf->sse ? 8 : 6;

    after = &args[0];
    limit = &args[1];
    wait = &args[2];
    types = &args[3];
    subject = &args[4];
    from = &args[5];

    if (ngx_http_eventsync_query(ctx, args, n) != NGX_OK
        || ngx_http_eventsync_poll_last_id(ctx, &args[6], &args[7]) != NGX_OK
        || ngx_http_eventsync_poll_position(ctx, after, from) != NGX_OK
        || ngx_http_eventsync_poll_numbers(ctx, limit, wait) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (!types->set && !subject->set) {
        return NGX_OK;
    }

    return ngx_http_eventsync_poll_filter(ctx, types, subject);
}


/* two spellings of one parameter; what it is worth depends on the format */

static ngx_int_t
ngx_http_eventsync_poll_last_id(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *id, ngx_http_eventsync_arg_t *header)
{
    if (id->set && header->set) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameters \"%V\" and \"%V\" exclude "
                                     "each other.", &id->name, &header->name);
        return ngx_http_eventsync_parameter(ctx, &header->name);
    }

    if (id->set || header->set) {
        ctx->poll->stranger = id->set ? id->name : header->name;
    }

    return NGX_OK;
}


/* of a request that turns out to be none of a stream's */

ngx_int_t
ngx_http_eventsync_no_stream_args(ngx_http_eventsync_ctx_t *ctx)
{
    return ctx->poll->stranger.len
           ? ngx_http_eventsync_unknown(ctx, &ctx->poll->stranger) : NGX_OK;
}


/* a range of events; with `filter`, of those that match */

ngx_int_t
ngx_http_eventsync_range_args(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t filter)
{
    ngx_http_eventsync_arg_t  *after, *from, *to, *types, *subject;
    ngx_http_eventsync_arg_t   args[] = {
        { ngx_string("after"), ngx_null_string, 0, 0 },
        { ngx_string("from"), ngx_null_string, 0, 1 },
        { ngx_string("to"), ngx_null_string, 0, 1 },
        { ngx_string("types"), ngx_null_string, 0, 0 },
        { ngx_string("subject"), ngx_null_string, 0, 0 },
    };

    after = &args[0];
    from = &args[1];
    to = &args[2];
    types = &args[3];
    subject = &args[4];

    if (ngx_http_eventsync_query(ctx, args, filter ? 5 : 3) != NGX_OK
        || ngx_http_eventsync_poll_position(ctx, after, from) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ctx->poll->has_to = to->set;
    ctx->poll->to = to->value;

    if (!types->set && !subject->set) {
        return NGX_OK;
    }

    return ngx_http_eventsync_poll_filter(ctx, types, subject);
}


ngx_int_t
ngx_http_eventsync_snapshot_args(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *page, ngx_uint_t *tombstones)
{
    ngx_http_eventsync_arg_t  *value, wait;
    ngx_http_eventsync_arg_t   args[] = {
        { ngx_string("limit"), ngx_null_string, 0, 0 },
        { ngx_string("page"), ngx_null_string, 0, 0 },
        { ngx_string("tombstones"), ngx_null_string, 0, 0 },
    };

    ngx_memzero(&wait, sizeof(ngx_http_eventsync_arg_t));

    if (ngx_http_eventsync_query(ctx, args, 3) != NGX_OK
        || ngx_http_eventsync_poll_numbers(ctx, &args[0], &wait) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ctx->poll->has_page = args[1].set;
    *page = args[1].value;
    value = &args[2];

    if (value->set
        && (value->value.len != 1
            || (value->value.data[0] != '0' && value->value.data[0] != '1')))
    {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"tombstones\" must be 0 or "
                                     "1.");
        return ngx_http_eventsync_parameter(ctx, &value->name);
    }

    *tombstones = (value->set && value->value.data[0] == '1');

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_poll_position(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *after, ngx_http_eventsync_arg_t *from)
{
    ngx_http_eventsync_poll_t  *poll;

    poll = ctx->poll;

    if (after->set && from->set) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameters \"after\" and \"from\" "
                                     "exclude each other.");
        return ngx_http_eventsync_parameter(ctx, &from->name);
    }

    if (after->set) {
        poll->has_after = 1;

        if (es_cursor_parse(ngx_http_eventsync_str(&after->value),
                            &poll->after)
            != ES_OK)
        {
            after->value.len = ngx_min(after->value.len,
                                       NGX_HTTP_EVENTSYNC_QUOTED);

            return ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_CURSOR,
                                     "Parameter \"after\" is not a cursor: "
                                     "\"%V\".", &after->value);
        }
    }

    /* the time is judged where it is used, in the scope of a feed */

    poll->has_from = from->set;
    poll->from = from->value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_poll_numbers(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *limit, ngx_http_eventsync_arg_t *wait)
{
    ngx_int_t                       n;
    ngx_uint_t                      max;
    ngx_http_eventsync_poll_t      *poll;
    ngx_http_eventsync_loc_conf_t  *conf;

    poll = ctx->poll;
    conf = ctx->conf;

    poll->limit = conf->poll_limit;
    poll->has_limit = limit->set;
    poll->has_wait = wait->set;

    if (limit->set) {
        n = ngx_atoi(limit->value.data, limit->value.len);

        if (n < 1 || (ngx_uint_t) n > conf->poll_limit_max) {
            (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"limit\" must be between 1 "
                                     "and %ui.",
                                     conf->poll_limit_max);
            return ngx_http_eventsync_members(ctx, 64,
                                     ",\"parameter\":\"limit\","
                                     "\"maximum\":%ui", conf->poll_limit_max);
        }

        poll->limit = n;
    }

    if (wait->set) {
        n = ngx_atoi(wait->value.data, wait->value.len);
        max = conf->poll_wait_max;

        if (n < 0 || (ngx_uint_t) n > max) {
            (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"wait\" must be between 0 "
                                     "and %ui seconds.", max);
            return ngx_http_eventsync_members(ctx, 64,
                                     ",\"parameter\":\"wait\","
                                     "\"maximum\":%ui", max);
        }

        poll->wait = (ngx_msec_t) n * 1000;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_poll_filter(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *types, ngx_http_eventsync_arg_t *subject)
{
    es_rc_t                     rc, types_rc;
    ngx_str_t                  *name;
    es_problem_t                problem;
    ngx_pool_cleanup_t         *cln;
    ngx_http_eventsync_poll_t  *poll;

    poll = ctx->poll;

    poll->filter = ngx_pcalloc(ctx->request->pool, sizeof(es_filter_t));
    if (poll->filter == NULL) {
        return NGX_DECLINED;
    }

    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
    if (cln == NULL) {
        return NGX_DECLINED;
    }

    cln->handler = ngx_http_eventsync_poll_cleanup;
    cln->data = poll;

    types_rc = ES_OK;
    rc = ES_OK;

    if (types->set) {
        types_rc = es_filter_types(poll->filter,
                                   ngx_http_eventsync_str(&types->value),
                                   &problem);
        rc = types_rc;
    }

    if (rc == ES_OK && subject->set) {
        rc = es_filter_subject(poll->filter,
                               ngx_http_eventsync_str(&subject->value),
                               &poll->scratch, &problem);
    }

    if (rc == ES_INVALID || rc == ES_TOO_LARGE) {
        name = (types_rc != ES_OK) ? &types->name : &subject->name;

        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"%V\": %s.", name,
                                     problem.detail);
        return ngx_http_eventsync_parameter(ctx, name);
    }

    if (rc != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, rc);
    }

    if (es_filter_is_all(poll->filter)) {
        poll->filter = NULL;
    }

    return NGX_OK;
}


static void
ngx_http_eventsync_poll_cleanup(void *data)
{
    ngx_http_eventsync_poll_t  *poll = data;

    es_buf_free(&poll->scratch);
}
