/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The rate limit of an endpoint.
 *
 * All lanes of an endpoint share one bucket, which is full at the start and
 * after a change of the record.  A timer wakes a lane that found it empty.
 */

#include <ev.h>

#include "base/clock.h"
#include "limit/gcra.h"
#include "registry/registry.h"

#include "dispatcher.h"
#include "rate.h"
#include "ready.h"
#include "target.h"

#define esd_rate_ns(us)  ((uint64_t) (us) * 1000)


static void
esd_rate_due(struct ev_loop *ev, ev_timer *w, int revents)
{
    esd_target_t  *target;

    (void) ev;
    (void) revents;

    target = w->data;

    esd_ready_lanes(target->d, target);
}


void
esd_rate_reset(esd_target_t *target)
{
    target->bucket = 0;
    ev_timer_stop(target->d->loop.ev, &target->earned);
    ev_init(&target->earned, esd_rate_due);
    target->earned.data = target;
}


void
esd_rate_done(esd_target_t *target)
{
    ev_timer_stop(target->d->loop.ev, &target->earned);
}


bool
esd_rate_room(esd_target_t *target)
{
    es_gcra_t         state;
    const es_rate_t  *rate;

    rate = &target->conf->rate;

    if (rate->units == 0) {
        return true;
    }

    state = es_gcra_peek(&target->bucket, rate,
                         esd_rate_ns(es_clock_mono_us()), 1);

    if (!state.admitted && !ev_is_active(&target->earned)) {
        ev_timer_set(&target->earned,
                     (double) state.retry_after_ns / ES_SECOND_NS, 0);
        ev_timer_start(target->d->loop.ev, &target->earned);
    }

    return state.admitted;
}


void
esd_rate_charge(esd_target_t *target, int64_t now_us)
{
    if (target->conf->rate.units != 0) {
        (void) es_gcra_take(&target->bucket, &target->conf->rate,
                            esd_rate_ns(now_us), 1);
    }
}
