/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Feeds: names, numbers, epochs and heads.
 *
 * A feed's record lives in the log environment, because its head moves in the
 * same transaction as its events.
 */

#ifndef ES_FEED_H
#define ES_FEED_H

#include "event/cursor.h"
#include "event/digest.h"
#include "store/deletions.h"
#include "store/txn.h"

typedef struct {
    char      name[ES_FEED_MAX + 1];
    char      epoch[ES_EPOCH_MAX + 1];
    uint32_t  number;             /* never reused */
    uint32_t  page_size;          /* events in an aligned page */
    uint64_t  oldest;             /* first sequence kept; last + 1 if empty */
    uint64_t  last;               /* last sequence; 0 if none ever */
    uint64_t  bytes;              /* of the events kept, as JSON */
    uint64_t  total;              /* of all the epoch's events */
    uint8_t   digest[ES_CHAIN_LEN];   /* D(last), see digest.h */
    int64_t   created_ms;
    int64_t   last_ms;            /* time of the last commit */
    uint64_t  retain_count;       /* 0: no limit */
    uint64_t  retain_bytes;       /* 0: no limit */
    int64_t   retain_ms;          /* 0: no limit */
} es_feed_t;

/* What can be chosen at creation and changed later; 0 is "no limit". */
typedef struct {
    uint64_t  retain_count;
    uint64_t  retain_bytes;
    int64_t   retain_ms;
} es_feed_options_t;

/* Reads in the scope of a read transaction.  ES_NOT_FOUND. */
es_rc_t es_feed_get(es_txn_t *txn, es_str_t name, es_feed_t *feed);

/* Feeds in name order: start with an empty `name`, then pass the last one.
   ES_NOT_FOUND after the last. */
es_rc_t es_feed_next(es_txn_t *txn, es_str_t name, es_feed_t *feed);

/* Each of these is one durable transaction of its own; needs
   ES_STORE_PUBLISH. */

es_rc_t es_feed_create(es_store_t *store, es_str_t name,
    const es_feed_options_t *options, es_feed_t *feed);
es_rc_t es_feed_change(es_store_t *store, es_str_t name,
    const es_feed_options_t *options);

/* The next four note how many events they delete, also when they fail on the
   way: deletions.h. */

/* Removes the feed and all its events.  A feed of the same name that is created
   later has another epoch.  The caller prunes its checkpoints: checkpoint.h. */
es_rc_t es_feed_remove(es_store_t *store, es_str_t name);

/* Starts a new incarnation: no events, sequence 1 next, a new epoch. */
es_rc_t es_feed_reset(es_store_t *store, es_str_t name, es_feed_t *feed);

/*
 * Drops events before `oldest` (never the future: at most last + 1), in
 * slices of bounded transactions.  Cursors before oldest - 1 then expire.
 */
es_rc_t es_feed_trim(es_store_t *store, es_str_t name, uint64_t oldest);

/* The same, with another reason. */
es_rc_t es_feed_take(es_store_t *store, es_str_t name, uint64_t oldest,
    es_deletion_cause_t why);

/* It has a limit. */
static inline bool
es_feed_limited(const es_feed_t *feed)
{
    return feed->retain_count != 0 || feed->retain_bytes != 0
           || feed->retain_ms != 0;
}

/*
 * The first sequence that the feed's retention keeps at `now_ms`, and which of
 * its limits says so: that of the most events.  `*oldest` is the feed's when
 * nothing is over a limit.  A feed that keeps to its limits costs one look-up.
 */
es_rc_t es_feed_retained(es_txn_t *txn, const es_feed_t *feed, int64_t now_ms,
    uint64_t *oldest, es_deletion_cause_t *why);

/*
 * Since when the feed has kept more than its limits allow, because nobody has
 * applied them; 0: it keeps to them.
 */
es_rc_t es_feed_overdue(es_txn_t *txn, const es_feed_t *feed, int64_t now_ms,
    int64_t *since_ms);

/*
 * Gives events whose commit time is later than `now_ms` this one, in slices of
 * bounded transactions; `*count` is how many.  For an operator who knows that
 * the clock is right now: it cannot be undone.  Needs ES_STORE_PUBLISH.
 */
es_rc_t es_feed_retime(es_store_t *store, es_str_t name, int64_t now_ms,
    uint64_t *count);

/*
 * Judges a cursor against the feed: ES_OK, ES_RESET (other epoch), ES_AHEAD,
 * or ES_EXPIRED when events after it are no longer kept.
 */
es_rc_t es_feed_check(const es_feed_t *feed, const es_cursor_t *cursor);

#endif /* ES_FEED_H */
