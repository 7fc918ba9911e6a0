/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which endpoints a command takes events from, as a line on
 * standard error for each.
 */

#ifndef CTL_AFFECTED_H
#define CTL_AFFECTED_H

#include "ctl.h"
#include "delivery/undelivered.h"

typedef struct {
    es_registry_t          *registry;      /* as it was before */
    es_undelivered_list_t   waiting;
} ctl_affected_t;

/*
 * Looks before the change, with the flags that the change needs besides: at
 * what endpoints have still to be sent of a feed (NULL: of every feed), up to
 * sequence `before` exclusive.  CTL_FAILED with a line said.
 */
int ctl_affected_begin(ctl_t *ctl, unsigned flags, const char *feed,
    uint64_t before, ctl_affected_t *affected);

/* Says after the change who does not get `how` what it was to be sent ("is
   lost"). */
void ctl_affected_lost(const ctl_affected_t *affected, const char *how);

/* Says after a change of the registry who is sent what feed no more. */
void ctl_affected_left(ctl_t *ctl, const ctl_affected_t *affected);

/* Says after a change of an endpoint's filter what was to be sent by the old
   one. */
void ctl_affected_filtered(const ctl_affected_t *affected, const char *name);

void ctl_affected_end(ctl_affected_t *affected);

#endif /* CTL_AFFECTED_H */
