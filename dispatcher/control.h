/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Requests of operators: replay, resend, redrive, and those of skip.h,
 * clearing.h and test_event.h.
 */

#ifndef ESD_CONTROL_H
#define ESD_CONTROL_H

#include "store/txn.h"

#include "types.h"

/* Carries out the requests that came since the last call. */
void esd_control_take(esd_dispatcher_t *d, es_txn_t *txn);
/* Each second: continues the redrives of dead letters. */
void esd_control_tick(esd_dispatcher_t *d);

#endif /* ESD_CONTROL_H */
