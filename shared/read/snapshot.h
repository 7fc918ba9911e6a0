/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The latest event of each subject, as of one sequence.
 *
 * Pages are in the order of the subjects' bytes.  Together they are the state
 * at the sequence `at`, whatever is published between two pages.  A subject
 * with later events is given by its latest event at that time, and new
 * subjects are skipped.  Events without a subject are not part of a snapshot,
 * and neither are events that retention has deleted.
 */

#ifndef ES_SNAPSHOT_H
#define ES_SNAPSHOT_H

#include "log/feed.h"
#include "read/reader.h"
#include "store/txn.h"

/*
 * Fills `page` (reader.h) with the subjects after `after`; has_more: there are
 * further pages; first and last: the least and the greatest sequence in it.
 * As long as the feed keeps the least one, the same call gives the same page.
 * `after` is empty for the first page, and then the value of
 * `*last`: opaque bytes that are valid within the transaction.  ES_INVALID: no
 * page gave this `after`.
 *
 * Subjects whose event has a type that ends in one of the `nwithout` suffixes
 * are skipped: they are deletions.
 *
 * A page ends after ES_SNAPSHOT_LOOKUPS chunk look-ups: one for each subject,
 * and more for a subject with later events.  So it may have fewer than `limit`
 * events, or none.  Slices are events as stored, or one slice is what `fields`
 * show of them; outcomes are those of es_page_read() then.
 */
#define ES_SNAPSHOT_LOOKUPS  2000

es_rc_t es_snapshot_page(es_txn_t *txn, const es_feed_t *feed, uint64_t at,
    es_str_t after, const es_str_t *without, size_t nwithout, unsigned limit,
    size_t bytes_max, const es_fields_t *fields, es_page_t *page,
    es_str_t *last);

#endif /* ES_SNAPSHOT_H */
