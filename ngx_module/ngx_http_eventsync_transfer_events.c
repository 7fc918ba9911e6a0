/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Slices of an answer with events. The header fields, and the texts before and
 * after the events, were made from one read of all of them. Each slice is
 * another read, which must give the same events: if retention, a reset or a
 * removal has changed them, or the key was revoked, or the field lists have
 * changed, the answer is cut before its end.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_encrypt.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_position.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_transfer.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "event/cursor.h"
#include "log/feed.h"
#include "read/reader.h"
#include "store/txn.h"


static ngx_int_t ngx_http_eventsync_transfer_range_read(
    ngx_http_eventsync_transfer_t *t, es_txn_t *txn, size_t bytes);
static void ngx_http_eventsync_transfer_range_move(
    ngx_http_eventsync_transfer_t *t, const es_page_t *page);
static ngx_int_t ngx_http_eventsync_transfer_slice(
    ngx_http_eventsync_transfer_t *t);
static ngx_int_t ngx_http_eventsync_transfer_read(
    ngx_http_eventsync_transfer_t *t);
static ngx_int_t ngx_http_eventsync_transfer_page(
    ngx_http_eventsync_transfer_t *t, size_t room);


/* the events after t->place up to t->last, of which t->filter has t->count */

void
ngx_http_eventsync_transfer_range(ngx_http_eventsync_transfer_t *t)
{
    t->read = ngx_http_eventsync_transfer_range_read;
    t->move = ngx_http_eventsync_transfer_range_move;

    ngx_http_eventsync_transfer_events(t);
}


static ngx_int_t
ngx_http_eventsync_transfer_range_read(ngx_http_eventsync_transfer_t *t,
    es_txn_t *txn, size_t bytes)
{
    es_rc_t                      es;
    es_feed_t                    feed;
    ngx_http_eventsync_ctx_t    *ctx;
    ngx_http_eventsync_place_t  *place;

    ctx = t->ctx;
    place = &t->place;

    es = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed), &feed);
    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    if (ngx_http_eventsync_check(ctx, &feed, &place->position) != NGX_OK) {
        return NGX_DECLINED;
    }

    feed.last = t->last;

    es = es_page_read(txn, &feed, place->position.sequence,
                      es_str(place->prev), t->count - place->count, bytes,
                      t->filter, ngx_http_eventsync_fields(ctx),
                      &ctx->worker->page);

    ngx_memcpy(t->epoch, es_feed_epoch_of(&feed, ctx->worker->page.last),
               sizeof(t->epoch));

    return (es == ES_OK) ? NGX_OK : ngx_http_eventsync_fail_store(ctx, es);
}


static void
ngx_http_eventsync_transfer_range_move(ngx_http_eventsync_transfer_t *t,
    const es_page_t *page)
{
    ngx_http_eventsync_place_t  *place;

    place = &t->place;

    place->position.sequence = page->next;

    if (page->count) {
        place->last = page->last;
        (void) es_cursor_print(t->epoch, page->last, place->prev);
    }
}


/* t->read and t->move are set */

void
ngx_http_eventsync_transfer_events(ngx_http_eventsync_transfer_t *t)
{
    t->fill = ngx_http_eventsync_transfer_slice;
    t->repeats = 1;
}


static ngx_int_t
ngx_http_eventsync_transfer_slice(ngx_http_eventsync_transfer_t *t)
{
    ngx_buf_t                   *b;
    ngx_http_eventsync_ctx_t    *ctx;
    ngx_http_eventsync_place_t  *place;

    b = t->buf;
    ctx = t->ctx;
    place = &t->place;

    if (place->body == 0 && t->head.len) {
        b->last = ngx_cpymem(b->last, t->head.data, t->head.len);
    }

    if (place->count < t->count
        && ngx_http_eventsync_transfer_read(t) != NGX_OK)
    {
        if (!ngx_http_eventsync_encrypting(ctx)) {
            ngx_http_eventsync_transfer_cut(t);
        }

        return NGX_ERROR;
    }

    if (place->count == t->count
        && (size_t) (b->end - b->last) >= t->tail.len)
    {
        b->last = ngx_cpymem(b->last, t->tail.data, t->tail.len);
        t->closed = 1;
    }

    place->body += b->last - b->pos;

    if (t->closed ? place->body != t->length : place->body > t->length) {
        ngx_http_eventsync_transfer_cut(t);
        return NGX_ERROR;
    }

    if (place->count) {
        ctx->last = place->last;
        ctx->events = place->count;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_transfer_read(ngx_http_eventsync_transfer_t *t)
{
    size_t                     room;
    es_rc_t                    es;
    es_txn_t                  *txn;
    ngx_int_t                  rc;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = t->ctx;

    if (ngx_http_eventsync_permit(ctx) != NGX_OK
        || ngx_http_eventsync_fields_same(ctx, t->fields) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, es);
    }

    /* room for a separator before the events, or behind them */

    room = t->buf->end - t->buf->last - 1;

    rc = t->read(t, txn, room);

    if (rc == NGX_OK) {
        rc = ngx_http_eventsync_transfer_page(t, room);
    }

    es_txn_end(txn);

    return rc;
}


static ngx_int_t
ngx_http_eventsync_transfer_page(ngx_http_eventsync_transfer_t *t,
    size_t room)
{
    size_t                       size;
    u_char                      *start;
    unsigned                     i;
    ngx_buf_t                   *b;
    const es_page_t             *page;
    ngx_http_eventsync_place_t  *place;

    b = t->buf;
    page = &t->ctx->worker->page;
    place = &t->place;

    if (page->count > t->count - place->count
        || (place->offset && page->ends[0] != place->size))
    {
        return NGX_DECLINED;
    }

    if (page->count == 0) {
        t->move(t, page);
        return page->has_more ? NGX_OK : NGX_DECLINED;
    }

    if (place->count && place->offset == 0 && !t->lines) {
        *b->last++ = ',';
    }

    size = ngx_min(page->bytes - place->offset, room);
    start = b->last;
    b->last = ngx_http_eventsync_transfer_part(page, place->offset, size,
                                               start);

    if (place->offset + size < page->bytes) {

        /* a single event exceeds the slice */

        place->size = page->bytes;
        place->offset += size;

        return NGX_OK;
    }

    if (t->lines) {

        for (i = 0; i + 1 < page->count; i++) {
            start[page->ends[i] - place->offset] = LF;
        }

        *b->last++ = LF;
    }

    place->offset = 0;
    place->count += page->count;
    t->move(t, page);

    return NGX_OK;
}


/* copies a part of the page's text */

u_char *
ngx_http_eventsync_transfer_part(const es_page_t *page, size_t offset,
    size_t size, u_char *p)
{
    size_t  i, n;

    for (i = 0; size; i++) {

        if (offset >= page->slices[i].len) {
            offset -= page->slices[i].len;
            continue;
        }

        n = ngx_min(page->slices[i].len - offset, size);

        p = ngx_cpymem(p, page->slices[i].data + offset, n);

        size -= n;
        offset = 0;
    }

    return p;
}


void
ngx_http_eventsync_transfer_cut(ngx_http_eventsync_transfer_t *t)
{
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = t->ctx;

    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "eventsync cuts an answer of feed \"%V\" after %O of %O "
                  "bytes: its events or field lists have changed, or the key "
                  "was revoked",
                  &ctx->feed, t->begin.body, t->length);
}
