/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Who published the events of a feed, as the heads of the chunks say.
 */

#ifndef ES_PUBLISHERS_H
#define ES_PUBLISHERS_H

#include "event/event.h"
#include "log/feed.h"
#include "store/txn.h"

/* Events that follow one another and have one publisher. */
typedef struct {
    uint64_t        first;
    uint64_t        last;
    int64_t         time_ms;       /* of the first one's commit */
    es_publisher_t  publisher;
} es_published_t;

/*
 * Finds the events after `after` that have the publisher of the first of them.
 * Examines a bounded number of chunks, so the next call may go on with the same
 * publisher.  ES_NOT_FOUND: there is no event.  ES_CORRUPT.
 */
es_rc_t es_published_next(es_txn_t *txn, const es_feed_t *feed,
    uint64_t after, es_published_t *published);

#endif /* ES_PUBLISHERS_H */
