/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Queues of lanes that may have events to send, and of endpoints that may send
 * a test event.
 *
 * Every part of the dispatcher may add a lane; only select.c, which the loop
 * calls, removes it.  Code that wakes a lane therefore does not depend on the
 * code that chooses and sends its next event.
 */

#include <sys/queue.h>

#include "dispatcher.h"
#include "lane.h"
#include "ready.h"
#include "target.h"
#include "types.h"


void
esd_ready_init(esd_dispatcher_t *d)
{
    TAILQ_INIT(&d->first);
    TAILQ_INIT(&d->ready);
    TAILQ_INIT(&d->later);
    TAILQ_INIT(&d->testing);
}


void
esd_ready_lane(esd_dispatcher_t *d, esd_lane_t *lane)
{
    if (lane->ready == NULL && esd_target_enabled(lane->target)) {
        lane->ready = lane->target->doubted ? &d->later : &d->ready;
        TAILQ_INSERT_TAIL(lane->ready, lane, in_ready);
    }
}


void
esd_ready_lanes(esd_dispatcher_t *d, esd_target_t *target)
{
    esd_lane_t  *lane;

    esd_each(lane, &target->lanes, in_target) {
        esd_ready_lane(d, lane);
    }
}


void
esd_ready_first(esd_dispatcher_t *d, esd_target_t *target)
{
    esd_lane_t  *lane;

    if (!esd_target_enabled(target)) {
        return;
    }

    esd_each(lane, &target->lanes, in_target) {
        if (lane->ready != NULL) {
            TAILQ_REMOVE(lane->ready, lane, in_ready);
        }

        lane->ready = &d->first;
        TAILQ_INSERT_TAIL(lane->ready, lane, in_ready);
    }
}


void
esd_ready_leave_slots(esd_lane_t *lane)
{
    if (lane->passed != NULL) {
        TAILQ_REMOVE(lane->passed, lane, in_passed);
        lane->passed = NULL;
    }
}


void
esd_ready_tests(esd_dispatcher_t *d, esd_target_t *target)
{
    if (target->ntests > 0 && !target->testing) {
        target->testing = true;
        TAILQ_INSERT_TAIL(&d->testing, target, in_testing);
    }
}


void
esd_ready_leave_tests(esd_dispatcher_t *d, esd_target_t *target)
{
    if (target->testing) {
        target->testing = false;
        TAILQ_REMOVE(&d->testing, target, in_testing);
    }
}
