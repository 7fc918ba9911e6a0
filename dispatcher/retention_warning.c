/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Retention warnings: endpoints whose next event retention will delete soon.
 *
 * The notifier's thread checks the stored state, so that the loop need not
 * check idle lanes: retention overtakes mainly paused and stopped endpoints.
 * A lane is announced once, and again only after it has been in the newer half
 * of the feed's retention.
 */

#include <stdatomic.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/outbox.h"
#include "delivery/report.h"
#include "event/cursor.h"
#include "log/feed.h"
#include "read/lag.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "dispatcher.h"
#include "lane.h"
#include "log.h"
#include "notice.h"
#include "notifier.h"
#include "retention_warning.h"
#include "trusted_clock.h"

#define ESD_WARNING_US     1000000     /* minimum between checks */
#define ESD_WARNING_SHARE  20          /* 1/20 of the time, at most */

/* The undelivered events of a lane begin after `done`. */
typedef struct {
    uint32_t     endpoint;
    es_cursor_t  done;
    uint32_t     feed;
} esd_warning_lane_t;

typedef struct {
    esd_dispatcher_t      *d;
    const es_endpoint_t  **endpoints;      /* by number: those to announce */
    size_t                 nendpoints;
    es_report_feeds_t      feeds;
    es_buf_t               lanes;
    esd_warning_lane_t    *lane;           /* of the walk over retries */
} esd_warning_t;


/* Loads the thread's own registry. */

static es_rc_t
esd_warning_registry(esd_dispatcher_t *d)
{
    es_rc_t          rc;
    esd_notifier_t  *notifier;
    es_registry_t   *registry;

    notifier = &d->notifier;

    if (notifier->registry != NULL
        && es_registry_unchanged(d->store, notifier->registry))
    {
        return ES_OK;
    }

    rc = es_registry_load_closed(d->store, &registry);

    if (rc == ES_OK) {
        es_registry_free(notifier->registry);
        notifier->registry = registry;
    }

    return rc;
}


/* Selects endpoints whose partner has an operations feed. */

static es_rc_t
esd_warning_endpoints(esd_warning_t *scan)
{
    size_t                i, n, max;
    const es_endpoint_t  *endpoints;

    endpoints = es_registry_endpoints(scan->d->notifier.registry, &n);
    max = 0;

    for (i = 0; i < n; i++) {
        if (endpoints[i].partner->operations.data != NULL
            && endpoints[i].number >= max)
        {
            max = (size_t) endpoints[i].number + 1;
        }
    }

    if (max == 0) {
        return ES_NOT_FOUND;
    }

    scan->nendpoints = max;
    scan->endpoints = calloc(max, sizeof(es_endpoint_t *));

    if (scan->endpoints == NULL) {
        return ES_NOMEM;
    }

    for (i = 0; i < n; i++) {
        if (endpoints[i].partner->operations.data != NULL) {
            scan->endpoints[endpoints[i].number] = &endpoints[i];
        }
    }

    return ES_OK;
}


static es_rc_t
esd_warning_progress(void *ctx, const es_progress_t *progress)
{
    esd_warning_t      *scan;
    esd_warning_lane_t  lane;
    const es_feed_t    *feed;

    scan = ctx;

    if (progress->endpoint >= scan->nendpoints
        || scan->endpoints[progress->endpoint] == NULL)
    {
        return ES_OK;
    }

    /* the feed of operational events itself is not announced, and neither is a
       kept position on a feed that the endpoint does not receive */

    feed = es_report_feed(&scan->feeds, progress->feed);

    if (!es_feed_limited(feed)
        || !es_endpoint_lists(scan->endpoints[progress->endpoint],
                              es_str(feed->name))
        || es_str_eq(scan->endpoints[progress->endpoint]->partner->operations,
                     es_str(feed->name)))
    {
        return ES_OK;
    }

    memset(&lane, 0, sizeof(lane));
    lane.endpoint = progress->endpoint;
    lane.feed = progress->feed;
    memcpy(lane.done.epoch, progress->epoch, sizeof(lane.done.epoch));
    lane.done.sequence = es_progress_done(progress);

    return es_buf_append(&scan->lanes, &lane, sizeof(lane));
}


/* The first retry of the lane's feed is the oldest one. */

static es_rc_t
esd_warning_retry(void *ctx, const es_retry_t *retry)
{
    esd_warning_t  *scan;

    scan = ctx;

    if (retry->feed < scan->lane->feed) {
        return ES_OK;
    }

    if (retry->feed == scan->lane->feed
        && retry->sequence <= scan->lane->done.sequence)
    {
        scan->lane->done.sequence = retry->sequence - 1;
    }

    return ES_STOP;
}


static es_rc_t
esd_warning_lag(esd_dispatcher_t *d, const esd_warning_lane_t *lane,
    es_feed_t *feed, es_lag_t *lag)
{
    char       name[ES_FEED_MAX + 1];
    es_rc_t    rc;
    es_txn_t  *txn;

    rc = es_txn_begin(d->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    memcpy(name, feed->name, sizeof(name));
    rc = es_feed_get(txn, es_str(name), feed);

    if (rc == ES_OK && feed->number != lane->feed) {
        rc = ES_NOT_FOUND;
    }

    if (rc == ES_OK) {
        rc = es_lag_read(txn, feed, &lane->done, esd_clock_expiry_ms(d), lag);
    }

    es_txn_end(txn);

    return rc;
}


static es_rc_t
esd_warning_decide(esd_warning_t *scan, const esd_warning_lane_t *lane)
{
    bool                  warned;
    es_rc_t               rc;
    es_lag_t              lag;
    es_feed_t             feed;
    es_changeset_t       *changes;
    const es_endpoint_t  *endpoint;

    endpoint = scan->endpoints[lane->endpoint];
    changes = scan->d->notifier.changes;
    feed = *es_report_feed(&scan->feeds, lane->feed);

    rc = esd_warning_lag(scan->d, lane, &feed, &lag);

    if (rc == ES_NOT_FOUND || (rc == ES_OK && (lag.state == ES_RESET
                                               || lag.state == ES_AHEAD)))
    {
        return ES_OK;
    }

    if (rc == ES_OK) {
        rc = es_delivery_retention_warned(scan->d->store, lane->endpoint,
                                          lane->feed, &warned);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (!warned && lag.warning) {
        rc = esd_notice_retention(scan->d, endpoint, feed.name, &lane->done,
                                  &lag);

        return rc == ES_OK
               ? es_changeset_retention_warned(changes, lane->endpoint,
                                               lane->feed, true) : rc;
    }

    if (warned && !lag.warning && lag.events <= (feed.last - feed.oldest) / 2) {
        return es_changeset_retention_warned(changes, lane->endpoint,
                                             lane->feed, false);
    }

    return ES_OK;
}


static es_rc_t
esd_warning_lanes(esd_warning_t *scan)
{
    size_t                i, n;
    es_rc_t               rc;
    esd_warning_lane_t   *lanes;

    rc = es_delivery_each_progress(scan->d->store, 0, esd_warning_progress,
                                   scan);

    lanes = (esd_warning_lane_t *) (void *) scan->lanes.data;
    n = scan->lanes.len / sizeof(esd_warning_lane_t);

    for (i = 0; rc == ES_OK && i < n; i++) {
        scan->lane = &lanes[i];

        rc = es_delivery_each_retry(scan->d->store, lanes[i].endpoint,
                                    esd_warning_retry, scan);

        if (rc == ES_OK || rc == ES_STOP) {
            rc = esd_warning_decide(scan, &lanes[i]);
        }
    }

    return rc;
}


static es_rc_t
esd_warning_scan(esd_dispatcher_t *d)
{
    es_rc_t        rc;
    esd_warning_t  scan;

    memset(&scan, 0, sizeof(scan));
    scan.d = d;

    rc = esd_warning_registry(d);

    if (rc == ES_OK) {
        rc = esd_warning_endpoints(&scan);
    }

    if (rc == ES_OK) {
        rc = es_report_feeds_load(d->store, &scan.feeds);
    }

    if (rc == ES_OK) {
        rc = esd_warning_lanes(&scan);
    }

    es_report_feeds_free(&scan.feeds);
    es_buf_free(&scan.lanes);
    free(scan.endpoints);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


void
esd_warning_check(esd_dispatcher_t *d)
{
    es_rc_t          rc;
    int64_t          began_us, took_us;
    esd_notifier_t  *notifier;

    notifier = &d->notifier;
    began_us = es_clock_mono_us();

    if (began_us < notifier->warning_us || !atomic_load(&notifier->wanted)) {
        return;
    }

    rc = esd_warning_scan(d);

    if (rc == ES_OK) {
        rc = es_delivery_commit(d->store, notifier->changes);
    }

    if (rc != ES_OK) {

        /* the next check finds the same */

        es_changeset_clear(notifier->changes);

        esd_log_line(notifier->warning_failed ? ESD_LOG_DEBUG : ESD_LOG_ERROR,
                     "cannot search for endpoints that retention will "
                     "overtake: "
                     "%s", es_reason(rc));

    } else if (notifier->warning_failed) {
        esd_log_line(ESD_LOG_WARN,
                     "the search for endpoints that retention will "
                     "overtake works again");
    }

    notifier->warning_failed = rc != ES_OK;

    took_us = es_clock_mono_us() - began_us;
    notifier->warning_us = began_us + took_us * ESD_WARNING_SHARE;

    if (notifier->warning_us < began_us + ESD_WARNING_US) {
        notifier->warning_us = began_us + ESD_WARNING_US;
    }
}
