/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Batches: which events a request carries together, also when it is repeated.
 */

#ifndef ESD_BATCH_H
#define ESD_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "outcome.h"
#include "types.h"

/* The events of the request belong together: while its answer is lost or its
   receiver is busy, they are sent again in one request, under the same id. */
void esd_batch_join(esd_send_t *send);
/* A failed batch whose events are tried again together, or each alone. */
void esd_batch_failed(esd_send_t *send, const esd_outcome_t *o);

/* The bytes that a batch of the endpoint may have. */
size_t esd_batch_bytes(esd_target_t *target);
/* The receiver has refused the batch for its size: its events form two halves,
   and the next batches are as small. */
void esd_batch_halve(esd_send_t *send);

#endif /* ESD_BATCH_H */
