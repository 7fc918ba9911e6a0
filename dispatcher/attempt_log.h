/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Log lines of attempts, with --log-attempts: one for each event that a request
 * carries, so that an event can be followed by its cursor.
 */

#ifndef ESD_ATTEMPT_LOG_H
#define ESD_ATTEMPT_LOG_H

#include "delivery/delivery.h"

#include "types.h"

/* `id` is the event's, or "" for an attempt without one. */
void esd_attempt_log(const esd_send_t *send, const char *id,
    const es_attempt_t *attempt);

#endif /* ESD_ATTEMPT_LOG_H */
