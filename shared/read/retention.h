/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The events that a feed's limits keep.
 *
 * These functions read events to answer, so they are here and not in
 * log/feed.h, which has the limits themselves and deletes the events.
 */

#ifndef ES_RETENTION_H
#define ES_RETENTION_H

#include "log/feed.h"

/*
 * Finds the first sequence that the feed's retention keeps at `now_ms`, and
 * the limit that deletes the most.  If no limit is exceeded, `*oldest` is the
 * feed's.  A feed within its limits costs one look-up.  A caller that deletes
 * asks es_feed_limited() first, which knows of holds.
 */
es_rc_t es_feed_retained(es_txn_t *txn, const es_feed_t *feed, int64_t now_ms,
    uint64_t *oldest, es_deletion_cause_t *why);

/*
 * Finds the time since when the feed has exceeded its limits because no
 * process has applied them; 0: it is within its limits.
 */
es_rc_t es_feed_overdue(es_txn_t *txn, const es_feed_t *feed, int64_t now_ms,
    int64_t *since_ms);

#endif /* ES_RETENTION_H */
