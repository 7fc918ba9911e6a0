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

#ifndef ESD_SLOTS_H
#define ESD_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct esd_dispatcher;
struct esd_lane;
struct esd_send;
struct esd_target;

typedef TAILQ_HEAD(esd_passed_list, esd_lane)  esd_passed_t;

/* A partner. */
typedef struct esd_slot_holder {
    unsigned                 in_flight;
    unsigned                 doubted;  /* of them, to doubted endpoints */
    esd_passed_t             passed[2]; /* lanes that were passed over; of
                                           doubted endpoints the second */
    bool                          waits; /* there are such */
    TAILQ_ENTRY(esd_slot_holder)  link;
} esd_slot_holder_t;

typedef struct {
    esd_slot_holder_t  **holders;  /* by the partner's number */
    size_t               n;
    TAILQ_HEAD(esd_slot_holder_list, esd_slot_holder)  waiting;
} esd_slots_t;

void esd_slots_init(struct esd_dispatcher *d);
void esd_slots_done(struct esd_dispatcher *d);
/* The partner of this number; never fails but by ending the process. */
esd_slot_holder_t *esd_slot_holder_get(struct esd_dispatcher *d,
    uint32_t number);

/* There is room for somebody's who is not doubted. */
bool esd_slots_left(const struct esd_dispatcher *d);
/* There is for one request more of this endpoint's. */
bool esd_slot_available(const struct esd_dispatcher *d,
    const struct esd_target *target);
/* The same, and else the lane is woken when there may be. */
bool esd_slot_room(struct esd_dispatcher *d, struct esd_lane *lane);
/* Wakes lanes that were passed over; true when there were some. */
bool esd_slots_wake(struct esd_dispatcher *d);

/* A request takes a place, and gives it back. */
void esd_slot_take(struct esd_send *send);
void esd_slot_release(struct esd_send *send);

#endif /* ESD_SLOTS_H */
