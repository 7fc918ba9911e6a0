/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Packs the history of feeds, in a thread.
 */

#ifndef ESD_PACKING_H
#define ESD_PACKING_H

#include "base/base.h"
#include "delivery/packing.h"

#include "thread.h"
#include "types.h"

typedef struct {
    esd_thread_t         thread;
    es_packing_counts_t  counts;       /* under the thread's lock */
    es_packing_counts_t  recorded;     /* of the loop: as last recorded */
} esd_packing_t;

es_rc_t esd_packing_start(esd_dispatcher_t *d);

/* Ends the thread after the step that it is at. */
void esd_packing_finish(esd_dispatcher_t *d);

/* For the loop: true if the counts have changed since the last call. */
bool esd_packing_moved(esd_packing_t *packing, es_packing_counts_t *counts);

#endif /* ESD_PACKING_H */
