/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The next event of the log for a lane, or the next batch.
 */

#ifndef ESD_NEXT_EVENT_H
#define ESD_NEXT_EVENT_H

#include <stdbool.h>

#include "store/txn.h"

#include "types.h"

/* True: the lane sent or skipped events, so that there may be more. */
bool esd_next_event(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane);

#endif /* ESD_NEXT_EVENT_H */
