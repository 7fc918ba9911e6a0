/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What is known of a range of events without reading it.
 *
 * Each is a B-tree look-up and the work of at most one chunk, however long
 * the range is.  Sequences are from feed->oldest - 1 to feed->last; ES_INVALID
 * for others.
 */

#ifndef ES_RANGE_H
#define ES_RANGE_H

#include "event/digest.h"
#include "event/filter.h"
#include "log/feed.h"
#include "store/txn.h"

/* Bytes of the events in (after, to], without what separates them. */
es_rc_t es_range_bytes(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    uint64_t to, uint64_t *bytes);

/* How many of them the filter passes, where a filter by subject alone or none
   makes that known.  ES_NOT_FOUND: it is not. */
es_rc_t es_range_count(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    uint64_t to, const es_filter_t *filter, uint64_t *count);

/* D(sequence), see digest.h: folding it over the events of (sequence, to]
   gives D(to). */
es_rc_t es_range_digest(es_txn_t *txn, const es_feed_t *feed,
    uint64_t sequence, uint8_t digest[ES_CHAIN_LEN]);

#endif /* ES_RANGE_H */
