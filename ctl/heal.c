/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How a receiver heals a gap: it polls the feed from the cursor held.
 *
 * A 410 means that events are lost for this receiver.  It reports the loss and
 * continues at the oldest event, so that one loss does not stop the feed.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "receiver.h"

#define HEAL_RESTARTS  3


/* Holds a cursor of the server.  Gaps are kept while the epoch is the same. */

static int
ctl_heal_hold(ctl_receiver_t *receiver, const char *feed, const char *text,
    bool *moved)
{
    ctl_held_t   *held;
    es_cursor_t   cursor;

    if (es_cursor_parse(es_str(text), &cursor) != ES_OK) {
        return ctl_fail(CTL_FAILED, "feed \"%s\": the answer to the poll has "
                        "no valid cursor", feed);
    }

    held = ctl_held_find(&receiver->helds, feed);
    *moved = true;

    if (held != NULL && strcmp(held->cursor.epoch, cursor.epoch) == 0) {
        *moved = cursor.sequence > held->cursor.sequence;
        held->cursor = cursor;

    } else if (ctl_held_set(&receiver->helds, feed, &cursor) == NULL) {
        return CTL_FAILED;
    }

    return ctl_held_save(&receiver->helds);
}


/* After 410: reports the loss and continues at the oldest event. */

static int
ctl_heal_restart(ctl_receiver_t *receiver, const char *feed)
{
    bool      moved;
    char      oldest[ES_CURSOR_MAX];
    uint64_t  missed;

    (void) ctl_http_member(receiver->http, "oldest", oldest, sizeof(oldest));

    if (ctl_http_count(receiver->http, "missed", &missed)) {
        ctl_happened("lost",
                     json_pack("{s:s, s:I, s:s}", "feed", feed, "missed",
                               (json_int_t) missed, "oldest", oldest),
                     "%s %" PRIu64 " event%s expired; continues at %s", feed,
                     missed, ctl_plural(missed), oldest);
    } else {
        ctl_happened("lost", json_pack("{s:s, s:s}", "feed", feed, "oldest",
                                       oldest),
                     "%s the feed was reset; continues at %s", feed, oldest);
    }

    return ctl_heal_hold(receiver, feed, oldest, &moved);
}


/* Adds each event to the journal or, with `n`, prints and counts it. */

static int
ctl_heal_lines(ctl_receiver_t *receiver, const char *feed, uint64_t *n)
{
    es_str_t     rest, line;
    const char  *end;
    ctl_event_t  event;

    rest.data = receiver->http->body.data;
    rest.len = receiver->http->body.len;

    while (rest.len > 0) {
        end = memchr(rest.data, '\n', rest.len);

        line.data = rest.data;
        line.len = end ? (size_t) (end - rest.data) : rest.len;
        rest.data += line.len + (end != NULL);
        rest.len -= line.len + (end != NULL);

        if (ctl_event_parse(line, &event) != ES_OK) {
            return ctl_fail(CTL_FAILED, "feed \"%s\": the answer to the poll "
                            "has a line that is not an event", feed);
        }

        if (n != NULL) {
            ctl_event_print("polled", &event);
            (*n)++;

        } else if (ctl_journal_add(&receiver->journal, "polled", &event)
                   != CTL_OK)
        {
            return CTL_FAILED;
        }
    }

    return CTL_OK;
}


/* Reads all of a page before it processes any of it, so that no event is
   processed twice when the page is polled again. */

static int
ctl_heal_process(ctl_receiver_t *receiver, const char *feed, uint64_t *n)
{
    int  rc;

    rc = ctl_heal_lines(receiver, feed, NULL);

    if (rc != CTL_OK) {
        receiver->journal.pending.len = 0;
        return rc;
    }

    rc = ctl_journal_sync(&receiver->journal);

    return rc == CTL_OK ? ctl_heal_lines(receiver, feed, n) : rc;
}


unsigned
ctl_receiver_wait_s(const ctl_receiver_t *receiver)
{
    int64_t  us;

    us = receiver->poll_at_us - es_clock_mono_us();

    return us > 0 ? (unsigned) ((us + 999999) / 1000000) : 0;
}


/* After 429 or 503 the answer may say how long to wait. */

static int
ctl_heal_refused(ctl_receiver_t *receiver, const char *feed)
{
    if (receiver->http->retry_after_s > 0) {
        receiver->poll_at_us = es_clock_mono_us()
                               + receiver->http->retry_after_s
                                 * INT64_C(1000000);
    }

    return ctl_http_refused(receiver->http, feed);
}


/* Polls one page; *more: another one must be polled. */

static int
ctl_heal_page(ctl_receiver_t *receiver, const char *feed, uint64_t *n,
    bool *more, bool *restart)
{
    int                rc;
    bool               moved;
    uint64_t           before;
    ctl_held_t        *holds;
    char               cursor[ES_CURSOR_MAX];
    ctl_query_t        query = { 0 };
    const ctl_held_t  *held;

    query.feed = feed;
    memcpy(query.filter, receiver->filter, sizeof(query.filter));

    held = ctl_held_find(&receiver->helds, feed);

    if (held != NULL) {
        (void) es_cursor_print(held->cursor.epoch, held->cursor.sequence,
                               cursor);
        query.after = cursor;
    } else {
        query.from = "oldest";
    }

    rc = ctl_http_poll(receiver->http, &query);
    if (rc != CTL_OK) {
        return rc;
    }

    *restart = receiver->http->status == 410;
    *more = *restart || receiver->http->has_more;

    if (*restart) {
        return ctl_heal_restart(receiver, feed);
    }

    if (receiver->http->status != 200) {
        return ctl_heal_refused(receiver, feed);
    }

    before = *n;

    rc = ctl_heal_process(receiver, feed, n);
    if (rc == CTL_OK) {
        rc = ctl_heal_hold(receiver, feed, receiver->http->next, &moved);
        holds = ctl_held_find(&receiver->helds, feed);
    }

    if (rc == CTL_OK && holds != NULL) {
        holds->processed += *n - before;
        holds->healed += *n - before;
    }

    if (rc == CTL_OK && *more && !moved) {
        return ctl_fail(CTL_FAILED, "feed \"%s\": the server announces more "
                        "events but its cursor does not advance", feed);
    }

    return rc;
}


int
ctl_receiver_heal(ctl_receiver_t *receiver, const char *feed)
{
    int       rc, restarts;
    bool      more, restart;
    uint64_t  n;

    n = 0;
    restarts = 0;

    if (ctl_receiver_wait_s(receiver) > 0) {
        return ctl_fail(CTL_FAILED, "feed \"%s\": polls again in %u s, as the "
                        "server requested", feed,
                        ctl_receiver_wait_s(receiver));
    }

    do {
        rc = ctl_heal_page(receiver, feed, &n, &more, &restart);

        if (rc == CTL_OK && restart && ++restarts == HEAL_RESTARTS) {
            rc = ctl_fail(CTL_FAILED, "feed \"%s\": its events expire faster "
                          "than they can be polled", feed);
        }
    } while (rc == CTL_OK && more);

    if (n > 0) {
        ctl_happened("healed", json_pack("{s:s, s:I}", "feed", feed, "events",
                                         (json_int_t) n),
                     "%s %" PRIu64 " event%s by polling", feed, n,
                     ctl_plural(n));
    }

    return rc;
}
