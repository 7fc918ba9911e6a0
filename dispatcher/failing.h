/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reports endpoints that keep failing, and in the end stops them.
 */

#ifndef ESD_FAILING_H
#define ESD_FAILING_H

#include <stdint.h>

#include "types.h"

void esd_failing_load(esd_dispatcher_t *d, esd_target_t *target);
/* The endpoint's record has changed. */
void esd_failing_change(esd_dispatcher_t *d, esd_target_t *target);
void esd_failing_succeeded(esd_dispatcher_t *d, esd_target_t *target);
void esd_failing_failed(esd_dispatcher_t *d, esd_target_t *target,
    const esd_send_t *send);
/* After a failure: why the endpoint must be stopped now, or NULL. */
const char *esd_failing_stop_reason(esd_target_t *target);
/* The endpoint's circuit has opened; the next attempt is at `next_ms`. */
void esd_failing_circuit(esd_dispatcher_t *d, esd_target_t *target,
    const char *reason, int64_t next_ms);
/* Each second. */
void esd_failing_tick(esd_dispatcher_t *d, esd_target_t *target);
/* Stops the endpoint until its record changes. */
void esd_failing_stop(esd_dispatcher_t *d, esd_target_t *target,
    const char *reason);

#endif /* ESD_FAILING_H */
