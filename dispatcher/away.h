/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Lanes that are away: progress on feeds that an endpoint is not sent now.  See
 * docs/dispatcher.md, "Where an endpoint starts".
 */

#ifndef ESD_AWAY_H
#define ESD_AWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "store/txn.h"

#include "saved_state.h"
#include "types.h"

/* Keeps the lane's progress and destroys the lane; `why` is for the log. */
void esd_away_lane(esd_dispatcher_t *d, esd_lane_t *lane, const char *why);
/* The progress that is kept, or NULL.  It lives until esd_away_resumed(). */
esd_saved_lane_t *esd_away_progress(esd_dispatcher_t *d, uint32_t endpoint,
    uint32_t feed);
/* A lane has taken over the progress, from here or from the last run. */
void esd_away_resumed(esd_dispatcher_t *d, const esd_saved_lane_t *saved);
/* True when the endpoint has lanes that are away. */
bool esd_away_any(const esd_dispatcher_t *d, uint32_t endpoint);
/* Forgets them: the endpoint's partner was removed.  The caller deletes their
   records. */
void esd_away_forget(esd_dispatcher_t *d, uint32_t endpoint);
/* Give up the lanes of a removed feed, or those that have been away for too
   long, and report what is lost. */
void esd_away_feed_gone(esd_dispatcher_t *d, es_txn_t *txn, uint32_t feed);
void esd_away_expire(esd_dispatcher_t *d, es_txn_t *txn, int64_t now_ms);
/* Keeps positions of the last run that no lane has taken over. */
void esd_away_load(esd_dispatcher_t *d, es_txn_t *txn);
void esd_away_done(esd_dispatcher_t *d);

#endif /* ESD_AWAY_H */
