/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Judges how fresh each delivered event is, and counts it for the endpoint and
 * for the feed.
 *
 * A feed's promise is read again after a change of the registry, and its
 * counters when its first event with a promise was delivered, so that feeds
 * without a promise cost nothing.
 */

#include <stdint.h>
#include <sys/queue.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/fresh.h"
#include "delivery/delivery.h"
#include "delivery/fresh.h"
#include "registry/registry.h"

#include "dispatcher.h"
#include "figures.h"
#include "fresh.h"
#include "lane.h"
#include "log.h"
#include "target.h"
#include "trusted_clock.h"
#include "types.h"

#define ESD_FRESH_US   1000000
#define ESD_FRESH_MAX  500         /* feeds in one commit */


void
esd_fresh_excuse(esd_dispatcher_t *d, esd_target_t *target)
{
    target->excused_ms = esd_clock_stamp_ms(d);
}


/* The promise in milliseconds; 0: none, or it cannot be read. */

static int64_t
esd_fresh_within(esd_dispatcher_t *d, esd_source_t *source)
{
    es_rc_t         rc;
    uint64_t        version;
    es_feed_rule_t  rule;

    version = es_registry_version(d->store);

    if (source->rule_version != version) {
        rc = es_registry_rule(d->store, es_str(source->feed.name), &rule);

        if (rc != ES_OK) {
            return 0;
        }

        source->rule_version = version;
        source->fresh_within_ms = rule.fresh_within_ms;
    }

    return source->fresh_within_ms;
}


/* Counters that cannot be read begin anew: no delivery depends on them. */

static void
esd_fresh_changed(esd_dispatcher_t *d, esd_source_t *source)
{
    es_rc_t  rc;

    if (!source->fresh_loaded) {
        source->fresh_loaded = true;
        rc = es_delivery_fresh(d->store, source->feed.number, &source->fresh);

        if (rc != ES_OK) {
            esd_log_line(ESD_LOG_WARN, "feed \"%s\": its freshness cannot be "
                         "read: %s; its figures begin anew",
                         source->feed.name, es_reason(rc));
        }
    }

    if (source->fresh_due_us == 0) {
        source->fresh_due_us = es_clock_mono_us() + ESD_FRESH_US;
        TAILQ_INSERT_TAIL(&d->fresh, source, in_fresh);
    }
}


es_rc_t
esd_fresh_delivered(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item)
{
    int64_t              now_ms, age_ms, within_ms;
    esd_source_t        *source;
    esd_target_t        *target;
    es_fresh_verdict_t   verdict;

    source = lane->source;
    target = lane->target;
    within_ms = esd_fresh_within(d, source);

    if (within_ms == 0 || item->time_ms == 0) {
        return ES_OK;
    }

    now_ms = esd_clock_stamp_ms(d);
    age_ms = now_ms - item->time_ms;
    verdict = es_fresh_judge(within_ms, age_ms,
                             item->time_ms < target->excused_ms ? 0 : age_ms);

    if (verdict == ES_FRESH_EXCUSED) {
        target->excused_ms = now_ms;
    }

    esd_fresh_changed(d, source);
    es_fresh_count(&source->fresh, verdict, age_ms);

    return esd_figures_fresh(d, target, verdict, age_ms);
}


es_rc_t
esd_fresh_drop(esd_dispatcher_t *d, es_changeset_t *changes,
    esd_source_t *source)
{
    if (source->fresh_due_us != 0) {
        TAILQ_REMOVE(&d->fresh, source, in_fresh);
        source->fresh_due_us = 0;
    }

    return es_changeset_fresh_done(changes, source->feed.number);
}


es_rc_t
esd_fresh_gather(esd_dispatcher_t *d, es_changeset_t *changes, bool all)
{
    es_rc_t        rc;
    int64_t        now_us;
    unsigned       n;
    esd_source_t  *source;

    now_us = es_clock_mono_us();

    for (n = 0; all || n < ESD_FRESH_MAX; n++) {
        source = TAILQ_FIRST(&d->fresh);

        if (source == NULL || (!all && source->fresh_due_us > now_us)) {
            break;
        }

        rc = es_changeset_fresh(changes, source->feed.number, &source->fresh);
        if (rc != ES_OK) {
            return rc;
        }

        TAILQ_REMOVE(&d->fresh, source, in_fresh);
        source->fresh_due_us = 0;
    }

    return ES_OK;
}
