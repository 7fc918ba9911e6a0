/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How far a cursor is behind its feed, and how long it stays good.
 */

#ifndef ES_LAG_H
#define ES_LAG_H

#include "event/cursor.h"
#include "log/feed.h"
#include "store/txn.h"

/* Retention is near when less than this of an allowance is left. */
#define ES_LAG_NEAR_PERCENT  20

typedef struct {
    es_rc_t   state;           /* as es_feed_check() judges the cursor */
    uint64_t  events;          /* after it; not with ES_RESET or ES_AHEAD */
    int64_t   ms;              /* since the first of them was committed; -1:
                                  it is not kept any more */
    uint64_t  missed;          /* of the events, those that are not kept */
    bool      warning;         /* it cannot be gone on from, or soon not */
    int64_t   expires_ms;      /* when retention by age takes the first event;
                                  0: never, or nobody knows */
} es_lag_t;

/* The work of a few B-tree look-ups, however far it is behind.  ES_CORRUPT,
   or what reading gave. */
es_rc_t es_lag_read(es_txn_t *txn, const es_feed_t *feed,
    const es_cursor_t *cursor, int64_t now_ms, es_lag_t *lag);

#endif /* ES_LAG_H */
