/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How far the history of a feed is packed.
 *
 * Nothing of that is stored: the log itself tells it.  Packing goes from the
 * oldest run to the latest one, so a binary search finds the end of what is
 * packed.  Single runs before it may be plain, such as those that cannot be
 * packed or have lost an event to erasure.
 */

#ifndef ES_PACK_POSITION_H
#define ES_PACK_POSITION_H

#include "log/feed.h"
#include "store/txn.h"

/* Returns the last sequence that es_pack_step() would pack; 0: none. */
uint64_t es_pack_end(const es_feed_t *feed);

/*
 * Finds a sequence after which the first run is plain, and the one before it
 * is packed or not kept.  It looks at as many chunks as the number of runs has
 * bits.
 */
es_rc_t es_pack_position(es_txn_t *txn, const es_feed_t *feed,
    uint64_t *after);

#endif /* ES_PACK_POSITION_H */
