/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How far a cursor is behind its feed, and how long it stays valid.
 */

#ifndef ES_LAG_H
#define ES_LAG_H

#include "event/cursor.h"
#include "log/feed.h"
#include "store/txn.h"

/* Retention is near when less than this part of a limit is left. */
#define ES_LAG_NEAR_PERCENT  20

typedef struct {
    es_rc_t   state;           /* outcome of es_feed_check() */
    uint64_t  events;          /* events after the cursor; not with ES_RESET
                                  or ES_AHEAD */
    int64_t   ms;              /* age of the first of them; -1: it is no
                                  longer kept */
    uint64_t  missed;          /* those of the events that are no longer kept */
    bool      warning;         /* the cursor has expired or will soon */
    int64_t   expires_ms;      /* when retention by age deletes the first
                                  event; 0: never, or unknown */
} es_lag_t;

/* Takes a few B-tree look-ups, however far the cursor is behind.
   ES_CORRUPT, or the outcome of the read. */
es_rc_t es_lag_read(es_txn_t *txn, const es_feed_t *feed,
    const es_cursor_t *cursor, int64_t now_ms, es_lag_t *lag);

#endif /* ES_LAG_H */
