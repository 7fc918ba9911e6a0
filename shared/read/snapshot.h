/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The latest event of each subject, as of one sequence.
 *
 * Pages are in the order of subjects' bytes.  However much is published
 * between two pages, together they are the state at `at`: of a subject that
 * has moved on, the event that was the latest then is given, and new subjects
 * are passed by.  Events without a subject are not part of it, nor are those
 * that retention has taken.
 */

#ifndef ES_SNAPSHOT_H
#define ES_SNAPSHOT_H

#include "log/feed.h"
#include "read/reader.h"
#include "store/txn.h"

/*
 * Fills `page` (see reader.h; has_more: there are further pages) with the
 * subjects after `after`, which is empty at first and then what `*last` was
 * set to: opaque bytes, which die with the transaction.  ES_INVALID: no page
 * gave this `after`.
 * Subjects whose event has a type that ends in one of `nwithout` suffixes are
 * passed by: those are deletions.
 * Ends when ES_SNAPSHOT_LOOKS chunks were looked up, one for each subject and
 * more for one that has moved on since, so that a page may have fewer than
 * `limit` events, or none.  Slices are the events as stored.
 */
#define ES_SNAPSHOT_LOOKS  2000

es_rc_t es_snapshot_page(es_txn_t *txn, const es_feed_t *feed, uint64_t at,
    es_str_t after, const es_str_t *without, size_t nwithout, unsigned limit,
    size_t bytes_max, es_page_t *page, es_str_t *last);

#endif /* ES_SNAPSHOT_H */
