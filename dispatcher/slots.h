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

#include "types.h"

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

void esd_slots_init(esd_dispatcher_t *d);
void esd_slots_done(esd_dispatcher_t *d);
/* The partner of this number; never fails but by ending the process. */
esd_slot_holder_t *esd_slot_holder_get(esd_dispatcher_t *d,
    uint32_t number);

/* There is room for somebody's who is not doubted. */
bool esd_slots_left(const esd_dispatcher_t *d);
/* There is for one request more of this endpoint's. */
bool esd_slot_available(const esd_dispatcher_t *d,
    const esd_target_t *target);
/* The same, and else the lane is woken when there may be. */
bool esd_slot_room(esd_dispatcher_t *d, esd_lane_t *lane);
/* Wakes lanes that were passed over; true when there were some. */
bool esd_slots_wake(esd_dispatcher_t *d);

/* A request takes a place, and gives it back. */
void esd_slot_take(esd_send_t *send);
void esd_slot_release(esd_send_t *send);

#endif /* ESD_SLOTS_H */
