/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reports which endpoints lose undelivered events by a command: one line on
 * stderr for each endpoint and feed.
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
 * Opens the store with `flags`, which the change needs, and counts before the
 * change the undelivered events of a feed (NULL: of every feed), up to sequence
 * `before` exclusive.  CTL_FAILED with a message.
 */
int ctl_affected_begin(ctl_t *ctl, unsigned flags, const char *feed,
    uint64_t before, ctl_affected_t *affected);

/* After the change: reports the endpoints whose events were not delivered, and
   are lost. */
void ctl_affected_lost(const ctl_affected_t *affected);

/* After a change of the registry: reports endpoints that no longer receive a
   feed. */
void ctl_affected_left(ctl_t *ctl, const ctl_affected_t *affected);

/* After a change of an endpoint's filter: reports the events that the old one
   may have matched. */
void ctl_affected_filtered(const ctl_affected_t *affected, const char *name);

void ctl_affected_end(ctl_affected_t *affected);

#endif /* CTL_AFFECTED_H */
