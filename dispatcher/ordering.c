/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Ordering `key`: the events of a subject are delivered in order.
 *
 * An event is held while an earlier one of its subject is in flight or waiting.
 * A held event has a retry record without attempts, so that the lane can
 * continue after it and a restart finds it; esd_lane_room() limits their
 * number.  Events without a subject are never held.
 */

#include "base/base.h"
#include "base/hash.h"
#include "read/reader.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "dispatcher.h"
#include "item.h"
#include "lane.h"
#include "ordering.h"
#include "send.h"
#include "target.h"
#include "types.h"
#include "waiting.h"


/* Two subjects with the same hash wait for each other, which does no harm. */

static uint64_t
esd_ordering_key_of(const es_event_t *event)
{
    uint64_t  key;

    if (event->subject.len == 0) {
        return 0;
    }

    key = es_hash_long(event->subject.data, event->subject.len, 0);

    return key != 0 ? key : 1;
}


static bool
esd_ordering_in_flight(const esd_lane_t *lane, uint64_t key)
{
    unsigned           i;
    const esd_send_t  *send;

    esd_each(send, &lane->sends, link) {
        for (i = 0; i < send->nitems; i++) {
            if (send->items[i].key == key) {
                return true;
            }
        }
    }

    return false;
}


bool
esd_ordering_holds(const esd_lane_t *lane, const es_event_t *event,
    esd_item_t *item)
{
    if (lane->target->conf->ordering != ES_ORDER_KEY) {
        return false;
    }

    item->key = esd_ordering_key_of(event);
    item->keyed = true;

    if (item->key == 0) {
        return false;
    }

    return esd_ordering_in_flight(lane, item->key)
           || esd_waiting_find(lane, item->key, 0) != ESD_NO_ITEM;
}


/* An event of the key is done, so that the next one may be sent. */

static void
esd_ordering_release(esd_lane_t *lane, uint64_t key)
{
    size_t  i;

    if (key == 0) {
        return;
    }

    i = esd_waiting_find(lane, key, 0);

    if (i != ESD_NO_ITEM && lane->waiting[i].held) {
        esd_waiting_move(lane, i, false, lane->waiting[i].next_ms);
    }
}


void
esd_ordering_done(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item)
{
    esd_lane_drop(d, lane, item);

    /* a held event never holds another */

    if (!item->held) {
        esd_ordering_release(lane, item->key);
    }
}


/* Only the first waiting event of a key is not held, and it only while no event
   of the key is in flight. */

static bool
esd_ordering_held(const esd_lane_t *lane, size_t i)
{
    uint64_t  key;

    key = lane->waiting[i].key;

    return key != 0
           && (esd_waiting_find(lane, key, 0) != i
               || esd_ordering_in_flight(lane, key));
}


void
esd_ordering_join(esd_lane_t *lane, size_t i)
{
    size_t             next;
    const esd_item_t  *item;

    if (lane->waiting[i].key == 0) {
        return;
    }

    item = &lane->waiting[i];
    esd_waiting_move(lane, i, esd_ordering_held(lane, i), item->next_ms);
    next = esd_waiting_next(lane, ESD_BY_KEY, i);

    if (next != ESD_NO_ITEM
        && lane->waiting[next].key == item->key
        && !lane->waiting[next].held)
    {
        esd_waiting_move(lane, next, true, lane->waiting[next].next_ms);
    }
}


uint64_t
esd_ordering_key_at(es_txn_t *txn, const esd_lane_t *lane, uint64_t sequence)
{
    es_event_t  event;

    if (lane->target->conf->ordering != ES_ORDER_KEY
        || es_event_get(txn, &lane->source->feed, sequence, &event) != ES_OK)
    {
        return 0;
    }

    return esd_ordering_key_of(&event);
}


/* A known key stays valid until the ordering changes. */

static void
esd_ordering_find(es_txn_t *txn, const esd_lane_t *lane, esd_item_t *item)
{
    if (lane->target->conf->ordering != ES_ORDER_KEY) {
        item->key = 0;
        item->keyed = false;

    } else if (!item->keyed) {
        item->key = esd_ordering_key_at(txn, lane, item->sequence);
        item->keyed = item->key != 0;
    }
}


/* An event that was in flight when the last run ended may now be held for as
   long as another event fails.  It gets a retry record, because pending events
   are sent before new ones. */

void
esd_ordering_restore(es_txn_t *txn, esd_lane_t *lane)
{
    size_t       i;
    esd_item_t  *item;
    esd_send_t  *send;

    esd_each(send, &lane->sends, link) {
        for (i = 0; i < send->nitems; i++) {
            esd_ordering_find(txn, lane, &send->items[i]);
        }
    }

    for (i = 0; i < lane->nwaiting; i++) {
        esd_ordering_find(txn, lane, &lane->waiting[i]);
        lane->waiting[i].held = false;
    }

    esd_waiting_sort(lane);

    for (i = 0; i < lane->nwaiting; i++) {
        if (!esd_ordering_held(lane, i)) {
            continue;
        }

        item = &lane->waiting[i];
        esd_waiting_move(lane, i, true, item->next_ms);

        if (!item->recorded) {
            esd_lane_note(lane->target->d, lane, item);
        }
    }
}
