/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Nudges: one event that says "poll from here", instead of many.
 */

#ifndef ESD_NUDGE_H
#define ESD_NUDGE_H

#include <stdbool.h>

#include "store/txn.h"

#include "types.h"

/* True when the nudge takes the lane's turn; `*again`: the lane may have
   another turn at once. */
bool esd_nudge_turn(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    bool *again);

#endif /* ESD_NUDGE_H */
