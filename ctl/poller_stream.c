/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The streams of "verify-poller --sse": Server-Sent Events, as
 * docs/http-read.md has them.  A stream has what its move says, and ends.
 */

#include <stdio.h>

#include "base/clock.h"
#include "poller.h"

#define STREAM_RETRY_MS   300          /* until a reader comes back */
#define STREAM_LATER_MS   2000
#define STREAM_PIECE      7            /* within most characters and lines */
#define STREAM_PAUSES     6
#define STREAM_PAUSE_MS   600


static es_rc_t
ctl_stream_begin(const ctl_poller_t *p, size_t at, unsigned retry_ms,
    es_buf_t *out)
{
    const char  *cursor = p->feed.places[at].cursor;

    return es_buf_printf(out, "retry: %u\n\nevent: position\nid: %s\n"
                         "data: {\"cursor\":\"%s\"}\n\n", retry_ms, cursor,
                         cursor);
}


/* What a reader must pass over. */

static es_rc_t
ctl_stream_nothing(es_buf_t *out)
{
    return es_buf_printf(out, ": a comment\n\n:\n\nretry: %u\n\n"
                         "event: verify\ndata: of no meaning\n\n"
                         "unknown: field\n\n", STREAM_RETRY_MS);
}


static es_rc_t
ctl_stream_events(const ctl_poller_t *p, const ctl_page_t *page,
    const ctl_asked_t *asked, es_buf_t *out)
{
    size_t       i;
    es_rc_t      rc;
    const char  *prev, *cursor;

    rc = ES_OK;
    prev = p->feed.places[page->first].cursor;

    for (i = page->first + 1; rc == ES_OK && i <= page->to; i++) {

        if (p->feed.places[i].kind == CTL_PLACE_HIDDEN) {
            continue;
        }

        cursor = p->feed.places[i].cursor;
        rc = es_buf_printf(out, "id: %s\ndata: ", cursor);

        if (rc == ES_OK) {
            rc = ctl_poll_event(&p->feed, i, prev, asked, out);
        }

        if (rc == ES_OK) {
            rc = es_buf_printf(out, "\n\n");
        }

        prev = cursor;
    }

    return rc;
}


/* The event "end", with the body of the reply as its problem. */

static es_rc_t
ctl_stream_end(const ctl_poller_t *p, const ctl_asked_t *asked,
    unsigned retry_ms, ctl_reply_t *reply)
{
    es_rc_t   rc;
    es_buf_t  problem;

    problem = reply->body;
    reply->body = (es_buf_t) { 0 };
    reply->status = MHD_HTTP_OK;
    reply->type = "text/event-stream";

    rc = es_buf_printf(&reply->body, "retry: %u\nevent: end\nid: %s\ndata: "
                       "%.*s\n\n", retry_ms, p->feed.places[asked->at].cursor,
                       (int) problem.len, problem.data);
    es_buf_free(&problem);

    return rc;
}


es_rc_t
ctl_poller_stream_end(ctl_poller_t *p, const ctl_asked_t *asked,
    ctl_reply_t *reply)
{
    unsigned  retry_ms;

    reply->chunked = true;
    retry_ms = reply->status == MHD_HTTP_GONE ? STREAM_RETRY_MS
                                              : STREAM_LATER_MS;

    if (retry_ms == STREAM_LATER_MS) {
        p->not_before_us = es_clock_mono_us() + retry_ms * INT64_C(1000);
    }

    return ctl_stream_end(p, asked, retry_ms, reply);
}


es_rc_t
ctl_poller_stream(ctl_poller_t *p, const ctl_asked_t *asked,
    const ctl_page_t *page, ctl_move_kind_t kind, ctl_reply_t *reply)
{
    es_rc_t    rc;
    es_buf_t  *out = &reply->body;
    unsigned   retry_ms;

    reply->status = MHD_HTTP_OK;
    reply->type = "text/event-stream";
    reply->chunked = true;

    retry_ms = STREAM_RETRY_MS;

    if (kind == CTL_MOVE_STREAM_RETRY) {
        retry_ms = STREAM_LATER_MS;
        p->not_before_us = es_clock_mono_us() + retry_ms * INT64_C(1000);
    }

    rc = ctl_stream_begin(p, page->first, retry_ms, out);

    if (rc == ES_OK && kind == CTL_MOVE_STREAM_NOTHING) {
        rc = ctl_stream_nothing(out);
    }

    if (rc == ES_OK) {
        rc = ctl_stream_events(p, page, asked, out);
    }

    if (rc == ES_OK && page->to > page->last && kind != CTL_MOVE_STREAM_CUT) {
        rc = es_buf_printf(out, "event: position\nid: %s\ndata: {\"cursor\":"
                           "\"%s\"}\n\n", p->feed.places[page->to].cursor,
                           p->feed.places[page->to].cursor);
    }

    if (kind == CTL_MOVE_STREAM_SPLIT) {
        reply->piece = STREAM_PIECE;

    } else if (kind == CTL_MOVE_STREAM_SLOW) {
        reply->piece = out->len / STREAM_PAUSES + 1;
        reply->pause_ms = STREAM_PAUSE_MS;
    }

    return rc;
}
