/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes the status of an endpoint's deliveries as JSON.
 */

#include <stdio.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/away_feeds.h"
#include "delivery/certificates.h"
#include "delivery/delivery.h"
#include "delivery/endpoint_state.h"
#include "delivery/endpoint_status.h"
#include "delivery/figures.h"
#include "delivery/outbox.h"
#include "delivery/report.h"
#include "delivery/stall.h"
#include "delivery/verification.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "read/reader.h"
#include "store/txn.h"

#define ES_STATUSES  16            /* counted one by one for a feed */

/* The waiting events of one feed, while its retries are walked. */
typedef struct {
    uint32_t  feed;                /* 0: before the first feed */
    uint64_t  retries;
    uint64_t  held;
    unsigned  n;
    int32_t   statuses[ES_STATUSES];
    uint64_t  counts[ES_STATUSES];
    uint64_t  others;
} es_waiting_t;

typedef struct {
    const es_endpoint_status_query_t  *q;
    json_t                            *list;
    json_t                            *first;  /* first waiting events */
    es_waiting_t                       waiting;
    es_endpoint_facts_t                facts;
    int64_t                            now_ms;
} es_status_t;


/* A partner must not learn how much is published to a feed that it may no
   longer read, nor which events of it wait. */

static const es_away_t *
es_status_away(const es_status_t *s, uint32_t feed)
{
    return s->q->partner ? es_report_away(s->q->feeds, s->q->endpoint, feed)
                         : NULL;
}


static bool
es_status_may(const es_status_t *s, uint32_t feed)
{
    return s->q->tells == NULL || s->q->tells(s->q->ctx, feed);
}


static bool
es_status_tells(const es_status_t *s, uint32_t feed)
{
    return es_status_may(s, feed) && es_status_away(s, feed) == NULL;
}


static es_rc_t
es_status_add(json_t *list, json_t *report)
{
    return report != NULL && json_array_append_new(list, report) == 0
           ? ES_OK : ES_NOMEM;
}


static es_rc_t
es_status_progress(void *ctx, const es_progress_t *progress)
{
    es_rc_t           rc;
    json_t           *report;
    es_status_t      *s = ctx;
    const es_away_t  *away;

    if (!es_status_may(s, progress->feed)) {
        return ES_OK;
    }

    away = es_status_away(s, progress->feed);

    if (away != NULL) {
        return es_status_add(s->list, es_report_away_feed(away));
    }

    report = es_report_progress(s->q->feeds, progress);
    rc = es_report_lag(s->q->store, s->q->feeds, progress, s->now_ms, report);

    if (rc != ES_OK) {
        json_decref(report);
        return rc;
    }

    return es_status_add(s->list, report);
}


/* The event or the feed may have been deleted; the report then has no event.
   */

static json_t *
es_status_stalled(const es_status_t *s, const es_stall_t *stall)
{
    bool              found;
    json_t           *report, *kind;
    es_txn_t         *txn;
    es_event_t        event;
    const es_feed_t  *feed;

    feed = es_report_feed(s->q->feeds, stall->feed);
    kind = stall->feed != 0
           ? json_pack("{s:s, s:s}", "kind", "stalled", "feed", feed->name)
           : json_pack("{s:s}", "kind", "stalled");

    if (stall->sequence == 0
        || !es_feed_has(feed, stall->epoch, stall->sequence)
        || es_txn_begin(s->q->store, &txn) != ES_OK)
    {
        report = es_stall_report(stall, NULL);

    } else {
        found = es_event_get(txn, feed, stall->sequence, &event) == ES_OK;
        report = es_stall_report(stall, found ? &event : NULL);
        es_txn_end(txn);
    }

    (void) json_object_update(kind, report);
    json_decref(report);

    return kind;
}


static es_rc_t
es_status_stall(void *ctx, const es_stall_t *stall)
{
    es_buf_t     *stalls = ctx;

    return es_buf_append(stalls, stall, sizeof(es_stall_t));
}


static es_rc_t
es_status_stalls(es_status_t *s)
{
    size_t      at;
    es_rc_t     rc;
    es_buf_t    stalls = { 0 };
    es_stall_t  stall;

    rc = es_delivery_stall(s->q->store, 0, 0, &stall);

    if (rc == ES_OK) {
        rc = es_buf_append(&stalls, &stall, sizeof(stall));
    }

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = es_delivery_each_stall(s->q->store, s->q->endpoint,
                                    es_status_stall, &stalls);
    }

    for (at = 0; rc == ES_OK && at < stalls.len; at += sizeof(stall)) {
        memcpy(&stall, stalls.data + at, sizeof(stall));

        if (stall.feed == 0 || es_status_tells(s, stall.feed)) {
            rc = es_status_add(s->list, es_status_stalled(s, &stall));
        }
    }

    es_buf_free(&stalls);

    return rc;
}


static json_t *
es_status_counts(const es_waiting_t *w)
{
    char      name[16];
    json_t   *counts;
    unsigned  i;

    counts = json_object();

    for (i = 0; i < w->n; i++) {
        (void) snprintf(name, sizeof(name), "%d", w->statuses[i]);
        (void) json_object_set_new(counts, name,
                                   json_integer((json_int_t) w->counts[i]));
    }

    if (w->others > 0) {
        (void) json_object_set_new(counts, "others",
                                   json_integer((json_int_t) w->others));
    }

    return counts;
}


/* Reports the counts of a feed when the walk comes to the next feed, or to its
   end. */

static es_rc_t
es_status_waited(es_status_t *s, uint32_t feed)
{
    es_rc_t        rc;
    es_waiting_t  *w;

    w = &s->waiting;
    rc = ES_OK;

    if (w->feed != 0) {
        rc = es_status_add(s->list,
            json_pack("{s:s, s:s, s:I, s:I, s:o}", "kind", "waiting", "feed",
                      es_report_feed(s->q->feeds, w->feed)->name, "retries",
                      (json_int_t) w->retries, "held", (json_int_t) w->held,
                      "statuses", es_status_counts(w)));
    }

    memset(w, 0, sizeof(es_waiting_t));
    w->feed = feed;

    return rc;
}


static void
es_status_count(es_waiting_t *w, const es_retry_t *retry)
{
    unsigned  i;

    if (es_retry_held(retry)) {
        w->held++;
        return;
    }

    w->retries++;

    for (i = 0; i < w->n && w->statuses[i] != retry->status; i++) {
        /* void */
    }

    if (i == ES_STATUSES) {
        w->others++;
        return;
    }

    if (i == w->n) {
        w->statuses[i] = retry->status;
        w->n++;
    }

    w->counts[i]++;
}


static es_rc_t
es_status_retry(void *ctx, const es_retry_t *retry)
{
    es_rc_t       rc;
    es_status_t  *s = ctx;

    if (!es_status_tells(s, retry->feed)) {
        return ES_OK;
    }

    if (s->waiting.feed != retry->feed) {
        rc = es_status_waited(s, retry->feed);
        if (rc != ES_OK) {
            return rc;
        }
    }

    es_status_count(&s->waiting, retry);

    return json_array_size(s->first) < ES_STATUS_LISTED
           ? es_status_add(s->first, es_report_retry(s->q->feeds, retry))
           : ES_OK;
}


static es_rc_t
es_status_circuit(void *ctx, const es_circuit_t *circuit)
{
    es_status_t  *s = ctx;

    return es_status_add(s->list, es_report_circuit(circuit));
}


static es_rc_t
es_status_redrive(es_status_t *s)
{
    char     until[ES_TIME_LEN + 1] = "";
    es_rc_t  rc;
    int64_t  ms;

    rc = es_delivery_redrive(s->q->store, s->q->endpoint, &ms);

    if (rc != ES_OK || ms == 0) {
        return rc;
    }

    es_time_print(ms, until);

    return es_status_add(s->list, json_pack("{s:s, s:s%}", "kind", "redrive",
                                            "until", until,
                                            (size_t) ES_TIME_LEN));
}


static es_rc_t
es_status_verification(es_status_t *s)
{
    es_rc_t            rc;
    json_t            *report, *kind;
    es_verification_t  verification;

    rc = es_delivery_verification(s->q->store, s->q->endpoint, &verification);

    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    kind = json_pack("{s:s}", "kind", "verification");
    report = es_verification_report(&verification);
    (void) json_object_update(kind, report);
    json_decref(report);

    return es_status_add(s->list, kind);
}


/* A stop holds only for the revision of the record that it names. */

static es_rc_t
es_status_stopped(const es_endpoint_status_query_t *q, json_t *status)
{
    es_rc_t    rc;
    es_stop_t  stop;

    rc = es_delivery_stop(q->store, q->endpoint, &stop);

    if (rc == ES_OK && stop.revision == q->revision) {
        (void) json_object_set_new(status, "stopped",
                                   json_string(stop.reason));
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static es_rc_t
es_status_figures(const es_endpoint_status_query_t *q, json_t *status)
{
    char          time[ES_TIME_LEN];
    es_rc_t       rc;
    es_figures_t  figures = { 0 };

    rc = es_delivery_figures(q->store, q->endpoint, &figures);

    if (rc == ES_OK) {
        es_time_print(figures.waiting.next_ms, time);
        (void) json_object_set_new(status, "next", figures.waiting.next_ms == 0
                                   ? json_null()
                                   : json_stringn(time, sizeof(time)));
    }

    if (rc == ES_OK
        && json_object_set_new(status, "figures",
                               es_figures_report(&figures,
                                                 es_store_ms(q->store))) != 0)
    {
        rc = ES_NOMEM;
    }

    es_figures_free(&figures);

    return rc;
}


static es_rc_t
es_status_stalls_fact(void *ctx, const es_stall_t *stall)
{
    es_endpoint_facts_t  *facts = ctx;

    facts->stalled |= es_stall_is_state((es_stall_reason_t) stall->reason);

    return ES_OK;
}


es_rc_t
es_endpoint_facts_read(es_store_t *store, uint32_t endpoint, uint64_t revision,
    es_endpoint_facts_t *facts)
{
    es_rc_t            rc;
    es_stop_t          stop;
    es_stall_t         stall;
    es_circuit_t       circuit;
    es_failing_t       failing;
    es_verification_t  verification;

    facts->stopped = false;
    facts->unverified = false;
    facts->failing = false;
    facts->stalled = false;

    rc = es_delivery_stop(store, endpoint, &stop);
    facts->stopped = rc == ES_OK && stop.revision == revision;

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = es_delivery_verification(store, endpoint, &verification);
        facts->unverified = rc == ES_OK
                            && verification.method == ES_VERIFIED_NOT;
    }

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = es_delivery_circuit(store, endpoint, &circuit);
        facts->failing = rc == ES_OK;
    }

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = es_delivery_failing(store, endpoint, &failing);
        facts->failing |= rc == ES_OK && es_failing_announced(&failing);
    }

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = es_delivery_stall(store, 0, 0, &stall);
        facts->stalled = rc == ES_OK;
    }

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = es_delivery_each_stall(store, endpoint, es_status_stalls_fact,
                                    facts);
    }

    return rc;
}


static es_rc_t
es_status_deliveries(es_status_t *s)
{
    es_rc_t                            rc;
    const es_endpoint_status_query_t  *q;

    q = s->q;
    rc = es_delivery_each_progress(q->store, q->endpoint, es_status_progress,
                                   s);

    if (rc == ES_OK) {
        rc = es_status_stalls(s);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_retry(q->store, q->endpoint, es_status_retry, s);
    }

    if (rc == ES_OK) {
        rc = es_status_waited(s, 0);
    }

    if (rc == ES_OK && json_array_extend(s->list, s->first) != 0) {
        rc = ES_NOMEM;
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_circuit(q->store, q->endpoint,
                                      es_status_circuit, s);
    }

    if (rc == ES_OK) {
        rc = es_status_redrive(s);
    }

    return rc == ES_OK ? es_status_verification(s) : rc;
}


es_rc_t
es_endpoint_status_read(const es_endpoint_status_query_t *q, json_t **status)
{
    es_rc_t      rc;
    es_status_t  s = { .q = q, .list = json_array(), .first = json_array() };

    s.now_ms = es_store_ms(q->store);
    s.facts.paused = q->paused;
    s.facts.disabled = q->disabled;

    rc = es_endpoint_facts_read(q->store, q->endpoint, q->revision, &s.facts);

    if (rc == ES_OK) {
        rc = es_status_deliveries(&s);
    }

    json_decref(s.first);

    *status = json_pack("{s:s, s:o}", "state",
                        es_endpoint_state_name(es_endpoint_state(&s.facts)),
                        "deliveries", s.list);

    if (rc == ES_OK && *status == NULL) {
        rc = ES_NOMEM;
    }

    if (rc == ES_OK) {
        rc = es_status_stopped(q, *status);
    }

    if (rc == ES_OK) {
        rc = es_certificates_add(q->store, q->endpoint, q->revision, *status);
    }

    if (rc == ES_OK && q->figures) {
        rc = es_status_figures(q, *status);
    }

    if (rc != ES_OK) {
        json_decref(*status);
        *status = NULL;
    }

    return rc;
}
