/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Order per subject: the `key` mode.
 *
 * As `none`, but an event is held while an earlier one of its subject is in
 * flight or waits.  A held event has a retry record without attempts, so that
 * the lane can go on past it and a restart finds it; esd_lane_room() bounds
 * how many there are.  Events without a subject are held by nothing.
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


/* Two subjects of one hash only wait for each other. */

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


/* An event of the key is done: the next one may go. */

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

    /* who is held itself holds nobody */

    if (!item->held) {
        esd_ordering_release(lane, item->key);
    }
}


/* Only the first of a key that waits may go, and it when none is in flight. */

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


/* A key that is known stays so as long as the mode does. */

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


/* What was in flight when the last run ended and is held may be so for as long
   as another event fails.  It has a record of its own from then on, as what is
   pending is sent before anything new. */

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
