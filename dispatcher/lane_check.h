/* SPDX-License-Identifier: BSD-2-Clause */

/* Whether a lane is where its feed is. */

#ifndef ESD_LANE_CHECK_H
#define ESD_LANE_CHECK_H

#include "store/txn.h"

#include "types.h"

/* Compares the lane with its feed and follows another epoch or retention.
   False: the feed is being emptied, and the lane waits until that is done. */
bool esd_lane_check(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane);

#endif /* ESD_LANE_CHECK_H */
