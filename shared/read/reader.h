/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads events by cursor, by time, by type and by subject.
 *
 * A page is a list of slices of the map.  Written one after the other they are
 * the events as JSON, joined by ','.  Nothing is copied, so slices are valid
 * within the transaction only.
 */

#ifndef ES_READER_H
#define ES_READER_H

#include "event/filter.h"
#include "fields/fields.h"
#include "log/feed.h"
#include "store/txn.h"

typedef struct {
    es_str_t  json;            /* the event as stored */
    es_str_t  before;          /* json up to the value of "prevcursor" */
    es_str_t  after;           /* json after that value */
    es_str_t  cursor;          /* value of "cursor", without quotes */
    es_str_t  id;              /* value of "id", without quotes: safe in a
                                  header, event.h */
    es_str_t  type;            /* value as in JSON text */
    es_str_t  subject;         /* value as in JSON text; empty if none */
    uint64_t  sequence;
    int64_t   time_ms;         /* time of the commit */
} es_event_t;

typedef struct {
    es_str_t  *slices;         /* grown as needed, reused for the next page */
    size_t     nslices;
    size_t     slices_cap;
    size_t    *ends;           /* ends[i]: offset where event i ends; the ','
                                  that follows is at ends[i] */
    size_t     ends_cap;
    size_t     bytes;          /* sum of the slices, with commas */
    unsigned   count;          /* events */
    uint64_t   first;          /* sequence of the first event, if any */
    int64_t    first_ms;       /* time of its commit */
    uint64_t   last;           /* sequence of the last event, if any */
    uint64_t   next;           /* cursor of the next page: every event up to
                                  it is in this page or does not match */
    bool       has_more;       /* later events may match */
    es_buf_t   text;           /* events as field lists show them: the only
                                  slice then */
    es_buf_t   scratch;
    es_fields_seal_t
              *seal;           /* encrypts values, see encrypter.h; set by the
                                  caller; NULL: such events are refused */
} es_page_t;

/*
 * Fills `page` with at most `limit` events after the sequence `after`, and
 * stops before it exceeds `bytes_max`, but not before the first event.  The
 * caller has zeroed `page` once.  With a filter, `prevcursor` of the first
 * event is `after_text`, and that of the others is the event before in this
 * page.
 *
 * The work is bounded.  The page ends early, with has_more set, after 20,000
 * events that do not match, where an event that was looked up by its subject
 * counts as ten.  It also ends after some hundred chunks once they have to be
 * read from disk one by one.
 *
 * The page ends at feed->last.  A caller that wants fewer events lowers it in
 * its copy of the feed.
 *
 * With `fields`, the page has what the lists show of each event.  `bytes_max`
 * bounds both the events and what is shown of them.  NULL: everything.
 *
 * The caller has checked the cursor with es_feed_check().  ES_CORRUPT: a
 * record does not match its hash, and the page has nothing of it.  ES_DENIED
 * and others of es_fields_event(): an event may not be shown, and the page must
 * not be used.  ES_PENDING: the encrypter has collected values, and the page must
 * be read again after es_encrypter_make().
 */
es_rc_t es_page_read(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    es_str_t after_text, unsigned limit, size_t bytes_max,
    const es_filter_t *filter, const es_fields_t *fields, es_page_t *page);

/* Copies the slices to `out`, which has page->bytes.  Returns the end. */
char *es_page_copy(const es_page_t *page, char *out);

void es_page_free(es_page_t *page);

/*
 * Finds the first matching event after `after` and its parts, for the
 * dispatcher.  `*scanned` is the sequence up to which events were examined.
 * ES_NOT_FOUND: none matches up to `*scanned`, which is feed->last, or less if
 * the work has reached its bound.
 */
es_rc_t es_event_next(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    const es_filter_t *filter, es_event_t *event, uint64_t *scanned);

/* Finds one event by its sequence.  ES_NOT_FOUND: it is not kept. */
es_rc_t es_event_get(es_txn_t *txn, const es_feed_t *feed, uint64_t sequence,
    es_event_t *event);

/*
 * Finds the sequence after which the first event was committed at or after
 * `time_ms`.  Commit times never run backwards within a feed, so that no event
 * can be missed.
 */
es_rc_t es_feed_seek_time(es_txn_t *txn, const es_feed_t *feed,
    int64_t time_ms, uint64_t *after);

/*
 * Counts the kept events that were committed at or after `time_ms`.  This is a
 * search, whatever their number; for a feed without later events it costs
 * nothing.
 */
es_rc_t es_feed_since(es_txn_t *txn, const es_feed_t *feed, int64_t time_ms,
    uint64_t *count);

#endif /* ES_READER_H */
