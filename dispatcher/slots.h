/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The places that all requests in flight share, and who has them.
 *
 * There are --max-connections.  A few are kept for doubted endpoints, and a
 * partner is passed over that has as many as the others leave free: alone it
 * comes to half of them, and n that want all of them to one in n + 1 each, so
 * that there is always room for one who comes later.  The places of doubted
 * endpoints, half of all, are shared in the same way by themselves.
 */

#ifndef ES_SLOT_PLACE_H
#define ES_SLOT_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct es_dispatcher;
struct es_lane;
struct es_send;
struct es_target;

typedef TAILQ_HEAD(es_passed_list, es_lane)  es_passed_t;

/* A partner. */
typedef struct es_holder {
    unsigned                in_flight;
    unsigned                doubted;   /* of them, to doubted endpoints */
    es_passed_t             passed[2]; /* lanes that were passed over; of
                                          doubted endpoints the second */
    bool                    waits;     /* there are such */
    TAILQ_ENTRY(es_holder)  link;
} es_holder_t;

typedef struct {
    es_holder_t  **holders;        /* by the partner's number */
    size_t         n;
    TAILQ_HEAD(es_holder_list, es_holder)  waiting;
} es_places_t;

void es_places_init(struct es_dispatcher *d);
void es_places_done(struct es_dispatcher *d);
/* The partner of this number; never fails but by ending the process. */
es_holder_t *es_place_holder(struct es_dispatcher *d, uint32_t number);

/* There is room for somebody's who is not doubted. */
bool es_places_left(const struct es_dispatcher *d);
/* There is for one request more of this endpoint's. */
bool es_place_free(const struct es_dispatcher *d,
    const struct es_target *target);
/* The same, and else the lane is woken when there may be. */
bool es_place_room(struct es_dispatcher *d, struct es_lane *lane);
/* Wakes lanes that were passed over; true when there were some. */
bool es_places_wake(struct es_dispatcher *d);
/* The lane waits for none any more. */
void es_place_forget(struct es_lane *lane);

/* A request takes a place, and gives it back. */
void es_place_take(struct es_send *send);
void es_place_leave(struct es_send *send);

#endif /* ES_SLOT_PLACE_H */
