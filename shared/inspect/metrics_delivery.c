/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of endpoints, their waiting events and attempts.
 *
 * The totals of retries and dead letters are the sizes of their databases.  The
 * figures for each endpoint need a walk over all records, so they are left out
 * when there are more than ES_METRICS_RECORDS.
 */

#include <stdlib.h>

#include "base/base.h"
#include "base/event_loop.h"
#include "base/exposition.h"
#include "delivery/away_feeds.h"
#include "delivery/certificates.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/endpoint_state.h"
#include "delivery/outbox.h"
#include "delivery/report.h"
#include "delivery/stall.h"
#include "delivery/tally.h"
#include "inspect/metrics.h"
#include "inspect/metrics_cases.h"
#include "inspect/metrics_certificates.h"
#include "inspect/metrics_endpoints.h"
#include "inspect/metrics_keys.h"
#include "inspect/metrics_lanes.h"
#include "inspect/metrics_packing.h"
#include "inspect/watched.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/store.h"

#define ES_METRICS_EXPIRES_MS  INT64_C(1209600000)    /* 14 days, as the alert
                                                          has it */
#define ES_METRICS_RECORDS  100000    /* that are counted one by one */

typedef struct {
    const es_metrics_t   *m;
    es_registry_t        *registry;
    es_report_feeds_t     feeds;
    es_watched_list_t     watched;
    uint64_t              backlog;
    uint64_t              retries;
    uint64_t              dead;
    bool                  listed;      /* the list has retries and dead */
    uint64_t              stalls[ES_STALLS];   /* by reason */
    int64_t               stalled_ms;  /* start of the oldest stall; 0: none */
    uint64_t              notices;     /* operational events in the outbox */
    uint64_t              dropped;     /* operational events dropped */
    es_tally_t            tally;
    uint64_t              lost;        /* events lost before delivery */
    es_buf_t              lanes;       /* of es_lane_t */
    uint64_t              near;        /* of them, near retention */
    es_expiries_t         expiries;
    es_worst_t            worst;
    es_case_exemplars_t   cases;
} es_delivery_watch_t;


static es_rc_t
es_watch_stall(void *ctx, const es_stall_t *stall)
{
    es_watched_t         *watched;
    es_delivery_watch_t  *w = ctx;

    watched = es_watched_get(&w->watched, stall->endpoint);

    if ((watched == NULL && stall->endpoint != 0)
        || stall->reason >= ES_STALLS)
    {
        return ES_OK;
    }

    /* a halted endpoint is not stalled */

    if (watched != NULL && es_watched_halted(watched)) {
        return ES_OK;
    }

    w->stalls[stall->reason]++;

    if (w->stalled_ms == 0 || stall->since_ms < w->stalled_ms) {
        w->stalled_ms = stall->since_ms;
    }

    return ES_OK;
}


/* An endpoint without requests does not learn of renewed certificates. */

static es_rc_t
es_watch_certificates(void *ctx, const es_certificates_t *certificates)
{
    es_watched_t         *watched;
    es_delivery_watch_t  *w = ctx;

    watched = es_watched_get(&w->watched, certificates->endpoint);

    if (watched != NULL
        && watched->endpoint->revision == certificates->revision
        && !es_watched_halted(watched))
    {
        es_expiry_take(&watched->expiry, &w->expiries, certificates);
        watched->expiring = watched->expiry.ms != 0
                            && watched->expiry.ms - w->m->now_ms
                               < ES_METRICS_EXPIRES_MS;
    }

    return ES_OK;
}


static es_rc_t
es_watch_progress(void *ctx, const es_progress_t *progress)
{
    es_rc_t               rc;
    uint64_t              behind;
    const es_feed_t      *feed;
    es_delivery_watch_t  *w = ctx;
    es_watched_t         *watched;

    watched = es_watched_get(&w->watched, progress->endpoint);

    /* a feed that the endpoint is no longer sent is not its backlog */

    if (watched != NULL
        && es_report_away(&w->feeds, progress->endpoint, progress->feed)
           == NULL)
    {
        feed = es_report_feed(&w->feeds, progress->feed);
        behind = es_report_behind(feed, progress);
        watched->backlog += behind;
        w->backlog += behind;

        rc = es_lane_add(&w->lanes, feed, progress, w->m->endpoints > 0);
        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


/* Counts the records of a database for each endpoint. */

static es_rc_t
es_watch_count(es_delivery_watch_t *w, MDB_txn *txn, unsigned db)
{
    int            rc;
    MDB_val        key, value;
    MDB_cursor    *cursor;
    es_watched_t  *watched;

    rc = mdb_cursor_open(txn, es_env_dbi(w->m->store->delivery, db), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        watched = key.mv_size == (db == ES_DELIVERY_DEAD ? ES_DEAD_KEY_LEN
                                                         : ES_DELIVERY_KEY_LEN)
                  ? es_watched_get(&w->watched, es_key32_get(&key, 0))
                  : NULL;

        if (watched != NULL) {
            watched->retries += db == ES_DELIVERY_RETRIES;
            watched->dead += db == ES_DELIVERY_DEAD;
        }
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_watch_records(es_delivery_watch_t *w)
{
    es_rc_t    rc;
    MDB_txn   *txn;
    MDB_stat   retries, dead;
    es_env_t  *env;

    env = w->m->store->delivery;

    rc = es_env_read_begin(env, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_env_rc(mdb_stat(txn, es_env_dbi(env, ES_DELIVERY_RETRIES),
                            &retries));
    if (rc == ES_OK) {
        rc = es_env_rc(mdb_stat(txn, es_env_dbi(env, ES_DELIVERY_DEAD),
                                &dead));
    }

    if (rc == ES_OK) {
        w->retries = retries.ms_entries;
        w->dead = dead.ms_entries;
        w->listed = w->m->endpoints > 0
                    && w->retries + w->dead <= ES_METRICS_RECORDS;
    }

    if (rc == ES_OK && w->listed) {
        rc = es_watch_count(w, txn, ES_DELIVERY_RETRIES);
    }

    if (rc == ES_OK && w->listed) {
        rc = es_watch_count(w, txn, ES_DELIVERY_DEAD);
    }

    es_env_read_end(env, txn);

    return rc;
}


/* Reads the feeds' heads before the progress.  An endpoint that keeps up then
   has no backlog, however much is committed between the two reads. */

static es_rc_t
es_watch_load(es_delivery_watch_t *w)
{
    es_rc_t      rc;
    es_store_t  *store;

    store = w->m->store;

    rc = es_registry_load(store, &w->registry);

    if (rc == ES_OK) {
        rc = es_watched_load(store, w->registry, &w->watched);
    }

    if (rc == ES_OK) {
        rc = es_report_feeds_load(store, &w->feeds);
    }

    if (rc == ES_OK) {
        rc = es_delivery_outbox_count(store, &w->notices, &w->dropped);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_stall(store, 0, es_watch_stall, w);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_certificates(store, es_watch_certificates, w);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_progress(store, 0, es_watch_progress, w);
    }

    if (rc == ES_OK) {
        rc = es_watch_records(w);
    }

    if (rc == ES_OK && w->m->endpoints > 0) {
        rc = es_worst_choose(store, &w->watched, w->m->endpoints,
                             w->m->now_ms, &w->worst);
    }

    if (rc == ES_OK) {
        rc = es_lanes_read(store, &w->feeds, &w->lanes, w->m->now_ms,
                           &w->watched, &w->near);
    }

    if (rc == ES_OK) {
        rc = es_delivery_lost(store, &w->lost);
    }

    return rc == ES_OK ? es_delivery_tally(store, &w->tally) : rc;
}


static es_endpoint_state_t
es_watched_state(const es_watched_t *watched)
{
    return es_endpoint_state(&watched->facts);
}


static void
es_metrics_states(const es_delivery_watch_t *w, es_exposition_t *e)
{
    size_t      i;
    uint64_t    counts[ES_STATES] = { 0 };
    es_label_t  label;

    for (i = 0; i < w->watched.n; i++) {
        if (w->watched.list[i].endpoint != NULL) {
            counts[es_watched_state(&w->watched.list[i])]++;
        }
    }

    es_metric_family(e, "eventsync_endpoints", "gauge",
                     "Endpoints by state.");
    label.name = "state";

    for (i = 0; i < ES_STATES; i++) {
        label.value = es_str(es_endpoint_state_name((es_endpoint_state_t) i));
        es_metric(e, "", &label, 1, counts[i]);
    }
}


/* Reports stalls by reason, and the age of the oldest. */

static void
es_metrics_stalls(const es_delivery_watch_t *w, es_exposition_t *e)
{
    unsigned    i;
    int64_t     now_ms;
    es_label_t  label;

    es_metric_family(e, "eventsync_delivery_stalled", "gauge", "Stalls by "
                     "reason: of a feed of an endpoint, of an endpoint, or of "
                     "all endpoints at once.");
    label.name = "reason";

    for (i = ES_STALL_NONE + 1; i < ES_STALLS; i++) {
        label.value = es_str(es_stall_name((es_stall_reason_t) i));
        es_metric(e, "", &label, 1, w->stalls[i]);
    }

    now_ms = w->m->now_ms;

    es_metric_family(e, "eventsync_delivery_stalled_age_seconds", "gauge",
                     "Age of the oldest stall; 0: none.");
    es_metric_ms(e, "", NULL, 0, w->stalled_ms != 0 && now_ms > w->stalled_ms
                                 ? (uint64_t) (now_ms - w->stalled_ms) : 0);
}


static void
es_metrics_attempts(const es_delivery_watch_t *w, es_exposition_t *e)
{
    unsigned           i;
    es_label_t         label;
    es_histogram_t     times;
    const es_tally_t  *tally;

    tally = &w->tally;

    es_metric_family(e, "eventsync_delivery_attempts_total", "counter",
                     "Recorded attempts by class.");
    label.name = "class";

    for (i = 0; i < ES_ATTEMPT_CLASSES; i++) {
        label.value = es_str(es_attempt_class_name((es_attempt_class_t) i));
        es_metric_exemplar(e, "", &label, 1, tally->attempts[i],
                           &w->cases.classes[i]);
    }

    es_metric_family(e, "eventsync_delivery_attempt_duration_seconds",
                     "histogram", "Time from sending an attempt to its "
                     "outcome.");

    times = (es_histogram_t) { .bounds_ms = es_tally_bounds_ms,
                               .within = tally->within,
                               .exemplars = w->cases.durations,
                               .nbounds = ES_TALLY_BUCKETS,
                               .sum_us = tally->duration_us };
    es_metric_histogram(e, NULL, &times);

    es_metric_family(e, "eventsync_delivery_latency_seconds", "histogram",
                     "Time from the commit of an event until an endpoint "
                     "accepted it.");

    times = (es_histogram_t) { .bounds_ms = es_tally_delays_ms,
                               .within = tally->delays,
                               .exemplars = w->cases.delays,
                               .nbounds = ES_TALLY_BUCKETS,
                               .sum_us = tally->delay_ms * 1000 };
    es_metric_histogram(e, NULL, &times);

    es_metric_counter(e, "eventsync_delivery_exhausted_total",
                      "Events that became dead letters.", tally->dead);
    es_metric_counter(e, "eventsync_delivery_host_waits_total",
                      "Times that an endpoint had to wait for another request "
                      "to its host to end.", tally->host_waits);
}


/* A dispatcher that has never run has no heartbeat. */

static es_rc_t
es_metrics_heartbeat(const es_metrics_t *m, es_exposition_t *e)
{
    es_rc_t  rc;
    int64_t  ms;

    rc = es_delivery_heartbeat(m->store, &ms);

    if (rc == ES_OK) {
        es_metric_family(e, "eventsync_dispatcher_heartbeat_age_seconds",
                         "gauge", "Time since the dispatcher last read log "
                         "and registry and recorded it.");
        es_metric_ms(e, "", NULL, 0,
                     m->now_ms > ms ? (uint64_t) (m->now_ms - ms) : 0);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_metrics_delivery(const es_metrics_t *m, es_exposition_t *e)
{
    es_rc_t              rc;
    es_delivery_watch_t  w = { .m = m };

    ES_ASSERT_NO_EVENT_LOOP();

    rc = es_watch_load(&w);

    if (rc == ES_OK && e->form == ES_EXPOSITION_OPENMETRICS) {
        rc = es_case_exemplars(m->store, &w.feeds, &w.cases);
    }

    if (rc == ES_OK) {
        rc = es_metrics_heartbeat(m, e);
    }

    if (rc == ES_OK) {
        es_metrics_states(&w, e);
        es_metrics_stalls(&w, e);

        es_metric_gauge(e, "eventsync_operational_events_waiting",
                        "Operational events that are not published yet.",
                        w.notices);
        es_metric_counter(e, "eventsync_operational_events_dropped_total",
                          "Operational events that were dropped because "
                          "their feed refused them.", w.dropped);

        es_metric_gauge(e, "eventsync_delivery_backlog_events", "Events after "
                        "the endpoints' cursors, with those that a filter "
                        "will skip.", w.backlog);
        es_metric_gauge(e, "eventsync_delivery_retries", "Events that wait "
                        "for another attempt, or for an earlier one of their "
                        "subject.", w.retries);
        es_metric_gauge(e, "eventsync_delivery_dead_letters", "Stored dead "
                        "letters.", w.dead);

        es_metric_gauge(e, "eventsync_delivery_places_kept", "Positions kept "
                        "of endpoints on feeds that they are not sent now.",
                        w.feeds.naways);
        es_metric_gauge(e, "eventsync_delivery_retention_near", "Feeds of "
                        "endpoints whose next event retention will soon "
                        "delete, or has deleted.", w.near);
        es_metric_counter(e, "eventsync_delivery_lost_events_total", "Events "
                          "deleted before an endpoint was sent them, with "
                          "those that a filter would have skipped.", w.lost);

        es_metrics_attempts(&w, e);
        es_metrics_expiries(&w.expiries, e);
        rc = es_metrics_keys(w.registry, e);

        if (rc == ES_OK) {
            rc = es_metrics_packing(m->store, e);
        }

        if (rc == ES_OK && m->endpoints > 0) {
            es_metrics_endpoints(&w.worst, w.listed, e);
        }
    }

    es_worst_free(&w.worst);
    es_watched_free(&w.watched);
    es_buf_free(&w.lanes);
    es_report_feeds_free(&w.feeds);
    es_registry_free(w.registry);

    e->rc = e->rc == ES_OK ? rc : e->rc;

    return e->rc;
}
