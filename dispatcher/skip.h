/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Skip: makes the event that blocks a lane a dead letter.
 */

#ifndef ESD_SKIP_H
#define ESD_SKIP_H

#include "registry/control_request.h"
#include "store/txn.h"

#include "types.h"

void esd_skip(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target,
    const es_control_request_t *request);

#endif /* ESD_SKIP_H */
