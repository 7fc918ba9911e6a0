/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The figures of endpoints, see delivery/figures.h: counted in memory, and
 * written every few seconds.
 */

#ifndef ESD_FIGURES_H
#define ESD_FIGURES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "base/fresh.h"
#include "delivery/delivery.h"

#include "types.h"

/* Reads what the last run has written. */
void esd_figures_load(esd_dispatcher_t *d, esd_target_t *target);
void esd_figures_drop(esd_dispatcher_t *d, esd_target_t *target);

/* The number of waiting events has changed. */
void esd_figures_changed(esd_dispatcher_t *d, esd_target_t *target);
/* Count an attempt that has ended now, and an event that is a dead letter.
   ES_NOMEM. */
es_rc_t esd_figures_attempt(esd_dispatcher_t *d, const es_attempt_t *attempt);
es_rc_t esd_figures_dead(esd_dispatcher_t *d, uint32_t endpoint);
/* Count how fresh an event was that was delivered now.  ES_NOMEM. */
es_rc_t esd_figures_fresh(esd_dispatcher_t *d, esd_target_t *target,
    es_fresh_verdict_t verdict, int64_t age_ms);

/* Adds the figures that are due to the changes, or all that have changed, which
   may be more than a commit should have. */
es_rc_t esd_figures_gather(esd_dispatcher_t *d, es_changeset_t *changes,
    bool all);

#endif /* ESD_FIGURES_H */
