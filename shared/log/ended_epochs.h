/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Epochs of feeds that have ended, and their last sequences.
 *
 * A reset or a removal drops the events in slices, and records the epoch's end
 * first.  During the drop the record tells a reader why events disappear;
 * afterwards it tells how many events the reader has missed.
 */

#ifndef ES_ENDED_EPOCHS_H
#define ES_ENDED_EPOCHS_H

#include <lmdb.h>

#include "log/feed.h"
#include "store/txn.h"

#define ES_ENDED_EPOCHS_MAX  1000  /* records in a store; the oldest go first */

typedef struct {
    bool      over;                /* false: the events are still being
                                      dropped */
    uint64_t  last;                /* last sequence of the epoch */
    int64_t   time_ms;             /* of the record, by the store's time */
    char      name[ES_FEED_MAX + 1];
} es_ended_epoch_t;

/* Records the end of the feed's present epoch, and of the earlier ones that it
   took over, in a write transaction of the log. */
es_rc_t es_ended_epoch_put(es_store_t *store, MDB_txn *txn,
    const es_feed_t *feed, bool over);

/* Reads the record of an epoch.  ES_NOT_FOUND. */
es_rc_t es_ended_epoch_get(es_txn_t *txn, uint32_t feed, const char *epoch,
    es_ended_epoch_t *ended);

#endif /* ES_ENDED_EPOCHS_H */
