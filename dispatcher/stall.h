/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reports lanes and endpoints that make no progress.  shared/delivery/stall.h
 * has the stored record of a stall.
 */

#ifndef ESD_STALL_H
#define ESD_STALL_H

#include "types.h"

/* Takes over the state of the last run, of a lane or, with NULL, of the
   endpoint. */
void esd_stall_load(esd_dispatcher_t *d, esd_target_t *target,
    esd_lane_t *lane);
/* Reports whether the lane makes progress, if that has changed. */
void esd_stall_check(esd_dispatcher_t *d, esd_lane_t *lane);
/* Each second: the same for an endpoint and its lanes, and for what stops all
   endpoints. */
void esd_stalls_tick(esd_dispatcher_t *d, esd_target_t *target);
void esd_stall_all(esd_dispatcher_t *d);
/* The lane goes away without a report. */
void esd_stall_end(esd_dispatcher_t *d, esd_lane_t *lane);

#endif /* ESD_STALL_H */
