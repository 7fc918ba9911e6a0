/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Legal holds: a feed that is held loses no event, whatever its limits say and
 * whoever asks.
 *
 * The hold is in the feed's record, so each transaction that would delete
 * events sees it.  Retention passes over the feed; trim, reset, removal,
 * erasure and retime are ES_HELD.  Publishes go on.  No clock ends a hold: only
 * es_feed_release() does.
 *
 * Erasures that a restore repeats are an exception: the store that they come
 * from made them while the feed was not held.
 */

#ifndef ES_FEED_HOLD_H
#define ES_FEED_HOLD_H

#include "log/feed.h"

/*
 * Holds the feed, or gives its hold another reason.  Needs ES_STORE_PUBLISH.
 * ES_INVALID: the reason is empty, longer than ES_HOLD_REASON_MAX, not UTF-8,
 * or has control characters.  `feed` may be NULL.
 */
es_rc_t es_feed_hold(es_store_t *store, es_str_t name, es_str_t reason,
    es_feed_t *feed);

/* Ends the hold.  The feed's limits apply from now on.  ES_INVALID: it is not
   held. */
es_rc_t es_feed_release(es_store_t *store, es_str_t name, es_feed_t *feed);

#endif /* ES_FEED_HOLD_H */
