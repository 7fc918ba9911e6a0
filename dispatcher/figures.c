/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts the attempts of each endpoint by minute, hour and day.
 *
 * The record of an endpoint has some kilobytes, so it is not in each commit: it
 * follows the first change by ESD_FIGURES_US.
 */

#include <stdint.h>
#include <string.h>
#include <sys/queue.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/fresh.h"
#include "delivery/delivery.h"
#include "delivery/figures.h"

#include "about.h"
#include "dispatcher.h"
#include "figures.h"
#include "lane.h"
#include "log.h"
#include "target.h"
#include "trusted_clock.h"
#include "types.h"

#define ESD_FIGURES_US   5000000
#define ESD_FIGURES_MAX  500       /* endpoints in one commit */


/* Figures that cannot be read begin anew: no delivery depends on them. */

void
esd_figures_load(esd_dispatcher_t *d, esd_target_t *target)
{
    es_rc_t  rc;

    rc = es_delivery_figures(d->store, target->number, &target->figures);

    if (rc != ES_OK) {
        es_figures_free(&target->figures);
        esd_log_about(ESD_LOG_WARN, esd_about_target(target),
                      "endpoint %s: its figures cannot be read: %s; they "
                      "begin anew", target->name, es_reason(rc));
    }
}


void
esd_figures_drop(esd_dispatcher_t *d, esd_target_t *target)
{
    if (target->figures_due_us != 0) {
        TAILQ_REMOVE(&d->figures, target, in_figures);
        target->figures_due_us = 0;
    }

    es_figures_free(&target->figures);
}


void
esd_figures_changed(esd_dispatcher_t *d, esd_target_t *target)
{
    if (target->figures_due_us == 0) {
        target->figures_due_us = es_clock_mono_us() + ESD_FIGURES_US;
        TAILQ_INSERT_TAIL(&d->figures, target, in_figures);
    }
}


es_rc_t
esd_figures_attempt(esd_dispatcher_t *d, const es_attempt_t *attempt)
{
    esd_target_t  *target;

    target = d->targets[attempt->endpoint];

    if (!es_figures_counts(attempt)) {
        return ES_OK;
    }

    esd_figures_changed(d, target);

    return es_figures_attempt(&target->figures, attempt,
                              esd_clock_stamp_ms(d));
}


es_rc_t
esd_figures_dead(esd_dispatcher_t *d, uint32_t endpoint)
{
    esd_target_t  *target;

    target = d->targets[endpoint];
    esd_figures_changed(d, target);

    return es_figures_dead(&target->figures, esd_clock_stamp_ms(d));
}


es_rc_t
esd_figures_fresh(esd_dispatcher_t *d, esd_target_t *target,
    es_fresh_verdict_t verdict, int64_t age_ms)
{
    esd_figures_changed(d, target);

    return es_figures_fresh(&target->figures, verdict, age_ms,
                            esd_clock_stamp_ms(d));
}


static void
esd_figures_waiting(const esd_target_t *target, es_figures_waiting_t *waiting)
{
    int64_t      due_ms;
    esd_lane_t  *lane;

    memset(waiting, 0, sizeof(*waiting));
    due_ms = INT64_MAX;

    esd_each(lane, &target->lanes, in_target) {
        waiting->waiting += (uint32_t) (lane->nwaiting - lane->nheld);
        waiting->held += (uint32_t) lane->nheld;
        due_ms = lane->due_ms < due_ms ? lane->due_ms : due_ms;
    }

    waiting->next_ms = due_ms == INT64_MAX ? 0 : due_ms;
}


es_rc_t
esd_figures_gather(esd_dispatcher_t *d, es_changeset_t *changes, bool all)
{
    es_rc_t        rc;
    int64_t        now_us;
    unsigned       n;
    esd_target_t  *target;

    now_us = es_clock_mono_us();

    for (n = 0; all || n < ESD_FIGURES_MAX; n++) {
        target = TAILQ_FIRST(&d->figures);

        if (target == NULL || (!all && target->figures_due_us > now_us)) {
            break;
        }

        esd_figures_waiting(target, &target->figures.waiting);

        rc = es_changeset_figures(changes, target->number, &target->figures);
        if (rc != ES_OK) {
            return rc;
        }

        TAILQ_REMOVE(&d->figures, target, in_figures);
        target->figures_due_us = 0;
    }

    return ES_OK;
}
