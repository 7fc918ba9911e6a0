/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Order per subject.  All functions but esd_ordering_done() do nothing in
 * other modes than `key`.
 */

#ifndef ESD_ORDERING_H
#define ESD_ORDERING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "read/reader.h"
#include "store/txn.h"

#include "item.h"
#include "types.h"

/* True when an earlier event of the subject is not done; sets item->key. */
bool esd_ordering_holds(const esd_lane_t *lane, const es_event_t *event,
    esd_item_t *item);
/* The event is done: it needs no record any more, and the next event of its
   key may go. */
void esd_ordering_done(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item);
/* The key of an event of the log, or 0. */
uint64_t esd_ordering_key_at(es_txn_t *txn, const esd_lane_t *lane,
    uint64_t sequence);
/* An item was added to `waiting` that others of its key come before or
   after. */
void esd_ordering_join(esd_lane_t *lane, size_t i);
/* Finds the keys of all items, and which of them are held, when a lane begins
   or its mode has changed. */
void esd_ordering_restore(es_txn_t *txn, esd_lane_t *lane);

#endif /* ESD_ORDERING_H */
