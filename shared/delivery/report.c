/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes records of delivery state as JSON.
 */

#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/json.h"
#include "delivery/away_feeds.h"
#include "delivery/delivery.h"
#include "delivery/hint.h"
#include "delivery/report.h"
#include "event/cursor.h"
#include "log/feed.h"
#include "read/lag.h"
#include "store/store.h"
#include "store/txn.h"


static es_rc_t
es_report_away_add(void *ctx, const es_away_t *away)
{
    es_away_t          *more;
    es_report_feeds_t  *feeds = ctx;

    more = realloc(feeds->aways, (feeds->naways + 1) * sizeof(es_away_t));
    if (more == NULL) {
        return ES_NOMEM;
    }

    feeds->aways = more;
    feeds->aways[feeds->naways++] = *away;

    return ES_OK;
}


static int
es_report_number_order(const void *one, const void *two, void *ctx)
{
    uint32_t          a, b;
    const es_feed_t  *feeds = ctx;

    a = feeds[*(const uint32_t *) one].number;
    b = feeds[*(const uint32_t *) two].number;

    return a < b ? -1 : a > b;
}


static es_rc_t
es_report_numbers(es_report_feeds_t *feeds)
{
    uint32_t  i;

    feeds->places = calloc(feeds->n + 1, sizeof(uint32_t));
    if (feeds->places == NULL) {
        return ES_NOMEM;
    }

    for (i = 0; i < feeds->n; i++) {
        feeds->places[i] = i;
    }

    qsort_r(feeds->places, feeds->n, sizeof(uint32_t), es_report_number_order,
            feeds->feeds);

    return ES_OK;
}


es_rc_t
es_report_feeds_load(es_store_t *store, es_report_feeds_t *feeds)
{
    es_rc_t     rc;
    es_str_t    name;
    es_txn_t   *txn;
    es_feed_t   feed, *more;

    memset(feeds, 0, sizeof(*feeds));
    name = es_null_str;

    rc = es_txn_begin(store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    while ((rc = es_feed_next(txn, name, &feed)) == ES_OK) {
        more = realloc(feeds->feeds, (feeds->n + 1) * sizeof(es_feed_t));
        if (more == NULL) {
            rc = ES_NOMEM;
            break;
        }

        feeds->feeds = more;
        feeds->feeds[feeds->n++] = feed;
        name = es_str(feed.name);
    }

    es_txn_end(txn);

    rc = rc == ES_NOT_FOUND ? es_report_numbers(feeds) : rc;

    if (rc != ES_OK) {
        return rc;
    }

    return store->delivery != NULL
           ? es_delivery_each_away(store, 0, es_report_away_add, feeds)
           : ES_OK;
}


static int
es_report_away_order(const void *key, const void *item)
{
    const es_away_t  *a = key, *b = item;

    if (a->endpoint != b->endpoint) {
        return a->endpoint < b->endpoint ? -1 : 1;
    }

    return a->feed < b->feed ? -1 : a->feed > b->feed;
}


const es_away_t *
es_report_away(const es_report_feeds_t *feeds, uint32_t endpoint,
    uint32_t feed)
{
    es_away_t  key = { .endpoint = endpoint, .feed = feed };

    return feeds->naways > 0
           ? bsearch(&key, feeds->aways, feeds->naways, sizeof(es_away_t),
                     es_report_away_order)
           : NULL;
}


void
es_report_feeds_free(es_report_feeds_t *feeds)
{
    free(feeds->feeds);
    free(feeds->places);
    free(feeds->aways);
    memset(feeds, 0, sizeof(*feeds));
}


const es_feed_t *
es_report_feed(const es_report_feeds_t *feeds, uint32_t number)
{
    size_t            low, middle, high;
    const es_feed_t  *feed;

    static const es_feed_t  removed = { .name = "(removed)" };

    low = 0;
    high = feeds->n;

    while (low < high) {
        middle = low + (high - low) / 2;
        feed = &feeds->feeds[feeds->places[middle]];

        if (feed->number == number) {
            return feed;
        }

        if (feed->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return &removed;
}


static const char *
es_report_time(int64_t ms, char text[ES_TIME_LEN + 1])
{
    es_time_print(ms, text);
    text[ES_TIME_LEN] = '\0';

    return text;
}


/* An endpoint may answer any bytes: each one that is not UTF-8 becomes '?'. */

static json_t *
es_report_body(const es_attempt_t *a)
{
    char         text[sizeof(a->body)];
    size_t       i, n, len;
    const char  *end;

    len = a->body_len < sizeof(text) ? a->body_len : sizeof(text);
    memcpy(text, a->body, len);
    end = text + len;

    for (i = 0; i < len; i += n) {
        n = es_utf8_len(text + i, end);

        if (n == 0 || text[i] == '\0') {
            text[i] = '?';
            n = 1;
        }
    }

    return json_stringn(text, len);
}


const char *
es_report_kind(const es_attempt_t *a)
{
    return a->flags & ES_ATTEMPT_TEST ? "test"
           : a->flags & ES_ATTEMPT_NUDGE ? "nudge"
           : a->flags & ES_ATTEMPT_FETCH ? "token"
           : a->flags & ES_ATTEMPT_CHECK ? "check" : "event";
}


json_t *
es_report_attempt(const es_report_feeds_t *feeds, const es_attempt_t *a)
{
    char                 time[ES_TIME_LEN + 1];
    bool                 test;
    json_t              *report;
    const char          *feed;
    const es_hint_t     *hint;
    es_attempt_bytes_t   bytes;

    test = (a->flags & ES_ATTEMPT_TEST) != 0;
    feed = test || (a->flags & (ES_ATTEMPT_FETCH | ES_ATTEMPT_CHECK)) ? NULL
           : es_report_feed(feeds, a->feed)->name;
    bytes = es_attempt_bytes(a);

    report = json_pack("{s:s, s:s, s:s*, s:I, s:i, s:i, s:s, s:I, s:b, s:o, "
                       "s:o*}",
                       "time", es_report_time(a->time_ms, time),
                       "kind", es_report_kind(a), "feed", feed,
                       test ? "request" : "sequence",
                       (json_int_t) a->sequence,
                       "attempt", (int) a->attempt, "status", (int) a->status,
                       "class",
                       es_attempt_class_name((es_attempt_class_t) a->class),
                       "latency_us", (json_int_t) a->latency_us,
                       "reused", (a->flags & ES_ATTEMPT_REUSED) != 0,
                       "body", bytes == ES_BYTES_BODY ? es_report_body(a)
                                                      : json_string(""),
                       "location", bytes == ES_BYTES_LOCATION
                       && a->body_len > 0 ? es_report_body(a) : NULL);

    if (a->flags & ES_ATTEMPT_SIMULATED_FLAG) {
        (void) json_object_set_new(report, "simulated", json_true());
    }

    hint = es_hint_attempt(a);

    if (hint != NULL) {
        (void) json_object_set_new(report, "cause", json_string(hint->cause));
        (void) json_object_set_new(report, "hint", json_string(hint->text));
    }

    return report;
}


json_t *
es_report_dead(const es_report_feeds_t *feeds, const es_dead_t *dead)
{
    char  time[ES_TIME_LEN + 1], cursor[ES_CURSOR_MAX];

    (void) es_cursor_print(dead->epoch, dead->sequence, cursor);

    return json_pack("{s:s, s:s, s:I, s:s, s:i, s:i, s:s, s:s*}",
                     "time", es_report_time(dead->time_ms, time),
                     "feed", es_report_feed(feeds, dead->feed)->name,
                     "sequence", (json_int_t) dead->sequence,
                     "cursor", cursor, "attempts", (int) dead->attempts,
                     "status", (int) dead->status, "class",
                     es_attempt_class_name((es_attempt_class_t) dead->class),
                     "reason", dead->reason[0] != '\0' ? dead->reason : NULL);
}


uint64_t
es_report_behind(const es_feed_t *feed, const es_progress_t *progress)
{
    return es_feed_has(feed, progress->epoch, progress->sequence)
           && feed->last > progress->sequence
           ? feed->last - progress->sequence : 0;
}


json_t *
es_report_progress(const es_report_feeds_t *feeds, const es_progress_t *p)
{
    char              cursor[ES_CURSOR_MAX];
    char              since[ES_TIME_LEN + 1], until[ES_TIME_LEN + 1];
    const es_away_t  *away;
    const es_feed_t  *feed;

    feed = es_report_feed(feeds, p->feed);
    away = es_report_away(feeds, p->endpoint, p->feed);

    if (es_feed_has(feed, p->epoch, p->sequence)) {
        (void) es_feed_cursor(feed, p->sequence, cursor);
    } else {
        (void) es_cursor_print(p->epoch, p->sequence, cursor);
    }

    return json_pack("{s:s, s:s, s:s, s:i, s:I, s:s*, s:s*}",
                     "kind", "progress",
                     "feed", feed->name, "cursor", cursor,
                     "pending", (int) p->npending,
                     "behind", (json_int_t) es_report_behind(feed, p),
                     "away_since",
                     away ? es_report_time(away->since_ms, since) : NULL,
                     "kept_until",
                     away ? es_report_time(away->since_ms + ES_AWAY_MS, until)
                          : NULL);
}


/* The first event that is not delivered is the one after the position, or an
   earlier one that is in flight. */

es_rc_t
es_report_lag(es_store_t *store, const es_report_feeds_t *feeds,
    const es_progress_t *progress, int64_t now_ms, json_t *report)
{
    char              time[ES_TIME_LEN + 1];
    es_rc_t           rc;
    es_lag_t          lag = { 0 };
    es_txn_t         *txn;
    es_cursor_t       cursor = { 0 };
    const es_feed_t  *feed;

    feed = es_report_feed(feeds, progress->feed);

    if (feed->number == 0) {
        return ES_OK;
    }

    memcpy(cursor.epoch, progress->epoch, sizeof(cursor.epoch));
    cursor.sequence = es_progress_done(progress);

    rc = es_txn_begin(store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_lag_read(txn, feed, &cursor, now_ms, &lag);
    es_txn_end(txn);

    if (rc != ES_OK && rc != ES_CORRUPT) {
        return rc;
    }

    (void) json_object_set_new(report, "seconds",
                               rc == ES_CORRUPT ? json_null()
                               : lag.events == 0 || lag.ms < 0
                                 ? json_integer(0)
                                 : json_real((double) lag.ms / 1000));

    return json_object_set_new(report, "expires",
                               rc == ES_CORRUPT || lag.expires_ms == 0
                               ? json_null()
                               : json_string(es_report_time(lag.expires_ms,
                                                            time))) == 0
           ? ES_OK : ES_NOMEM;
}


json_t *
es_report_away_feed(const es_away_t *away)
{
    char  since[ES_TIME_LEN + 1], until[ES_TIME_LEN + 1];

    return json_pack("{s:s, s:s, s:s, s:s}", "kind", "away",
                     "feed", away->feed_name,
                     "away_since", es_report_time(away->since_ms, since),
                     "kept_until",
                     es_report_time(away->since_ms + ES_AWAY_MS, until));
}


json_t *
es_report_retry(const es_report_feeds_t *feeds, const es_retry_t *r)
{
    char  next[ES_TIME_LEN + 1];

    return json_pack("{s:s, s:s, s:I, s:i, s:i, s:s*}",
                     "kind", es_retry_held(r) ? "held" : "retry",
                     "feed", es_report_feed(feeds, r->feed)->name,
                     "sequence", (json_int_t) r->sequence,
                     "attempts", (int) r->attempts, "status", (int) r->status,
                     "next", es_retry_held(r) ? NULL
                                              : es_report_time(r->next_ms,
                                                               next));
}


json_t *
es_report_circuit(const es_circuit_t *c)
{
    char  since[ES_TIME_LEN + 1], next[ES_TIME_LEN + 1];

    return json_pack("{s:s, s:i, s:s, s:s}", "kind", "circuit",
                     "failures", (int) c->failures,
                     "since", es_report_time(c->since_ms, since),
                     "next", es_report_time(c->next_ms, next));
}
