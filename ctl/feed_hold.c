/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "feed hold" and "feed release": a legal hold on all events of a feed.
 */

#include <inttypes.h>

#include "feed.h"
#include "log/feed_hold.h"
#include "log/store_clock.h"
#include "read/retention.h"


int
ctl_feed_hold(ctl_t *ctl, int argc, char **argv)
{
    int          rc;
    es_rc_t      es;
    const char  *reason = NULL;

    const ctl_option_t  options[] = {
        { "reason", &reason },
        { NULL, NULL }
    };

    rc = ctl_begin(ctl, &argc, argv, options, ES_STORE_PUBLISH);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_feed_hold(ctl->store, es_str(argv[0]), es_str(reason), NULL);

    if (es == ES_INVALID) {
        return ctl_fail(CTL_USAGE, "\"--reason\" must be a text of 1 to %d "
                        "bytes in UTF-8, without control characters",
                        ES_HOLD_REASON_MAX);
    }

    rc = es == ES_OK ? CTL_OK : ctl_feed_failed(argv[0], es);

    return ctl_feed_result(ctl, argv[0], rc);
}


/* Whoever ends a hold learns what goes with it. */

static void
ctl_feed_released(ctl_t *ctl, const es_feed_t *feed)
{
    es_rc_t              es;
    uint64_t             oldest;
    es_txn_t            *txn;
    es_clock_verdict_t   clock;
    es_deletion_cause_t  why;

    es = es_txn_begin(ctl->store, &txn);
    if (es != ES_OK) {
        return;
    }

    if (es_clock_peek(txn, &clock, NULL) == ES_OK
        && es_feed_retained(txn, feed, clock.time_ms, &oldest, &why) == ES_OK
        && oldest > feed->oldest)
    {
        ctl_note("retention now deletes %" PRIu64 " events of feed \"%s\"",
                 oldest - feed->oldest, feed->name);
    }

    es_txn_end(txn);
}


int
ctl_feed_release(ctl_t *ctl, int argc, char **argv)
{
    int        rc;
    es_rc_t    es;
    es_feed_t  feed;

    rc = ctl_begin(ctl, &argc, argv, NULL, ES_STORE_PUBLISH);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_feed_release(ctl->store, es_str(argv[0]), &feed);

    if (es == ES_INVALID) {
        return ctl_fail(CTL_FAILED, "feed \"%s\" is not held", argv[0]);
    }

    if (es == ES_OK) {
        ctl_feed_released(ctl, &feed);
    }

    rc = es == ES_OK ? CTL_OK : ctl_feed_failed(argv[0], es);

    return ctl_feed_result(ctl, argv[0], rc);
}
