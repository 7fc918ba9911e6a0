/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Epochs of feeds that have ended, and how far each had come.
 *
 * A reset and a removal first drop the events in slices.  They leave a note in
 * the log: as long as they are at it, whoever sees the events go knows why;
 * afterwards whoever was to read them knows how many there were.
 */

#ifndef ES_ENDED_EPOCHS_H
#define ES_ENDED_EPOCHS_H

#include <lmdb.h>

#include "log/feed.h"
#include "store/txn.h"

#define ES_ENDED_EPOCHS_MAX  1000  /* notes of a store; the oldest go first */

typedef struct {
    bool      over;                /* false: the events are being dropped */
    uint64_t  last;                /* last sequence of the epoch */
    int64_t   time_ms;             /* the store's, of the note */
    char      name[ES_FEED_MAX + 1];
} es_ended_epoch_t;

/* Notes the end of the feed's present epoch, in a write of the log. */
es_rc_t es_ended_epoch_put(es_store_t *store, MDB_txn *txn,
    const es_feed_t *feed, bool over);

/* The note of an epoch.  ES_NOT_FOUND. */
es_rc_t es_ended_epoch_get(es_txn_t *txn, uint32_t feed, const char *epoch,
    es_ended_epoch_t *ended);

#endif /* ES_ENDED_EPOCHS_H */
