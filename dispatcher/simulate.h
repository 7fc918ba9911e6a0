/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Simulated failures.  All functions do nothing unless the endpoint's record
 * has a failure (shared/registry/endpoint_simulate.h).
 */

#ifndef ESD_SIMULATE_H
#define ESD_SIMULATE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

#include "item.h"
#include "types.h"

/* True when a new event is not sent now: it waits until `*next_ms`, or is
   dropped when that is -1. */
bool esd_simulate_new_event(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item, es_str_t id, int64_t *next_ms);
/* True when an event that waits lets the next event of the log overtake it. */
bool esd_simulate_swap(esd_lane_t *lane);
/* Spoils the request that is about to be sent. */
CURLcode esd_simulate_begin(esd_send_t *send);
/* Replaces the outcome. */
void esd_simulate_outcome(const esd_send_t *send, esd_outcome_t *o);
/* True when an event that was delivered is sent again, as `*again`. */
bool esd_simulate_repeats(const esd_send_t *send, const esd_item_t *item,
    esd_item_t *again);

#endif /* ESD_SIMULATE_H */
