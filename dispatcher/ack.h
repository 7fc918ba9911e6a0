/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Events that a consumer has acknowledged by polling are not sent.
 */

#ifndef ESD_ACK_H
#define ESD_ACK_H

#include <stdint.h>

#include "types.h"

/* After the targets are loaded. */
void esd_ack_init(esd_dispatcher_t *d);
/* Each second. */
void esd_ack_tick(esd_dispatcher_t *d);
/* Unsent events up to `sequence` are skipped, and those in flight are not tried
   again; `why` is for the log. */
void esd_ack_pass(esd_dispatcher_t *d, esd_lane_t *lane, uint64_t sequence,
    const char *why);

#endif /* ESD_ACK_H */
