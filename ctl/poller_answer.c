/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Answers a request of the poller by the move of the step, and notes what the
 * next request is judged by.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/encode.h"
#include "poller.h"

#define ANSWER_RETRY_S      2
#define ANSWER_DATE_S       3
#define ANSWER_HOLD_MS      500        /* a long poll without an event */
#define ANSWER_SLOW_MS      3000
#define ANSWER_SLOW_MAX_MS  61000
#define ANSWER_TAIL         120        /* less than an event has */

#define ANSWER_PROBLEM      "urn:eventsync:problem:"
#define ANSWER_QUOTA        "https://iana.org/assignments/" \
                            "http-problem-types#quota-exceeded"

static const char  answer_web_page[] =
    "<html>\r\n<head><title>503 Service Temporarily Unavailable</title></head>"
    "\r\n<body>\r\n<center><h1>503 Service Temporarily Unavailable</h1>"
    "</center>\r\n</body>\r\n</html>\r\n";


static es_rc_t
ctl_answer_problem(ctl_reply_t *reply, unsigned status, json_t *problem)
{
    char     *text;
    es_rc_t   rc;

    reply->status = status;
    reply->type = "application/problem+json";

    (void) json_object_set_new(problem, "status", json_integer(status));

    text = json_dumps(problem, JSON_COMPACT);
    json_decref(problem);

    rc = text != NULL ? es_buf_str(&reply->body, es_str(text)) : ES_NOMEM;
    free(text);

    return rc;
}


es_rc_t
ctl_poller_problem(ctl_reply_t *reply, unsigned status, const char *type,
    const char *fmt, ...)
{
    char     detail[512], name[128];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(detail, sizeof(detail), fmt, args);
    va_end(args);

    (void) snprintf(name, sizeof(name), "%s%s",
                    strncmp(type, "https:", 6) == 0 ? "" : ANSWER_PROBLEM,
                    type);

    return ctl_answer_problem(reply, status,
                              json_pack("{s:s, s:s, s:s}", "type", name,
                                        "title", "verify-poller", "detail",
                                        ctl_printable(detail)));
}


/* The feed's cursors no longer lead on from the one that was given. */

static es_rc_t
ctl_answer_gone(ctl_poller_t *p, bool reset, ctl_reply_t *reply)
{
    char                    restart[256];
    const ctl_poll_feed_t  *feed = &p->feed;
    const char             *oldest = feed->places[feed->oldest].cursor;

    p->expect = CTL_EXPECT_RESTART;
    p->snapshot = POLLER_UNKNOWN;

    (void) snprintf(restart, sizeof(restart), POLLER_PREFIX
                    "/feeds/%s/events?after=%s", feed->name, oldest);

    return ctl_answer_problem(reply, MHD_HTTP_GONE,
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:s}",
                  "type", reset ? ANSWER_PROBLEM "feed-reset"
                                : ANSWER_PROBLEM "cursor-expired",
                  "title", reset ? "The feed was reset"
                                 : "The cursor is too old",
                  "detail", reset ? "the cursor is of another epoch"
                                  : "the feed no longer keeps the events after "
                                    "the cursor",
                  "oldest", oldest,
                  "latest", feed->places[feed->n - 1].cursor,
                  "missed", reset ? json_null() : json_integer(2),
                  "restart", restart));
}


/* The page after `from`: as many events and places as request and move
   allow. */

static void
ctl_answer_page(const ctl_poller_t *p, const ctl_asked_t *asked,
    const ctl_move_t *move, ctl_page_t *page)
{
    size_t                  i, events, places;
    const ctl_poll_feed_t  *feed = &p->feed;

    page->from = page->first = page->last = asked->at;
    events = places = 0;

    for (i = asked->at + 1; i < feed->n; i++, places++) {

        if ((move->search > 0 && places == move->search)
            || (move->cap > 0 && events == move->cap)
            || events == asked->limit)
        {
            break;
        }

        if (feed->places[i].kind != CTL_PLACE_HIDDEN) {
            page->last = i;
            events++;
        }
    }

    page->to = i - 1;
    page->more = i < feed->n;
}


static void
ctl_answer_expect(ctl_poller_t *p, size_t low, size_t high)
{
    p->expect = CTL_EXPECT_PLACE;
    p->low = low;
    p->high = high;
}


/* The event before this one; `from` at the least. */

static size_t
ctl_answer_before(const ctl_poll_feed_t *feed, size_t place, size_t from)
{
    while (place > from && feed->places[place].kind == CTL_PLACE_HIDDEN) {
        place--;
    }

    while (place > from && feed->places[--place].kind == CTL_PLACE_HIDDEN) {
        /* void */
    }

    return place;
}


static es_rc_t
ctl_answer_events(ctl_poller_t *p, const ctl_asked_t *asked,
    const ctl_page_t *page, bool members, ctl_reply_t *reply)
{
    static const char *const  types[] = {
        [CTL_FORMAT_JSON] = "application/json",
        [CTL_FORMAT_LINES] = "application/x-ndjson",
        [CTL_FORMAT_BATCH] = "application/cloudevents-batch+json",
        [CTL_FORMAT_STREAM] = "text/event-stream"
    };

    reply->status = MHD_HTTP_OK;
    reply->type = types[asked->format];
    reply->more = page->more;

    if (asked->format == CTL_FORMAT_STREAM) {
        ctl_answer_expect(p, page->to, page->to);
        return ctl_poller_stream(p, asked, page, p->answered, reply);
    }

    (void) snprintf(reply->etag, sizeof(reply->etag), "\"%zx-%zx-%d\"",
                    page->from, page->to, (int) asked->format);

    if (asked->format != CTL_FORMAT_JSON) {
        (void) snprintf(reply->next, sizeof(reply->next), "%s",
                        p->feed.places[page->to].cursor);
    }

    p->more = page->more;
    ctl_answer_expect(p, page->last > page->from ? page->last : page->to,
                      page->to);

    return ctl_poll_page(&p->feed, page, asked, members, &reply->body);
}


static es_rc_t
ctl_answer_idle(ctl_poller_t *p, const ctl_asked_t *asked,
    const ctl_page_t *page, ctl_reply_t *reply)
{
    es_rc_t  rc;

    rc = ctl_answer_events(p, asked, page, false, reply);

    if (asked->wait_s > 0) {
        p->waited = true;
        reply->delay_ms = ANSWER_HOLD_MS;

    } else if (rc == ES_OK && strcmp(asked->match, reply->etag) == 0) {
        reply->status = MHD_HTTP_NOT_MODIFIED;
        reply->body.len = 0;
    }

    return rc;
}


/* Cuts the last event of the page in two. */

static es_rc_t
ctl_answer_cut(ctl_poller_t *p, const ctl_asked_t *asked,
    const ctl_page_t *page, ctl_reply_t *reply)
{
    es_rc_t  rc;
    size_t   tail;

    rc = ctl_answer_events(p, asked, page, false, reply);

    /* the end of a page of JSON has the cursors */

    tail = ANSWER_TAIL + (asked->format == CTL_FORMAT_JSON ? 160 : 0);
    reply->cut = reply->body.len > tail ? reply->body.len - tail : 1;
    reply->etag[0] = '\0';

    ctl_answer_expect(p, page->from,
                      ctl_answer_before(&p->feed, page->last, page->from));

    return rc;
}


static void
ctl_answer_skip(ctl_poller_t *p, const char *why)
{
    ctl_result_row_t  *row = &p->rows[p->row];

    row->skipped = true;
    (void) snprintf(row->came, sizeof(row->came), "%s", why);
}


static es_rc_t
ctl_answer_gzip(ctl_poller_t *p, const ctl_asked_t *asked, ctl_reply_t *reply)
{
    es_rc_t   rc;
    es_buf_t  plain;

    if (!asked->gzip) {
        ctl_answer_skip(p, "the poller does not accept gzip");
        return ES_OK;
    }

    plain = reply->body;
    reply->body = (es_buf_t) { 0 };
    reply->gzip = true;

    rc = es_encode(ES_ENCODING_GZIP, (es_str_t) { plain.data, plain.len },
                   &reply->body);
    es_buf_free(&plain);

    return rc;
}


/* Retry-After in seconds, or as a date of RFC 9110. */

static es_rc_t
ctl_answer_later(ctl_poller_t *p, const ctl_asked_t *asked,
    ctl_move_kind_t kind, ctl_reply_t *reply)
{
    time_t     at;
    int64_t    now_ms;
    struct tm  tm;

    ctl_answer_expect(p, asked->at, asked->at);

    if (kind == CTL_MOVE_GATEWAY) {
        reply->status = MHD_HTTP_SERVICE_UNAVAILABLE;
        reply->type = "text/html";
        return es_buf_str(&reply->body, es_lit(answer_web_page));
    }

    if (kind == CTL_MOVE_SECONDS) {
        p->not_before_us = es_clock_mono_us() + ANSWER_RETRY_S * 1000000;
        (void) snprintf(reply->retry_after, sizeof(reply->retry_after), "%d",
                        ANSWER_RETRY_S);

        return ctl_poller_problem(reply, MHD_HTTP_TOO_MANY_REQUESTS,
                                  ANSWER_QUOTA, "the quota of polls is used "
                                  "up");
    }

    now_ms = es_clock_ms();
    at = (time_t) (now_ms / 1000 + ANSWER_DATE_S);
    p->not_before_us = es_clock_mono_us()
                       + ((int64_t) at * 1000 - now_ms) * 1000;

    (void) gmtime_r(&at, &tm);
    (void) strftime(reply->retry_after, sizeof(reply->retry_after),
                    "%a, %d %b %Y %H:%M:%S GMT", &tm);

    return ctl_poller_problem(reply, MHD_HTTP_SERVICE_UNAVAILABLE,
                              "unavailable", "the store cannot answer now");
}


/* The command is killed instead of an answer.  It may come back with a cursor
   that it stored before: it is then sent the same events again. */

static void
ctl_answer_restart(ctl_poller_t *p)
{
    size_t  low;

    low = ctl_answer_before(&p->feed, p->low, p->feed.oldest);
    ctl_answer_expect(p, ctl_answer_before(&p->feed, low, p->feed.oldest),
                      p->high);
    p->restart = true;
}


/* A page that begins two events earlier. */

static void
ctl_answer_repeat(const ctl_poller_t *p, ctl_page_t *page)
{
    page->first = ctl_answer_before(&p->feed, page->from, p->feed.oldest);
    page->first = ctl_answer_before(&p->feed, page->first, p->feed.oldest);
}


static int64_t
ctl_answer_slow(const ctl_asked_t *asked)
{
    int64_t  ms;

    ms = (int64_t) asked->wait_s * 1000 + 1000;

    return ms < ANSWER_SLOW_MS ? ANSWER_SLOW_MS
                               : ms < ANSWER_SLOW_MAX_MS ? ms
                                                         : ANSWER_SLOW_MAX_MS;
}


static es_rc_t
ctl_answer_revoked(ctl_poller_t *p, ctl_reply_t *reply)
{
    if (p->revoked_us == 0) {
        p->revoked_us = es_clock_mono_us();
    } else {
        p->refused++;
    }

    return ctl_poller_problem(reply, MHD_HTTP_UNAUTHORIZED, "unauthorized",
                              "the key is revoked");
}


/* False if the next move delivers what this one adds. */

static bool
ctl_answer_delivers(ctl_move_kind_t kind)
{
    switch (kind) {

    case CTL_MOVE_CUT:
    case CTL_MOVE_CUT_CHUNKED:
    case CTL_MOVE_STREAM_CUT:
    case CTL_MOVE_EXPIRED:
    case CTL_MOVE_STREAM_EXPIRED:
    case CTL_MOVE_RESET:
    case CTL_MOVE_RESTART:
        return false;

    default:
        return true;
    }
}


/* Adds the places of the move. */

static es_rc_t
ctl_answer_add(ctl_poller_t *p, const ctl_move_t *move)
{
    bool      ok;
    unsigned  i;

    ok = move->kind != CTL_MOVE_RESET || ctl_poll_feed_epoch(&p->feed);

    for (i = 0; ok && i < move->hidden + move->events; i++) {
        ok = ctl_poll_feed_add(&p->feed, i < move->hidden ? CTL_PLACE_HIDDEN
                                                          : move->place,
                               p->row + 1, move->opaque);
    }

    if (move->kind == CTL_MOVE_EXPIRED
        || move->kind == CTL_MOVE_STREAM_EXPIRED)
    {
        p->feed.oldest = p->feed.n - 1 - move->events / 2;
    }

    p->since = p->since > p->feed.oldest ? p->since : p->feed.oldest;

    p->added = true;
    p->goal = ctl_answer_delivers(move->kind) ? p->feed.n - 1 : 0;

    return ok ? ES_OK : ES_NOMEM;
}


static es_rc_t
ctl_answer_move(ctl_poller_t *p, const ctl_asked_t *asked,
    const ctl_move_t *move, ctl_reply_t *reply)
{
    es_rc_t     rc;
    ctl_page_t  page;

    ctl_answer_page(p, asked, move, &page);

    switch (move->kind) {

    case CTL_MOVE_SECONDS:
    case CTL_MOVE_DATE:
    case CTL_MOVE_GATEWAY:
        return ctl_answer_later(p, asked, move->kind, reply);

    case CTL_MOVE_EXPIRED:
    case CTL_MOVE_RESET:
        return ctl_answer_gone(p, move->kind == CTL_MOVE_RESET, reply);

    case CTL_MOVE_IDLE:
        return ctl_answer_idle(p, asked, &page, reply);

    case CTL_MOVE_STREAM_LIMIT:
        rc = ctl_answer_later(p, asked, CTL_MOVE_SECONDS, reply);
        reply->retry_after[0] = '\0';
        return rc == ES_OK ? ctl_poller_stream_end(p, asked, reply) : rc;

    case CTL_MOVE_STREAM_EXPIRED:
        rc = ctl_answer_gone(p, false, reply);
        return rc == ES_OK && asked->back
               ? ctl_poller_stream_end(p, asked, reply) : rc;

    case CTL_MOVE_CUT:
    case CTL_MOVE_CUT_CHUNKED:
    case CTL_MOVE_STREAM_CUT:
        reply->chunked = move->kind != CTL_MOVE_CUT;
        return ctl_answer_cut(p, asked, &page, reply);

    case CTL_MOVE_REVOKED:
        return ctl_answer_revoked(p, reply);

    case CTL_MOVE_RESTART:
        ctl_answer_restart(p);
        return ES_OK;

    case CTL_MOVE_REPEAT:
        ctl_answer_repeat(p, &page);
        break;

    case CTL_MOVE_SLOW:
        reply->delay_ms = ctl_answer_slow(asked);
        break;

    default:
        if (move->place == CTL_PLACE_TYPE && asked->type[0] != '\0'
            && asked->type[strlen(asked->type) - 1] != '*')
        {
            ctl_answer_skip(p, "the poller asks for certain types only");
        }

        break;
    }

    rc = ctl_answer_events(p, asked, &page,
                           move->place == CTL_PLACE_MEMBERS, reply);

    return rc == ES_OK && move->kind == CTL_MOVE_GZIP
           ? ctl_answer_gzip(p, asked, reply) : rc;
}


es_rc_t
ctl_poller_answer(ctl_poller_t *p, ctl_asked_t *asked, ctl_reply_t *reply)
{
    es_rc_t            rc;
    ctl_page_t         page;
    const ctl_move_t  *move;

    static const ctl_move_t  catch_up = { 0 };

    move = &p->rows[p->row].step->move[p->move];
    p->waited = false;
    p->more = false;

    if (p->behind > 0) {
        p->answered = p->sse ? CTL_MOVE_STREAM : CTL_MOVE_PAGE;
        ctl_answer_page(p, asked, &catch_up, &page);
        rc = ctl_answer_events(p, asked, &page, false, reply);
        p->expect = CTL_EXPECT_ANY;

    } else {
        p->answered = move->kind;
        rc = p->added ? ES_OK : ctl_answer_add(p, move);

        if (rc == ES_OK) {
            rc = ctl_answer_move(p, asked, move, reply);
        }

        p->done++;
    }

    p->status = reply->status;
    p->answered_us = es_clock_mono_us() + reply->delay_ms * 1000;

    return rc;
}
