/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Positions: resolves the cursor, time or word of a query in the feed. The
 * errors tell the client where to continue.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"

#include "base/clock.h"
#include "event/cursor.h"
#include "log/feed.h"
#include "read/reader.h"
#include "store/txn.h"


static ngx_int_t ngx_http_eventsync_position(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, const es_feed_t *feed, ngx_str_t *name, ngx_str_t *text,
    ngx_uint_t cursors, uint64_t *after);
static ngx_uint_t ngx_http_eventsync_word(ngx_str_t *text, const char *word);


/*
 * Finds the beginning: `after`, `from`, or the oldest event retained. `from`
 * may be a cursor only if `cursors` is set.
 */

ngx_int_t
ngx_http_eventsync_begin(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    const es_feed_t *feed, ngx_uint_t cursors, uint64_t *after)
{
    ngx_str_t                   name = ngx_string("from");
    ngx_http_eventsync_args_t  *args;

    args = ctx->args;

    if (args->has_after) {
        *after = args->after.sequence;
        return ngx_http_eventsync_check(ctx, feed, &args->after);
    }

    if (args->has_from) {
        return ngx_http_eventsync_position(ctx, txn, feed, &name, &args->from,
                                           cursors, after);
    }

    *after = feed->oldest - 1;

    return NGX_OK;
}


/*
 * Finds the range (after, to]. A time ends it after the last event committed
 * before that time. By default it ends at the feed's last event.
 */

ngx_int_t
ngx_http_eventsync_range(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    const es_feed_t *feed, uint64_t *after, uint64_t *to)
{
    ngx_str_t                   name = ngx_string("to");
    ngx_http_eventsync_args_t  *args;

    args = ctx->args;
    *to = feed->last;

    if (ngx_http_eventsync_begin(ctx, txn, feed, 1, after) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (args->has_to
        && ngx_http_eventsync_position(ctx, txn, feed, &name, &args->to, 1, to)
           != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (*to < *after) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"to\" is before the start of "
                                     "the range.");
        return ngx_http_eventsync_parameter(ctx, &name);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_position(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    const es_feed_t *feed, ngx_str_t *name, ngx_str_t *text,
    ngx_uint_t cursors, uint64_t *after)
{
    es_rc_t      es;
    int64_t      ms;
    es_cursor_t  cursor;

    if (ngx_http_eventsync_word(text, "oldest")) {
        *after = feed->oldest - 1;
        return NGX_OK;
    }

    if (ngx_http_eventsync_word(text, "latest")) {
        *after = feed->last;
        return NGX_OK;
    }

    if (cursors
        && es_cursor_parse(ngx_http_eventsync_str(text), &cursor) == ES_OK)
    {
        *after = cursor.sequence;
        return ngx_http_eventsync_check(ctx, feed, &cursor);
    }

    if (es_time_parse(ngx_http_eventsync_str(text), &ms) != ES_OK) {
        (void) ngx_http_eventsync_fail(ctx,
                                     NGX_HTTP_EVENTSYNC_INVALID_PARAMETER,
                                     "Parameter \"%V\" must be \"oldest\", "
                                     "\"latest\"%s or an RFC 3339 time.",
                                     name, cursors ? ", a cursor" : "");
        return ngx_http_eventsync_parameter(ctx, name);
    }

    es = es_feed_seek_time(txn, feed, ms, after);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_eventsync_word(ngx_str_t *text, const char *word)
{
    return text->len == ngx_strlen(word)
           && ngx_memcmp(text->data, word, text->len) == 0;
}


/* never replace an expired, foreign or future cursor by another one */

ngx_int_t
ngx_http_eventsync_check(ngx_http_eventsync_ctx_t *ctx, const es_feed_t *feed,
    const es_cursor_t *cursor)
{
    char     latest[ES_CURSOR_MAX];
    es_rc_t  es;

    es = es_feed_check(feed, cursor);

    switch (es) {

    case ES_OK:
        return NGX_OK;

    case ES_RESET:
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FEED_RESET,
                                       "The feed was reset after this cursor "
                                       "was issued; start over.");
        return ngx_http_eventsync_gone(ctx, feed, cursor,
                                       &ctx->request->uri);

    case ES_EXPIRED:
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_CURSOR_EXPIRED,
                                       "The feed no longer retains the events "
                                       "after this cursor.");
        return ngx_http_eventsync_gone(ctx, feed, cursor,
                                       &ctx->request->uri);

    case ES_AHEAD:
        (void) es_feed_cursor(feed, feed->last, latest);

        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_CURSOR_AHEAD,
                                       "The cursor is ahead of the last event "
                                       "of the feed.");
        return ngx_http_eventsync_members(ctx, ES_CURSOR_MAX + 16,
                                          ",\"latest\":\"%s\"", latest);

    default:
        return ngx_http_eventsync_fail_store(ctx, es);
    }
}


/*
 * tells the client how to continue at `path`, instead of what the problem said
 * before; reveals nothing secret
 */

ngx_int_t
ngx_http_eventsync_gone(ngx_http_eventsync_ctx_t *ctx, const es_feed_t *feed,
    const es_cursor_t *held, ngx_str_t *path)
{
    char        oldest[ES_CURSOR_MAX], latest[ES_CURSOR_MAX];
    u_char      missed[NGX_INT64_LEN + 1];
    ngx_str_t   uri, query, cursor;

    (void) es_feed_cursor(feed, feed->oldest - 1, oldest);
    (void) es_feed_cursor(feed, feed->last, latest);

    /* the number of events of another epoch is unknown */

    if (es_feed_has(feed, held->epoch, held->sequence)) {
        ngx_sprintf(missed, "%uL%Z", feed->oldest - 1 - held->sequence);
    } else {
        ngx_sprintf(missed, "null%Z");
    }

    if (ngx_http_eventsync_escape_path(ctx->request, path, &uri) != NGX_OK) {
        return NGX_DECLINED;
    }

    cursor.data = (u_char *) oldest;
    cursor.len = ngx_strlen(oldest);

    /* a snapshot starts without a cursor, but returns one */

    if (ngx_http_eventsync_query_after(ctx,
                           (ctx->args && ctx->args->has_page) ? NULL : &cursor,
                           feed, &query)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ctx->problem) {
        ctx->problem->members.len = 0;
    }

    return ngx_http_eventsync_members(ctx, uri.len + query.len
                                      + 2 * ES_CURSOR_MAX + 128,
                                      ",\"oldest\":\"%s\",\"latest\":\"%s\","
                                      "\"missed\":%s,"
                                      "\"restart\":\"%V%s%V\"",
                                      oldest, latest, missed, &uri,
                                      query.len ? "?" : "", &query);
}
