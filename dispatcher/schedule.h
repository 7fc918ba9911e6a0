/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * When retries are due.
 */

#ifndef ESD_SCHEDULE_H
#define ESD_SCHEDULE_H

#include <stdint.h>

#include "base/base.h"
#include "registry/registry.h"

#include "types.h"

#define ESD_RETRY_AFTER_MAX_MS  (24 * 3600 * 1000)

/*
 * The clock of the schedule: the wall clock at start, and the time that has
 * passed since.  So nothing waits longer or is sent earlier because an operator
 * set the wall clock; the next start takes the new time.
 */
void esd_schedule_init(esd_dispatcher_t *d);
int64_t esd_schedule_ms(const esd_dispatcher_t *d);

/* The number in [0, 1) that makes the jitter. */
double esd_schedule_draw(es_str_t id, es_str_t endpoint, uint32_t attempt);
/* The delay after `attempts`; -1: there is no further attempt. */
int64_t esd_schedule_delay(const es_endpoint_t *endpoint, es_str_t id,
    uint32_t attempts);
/* The longest delay of the endpoint's schedule. */
int64_t esd_schedule_longest(const es_endpoint_t *endpoint);
/* The delay of a Retry-After header field; -1: none. */
int64_t esd_schedule_retry_after(const char *value, int64_t now_ms);

#endif /* ESD_SCHEDULE_H */
