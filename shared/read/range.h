/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Facts about a range of events that do not need a read of it.
 *
 * Each takes a B-tree look-up and the work of at most one chunk, whatever the
 * length of the range.  Sequences lie between feed->oldest - 1 and feed->last;
 * others give ES_INVALID.  Under field lists the events must be read.
 */

#ifndef ES_RANGE_H
#define ES_RANGE_H

#include "event/digest.h"
#include "event/filter.h"
#include "fields/fields.h"
#include "log/feed.h"
#include "read/reader.h"
#include "store/txn.h"

/* Bytes of the events in (after, to] as they were published, without
   separators. */
es_rc_t es_range_bytes(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    uint64_t to, uint64_t *bytes);

/* Number of those events that match the filter.  It is known only without a
   filter or with a filter by subject alone; otherwise ES_NOT_FOUND. */
es_rc_t es_range_count(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    uint64_t to, const es_filter_t *filter, uint64_t *count);

/* D(sequence), see digest.h.  A reader that folds it over the digests of the
   events of (sequence, to] gets D(to).  ES_BUSY: the chain must still be made
   anew there, after an erasure that dropped digests (log/rechain.h). */
es_rc_t es_range_digest(es_txn_t *txn, const es_feed_t *feed,
    uint64_t sequence, uint8_t digest[ES_CHAIN_LEN]);

#define ES_RANGE_SHOWN  1000           /* events of one call */

/*
 * Goes on with the chain and the bytes of what field lists show of the events
 * in (*position, to], for ES_RANGE_SHOWN events at most, and moves `*position`
 * behind them.  Outcomes are those of es_page_read(), which it uses.
 */
es_rc_t es_range_shown(es_txn_t *txn, const es_feed_t *feed,
    uint64_t *position, uint64_t to, const es_fields_t *fields,
    es_page_t *page, uint8_t digest[ES_CHAIN_LEN], uint64_t *bytes);

#endif /* ES_RANGE_H */
