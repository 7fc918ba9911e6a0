/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Repeats erasures in a restored store.
 */

#include "erase/erase.h"
#include "event/cursor.h"
#include "log/erased.h"
#include "log/feed.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

typedef struct {
    es_store_t          *store;
    const es_erasure_t  *erasure;
} es_again_t;


es_rc_t
es_erase_each(es_store_t *store, uint64_t number, es_erasure_fn fn, void *ctx)
{
    es_rc_t    rc;
    es_txn_t  *txn;

    rc = es_txn_begin(store, &txn);

    if (rc == ES_OK) {
        rc = es_erasures_each(store, txn->mdb, number, fn, ctx);
        es_txn_end(txn);
    }

    return rc;
}


/* Finds the feed.  ES_NOT_FOUND: the store has no such feed, or its feed never
   had this event. */

static es_rc_t
es_again_feed(es_store_t *store, const es_erasure_t *erasure, es_feed_t *feed)
{
    es_rc_t    rc;
    es_txn_t  *txn;

    rc = es_txn_begin(store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    feed->name[0] = '\0';

    do {
        rc = es_feed_next(txn, es_str(feed->name), feed);
    } while (rc == ES_OK && feed->number != erasure->feed);

    es_txn_end(txn);

    return rc == ES_OK
           && (erasure->sequence < feed->oldest
               || erasure->sequence > feed->last
               || !es_feed_has(feed, erasure->epoch, erasure->sequence))
           ? ES_NOT_FOUND : rc;
}


static es_rc_t
es_again_put(MDB_txn *txn, void *ctx)
{
    es_rc_t        rc;
    es_again_t    *again = ctx;
    es_erasures_t  erasures;

    rc = es_erasures_load(again->store, txn, &erasures);

    return rc == ES_OK ? es_erasure_put(again->store, txn, &erasures,
                                        again->erasure, NULL) : rc;
}


static void
es_again_each(void *ctx, const es_feed_t *feed, uint64_t sequence)
{
    (void) feed;
    (void) sequence;
    *(bool *) ctx = true;
}


es_rc_t
es_erase_again(es_store_t *store, const es_erasure_t *erasure)
{
    bool        recorded = false;
    es_rc_t     rc;
    es_feed_t   feed;
    es_slice_t  slice = { 1, 1 };
    es_erase_t  what = { .forget = true, .again = erasure,
                         .drop = erasure->dropped,
                         .each = es_again_each, .ctx = &recorded };
    es_again_t  again = { store, erasure };

    rc = es_again_feed(store, erasure, &feed);

    if (rc == ES_OK) {
        what.feed = es_str(feed.name);
        memcpy(what.event.epoch, erasure->epoch, sizeof(what.event.epoch));
        what.event.sequence = erasure->sequence;
        rc = es_erase(store, &what);
    }

    /* the event may be gone, or a tombstone already */

    return (rc == ES_OK || rc == ES_NOT_FOUND) && !recorded
           ? es_env_shrink(store->log, es_again_put, &again, &slice) : rc;
}
