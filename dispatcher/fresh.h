/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How fresh delivered events are, compared with the promise of their feed; see
 * base/fresh.h.
 *
 * An endpoint that fails, is busy, must not be sent events, or goes back is
 * excused for the events that were committed before, and until it has caught
 * up: each late event for which it is excused moves the time up to which it
 * is.
 */

#ifndef ESD_FRESH_H
#define ESD_FRESH_H

#include <stdbool.h>

#include "base/base.h"
#include "delivery/delivery.h"

#include "item.h"
#include "types.h"

/* The endpoint is excused for all events up to now. */
void esd_fresh_excuse(esd_dispatcher_t *d, esd_target_t *target);

/* Counts an event that was delivered now.  ES_NOMEM. */
es_rc_t esd_fresh_delivered(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item);

/* The feed was removed.  ES_NOMEM. */
es_rc_t esd_fresh_drop(esd_dispatcher_t *d, es_changeset_t *changes,
    esd_source_t *source);

/* Adds the counters that are due to the changes, or all that have changed. */
es_rc_t esd_fresh_gather(esd_dispatcher_t *d, es_changeset_t *changes,
    bool all);

#endif /* ESD_FRESH_H */
