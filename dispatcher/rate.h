/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The rate limit of an endpoint.
 */

#ifndef ESD_RATE_H
#define ESD_RATE_H

#include <stdbool.h>
#include <stdint.h>

#include "types.h"

void esd_rate_reset(esd_target_t *target);
void esd_rate_done(esd_target_t *target);
/* False when the limit is reached; the endpoint's lanes are woken later. */
bool esd_rate_room(esd_target_t *target);
void esd_rate_charge(esd_target_t *target, int64_t now_us);

#endif /* ESD_RATE_H */
