/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Queues of lanes that may have something to send, and of endpoints that may
 * send a test event.
 */

#ifndef ESD_READY_H
#define ESD_READY_H

#include "types.h"

void esd_ready_init(esd_dispatcher_t *d);
/* The lane, or each lane of the endpoint, gets a turn soon. */
void esd_ready_lane(esd_dispatcher_t *d, esd_lane_t *lane);
void esd_ready_lanes(esd_dispatcher_t *d, esd_target_t *target);
/* The same, before all lanes that are ready already. */
void esd_ready_first(esd_dispatcher_t *d, esd_target_t *target);
/* The lane no longer waits for a slot; see slots.h. */
void esd_ready_leave_slots(esd_lane_t *lane);
/* Waiting test events of the endpoint get a turn soon. */
void esd_ready_tests(esd_dispatcher_t *d, esd_target_t *target);
void esd_ready_leave_tests(esd_dispatcher_t *d, esd_target_t *target);

#endif /* ESD_READY_H */
