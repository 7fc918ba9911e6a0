/* SPDX-License-Identifier: BSD-2-Clause */

/* Waiting events: both orders, compared with a list that is searched whole. */

#include <stdlib.h>

#include "../../dispatcher/waiting.c"
#include "tap.h"

#define ROUNDS  20000
#define MOST    300

static esd_lane_t  lane;
static uint32_t   seed = 1;


static uint32_t
draw(uint32_t n)
{
    seed = seed * 1664525 + 1013904223;

    return (seed >> 8) % n;
}


/* The first of all items by an order, by looking at each. */

static size_t
first_of(esd_order_t order)
{
    size_t  i, found;

    found = ESD_NO_ITEM;

    for (i = 0; i < lane.nwaiting; i++) {
        if (found == ESD_NO_ITEM
            || esd_waiting_before(&lane.waiting[i], &lane.waiting[found],
                                  order))
        {
            found = i;
        }
    }

    return found;
}


static size_t
first_from(uint64_t key, uint64_t sequence)
{
    size_t  i, found;

    found = ESD_NO_ITEM;

    for (i = 0; i < lane.nwaiting; i++) {
        if (lane.waiting[i].key == key
            && lane.waiting[i].sequence >= sequence
            && (found == ESD_NO_ITEM
                || lane.waiting[i].sequence < lane.waiting[found].sequence))
        {
            found = i;
        }
    }

    return found;
}


/* All items are met once, each behind the one before. */

static bool
whole(esd_order_t order)
{
    size_t  i, next, n;

    n = 0;
    i = esd_waiting_first(&lane, order);

    for (/* void */; i != ESD_NO_ITEM; i = next) {
        n++;
        next = esd_waiting_next(&lane, order, i);

        if (next != ESD_NO_ITEM
            && !esd_waiting_before(&lane.waiting[i], &lane.waiting[next],
                                   order))
        {
            return false;
        }
    }

    return n == lane.nwaiting;
}


static bool
counted(void)
{
    size_t   i, held;
    int64_t  due_ms;

    held = 0;
    due_ms = INT64_MAX;

    for (i = 0; i < lane.nwaiting; i++) {
        held += lane.waiting[i].held;

        if (!lane.waiting[i].held && lane.waiting[i].next_ms < due_ms) {
            due_ms = lane.waiting[i].next_ms;
        }
    }

    return held == lane.nheld && due_ms == lane.due_ms;
}


static void
step(uint64_t sequence)
{
    size_t      i;
    esd_item_t  item;

    switch (lane.nwaiting == 0 ? 0 : draw(5)) {

    case 0:
    case 1:
        if (lane.nwaiting < MOST) {
            memset(&item, 0, sizeof(item));
            item.sequence = sequence;
            item.key = draw(8);
            item.next_ms = draw(50);
            item.held = draw(2);
            (void) esd_waiting_add(&lane, &item);
        }
        break;

    case 2:
    case 3:
        esd_waiting_move(&lane, draw((uint32_t) lane.nwaiting), draw(2),
                         draw(50));
        break;

    default:
        esd_waiting_take(&lane, draw((uint32_t) lane.nwaiting));
    }

    if (draw(500) == 0) {
        for (i = 0; i < lane.nwaiting; i++) {
            lane.waiting[i].key = draw(8);
            lane.waiting[i].next_ms = 0;
        }

        esd_waiting_sort(&lane);
    }
}


int
main(void)
{
    bool      firsts, finds, orders, counts;
    uint64_t  n, key, from;

    firsts = finds = orders = counts = true;
    lane.due_ms = INT64_MAX;

    for (n = 1; n <= ROUNDS; n++) {
        step(n);

        key = draw(9);
        from = draw((uint32_t) n + 2);

        firsts &= esd_waiting_first(&lane, ESD_BY_DUE) == first_of(ESD_BY_DUE)
                  && esd_waiting_first(&lane,
                                       ESD_BY_KEY) == first_of(ESD_BY_KEY);
        finds &= esd_waiting_find(&lane, key, from) == first_from(key, from);
        counts &= counted();

        if (n % 16 == 0) {
            orders &= whole(ESD_BY_DUE) && whole(ESD_BY_KEY);
        }
    }

    ok(firsts, "the first is that of all, after each change");
    ok(finds, "so is the first of a key from a sequence on");
    ok(orders, "each is met once, in order");
    ok(counts, "what is held is counted, and the next that is due is known");

    esd_waiting_clear(&lane);
    ok(lane.nwaiting == 0 && esd_waiting_first(&lane,
                                               ESD_BY_DUE) == ESD_NO_ITEM
       && lane.due_ms == INT64_MAX, "in the end there is none");

    return done();
}
