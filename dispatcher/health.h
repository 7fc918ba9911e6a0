/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The health of an endpoint: doubt and circuit.
 */

#ifndef ESD_HEALTH_H
#define ESD_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

#include "types.h"

/* True when the endpoint is sent one request at a time. */
bool esd_health_doubted(const esd_target_t *target);
/* False when that request is in flight. */
bool esd_health_room(esd_target_t *target);
void esd_health_load(esd_dispatcher_t *d, esd_target_t *target);
void esd_health_success(esd_dispatcher_t *d, esd_target_t *target,
    const esd_send_t *send);
/* The receiver has answered, which is neither a success nor a failure. */
void esd_health_answered(esd_dispatcher_t *d, esd_target_t *target);
/* The receiver has answered that it is busy.  Returns the pause, in
   milliseconds. */
int64_t esd_health_busy(esd_dispatcher_t *d, esd_target_t *target,
    const esd_send_t *send, const esd_outcome_t *o);
void esd_health_failure(esd_dispatcher_t *d, esd_target_t *target,
    const esd_send_t *send, const esd_outcome_t *o);

#endif /* ESD_HEALTH_H */
