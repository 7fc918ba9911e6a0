/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of feeds, environments, the disk and the clock.
 */

#include <sys/statvfs.h>

#include "base/base.h"
#include "base/event_loop.h"
#include "base/exposition.h"
#include "delivery/report.h"
#include "inspect/env_figures.h"
#include "inspect/metrics.h"
#include "inspect/metrics_audit.h"
#include "inspect/metrics_fresh.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "read/encoded_pages.h"
#include "read/retention.h"
#include "store/store.h"
#include "store/txn.h"

typedef enum {
    ES_FEED_EVENTS,
    ES_FEED_BYTES,
    ES_FEED_OLDEST,
    ES_FEED_LATEST,
    ES_FEED_AGE,
    ES_FEED_TIME,
    ES_FEED_METRICS
} es_feed_metric_t;


/* An empty feed reports its next sequence as the oldest. */

static void
es_metrics_feed(const es_metrics_t *m, es_exposition_t *e,
    const es_feed_t *feed, es_feed_metric_t metric)
{
    es_label_t  label = { "feed", es_str(feed->name) };

    switch (metric) {

    case ES_FEED_EVENTS:
        es_metric(e, "", &label, 1, feed->last + 1 - feed->oldest);
        break;

    case ES_FEED_BYTES:
        es_metric(e, "", &label, 1, feed->bytes);
        break;

    case ES_FEED_OLDEST:
        es_metric(e, "", &label, 1, feed->oldest);
        break;

    case ES_FEED_LATEST:
        es_metric(e, "", &label, 1, feed->last);
        break;

    case ES_FEED_AGE:

        if (feed->last > 0) {
            es_metric_ms(e, "", &label, 1,
                         m->now_ms > feed->last_ms
                         ? (uint64_t) (m->now_ms - feed->last_ms) : 0);
        }

        break;

    case ES_FEED_TIME:

        if (feed->last > 0) {
            es_metric_ms(e, "", &label, 1, (uint64_t) feed->last_ms);
        }

        break;

    case ES_FEED_METRICS:
        break;
    }
}


/* Reports feeds with a limit.  One transaction reads heads and chunks, so that
   they belong together. */

static es_rc_t
es_metrics_overdue(const es_metrics_t *m, es_exposition_t *e)
{
    es_rc_t      rc, checked;
    int64_t      since_ms;
    es_txn_t    *txn;
    es_feed_t    feed = { 0 };
    es_label_t   label = { "feed", es_null_str };

    rc = es_txn_begin(m->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    es_metric_family(e, "eventsync_feed_retention_overdue_seconds", "gauge",
                     "Time for which the feed has exceeded its retention "
                     "limits; 0: retention is applied.");

    while ((rc = es_feed_next(txn, es_str(feed.name), &feed)) == ES_OK) {
        if (!es_feed_limited(&feed)) {
            continue;
        }

        checked = es_feed_overdue(txn, &feed, m->now_ms, &since_ms);
        label.value = es_str(feed.name);

        /* a damaged feed is left out, and the others are still reported */

        if (checked == ES_OK) {
            es_metric_ms(e, "", &label, 1,
                         since_ms != 0 ? (uint64_t) (m->now_ms - since_ms)
                                       : 0);
        }
    }

    es_txn_end(txn);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* A feed that is not held has no such metric. */

static es_rc_t
es_metrics_held(const es_metrics_t *m, es_exposition_t *e)
{
    es_rc_t      rc;
    es_txn_t    *txn;
    es_feed_t    feed = { 0 };
    es_label_t   label = { "feed", es_null_str };

    rc = es_txn_begin(m->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    es_metric_family(e, "eventsync_feed_held", "gauge",
                     "1: a legal hold keeps the feed's events.");

    while ((rc = es_feed_next(txn, es_str(feed.name), &feed)) == ES_OK) {
        if (feed.held) {
            label.value = es_str(feed.name);
            es_metric(e, "", &label, 1, 1);
        }
    }

    es_txn_end(txn);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static void
es_metrics_batch(const es_metrics_t *m, es_exposition_t *e, uint32_t feed,
    const es_label_t *label)
{
    size_t              n;
    es_batch_figures_t  figures;

    n = label != NULL;
    es_batches_get(m->batches, feed, &figures);

    if (figures.answers > 0) {
        es_metric(e, "_sum", label, n, figures.events);
        es_metric(e, "_count", label, n, figures.answers);
    }
}


/* The feeds without a record of their own have a sample without a label,
   because a feed may have any name. */

static void
es_metrics_batches(const es_metrics_t *m, es_exposition_t *e,
    const es_report_feeds_t *feeds)
{
    size_t      i;
    es_label_t  label;

    if (m->batches == NULL) {
        return;
    }

    es_metric_family(e, "eventsync_read_batch_events", "summary", "Events in "
                     "each answer to a poll or for a page, and in each piece "
                     "of a stream, that had any.");
    label.name = "feed";

    for (i = 0; i < feeds->n; i++) {
        label.value = es_str(feeds->feeds[i].name);
        es_metrics_batch(m, e, feeds->feeds[i].number, &label);
    }

    es_metrics_batch(m, e, 0, NULL);
}


static es_rc_t
es_metrics_feeds(const es_metrics_t *m, es_exposition_t *e)
{
    size_t             i, k;
    es_rc_t            rc;
    es_report_feeds_t  feeds;

    static const struct {
        const char  *name;
        const char  *help;
    } families[ES_FEED_METRICS] = {
        [ES_FEED_EVENTS] = { "eventsync_feed_events", "Stored events." },
        [ES_FEED_BYTES] = { "eventsync_feed_bytes", "Bytes of the stored "
                            "events." },
        [ES_FEED_OLDEST] = { "eventsync_feed_oldest_sequence", "Sequence of "
                             "the oldest stored event; of an empty feed, the "
                             "next sequence." },
        [ES_FEED_LATEST] = { "eventsync_feed_latest_sequence", "Sequence of "
                             "the last event; 0: none in this epoch." },
        [ES_FEED_AGE] = { "eventsync_feed_last_event_age_seconds", "Time "
                          "since the last commit of events." },
        [ES_FEED_TIME] = { "eventsync_feed_last_event_timestamp_seconds",
                           "When events were last committed, in the store's "
                           "time." }
    };

    rc = es_report_feeds_load(m->store, &feeds);

    if (rc == ES_OK) {
        for (i = 0; i < ES_FEED_METRICS; i++) {
            es_metric_family(e, families[i].name, "gauge", families[i].help);

            for (k = 0; k < feeds.n; k++) {
                es_metrics_feed(m, e, &feeds.feeds[k], (es_feed_metric_t) i);
            }
        }

        es_metrics_batches(m, e, &feeds);
    }

    if (rc == ES_OK) {
        rc = es_metrics_fresh(m, &feeds, e);
    }

    es_report_feeds_free(&feeds);

    return rc;
}


static void
es_metrics_envs_family(es_exposition_t *e, const es_env_figures_t *envs,
    size_t n, size_t member, const char *name, const char *help)
{
    size_t      i;
    uint64_t    value;
    es_label_t  label;

    es_metric_family(e, name, "gauge", help);

    for (i = 0; i < n; i++) {
        label.name = "environment";
        label.value = envs[i].name;
        memcpy(&value, (const char *) &envs[i] + member, sizeof(value));

        es_metric(e, "", &label, 1, value);
    }
}


/* Reports the environments that this process has open. */

static es_rc_t
es_metrics_envs(const es_metrics_t *m, es_exposition_t *e)
{
    size_t             n;
    es_rc_t            rc;
    es_env_figures_t   envs[ES_FIGURES_ENVS];

    rc = es_env_figures(m->store, m->pages ? es_encoded_env(m->pages) : NULL,
                        envs, &n);
    if (rc != ES_OK) {
        return rc;
    }

    es_metrics_envs_family(e, envs, n, offsetof(es_env_figures_t, map),
                           "eventsync_store_map_bytes",
                           "Size of the memory map; it grows when it is full, "
                           "up to eventsync_store_map_limit_bytes.");
    es_metrics_envs_family(e, envs, n, offsetof(es_env_figures_t, used),
                           "eventsync_store_used_bytes",
                           "Bytes of the map that have ever been used; LMDB "
                           "uses freed pages again.");
    es_metrics_envs_family(e, envs, n, offsetof(es_env_figures_t, readers),
                           "eventsync_store_readers",
                           "Slots of the reader table in use.");
    es_metrics_envs_family(e, envs, n,
                           offsetof(es_env_figures_t, readers_max),
                           "eventsync_store_readers_max",
                           "Slots of the reader table.");
    es_metrics_envs_family(e, envs, n,
                           offsetof(es_env_figures_t, readers_lag),
                           "eventsync_store_readers_lag_commits",
                           "Commits since the oldest open read began; LMDB "
                           "cannot use again yet the pages that these commits "
                           "freed.");

    return ES_OK;
}


/* Reports by how much this machine's clock differs from the store's time. */

static es_rc_t
es_metrics_clock(const es_metrics_t *m, es_exposition_t *e)
{
    bool                 synchronized;
    es_rc_t              rc;
    es_txn_t            *txn;
    es_label_t           label;
    es_clock_verdict_t   verdict;

    rc = es_txn_begin(m->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_clock_peek(txn, &verdict, NULL);
    es_txn_end(txn);

    if (rc != ES_OK) {
        return rc;
    }

    es_metric_family(e, "eventsync_clock_off_seconds", "gauge", "Difference of "
                     "this machine's clock from the store's time; 0: the store "
                     "follows the clock.");
    label.name = "direction";

    label.value = es_lit("ahead");
    es_metric_ms(e, "", &label, 1, verdict.outcome == ES_CLOCK_AHEAD
                                   ? (uint64_t) verdict.off_ms : 0);

    label.value = es_lit("behind");
    es_metric_ms(e, "", &label, 1, verdict.outcome == ES_CLOCK_BEHIND
                                   ? (uint64_t) -verdict.off_ms : 0);

    if (es_clock_synchronized(&synchronized) == ES_OK) {
        es_metric_gauge(e, "eventsync_clock_synchronized", "1: the kernel says "
                        "that something keeps its clock right.", synchronized);
    }

    return ES_OK;
}


es_rc_t
es_metrics_store(const es_metrics_t *m, es_exposition_t *e)
{
    es_rc_t         rc;
    struct statvfs  fs;

    ES_ASSERT_NO_EVENT_LOOP();

    rc = es_metrics_feeds(m, e);

    if (rc == ES_OK) {
        rc = es_metrics_overdue(m, e);
    }

    if (rc == ES_OK) {
        rc = es_metrics_held(m, e);
    }

    if (rc == ES_OK) {
        rc = es_metrics_envs(m, e);
    }

    if (rc == ES_OK) {
        es_metric_gauge(e, "eventsync_store_map_limit_bytes",
                        "Limit to which each map may grow (map_max of the "
                        "store's format file).", es_map_limit(m->store));

        if (statvfs(m->store->path, &fs) == 0) {
            es_metric_gauge(e, "eventsync_store_disk_free_bytes",
                            "Free bytes on the store's disk.",
                            (uint64_t) fs.f_bavail * fs.f_frsize);
            es_metric_gauge(e, "eventsync_store_disk_bytes",
                            "Size of the store's disk.",
                            (uint64_t) fs.f_blocks * fs.f_frsize);
        }

        rc = es_metrics_clock(m, e);
    }

    if (rc == ES_OK) {
        rc = es_metrics_audit(m->store, e);
    }

    e->rc = e->rc == ES_OK ? rc : e->rc;

    return e->rc;
}
