/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reading events by cursor, by time, by type and subject.
 *
 * A page is a list of slices into the map: written one after the other they
 * are the events as JSON, joined by ','.  Nothing is copied here; the slices
 * die with the transaction.
 */

#ifndef ES_READER_H
#define ES_READER_H

#include "event/filter.h"
#include "log/feed.h"
#include "store/txn.h"

typedef struct {
    es_str_t  json;            /* the event as stored */
    es_str_t  before;          /* json up to the value of "prevcursor" */
    es_str_t  after;           /* json after that value */
    es_str_t  cursor;          /* the value of "cursor", without quotes */
    es_str_t  id;              /* the value of "id", without quotes: header-
                                  safe ASCII, see event.h */
    es_str_t  type;            /* value as in JSON text */
    es_str_t  subject;         /* value as in JSON text; empty if none */
    uint64_t  sequence;
    int64_t   time_ms;         /* of the commit */
} es_event_t;

typedef struct {
    es_str_t  *slices;         /* grown as needed, kept between pages */
    size_t     nslices;
    size_t     slices_cap;
    size_t    *ends;           /* ends[i]: offset where event i ends; the ','
                                  that follows is at ends[i] */
    size_t     ends_cap;
    size_t     bytes;          /* sum of the slices, commas included */
    unsigned   count;          /* events */
    uint64_t   first;          /* sequence of the first event, if count */
    uint64_t   last;           /* sequence of the last event, if count */
    uint64_t   next;           /* cursor to go on from: every event up to it is
                                  here or does not match */
    bool       has_more;       /* events that may match exist after `next` */
} es_page_t;

/*
 * Fills `page` (zeroed by the caller the first time) with at most `limit`
 * events after sequence `after`, stopping before `bytes_max` is passed (but
 * at least one event is given).  With a filter, `prevcursor` of the first
 * event is `after_text` and of the others the one before in this page; the
 * work is bounded: after looking at 20,000 events that do not match, where one
 * that had to be found by its subject counts as ten, and after some hundred
 * chunks once they have to be read from disk one by one, the page ends early
 * with has_more set.
 *
 * Nothing after feed->last is given: a caller that wants the events up to an
 * earlier one lowers it in its copy of the feed.
 *
 * The cursor must have passed es_feed_check().  ES_CORRUPT: a record does not
 * match its hash; nothing of it is given.
 */
es_rc_t es_page_read(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    es_str_t after_text, unsigned limit, size_t bytes_max,
    const es_filter_t *filter, es_page_t *page);

/* Copies the slices to `out`, which has page->bytes. Returns the end. */
char *es_page_copy(const es_page_t *page, char *out);

void es_page_free(es_page_t *page);

/*
 * The first matching event after `after` with its parts: what a dispatcher
 * walks with.  `*scanned` receives the sequence up to which was looked.
 * ES_NOT_FOUND: none up to *scanned, which is feed->last or, when the bound on
 * work stopped it, less.
 */
es_rc_t es_event_next(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    const es_filter_t *filter, es_event_t *event, uint64_t *scanned);

/* One event by its sequence.  ES_NOT_FOUND when not kept. */
es_rc_t es_event_get(es_txn_t *txn, const es_feed_t *feed, uint64_t sequence,
    es_event_t *event);

/*
 * The sequence to read after so that the first event is the first committed
 * at or after `time_ms`.  (Commit time, which never runs backwards within a
 * feed, so that nothing can be missed.)
 */
es_rc_t es_feed_seek_time(es_txn_t *txn, const es_feed_t *feed,
    int64_t time_ms, uint64_t *after);

/* How many of the events kept were committed at or after `time_ms`: a search,
   whatever their number, and none in a feed that was quiet since. */
es_rc_t es_feed_since(es_txn_t *txn, const es_feed_t *feed, int64_t time_ms,
    uint64_t *count);

#endif /* ES_READER_H */
