/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Slots: the requests in flight of all endpoints, shared among partners.
 *
 * There are --max-connections slots, and a few of them are reserved for doubted
 * endpoints.  A partner that has as many slots as are free must wait.  A single
 * partner thus gets half of them, and n busy partners get one in n + 1 each, so
 * that a partner that comes later always finds free ones.  Doubted endpoints
 * share half of all slots by the same rule.
 */

#ifndef ESD_SLOTS_H
#define ESD_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "types.h"

typedef TAILQ_HEAD(esd_passed_list, esd_lane)  esd_passed_t;

/* The slots of one partner. */
typedef struct esd_slot_holder {
    unsigned                 in_flight;
    unsigned                 doubted;  /* of those, to doubted endpoints */
    esd_passed_t             passed[2]; /* lanes that wait; the second list
                                           has those of doubted endpoints */
    bool                          waits; /* there are such lanes */
    TAILQ_ENTRY(esd_slot_holder)  link;
} esd_slot_holder_t;

typedef struct {
    esd_slot_holder_t  **holders;  /* by partner number */
    size_t               n;
    TAILQ_HEAD(esd_slot_holder_list, esd_slot_holder)  waiting;
} esd_slots_t;

void esd_slots_init(esd_dispatcher_t *d);
void esd_slots_done(esd_dispatcher_t *d);
/* The holder of this partner; out of memory ends the process. */
esd_slot_holder_t *esd_slot_holder_get(esd_dispatcher_t *d,
    uint32_t number);

/* True: a slot is free for an endpoint that is not doubted. */
bool esd_slots_left(const esd_dispatcher_t *d);
/* True: a slot is free for one more request of this endpoint. */
bool esd_slot_available(const esd_dispatcher_t *d,
    const esd_target_t *target);
/* The same; otherwise the lane is woken when a slot may be free. */
bool esd_slot_room(esd_dispatcher_t *d, esd_lane_t *lane);
/* Wakes lanes that wait for slots; true: there were some. */
bool esd_slots_wake(esd_dispatcher_t *d);

/* A request takes a slot and releases it. */
void esd_slot_take(esd_send_t *send);
void esd_slot_release(esd_send_t *send);

#endif /* ESD_SLOTS_H */
