/*
 * key.c - order per subject: the `key` mode.
 *
 * As `none`, but an event is held while an earlier one of its subject is in
 * flight or waits.  A held event has a retry record without attempts, so that
 * the lane can go on past it and a restart finds it; ES_RETRIES_MAX bounds how
 * many there are.  Events without a subject are held by nothing.
 */

#include "dispatcher.h"
#include "hash.h"


/* Two subjects of one hash only wait for each other. */

static uint64_t
es_key_of(const es_event_t *event)
{
    uint64_t  key;

    if (event->subject.len == 0) {
        return 0;
    }

    key = es_hash_long(event->subject.data, event->subject.len, 0);

    return key != 0 ? key : 1;
}


static bool
es_key_in_flight(const es_lane_t *lane, uint64_t key)
{
    unsigned          i;
    const es_send_t  *send;

    es_each(send, &lane->sends, link) {
        for (i = 0; i < send->nitems; i++) {
            if (send->items[i].key == key) {
                return true;
            }
        }
    }

    return false;
}


bool
es_key_holds(const es_lane_t *lane, const es_event_t *event, es_item_t *item)
{
    size_t  i;

    if (lane->target->conf->ordering != ES_ORDER_KEY) {
        return false;
    }

    item->key = es_key_of(event);

    if (item->key == 0) {
        return false;
    }

    if (es_key_in_flight(lane, item->key)) {
        return true;
    }

    for (i = 0; i < lane->nwaiting; i++) {
        if (lane->waiting[i].key == item->key) {
            return true;
        }
    }

    return false;
}


void
es_key_release(es_lane_t *lane, uint64_t key)
{
    size_t      i;
    es_item_t  *item, *next;

    if (key == 0) {
        return;
    }

    next = NULL;

    for (i = 0; i < lane->nwaiting; i++) {
        item = &lane->waiting[i];

        if (item->key == key
            && (next == NULL || item->sequence < next->sequence))
        {
            next = item;
        }
    }

    if (next != NULL && next->held) {
        next->held = false;
        lane->due_ms = next->next_ms < lane->due_ms ? next->next_ms
                                                    : lane->due_ms;
    }
}


static uint64_t
es_key_read(es_txn_t *txn, const es_lane_t *lane, uint64_t sequence)
{
    es_event_t  event;

    if (lane->target->conf->ordering != ES_ORDER_KEY
        || es_event_get(txn, &lane->source->feed, sequence, &event) != ES_OK)
    {
        return 0;
    }

    return es_key_of(&event);
}


static int
es_key_order(const void *a, const void *b)
{
    const es_item_t  *x = a, *y = b;

    if (x->key != y->key) {
        return x->key < y->key ? -1 : 1;
    }

    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}


void
es_key_restore(es_txn_t *txn, es_lane_t *lane)
{
    size_t      i;
    es_item_t  *item;
    es_send_t  *send;

    es_each(send, &lane->sends, link) {
        for (i = 0; i < send->nitems; i++) {
            item = &send->items[i];
            item->key = es_key_read(txn, lane, item->sequence);
        }
    }

    for (i = 0; i < lane->nwaiting; i++) {
        item = &lane->waiting[i];
        item->key = es_key_read(txn, lane, item->sequence);
    }

    if (lane->nwaiting > 0) {
        qsort(lane->waiting, lane->nwaiting, sizeof(es_item_t), es_key_order);
    }

    lane->due_ms = INT64_MAX;

    for (i = 0; i < lane->nwaiting; i++) {
        item = &lane->waiting[i];
        item->held = item->key != 0
                     && ((i > 0 && item[-1].key == item->key)
                         || es_key_in_flight(lane, item->key));

        if (!item->held && item->next_ms < lane->due_ms) {
            lane->due_ms = item->next_ms;
        }
    }
}
