/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Losses: events that an endpoint will never receive.
 */

#ifndef ESD_LOSS_H
#define ESD_LOSS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "delivery/away_feeds.h"
#include "log/ended_epochs.h"
#include "store/txn.h"

#include "saved_state.h"
#include "types.h"

/* The number of events that the lane has in flight or waiting; `*first`
   becomes the smallest of their sequences if it is larger. */
size_t esd_loss_items(const esd_lane_t *lane, uint64_t *first);
/* Fills in the names of the lane's endpoint and feed; `since_ms` is 0. */
void esd_loss_away(const esd_lane_t *lane, es_away_t *away);

/* Logs, counts and announces a loss; nothing if its count is 0. */
void esd_loss_report(esd_dispatcher_t *d, const es_away_t *away,
    const es_loss_t *loss);
/* Each second: reports what the lane has lost, when a report is due. */
void esd_loss_tick(esd_dispatcher_t *d, esd_lane_t *lane);
/* Retention has deleted undelivered events of the lane. */
void esd_loss_overtaken(esd_dispatcher_t *d, esd_lane_t *lane);
/* `n` events from `first` on, which the lane had not delivered, are of a log
   that was lost: another epoch began before them. */
void esd_loss_beyond(esd_dispatcher_t *d, esd_lane_t *lane, size_t n,
    uint64_t first);
/* The lane's epoch has ended, with undelivered events. */
void esd_loss_epoch(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    es_loss_reason_t reason);
/* Computes the loss of a position whose epoch has ended.  It has `n` items, and
   `first` is the smallest of their sequences.  `*ended` is the record of the
   epoch's end, all zero if there is none. */
void esd_loss_ended(es_txn_t *txn, const esd_saved_lane_t *saved, size_t n,
    uint64_t first, es_ended_epoch_t *ended, es_loss_t *loss);
/* True while a reset or a removal empties the lane's feed. */
bool esd_loss_ending(es_txn_t *txn, esd_lane_t *lane);

#endif /* ESD_LOSS_H */
