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

#define ES_FEED_PAGE         100   /* events in an aligned page of each feed */
#define ES_FEED_EARLIER_MAX  16    /* earlier epochs in a feed's record */
#define ES_HOLD_REASON_MAX   127   /* bytes */

/* An epoch whose events the feed still has, after which another one began. */
typedef struct {
    char      name[ES_EPOCH_MAX + 1];
    uint64_t  last;               /* its last sequence; the next epoch began
                                     after it */
} es_earlier_t;

/* Why the feed's events are kept, as it is stored. */
typedef struct __attribute__((packed)) {
    int64_t   since_ms;           /* by the store's time */
    char      reason[ES_HOLD_REASON_MAX + 1];  /* filled up with NUL */
} es_hold_t;

/* How far the digest chain was made anew, as it is stored (rechain.h). */
typedef struct __attribute__((packed)) {
    uint64_t  next;               /* first event of the next chunk */
    uint8_t   digest[ES_CHAIN_LEN];   /* D(next - 1), of the new chain */
    uint32_t  form;               /* ES_RECHAIN_FORM; another is refused */
} es_rechain_t;

#define ES_RECHAIN_FORM  1

typedef struct {
    char      name[ES_FEED_MAX + 1];
    char      epoch[ES_EPOCH_MAX + 1];    /* the present one */
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
    uint64_t  forgotten;          /* last sequence of epochs that had no room
                                     below; 0: none */
    bool          held;           /* by `hold` */
    bool          rechained;      /* from `rechain.next` on the digest chain
                                     must still be made anew, and proves
                                     nothing; so does `digest` */
    uint32_t      nearlier;
    es_earlier_t  earlier[ES_FEED_EARLIER_MAX];   /* the oldest one first; the
                                                     rest is not set */
    es_hold_t     hold;           /* set only if `held` */
    es_rechain_t  rechain;        /* set only if `rechained` */
} es_feed_t;

/* Settings of a feed; 0: no limit, not packed. */
typedef struct {
    uint64_t  retain_count;
    uint64_t  retain_bytes;
    int64_t   retain_ms;
    unsigned  pack;               /* the level of zstd, see feed_pack.h */
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
   they fail on the way.  ES_HELD: a hold keeps the events (feed_hold.h). */

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

/* True if the feed has a limit that applies: a hold suspends all of them. */
static inline bool
es_feed_limited(const es_feed_t *feed)
{
    return !feed->held
           && (feed->retain_count != 0 || feed->retain_bytes != 0
               || feed->retain_ms != 0);
}

/*
 * Begins a new epoch after the last event, and keeps all events: their texts,
 * sequences, digests and times go on.  Cursors of the present epoch stay valid
 * up to here; one beyond it, of events that this store never had, is then
 * ES_RESET.  For a store that may have lost its latest events, such as one that
 * was restored or took over.
 *
 * `epoch` names the epoch, and has as many characters as the present one; NULL:
 * a random one.  The record has room for ES_FEED_EARLIER_MAX earlier epochs.
 * When it is full, the oldest one is forgotten: its events stay, and cursors
 * with its name are ES_RESET.  ES_INVALID: no such name, or one that the feed
 * has had.
 */
es_rc_t es_feed_begin_epoch(es_store_t *store, es_str_t name,
    const char *epoch, es_feed_t *feed);

/*
 * Finds the last sequence up to which cursors of an epoch are valid: UINT64_MAX
 * for the present epoch.  False: the feed has no such epoch.
 */
bool es_feed_epoch(const es_feed_t *feed, const char *epoch, uint64_t *last);

/* True if the feed has, or had before retention, the event that an earlier
   reader knew by this epoch and sequence. */
bool es_feed_has(const es_feed_t *feed, const char *epoch, uint64_t sequence);

/* Returns the epoch that the event of the sequence states.  It lives as long as
   `feed`. */
const char *es_feed_epoch_of(const es_feed_t *feed, uint64_t sequence);

/* Prints the cursor of a sequence as its event states it, as
   es_cursor_print(). */
size_t es_feed_cursor(const es_feed_t *feed, uint64_t sequence, char *out);

/*
 * Checks a cursor against the feed: ES_OK, ES_RESET (another epoch, or an
 * earlier one beyond its end), ES_AHEAD, or ES_EXPIRED if events after it are
 * no longer kept.
 */
es_rc_t es_feed_check(const es_feed_t *feed, const es_cursor_t *cursor);

#endif /* ES_FEED_H */
