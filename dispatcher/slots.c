/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The places that all requests in flight share.
 */

#include "dispatcher.h"

#define ES_PLACES_MIN   2          /* that a partner may have in any case */
#define ES_PLACES_KEPT  16         /* one of so many is for who is doubted */
#define ES_PLACES_LOOK  16         /* partners that are looked at in a turn */
#define ES_PLACES_WAKE  8          /* lanes of one that are woken in a turn */


void
es_places_init(es_dispatcher_t *d)
{
    TAILQ_INIT(&d->places.waiting);
}


void
es_places_done(es_dispatcher_t *d)
{
    size_t  i;

    for (i = 0; i < d->places.n; i++) {
        free(d->places.holders[i]);
    }

    free(d->places.holders);
}


es_holder_t *
es_place_holder(es_dispatcher_t *d, uint32_t number)
{
    void         *slots;
    es_holder_t  *holder;

    slots = es_slot(d->places.holders, &d->places.n, number);

    if (slots != NULL) {
        d->places.holders = slots;

        if (d->places.holders[number] != NULL) {
            return d->places.holders[number];
        }
    }

    holder = calloc(1, sizeof(es_holder_t));

    if (slots == NULL || holder == NULL) {
        es_record(d, ES_NOMEM);
        abort();
    }

    TAILQ_INIT(&holder->passed[0]);
    TAILQ_INIT(&holder->passed[1]);
    d->places.holders[number] = holder;

    return holder;
}


/* Those that anybody may have but doubted endpoints alone. */

static unsigned
es_places_open(const es_dispatcher_t *d)
{
    unsigned  max;

    max = d->options.max_connections;

    return max < 4 ? max : max - (max + ES_PLACES_KEPT - 1) / ES_PLACES_KEPT;
}


bool
es_places_left(const es_dispatcher_t *d)
{
    return d->in_flight < es_places_open(d);
}


/* How many more who has `used` may have: until it has what is left. */

static unsigned
es_place_share(unsigned used, unsigned taken, unsigned max)
{
    unsigned  left;

    if (taken >= max) {
        return 0;
    }

    left = max - taken;

    if (used < ES_PLACES_MIN) {
        return 1;
    }

    return used < left ? (left - used + 1) / 2 : 0;
}


static unsigned
es_place_more(const es_dispatcher_t *d, const es_holder_t *holder,
    bool doubted)
{
    if (doubted) {
        return es_place_share(holder->doubted, d->doubted,
                              (d->options.max_connections + 1) / 2);
    }

    return es_place_share(holder->in_flight, d->in_flight, es_places_open(d));
}


bool
es_place_free(const es_dispatcher_t *d, const es_target_t *target)
{
    return d->in_flight < d->options.max_connections
           && es_place_more(d, target->holder, es_health_doubts(target)) > 0;
}


/* Who comes while others wait, waits behind them: otherwise who has places
   would have them again each time that one is given back. */

bool
es_place_room(es_dispatcher_t *d, es_lane_t *lane)
{
    bool          called, doubted;
    es_holder_t  *holder;

    holder = lane->target->holder;
    doubted = es_health_doubts(lane->target);
    called = lane->called;
    lane->called = false;

    if ((called || TAILQ_EMPTY(&holder->passed[doubted]))
        && es_place_more(d, holder, doubted) > 0)
    {
        return true;
    }

    if (lane->passed == NULL) {
        lane->passed = &holder->passed[doubted];
        TAILQ_INSERT_TAIL(lane->passed, lane, in_passed);
    }

    if (!holder->waits) {
        holder->waits = true;
        TAILQ_INSERT_TAIL(&d->places.waiting, holder, link);
    }

    return false;
}


void
es_place_forget(es_lane_t *lane)
{
    if (lane->passed != NULL) {
        TAILQ_REMOVE(lane->passed, lane, in_passed);
        lane->passed = NULL;
    }
}


static bool
es_place_wake(es_dispatcher_t *d, es_holder_t *holder, bool doubted)
{
    unsigned    i, n;
    es_lane_t  *lane;

    n = es_place_more(d, holder, doubted);
    n = n < ES_PLACES_WAKE ? n : ES_PLACES_WAKE;

    for (i = 0; i < n; i++) {
        lane = TAILQ_FIRST(&holder->passed[doubted]);

        if (lane == NULL) {
            break;
        }

        es_place_forget(lane);
        lane->called = true;
        es_lane_wake(d, lane);
    }

    return i > 0;
}


/* Some of the partners each time, in turn. */

bool
es_places_wake(es_dispatcher_t *d)
{
    bool          woken;
    unsigned      i;
    es_holder_t  *holder, *last;

    woken = false;
    last = TAILQ_LAST(&d->places.waiting, es_holder_list);

    for (i = 0; i < ES_PLACES_LOOK && last != NULL; i++) {
        holder = TAILQ_FIRST(&d->places.waiting);

        woken |= es_place_wake(d, holder, false);
        woken |= es_place_wake(d, holder, true);

        TAILQ_REMOVE(&d->places.waiting, holder, link);
        holder->waits = !TAILQ_EMPTY(&holder->passed[0])
                        || !TAILQ_EMPTY(&holder->passed[1]);

        if (holder->waits) {
            TAILQ_INSERT_TAIL(&d->places.waiting, holder, link);
        }

        if (holder == last) {
            break;
        }
    }

    return woken;
}


void
es_place_take(es_send_t *send)
{
    es_dispatcher_t  *d;

    d = send->d;

    send->doubted = es_health_doubts(send->target);
    send->target->in_flight++;
    send->target->holder->in_flight++;
    send->target->holder->doubted += send->doubted;
    d->in_flight++;
    d->doubted += send->doubted;
}


void
es_place_leave(es_send_t *send)
{
    es_dispatcher_t  *d;

    d = send->d;

    send->target->in_flight--;
    send->target->holder->in_flight--;
    send->target->holder->doubted -= send->doubted;
    d->in_flight--;
    d->doubted -= send->doubted;
    send->doubted = false;
}
