/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The feeds of an endpoint: where it is on each, and what its next event waits
 * for.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "delivery/stall.h"
#include "explain.h"
#include "read/reader.h"

#define EXPLAIN_PAGES  200     /* of events that do not match, 20,000 each */

/* One feed while it is explained. */
typedef struct {
    const es_feed_t  *feed;
    es_progress_t     progress;
    bool              begun;
    uint64_t          waiting;     /* events with a retry record */
    es_retry_t        first;       /* of those, the one that is due first */
    uint64_t          behind;
} ctl_explain_feed_t;


static es_rc_t
ctl_explain_progress(void *ctx, const es_progress_t *progress)
{
    ctl_explain_feed_t  *f = ctx;

    if (progress->feed != f->feed->number) {
        return ES_OK;
    }

    f->progress = *progress;
    f->begun = true;

    return ES_STOP;
}


static es_rc_t
ctl_explain_retry(void *ctx, const es_retry_t *retry)
{
    ctl_explain_feed_t  *f = ctx;

    if (retry->feed != f->feed->number) {
        return ES_OK;
    }

    if (!es_retry_held(retry)
        && (f->first.sequence == 0 || retry->next_ms < f->first.next_ms))
    {
        f->first = *retry;
    }

    f->waiting++;

    return ES_OK;
}


/* ES_STOP: the walk has found what it wants. */

static es_rc_t
ctl_explain_read(ctl_explain_t *x, ctl_explain_feed_t *f)
{
    es_rc_t  rc;

    rc = es_delivery_each_progress(x->ctl->store, x->endpoint->number,
                                   ctl_explain_progress, f);

    if (rc == ES_OK || rc == ES_STOP || rc == ES_NOT_FOUND) {
        rc = es_delivery_each_retry(x->ctl->store, x->endpoint->number,
                                    ctl_explain_retry, f);
    }

    f->behind = f->begun ? es_report_behind(f->feed, &f->progress) : 0;

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* What an operator does about a feed that does not move. */

static void
ctl_explain_stall_next(const ctl_explain_t *x, const es_stall_t *stall,
    const char *feed, const char *cursor, json_t *finding)
{
    const char  *name;

    name = x->endpoint->name.data;

    switch ((es_stall_reason_t) stall->reason) {

    case ES_STALL_EVENT:
    case ES_STALL_SUBJECT:
        ctl_finding_next(finding, "repair the receiver, or: eventsyncctl "
                         "endpoint skip %s %s %s", name, feed, cursor);
        break;

    case ES_STALL_FULL:
        ctl_finding_next(finding, "repair the receiver, or: eventsyncctl "
                         "endpoint cancel %s %s --dry-run", name, feed);
        break;

    case ES_STALL_NUDGE:
        ctl_finding_next(finding, "eventsyncctl endpoint change %s --nudge=",
                         name);
        break;

    default:
        ctl_finding_next(finding, "eventsyncctl verify");
        break;
    }
}


static es_rc_t
ctl_explain_feed_stall(ctl_explain_t *x, const ctl_explain_feed_t *f)
{
    char         cursor[ES_CURSOR_MAX], next[ES_TIME_LEN + 1];
    json_t      *finding;
    es_rc_t      rc;
    es_stall_t   stall;
    const char  *name;

    static const char  *const  texts[ES_STALLS] = {
        [ES_STALL_EVENT] = "an event has failed, and all later ones wait for "
                           "it",
        [ES_STALL_SUBJECT] = "an event has failed, and later ones of its "
                             "subject wait for it",
        [ES_STALL_FULL] = "as many events wait for another attempt as are "
                          "allowed",
        [ES_STALL_UNREADABLE] = "an event of the log cannot be read",
        [ES_STALL_NUDGE] = "the receiver has not taken the event that says to "
                           "poll"
    };

    name = f->feed->name;
    rc = es_delivery_stall(x->ctl->store, x->endpoint->number,
                           f->feed->number, &stall);

    if (rc != ES_OK || stall.reason >= ES_STALLS
        || texts[stall.reason] == NULL)
    {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    (void) es_cursor_print(stall.epoch, stall.sequence, cursor);
    finding = ctl_explain_add(x, es_stall_name((es_stall_reason_t)
                                               stall.reason),
                              name, "%s%s%s: %u failed attempt%s, last status "
                              "%d%s%s", texts[stall.reason],
                              stall.sequence ? ": " : "",
                              stall.sequence ? cursor : "", stall.attempts,
                              ctl_plural(stall.attempts),
                              (int) stall.status,
                              stall.next_ms ? ", next attempt at " : "",
                              stall.next_ms
                              ? ctl_finding_time(stall.next_ms, next) : "");
    ctl_explain_stall_next(x, &stall, name, cursor, finding);

    return ES_OK;
}


/* Finds the first event after the position that matches the filter: its cursor,
   or "" if none does. */

static es_rc_t
ctl_explain_match(const ctl_explain_t *x, const es_feed_t *feed,
    uint64_t after, char cursor[ES_CURSOR_MAX])
{
    unsigned     n;
    es_rc_t      rc;
    es_txn_t    *txn;
    es_event_t   event;

    cursor[0] = '\0';
    rc = ES_NOT_FOUND;
    after = after + 1 < feed->oldest ? feed->oldest - 1 : after;

    for (n = 0; rc == ES_NOT_FOUND && after < feed->last && n < EXPLAIN_PAGES;
         n++)
    {
        rc = es_txn_begin(x->ctl->store, &txn);
        if (rc != ES_OK) {
            return rc;
        }

        rc = es_event_next(txn, feed, after, &x->endpoint->filter, &event,
                           &after);
        if (rc == ES_OK) {
            (void) snprintf(cursor, ES_CURSOR_MAX, "%.*s",
                            (int) event.cursor.len, event.cursor.data);
        }

        es_txn_end(txn);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* An endpoint whose filter matches nothing that the feed has. */

static es_rc_t
ctl_explain_filter(ctl_explain_t *x, const ctl_explain_feed_t *f)
{
    char     cursor[ES_CURSOR_MAX];
    json_t  *finding;
    es_rc_t  rc;

    if (es_filter_is_all(&x->endpoint->filter)
        || f->feed->oldest > f->feed->last)
    {
        return ES_OK;
    }

    rc = ctl_explain_match(x, f->feed, 0, cursor);

    if (rc == ES_CORRUPT) {
        return ES_OK;
    }

    if (rc == ES_OK && cursor[0] == '\0') {
        finding = ctl_explain_add(x, "filter", f->feed->name, "the endpoint's "
                                  "types and subject match none of the %" PRIu64
                                  " event%s that the feed has",
                                  f->feed->last - f->feed->oldest + 1,
                                  ctl_plural(f->feed->last
                                                - f->feed->oldest + 1));
        ctl_finding_next(finding, "eventsyncctl endpoint change %s "
                         "--types=A,B.*", x->endpoint->name.data);
    }

    return rc;
}


/* An endpoint that is not behind: the usual reason for silence. */

static void
ctl_explain_head(ctl_explain_t *x, const ctl_explain_feed_t *f,
    const char *cursor)
{
    if (f->feed->last == 0) {
        (void) ctl_explain_add(x, "head", f->feed->name,
                               "nothing has been published to the feed yet");

    } else {
        (void) ctl_explain_add(x, "head", f->feed->name, "there is nothing to "
                               "send: every event up to %s, the last one, was "
                               "dealt with%s", cursor,
                               f->progress.npending > 0
                               ? " or is being sent" : "");
    }
}


/* The next event, and what it waits for besides what stops the endpoint. */

static es_rc_t
ctl_explain_behind(ctl_explain_t *x, const ctl_explain_feed_t *f,
    const char *at)
{
    char                  next[ES_CURSOR_MAX];
    es_rc_t               rc;
    const es_endpoint_t  *e;

    e = x->endpoint;
    rc = ctl_explain_match(x, f->feed, f->progress.sequence, next);

    if (rc == ES_CORRUPT) {
        (void) ctl_explain_add(x, "behind", f->feed->name, "the endpoint is at "
                               "%s, and an event after it cannot be read", at);
        return ES_OK;
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (next[0] == '\0') {
        (void) ctl_explain_add(x, "none-matches", f->feed->name, "there is "
                               "nothing to send: none of the %" PRIu64
                               " event%s after %s matches the endpoint's types "
                               "and subject", f->behind,
                               ctl_plural(f->behind), at);
        return ES_OK;
    }

    (void) ctl_explain_add(x, "behind", f->feed->name, "the endpoint is %" PRIu64
                           " event%s behind, at %s; the next one for it is %s",
                           f->behind, ctl_plural(f->behind), at, next);

    if (e->rate.units > 0) {
        ctl_finding_next(ctl_explain_add(x, "rate", f->feed->name, "the "
                                         "endpoint's rate allows %" PRIu64
                                         " attempt%s in %" PRIu64 " s",
                                         e->rate.units,
                                         ctl_plural(e->rate.units),
                                         e->rate.period_ns
                                         / ES_SECOND_NS),
                         "eventsyncctl endpoint change %s --rate=",
                         e->name.data);
    }

    return ES_OK;
}


static void
ctl_explain_waiting(ctl_explain_t *x, const ctl_explain_feed_t *f)
{
    char  cursor[ES_CURSOR_MAX], next[ES_TIME_LEN + 1];

    if (f->waiting == 0 || f->first.sequence == 0) {
        return;
    }

    (void) es_feed_cursor(f->feed, f->first.sequence, cursor);
    (void) ctl_explain_add(x, "waiting", f->feed->name, "%" PRIu64 " event%s "
                           "for another attempt or for an earlier event; the "
                           "first is %s, last status %d, due at %s",
                           f->waiting, f->waiting == 1 ? " waits" : "s wait",
                           cursor, (int) f->first.status,
                           ctl_finding_time(f->first.next_ms, next));
}


/* A feed that the endpoint is sent. */

static es_rc_t
ctl_explain_sent(ctl_explain_t *x, ctl_explain_feed_t *f)
{
    char      at[ES_CURSOR_MAX];
    es_rc_t   rc;
    uint64_t  valid;

    rc = ctl_explain_feed_stall(x, f);

    if (rc == ES_OK) {
        rc = ctl_explain_filter(x, f);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (!f->begun) {
        (void) ctl_explain_add(x, "not-begun", f->feed->name, "the dispatcher "
                               "has not begun with the feed yet; it begins at "
                               "the %s event", x->endpoint->from_oldest
                               ? "oldest" : "next");
        return ES_OK;
    }

    (void) es_cursor_print(f->progress.epoch, f->progress.sequence, at);

    if (!es_feed_epoch(f->feed, f->progress.epoch, &valid)) {
        (void) ctl_explain_add(x, "reset", f->feed->name, "the feed has a new "
                               "epoch since the endpoint was at %s", at);
        return ES_OK;
    }

    if (f->progress.sequence + 1 < f->feed->oldest) {
        (void) ctl_explain_add(x, "lost", f->feed->name, "retention has deleted "
                               "%" PRIu64 " event%s before the endpoint was "
                               "sent them", f->feed->oldest - 1
                               - f->progress.sequence,
                               ctl_plural(f->feed->oldest - 1
                                             - f->progress.sequence));
    }

    ctl_explain_waiting(x, f);

    if (f->behind == 0) {
        ctl_explain_head(x, f, at);
        return ES_OK;
    }

    return ctl_explain_behind(x, f, at);
}


/* True if the endpoint's own record names the feed. */

static bool
ctl_explain_names(const ctl_explain_t *x, const es_feed_t *feed)
{
    return es_patterns_match(&x->endpoint->feeds, es_str(feed->name));
}


es_rc_t
ctl_explain_feed(ctl_explain_t *x, const es_feed_t *feed)
{
    json_t              *finding;
    es_rc_t              rc;
    const es_partner_t  *partner;
    ctl_explain_feed_t   f = { .feed = feed };

    partner = x->endpoint->partner;

    if (!es_patterns_match(&partner->feeds, es_str(feed->name))) {
        finding = ctl_explain_add(x, "not-granted", feed->name, "the partner "
                                  "%s may not read the feed",
                                  partner->name.data);
        ctl_finding_next(finding, "add it by: eventsyncctl partner change %s "
                         "--feeds=...,%s", partner->name.data, feed->name);
        return ES_OK;
    }

    rc = ctl_explain_read(x, &f);

    return rc == ES_OK ? ctl_explain_sent(x, &f) : rc;
}


es_rc_t
ctl_explain_feeds(ctl_explain_t *x)
{
    size_t   i, named;
    json_t  *finding;
    es_rc_t  rc;

    rc = ES_OK;
    named = 0;

    for (i = 0; rc == ES_OK && i < x->feeds.n; i++) {
        if (ctl_explain_names(x, &x->feeds.feeds[i])) {
            rc = ctl_explain_feed(x, &x->feeds.feeds[i]);
            named++;

        } else if (es_report_away(&x->feeds, x->endpoint->number,
                                  x->feeds.feeds[i].number) != NULL)
        {
            (void) ctl_explain_add(x, "away", x->feeds.feeds[i].name, "the "
                                   "endpoint is no longer sent the feed, and "
                                   "its position is kept");
        }
    }

    if (rc == ES_OK && named == 0) {
        finding = ctl_explain_add(x, "no-feed", NULL, "no feed exists that the "
                                  "endpoint's feeds match");
        ctl_finding_next(finding, "eventsyncctl feed list");
    }

    return rc;
}
