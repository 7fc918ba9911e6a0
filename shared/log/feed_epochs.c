/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The epochs of a feed: which cursors are valid, which cursor an event has, and
 * how an epoch begins without a change of any event.
 *
 * An epoch that begins after the last event takes over all earlier ones.  So a
 * cursor of the present epoch may have any sequence, and one of an earlier
 * epoch those up to its end.  es_feed_reset() forgets all epochs instead.
 */

#include <stdio.h>

#include "event/cursor.h"
#include "log/feed.h"
#include "log/feed_audit.h"
#include "log/feed_record.h"
#include "store/env.h"
#include "store/store.h"
#include "store/wake.h"

typedef struct {
    es_store_t  *store;
    es_str_t     name;
    const char  *epoch;            /* NULL: a random one */
    es_feed_t    feed;
    es_slice_t   slice;
} es_epoch_begin_t;


bool
es_feed_epoch(const es_feed_t *feed, const char *epoch, uint64_t *last)
{
    uint32_t  i;

    if (strcmp(epoch, feed->epoch) == 0) {
        *last = UINT64_MAX;
        return true;
    }

    for (i = 0; i < feed->nearlier; i++) {
        if (strcmp(epoch, feed->earlier[i].name) == 0) {
            *last = feed->earlier[i].last;
            return true;
        }
    }

    return false;
}


bool
es_feed_has(const es_feed_t *feed, const char *epoch, uint64_t sequence)
{
    uint64_t  last;

    return es_feed_epoch(feed, epoch, &last) && sequence <= last;
}


const char *
es_feed_epoch_of(const es_feed_t *feed, uint64_t sequence)
{
    uint32_t  i;

    for (i = 0; i < feed->nearlier; i++) {
        if (sequence <= feed->earlier[i].last) {
            return feed->earlier[i].name;
        }
    }

    return feed->epoch;
}


size_t
es_feed_cursor(const es_feed_t *feed, uint64_t sequence, char *out)
{
    return es_cursor_print(es_feed_epoch_of(feed, sequence), sequence, out);
}


es_rc_t
es_feed_check(const es_feed_t *feed, const es_cursor_t *cursor)
{
    if (!es_feed_has(feed, cursor->epoch, cursor->sequence)) {
        return ES_RESET;
    }

    if (cursor->sequence > feed->last) {
        return ES_AHEAD;
    }

    if (cursor->sequence + 1 < feed->oldest) {
        return ES_EXPIRED;
    }

    return ES_OK;
}


/* Readers compute where the parts of an event are from the length of its
   epoch's name, so all names of a feed have the same length. */

static es_rc_t
es_feed_epoch_txn(MDB_txn *txn, void *ctx)
{
    char               epoch[ES_EPOCH_MAX + 1] = { 0 };
    es_rc_t            rc;
    uint64_t           last;
    json_t            *before;
    es_feed_t         *feed;
    es_earlier_t      *earlier;
    es_epoch_begin_t  *u = ctx;

    feed = &u->feed;

    rc = es_feed_load(u->store, txn, u->name, feed);

    if (rc == ES_OK && u->epoch == NULL) {
        rc = es_epoch_create(epoch);

    } else if (rc == ES_OK) {
        (void) snprintf(epoch, sizeof(epoch), "%s", u->epoch);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (strlen(epoch) != strlen(feed->epoch)
        || es_feed_epoch(feed, epoch, &last))
    {
        return ES_INVALID;
    }

    if (feed->nearlier == ES_FEED_EARLIER_MAX) {
        feed->forgotten = feed->earlier[0].last;
        memmove(feed->earlier, feed->earlier + 1,
                --feed->nearlier * sizeof(es_earlier_t));
    }

    earlier = &feed->earlier[feed->nearlier++];
    memcpy(earlier->name, feed->epoch, sizeof(earlier->name));
    earlier->last = feed->last;
    before = json_pack("{s:s, s:I}", "epoch", feed->epoch, "last",
                       (json_int_t) feed->last);
    memcpy(feed->epoch, epoch, sizeof(feed->epoch));

    rc = es_feed_audit(u->store, txn, u->name, "epoch", before,
                       json_pack("{s:s}", "epoch", epoch));
    if (rc != ES_OK) {
        return rc;
    }

    return es_feed_save(u->store, txn, feed);
}


es_rc_t
es_feed_begin_epoch(es_store_t *store, es_str_t name, const char *epoch,
    es_feed_t *feed)
{
    char              text[ES_CURSOR_MAX];
    es_rc_t           rc;
    es_cursor_t       cursor;
    es_epoch_begin_t  u = { .store = store, .name = name, .epoch = epoch };

    if (!(store->flags & ES_STORE_PUBLISH)) {
        return ES_DENIED;
    }

    if (epoch != NULL) {
        (void) snprintf(text, sizeof(text), "%s-0", epoch);

        if (es_cursor_parse(es_str(text), &cursor) != ES_OK
            || strcmp(cursor.epoch, epoch) != 0)
        {
            return ES_INVALID;
        }
    }

    rc = es_env_shrink(store->log, es_feed_epoch_txn, &u, &u.slice);

    if (rc == ES_OK) {
        es_wake_ring(store);

        if (feed != NULL) {
            *feed = u.feed;
        }
    }

    return rc;
}
