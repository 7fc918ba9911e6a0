/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts the bytes of answers that are sent in one piece. A client that does
 * not read them holds them until its connection ends, so there is a bound for
 * a partner, and one for all together.
 *
 * An answer that would be the only one is never refused, however large it is.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_room.h"
#include "ngx_http_eventsync_transfer.h"
#include "ngx_http_eventsync_worker.h"

#include "limit/limit.h"


/* bytes, in a worker */
#define NGX_HTTP_EVENTSYNC_ROOM_PARTNER  (16 * 1024 * 1024)
#define NGX_HTTP_EVENTSYNC_ROOM_ALL      (64 * 1024 * 1024)

/* seconds: a client that reads has its answer by then */
#define NGX_HTTP_EVENTSYNC_ROOM_RETRY    2


static void ngx_http_eventsync_room_sum(ngx_http_eventsync_ctx_t *ctx,
    size_t *mine, size_t *all);
static void ngx_http_eventsync_room_cleanup(void *data);


ngx_int_t
ngx_http_eventsync_room(ngx_http_eventsync_ctx_t *ctx, size_t bytes)
{
    size_t                       mine, all;
    ngx_http_eventsync_charge_t  charge = { ES_POLICY_WAITS, 1 };

    if (bytes <= NGX_HTTP_EVENTSYNC_SLICE
        || ctx->request->method == NGX_HTTP_HEAD)
    {
        return NGX_OK;
    }

    if (ctx->request->method == NGX_HTTP_GET
        && ctx->limit.rates[ES_POLICY_WAITS].burst
        && !ctx->limit.waits
        && ngx_http_eventsync_limit(ctx, &charge, 1) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (ngx_http_eventsync_room_take(ctx, bytes) == NGX_OK) {
        return NGX_OK;
    }

    ngx_http_eventsync_room_sum(ctx, &mine, &all);

    if (mine && mine + bytes > NGX_HTTP_EVENTSYNC_ROOM_PARTNER) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_QUOTA_EXCEEDED,
                                       "The credential's partner has not yet "
                                       "read other large answers.");

    } else {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_UNAVAILABLE,
                                       "The server has no room for another "
                                       "large answer at the moment.");
        mine = 0;
    }

    if (ctx->problem) {
        ctx->problem->retry_after = NGX_HTTP_EVENTSYNC_ROOM_RETRY;
    }

    return mine ? ngx_http_eventsync_members(ctx, 64,
                                        ",\"violated-policies\":[\"answers\"]")
                : NGX_DECLINED;
}


ngx_int_t
ngx_http_eventsync_room_take(ngx_http_eventsync_ctx_t *ctx, size_t bytes)
{
    size_t                      mine, all;
    ngx_pool_cleanup_t         *cln;
    ngx_http_eventsync_room_t  *room;

    if (ctx->room) {
        return NGX_OK;
    }

    ngx_http_eventsync_room_sum(ctx, &mine, &all);

    if ((mine && mine + bytes > NGX_HTTP_EVENTSYNC_ROOM_PARTNER)
        || (all && all + bytes > NGX_HTTP_EVENTSYNC_ROOM_ALL))
    {
        return NGX_DECLINED;
    }

    room = ngx_palloc(ctx->request->pool, sizeof(ngx_http_eventsync_room_t));
    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);

    if (room == NULL || cln == NULL) {
        return NGX_DECLINED;
    }

    cln->handler = ngx_http_eventsync_room_cleanup;
    cln->data = room;

    room->partner = ctx->partner;
    room->bytes = bytes;
    ngx_queue_insert_tail(&ctx->worker->rooms, &room->queue);

    ctx->room = room;

    return NGX_OK;
}


/* there are few: each takes more than a slice of what all may take */

static void
ngx_http_eventsync_room_sum(ngx_http_eventsync_ctx_t *ctx, size_t *mine,
    size_t *all)
{
    ngx_queue_t                *q, *rooms;
    ngx_http_eventsync_room_t  *room;

    *mine = 0;
    *all = 0;

    rooms = &ctx->worker->rooms;

    for (q = ngx_queue_head(rooms);
         q != ngx_queue_sentinel(rooms);
         q = ngx_queue_next(q))
    {
        room = ngx_queue_data(q, ngx_http_eventsync_room_t, queue);

        *all += room->bytes;

        if (room->partner == ctx->partner) {
            *mine += room->bytes;
        }
    }
}


void
ngx_http_eventsync_room_leave(ngx_http_eventsync_ctx_t *ctx)
{
    if (ctx->room) {
        ngx_http_eventsync_room_cleanup(ctx->room);
        ctx->room = NULL;
    }
}


static void
ngx_http_eventsync_room_cleanup(void *data)
{
    ngx_http_eventsync_room_t  *room = data;

    if (room->bytes) {
        room->bytes = 0;
        ngx_queue_remove(&room->queue);
    }
}
