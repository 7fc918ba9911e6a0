/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Describes the figures of polls, with the reader's distance from the head.
 */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/fresh.h"
#include "event/cursor.h"
#include "limit/polls.h"
#include "log/feed.h"
#include "manage/polls_report.h"
#include "read/lag.h"
#include "store/txn.h"


static json_t *
es_polls_time(int64_t ms)
{
    char  time[ES_TIME_LEN];

    es_time_print(ms, time);

    return json_stringn(time, sizeof(time));
}


static json_t *
es_polls_counts(uint64_t requests, uint64_t events, uint64_t empty)
{
    return json_pack("{s:I, s:I, s:I}", "requests", (json_int_t) requests,
                     "events", (json_int_t) events,
                     "empty", (json_int_t) empty);
}


static json_t *
es_polls_channels(const es_poll_figures_t *figures)
{
    json_t    *report;
    unsigned   i;

    report = json_object();

    for (i = 0; i < ES_POLL_CHANNELS; i++) {
        if (figures->requests[i] != 0 || figures->events[i] != 0) {
            (void) json_object_set_new(
                report, es_poll_channel_name((es_poll_channel_t) i),
                es_polls_counts(figures->requests[i], figures->events[i],
                                figures->empty[i]));
        }
    }

    return report;
}


static json_t *
es_polls_answers(const es_poll_figures_t *figures)
{
    json_t    *report;
    unsigned   i;

    report = json_object();

    for (i = 0; i < ES_POLL_CLASSES; i++) {
        if (figures->classes[i] != 0) {
            (void) json_object_set_new(
                report, es_poll_class_name((es_poll_class_t) i),
                json_integer((json_int_t) figures->classes[i]));
        }
    }

    return report;
}


/* `*known` is false: the feed does not have the reader's position, or the first
   event after it is damaged. */

static es_rc_t
es_polls_lag(es_store_t *store, const es_feed_t *feed,
    const es_cursor_t *cursor, int64_t now_ms, es_lag_t *lag, bool *known)
{
    es_rc_t    rc;
    es_txn_t  *txn;

    *known = false;

    if (cursor->epoch[0] == '\0') {
        return ES_OK;
    }

    rc = es_txn_begin(store, &txn);

    if (rc == ES_OK) {
        rc = es_lag_read(txn, feed, cursor, now_ms, lag);
        es_txn_end(txn);
    }

    *known = rc == ES_OK
             && (lag->state == ES_OK || lag->state == ES_EXPIRED);

    /* a damaged event does not hide the status */

    return rc == ES_CORRUPT ? ES_OK : rc;
}


static void
es_polls_position(json_t *report, const es_cursor_t *cursor,
    const es_lag_t *lag, bool known)
{
    char  text[ES_CURSOR_MAX];

    if (!known) {
        (void) json_object_set_new(report, "cursor", json_null());
        (void) json_object_set_new(report, "behind", json_null());
        (void) json_object_set_new(report, "seconds", json_null());
        return;
    }

    (void) es_cursor_print(cursor->epoch, cursor->sequence, text);
    (void) json_object_set_new(report, "cursor", json_string(text));
    (void) json_object_set_new(report, "behind",
                               json_integer((json_int_t) lag->events));
    (void) json_object_set_new(report, "seconds",
                               lag->events == 0 ? json_integer(0)
                               : lag->ms < 0 ? json_null()
                               : json_real((double) lag->ms / 1000));
}


es_rc_t
es_polls_report(es_store_t *store, const es_feed_t *feed,
    const es_poll_figures_t *figures, int64_t now_ms, json_t **report)
{
    bool          known;
    es_rc_t       rc;
    uint64_t      requests, events, empty;
    unsigned      i;
    es_lag_t      lag = { 0 };
    es_cursor_t   cursor = { 0 };

    requests = 0;
    events = 0;
    empty = 0;

    for (i = 0; i < ES_POLL_CHANNELS; i++) {
        requests += figures->requests[i];
        events += figures->events[i];
        empty += figures->empty[i];
    }

    memcpy(cursor.epoch, figures->epoch, sizeof(cursor.epoch));
    cursor.sequence = figures->position;

    rc = es_polls_lag(store, feed, &cursor, now_ms, &lag, &known);
    if (rc != ES_OK) {
        return rc;
    }

    *report = es_polls_counts(requests, events, empty);

    (void) json_object_set_new(*report, "since",
                               es_polls_time(figures->since_ms));
    (void) json_object_set_new(*report, "last",
                               es_polls_time(figures->last_ms));
    es_polls_position(*report, &cursor, &lag, known);
    (void) json_object_set_new(*report, "batch",
                               figures->batches == 0 ? json_null()
                               : json_real((double) events
                                           / (double) figures->batches));
    (void) json_object_set_new(*report, "refused",
                               json_integer((json_int_t) figures->refused));
    (void) json_object_set_new(*report, "fresh",
                               es_fresh_report(&figures->fresh));
    (void) json_object_set_new(*report, "answers", es_polls_answers(figures));
    (void) json_object_set_new(*report, "channels",
                               es_polls_channels(figures));

    return *report != NULL ? ES_OK : ES_NOMEM;
}
