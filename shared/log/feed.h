/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Feeds: names, numbers, epochs and heads.
 *
 * The record of a feed is in the log environment, because a feed's head
 * changes in the same transaction as its events.
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
    uint8_t   digest[ES_CHAIN_LEN];   /* D(last), digest.h */
    int64_t   created_ms;
    int64_t   last_ms;            /* time of the last commit */
    uint64_t  retain_count;       /* 0: no limit */
    uint64_t  retain_bytes;       /* 0: no limit */
    int64_t   retain_ms;          /* 0: no limit */
} es_feed_t;

/* Settings of a feed, chosen when it is created; 0: no limit. */
typedef struct {
    uint64_t  retain_count;
    uint64_t  retain_bytes;
    int64_t   retain_ms;
} es_feed_options_t;

/* Reads a feed within a read transaction.  ES_NOT_FOUND. */
es_rc_t es_feed_get(es_txn_t *txn, es_str_t name, es_feed_t *feed);

/* Reads the feed whose name comes after `name`, which is empty for the
   first one.  ES_NOT_FOUND: there is none. */
es_rc_t es_feed_next(es_txn_t *txn, es_str_t name, es_feed_t *feed);

/* Each of these is a durable transaction of its own, and needs
   ES_STORE_PUBLISH. */

es_rc_t es_feed_create(es_store_t *store, es_str_t name,
    const es_feed_options_t *options, es_feed_t *feed);
es_rc_t es_feed_change(es_store_t *store, es_str_t name,
    const es_feed_options_t *options);

/* The next four count the events that they delete (deletions.h), even if
   they fail on the way. */

/*
 * Removes the feed and all its events.  A later feed of the same name gets
 * another epoch.  The caller also prunes the feed's checkpoints
 * (checkpoint.h).
 */
es_rc_t es_feed_remove(es_store_t *store, es_str_t name);

/* Starts a new epoch: no events, and sequence 1 is next. */
es_rc_t es_feed_reset(es_store_t *store, es_str_t name, es_feed_t *feed);

/*
 * Drops events before `oldest`, at most last + 1, in slices of bounded
 * transactions.  Cursors before oldest - 1 then expire.
 */
es_rc_t es_feed_trim(es_store_t *store, es_str_t name, uint64_t oldest);

/* The same, counted under another cause. */
es_rc_t es_feed_take(es_store_t *store, es_str_t name, uint64_t oldest,
    es_deletion_cause_t why);

/* True if the feed has a limit. */
static inline bool
es_feed_limited(const es_feed_t *feed)
{
    return feed->retain_count != 0 || feed->retain_bytes != 0
           || feed->retain_ms != 0;
}

/*
 * Checks a cursor against the feed: ES_OK, ES_RESET (another epoch), ES_AHEAD,
 * or ES_EXPIRED if events after it are no longer kept.
 */
es_rc_t es_feed_check(const es_feed_t *feed, const es_cursor_t *cursor);

#endif /* ES_FEED_H */
