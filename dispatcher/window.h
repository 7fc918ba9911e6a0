/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The number of requests that an endpoint may have in flight.
 */

#ifndef ESD_WINDOW_H
#define ESD_WINDOW_H

#include <stdint.h>

#include "types.h"

/* How fast an endpoint answers. */
typedef struct {
    int64_t   best_us;         /* 0: not known */
    int64_t   best_at_us;      /* monotonic: start of the search */
    int64_t   sum_us;          /* of this round */
    unsigned  n;
    unsigned  skip;            /* answers that do not count */
} esd_latency_t;

/* Opens the window fully. */
void esd_window_reset(esd_target_t *target);
void esd_window_success(esd_target_t *target, const esd_send_t *send);
void esd_window_halve(esd_target_t *target);

#endif /* ESD_WINDOW_H */
