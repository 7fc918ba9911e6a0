/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The text of a stream of Server-Sent Events: events in their frames, the
 * reader's position, and heartbeats.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_count.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_polls.h"
#include "ngx_http_eventsync_stream.h"
#include "ngx_http_eventsync_transfer.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "event/cursor.h"
#include "read/reader.h"


#define NGX_HTTP_EVENTSYNC_STREAM_FRAME                                       \
    (sizeof("id: \ndata: \n\n") - 1 + ES_CURSOR_MAX)


/* sends a heartbeat, or the position if the reader does not know it */

ngx_int_t
ngx_http_eventsync_stream_heartbeat(ngx_http_eventsync_ctx_t *ctx)
{
    return (ctx->stream->held == ctx->reading->scan)
           ? ngx_http_eventsync_stream_text(ctx, ":\n\n")
           : ngx_http_eventsync_stream_position(ctx);
}


/*
 * Sends the position as an event with a name of its own. Readers ignore an id
 * that comes without data, and code that listens to messages only does not get
 * this event.
 */

ngx_int_t
ngx_http_eventsync_stream_position(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_reading_t  *reading;

    reading = ctx->reading;

    (void) es_cursor_print(reading->epoch, reading->scan,
                           reading->after_text);
    ctx->stream->held = reading->scan;

    return ngx_http_eventsync_stream_text(ctx, "event: position\nid: %s\n"
                                          "data: {\"cursor\":\"%s\"}\n\n",
                                          reading->after_text,
                                          reading->after_text);
}


/*
 * Copies the events to the end of the slice, and from there moves each into
 * its frame. The space before the copy is room for the frames.
 */

ngx_int_t
ngx_http_eventsync_stream_frame(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page)
{
    char                         *src, *out;
    size_t                        frames;
    es_str_t                      event, cursor;
    unsigned                      i;
    ngx_http_eventsync_stream_t  *stream;

    stream = ctx->stream;
    frames = page->count * NGX_HTTP_EVENTSYNC_STREAM_FRAME;

    if (es_buf_reserve(&stream->text, frames + page->bytes) != ES_OK) {
        return NGX_ERROR;
    }

    out = stream->text.data;
    src = out + frames;

    (void) es_page_copy(page, src);

    for (i = 0; i < page->count; i++) {
        event.data = i ? src + page->ends[i - 1] + 1 : src;
        event.len = (size_t) (src + page->ends[i] - event.data);

        cursor = es_cursor_of(event);

        if (i + 1 == page->count) {
            ngx_memcpy(ctx->reading->after_text, cursor.data, cursor.len);
            ctx->reading->after_text[cursor.len] = '\0';
        }

        out = (char *) ngx_cpymem(out, "id: ", 4);
        out = (char *) ngx_cpymem(out, cursor.data, cursor.len);
        out = (char *) ngx_cpymem(out, "\ndata: ", 7);
        out = (char *) ngx_movemem(out, event.data, event.len);
        out = (char *) ngx_cpymem(out, "\n\n", 2);
    }

    stream->text.len = out - stream->text.data;
    stream->held = page->last;

    ngx_http_eventsync_moved(ctx, feed, page->first, page->last);
    ngx_http_eventsync_count_sent(ctx, page->count);
    ngx_http_eventsync_polls_piece(ctx, page);

    return NGX_OK;
}


/*
 * Sends a part of an event that exceeds a slice. The next read finds the same
 * event again, until all of it was sent.
 */

ngx_int_t
ngx_http_eventsync_stream_part(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page)
{
    char                           cursor[ES_CURSOR_MAX];
    u_char                        *p;
    size_t                         size;
    ngx_http_eventsync_stream_t   *stream;
    ngx_http_eventsync_reading_t  *reading;

    stream = ctx->stream;
    reading = ctx->reading;

    if (page->count != 1 || (stream->offset && page->bytes != stream->size)) {
        return NGX_ERROR;
    }

    if (stream->offset == 0) {
        ngx_http_eventsync_fields_id(ctx, stream->fields);

    } else if (ngx_http_eventsync_fields_same(ctx, stream->fields) != NGX_OK) {
        return NGX_ERROR;
    }

    size = ngx_min(page->bytes - stream->offset,
                   NGX_HTTP_EVENTSYNC_STREAM_BYTES);

    if (es_buf_reserve(&stream->text, NGX_HTTP_EVENTSYNC_STREAM_FRAME + size)
        != ES_OK)
    {
        return NGX_ERROR;
    }

    p = (u_char *) stream->text.data;

    (void) es_feed_cursor(feed, page->last, cursor);

    if (stream->offset == 0) {
        p = ngx_sprintf(p, "id: %s\ndata: ", cursor);
    }

    p = ngx_http_eventsync_transfer_part(page, stream->offset, size, p);

    stream->size = page->bytes;
    stream->offset += size;

    if (stream->offset == page->bytes) {
        p = ngx_cpymem(p, "\n\n", 2);

        stream->offset = 0;
        stream->held = page->last;
        ngx_http_eventsync_scan(reading, feed, page->next);
        ngx_memcpy(reading->after_text, cursor, ES_CURSOR_MAX);

        ngx_http_eventsync_moved(ctx, feed, page->first, page->last);
        ngx_http_eventsync_count_sent(ctx, 1);
        ngx_http_eventsync_polls_piece(ctx, page);
    }

    stream->text.len = (char *) p - stream->text.data;

    return NGX_OK;
}


ngx_int_t
ngx_http_eventsync_stream_text(ngx_http_eventsync_ctx_t *ctx, const char *fmt,
    ...)
{
    char     text[2 * ES_CURSOR_MAX + 64];
    u_char  *last;
    va_list  args;

    va_start(args, fmt);
    last = ngx_vslprintf((u_char *) text, (u_char *) text + sizeof(text), fmt,
                         args);
    va_end(args);

    return (es_buf_append(&ctx->stream->text, text, (char *) last - text)
            == ES_OK)
           ? NGX_OK : NGX_ERROR;
}
