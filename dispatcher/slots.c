/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Slots of requests in flight: gives them out and takes them back.
 */

#include <stdlib.h>
#include <sys/queue.h>

#include "base/assert.h"

#include "dispatcher.h"
#include "health.h"
#include "lane.h"
#include "ready.h"
#include "recorder.h"
#include "send.h"
#include "slots.h"
#include "table.h"
#include "target.h"

#define ESD_SLOTS_MIN      2       /* that every partner may have */
#define ESD_SLOTS_KEPT     16      /* one in so many is reserved for doubt */
#define ESD_SLOTS_SCANNED  16      /* partners examined in a turn */
#define ESD_SLOTS_WAKE     8       /* lanes of one partner woken in a turn */


void
esd_slots_init(esd_dispatcher_t *d)
{
    TAILQ_INIT(&d->slots.waiting);
}


void
esd_slots_done(esd_dispatcher_t *d)
{
    size_t  i;

    for (i = 0; i < d->slots.n; i++) {
        free(d->slots.holders[i]);
    }

    free(d->slots.holders);
}


esd_slot_holder_t *
esd_slot_holder_get(esd_dispatcher_t *d, uint32_t number)
{
    void               *slots;
    esd_slot_holder_t  *holder;

    slots = esd_table_reserve(d->slots.holders, &d->slots.n, number);

    if (slots != NULL) {
        d->slots.holders = slots;

        if (d->slots.holders[number] != NULL) {
            return d->slots.holders[number];
        }
    }

    holder = calloc(1, sizeof(esd_slot_holder_t));

    if (slots == NULL || holder == NULL) {
        esd_out_of_memory();
    }

    TAILQ_INIT(&holder->passed[0]);
    TAILQ_INIT(&holder->passed[1]);
    d->slots.holders[number] = holder;

    return holder;
}


/* The number of slots that are not reserved for doubted endpoints. */

static unsigned
esd_slots_unreserved(const esd_dispatcher_t *d)
{
    unsigned  max;

    max = d->options.max_connections;

    return max < 4 ? max : max - (max + ESD_SLOTS_KEPT - 1) / ESD_SLOTS_KEPT;
}


bool
esd_slots_left(const esd_dispatcher_t *d)
{
    return d->in_flight < esd_slots_unreserved(d);
}


/* How many more slots a partner with `used` may take: it may have as many as
   are left free. */

static unsigned
esd_slot_share(unsigned used, unsigned taken, unsigned max)
{
    unsigned  left;

    if (taken >= max) {
        return 0;
    }

    left = max - taken;

    if (used < ESD_SLOTS_MIN) {
        return 1;
    }

    return used < left ? (left - used + 1) / 2 : 0;
}


static unsigned
esd_slot_more(const esd_dispatcher_t *d, const esd_slot_holder_t *holder,
    bool doubted)
{
    if (doubted) {
        return esd_slot_share(holder->doubted, d->doubted,
                              (d->options.max_connections + 1) / 2);
    }

    return esd_slot_share(holder->in_flight, d->in_flight,
                          esd_slots_unreserved(d));
}


bool
esd_slot_available(const esd_dispatcher_t *d, const esd_target_t *target)
{
    return d->in_flight < d->options.max_connections
           && esd_slot_more(d, target->holder, esd_health_doubted(target)) > 0;
}


/* A lane waits behind those that already wait: otherwise a partner that has
   slots would take each one again as soon as it is released. */

bool
esd_slot_room(esd_dispatcher_t *d, esd_lane_t *lane)
{
    bool                woken, doubted;
    esd_slot_holder_t  *holder;

    holder = lane->target->holder;
    doubted = esd_health_doubted(lane->target);
    woken = lane->woken;
    lane->woken = false;

    if ((woken || TAILQ_EMPTY(&holder->passed[doubted]))
        && esd_slot_more(d, holder, doubted) > 0)
    {
        return true;
    }

    if (lane->passed == NULL) {
        lane->passed = &holder->passed[doubted];
        TAILQ_INSERT_TAIL(lane->passed, lane, in_passed);
    }

    if (!holder->waits) {
        holder->waits = true;
        TAILQ_INSERT_TAIL(&d->slots.waiting, holder, link);
    }

    return false;
}


static bool
esd_slot_wake(esd_dispatcher_t *d, esd_slot_holder_t *holder, bool doubted)
{
    unsigned     i, n;
    esd_lane_t  *lane;

    n = esd_slot_more(d, holder, doubted);
    n = n < ESD_SLOTS_WAKE ? n : ESD_SLOTS_WAKE;

    for (i = 0; i < n; i++) {
        lane = TAILQ_FIRST(&holder->passed[doubted]);

        if (lane == NULL) {
            break;
        }

        esd_ready_leave_slots(lane);
        lane->woken = true;
        esd_ready_lane(d, lane);
    }

    return i > 0;
}


/* Examines some of the partners each time, in turn. */

bool
esd_slots_wake(esd_dispatcher_t *d)
{
    bool                woken;
    unsigned            i;
    esd_slot_holder_t  *holder, *last;

    woken = false;
    last = TAILQ_LAST(&d->slots.waiting, esd_slot_holder_list);

    for (i = 0; i < ESD_SLOTS_SCANNED && last != NULL; i++) {
        holder = TAILQ_FIRST(&d->slots.waiting);

        woken |= esd_slot_wake(d, holder, false);
        woken |= esd_slot_wake(d, holder, true);

        TAILQ_REMOVE(&d->slots.waiting, holder, link);
        holder->waits = !TAILQ_EMPTY(&holder->passed[0])
                        || !TAILQ_EMPTY(&holder->passed[1]);

        if (holder->waits) {
            TAILQ_INSERT_TAIL(&d->slots.waiting, holder, link);
        }

        if (holder == last) {
            break;
        }
    }

    return woken;
}


void
esd_slot_take(esd_send_t *send)
{
    esd_dispatcher_t  *d;

    d = send->d;

    send->doubted = esd_health_doubted(send->target);
    send->target->in_flight++;
    send->target->holder->in_flight++;
    send->target->holder->doubted += send->doubted;
    d->in_flight++;
    d->doubted += send->doubted;
}


void
esd_slot_release(esd_send_t *send)
{
    esd_dispatcher_t  *d;

    d = send->d;

    ES_ASSERT(send->target->in_flight > 0
              && send->target->holder->in_flight > 0
              && d->in_flight > 0
              && d->doubted >= send->doubted);

    send->target->in_flight--;
    send->target->holder->in_flight--;
    send->target->holder->doubted -= send->doubted;
    d->in_flight--;
    d->doubted -= send->doubted;
    send->doubted = false;
}
