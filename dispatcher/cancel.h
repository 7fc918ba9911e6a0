/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Cancel: removes waiting events of a lane.
 */

#ifndef ESD_CANCEL_H
#define ESD_CANCEL_H

#include "store/txn.h"

#include "clearing.h"
#include "types.h"

esd_slice_t esd_cancel_slice(esd_dispatcher_t *d, es_txn_t *txn,
    esd_target_t *target, esd_clearing_job_t *job);

#endif /* ESD_CANCEL_H */
