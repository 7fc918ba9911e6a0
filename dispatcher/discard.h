/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Discard: removes dead letters of an endpoint.
 */

#ifndef ESD_DISCARD_H
#define ESD_DISCARD_H

#include "store/txn.h"

#include "clearing.h"
#include "types.h"

esd_slice_t esd_discard_slice(esd_dispatcher_t *d, es_txn_t *txn,
    esd_target_t *target, esd_clearing_job_t *job);

#endif /* ESD_DISCARD_H */
