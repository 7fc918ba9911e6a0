/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Erases events from the log: those of a subject, or single ones.
 *
 * An erased event stays in its place as a tombstone, with the digest of its
 * text, so that no reader sees a gap and every manifest goes on
 * (log/erased.h).  What was in the event is gone from the log and its indexes
 * with the commit.  LMDB's free pages have it until es_erase_finish().
 *
 * The events of a subject are erased from its latest one back, in slices, each
 * in a transaction that also records the erasure and an entry of the audit.
 * After a crash the subject has the events that are not erased yet, so the same
 * call completes the work.
 *
 * With `drop` the digest is gone, too.  Then manifests from the event on prove
 * nothing until es_erase_finish() has made the digest chain anew
 * (log/rechain.h), and those that partners have prove nothing of it any more.
 */

#ifndef ES_ERASE_H
#define ES_ERASE_H

#include "base/base.h"
#include "event/cursor.h"
#include "log/erased.h"
#include "log/feed.h"
#include "store/scrub.h"

typedef struct {
    es_str_t     feed;
    es_str_t     subject;      /* as in JSON text, without quotes */
    es_cursor_t  event;        /* without a subject: the event of this cursor */
    bool         forget;       /* keep no hash: the same (source, id) may be
                                  published again */
    bool         drop;         /* keep no digest, also of events that are
                                  tombstones already; es_erase_finish() makes
                                  the chain anew */
    const es_erasure_t  *again;    /* the record of the erasure; NULL: a new
                                      one is made */

    /* Is told the sequence of each event, after the commit.  May be NULL. */
    void       (*each)(void *ctx, const es_feed_t *feed, uint64_t sequence);
    void        *ctx;
} es_erase_t;

/*
 * Calls `each` for each event that es_erase() would erase, and changes
 * nothing.  ES_OK, also if there is none; ES_NOT_FOUND: no such feed.  Without
 * a subject the cursor's outcome is that of es_feed_check(), and ES_INVALID: it
 * is the cursor before the first event.
 */
es_rc_t es_erase_find(es_store_t *store, const es_erase_t *what);

/*
 * Erases the events.  Needs ES_STORE_PUBLISH, and unless `forget` is set a key
 * file.  Pauses between slices, so that publishers go on.  Outcomes are those
 * of es_erase_find(); ES_DENIED: there is no key file; ES_HELD: a hold keeps
 * the feed's events (log/feed_hold.h), unless `again` is set.
 */
es_rc_t es_erase(es_store_t *store, const es_erase_t *what);

/*
 * Overwrites what is left of erased events in the id index and in the files of
 * the log, after it has made anew the digest chains of feeds with dropped
 * digests.  A call completes what an earlier one did not.  It takes as long as
 * it takes to write the log's free pages, and to read those feeds.
 *
 * ES_BUSY: a reader has kept free pages from use for `wait_ms`; its process is
 * in `scrub->reader`.
 */
es_rc_t es_erase_finish(es_store_t *store, int64_t wait_ms,
    es_scrub_t *scrub);

/* The same for the key of an erased subject in branch pages, before
   es_erase_finish().  Does nothing if the subject has events. */
es_rc_t es_erase_bounds(es_store_t *store, es_str_t feed, es_str_t subject);

/*
 * Repeats an erasure of another copy of the store: of the same event if this
 * store has it, and for the hash that it must not be published again.
 */
es_rc_t es_erase_again(es_store_t *store, const es_erasure_t *erasure);

/* Calls `fn` for each erasure that the store records after `number`. */
es_rc_t es_erase_each(es_store_t *store, uint64_t number, es_erasure_fn fn,
    void *ctx);

/* How many events were erased, and of how many all bytes are gone. */
es_rc_t es_erase_state(es_store_t *store, uint64_t *erased,
    uint64_t *finished);

#endif /* ES_ERASE_H */
