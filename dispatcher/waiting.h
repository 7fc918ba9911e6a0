/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The events of a lane that wait, in the two orders in which they
 * are asked for.
 *
 * They stand in `lane->waiting` in no order: the last one takes the place of
 * one that goes.  Beside them each has its place in two binary trees, so that
 * a hundred thousand events that wait cost no more than a few:
 *
 *     ESD_BY_DUE   not held before held, then by the next attempt, then by
 *                 sequence
 *     ESD_BY_KEY   by key, then by sequence
 *
 * Whoever changes `held`, `next_ms` or `key` of an item that stands in
 * `lane->waiting` uses esd_waiting_move(), or calls esd_waiting_sort() when
 * all changes are made.
 */

#ifndef ESD_WAITING_H
#define ESD_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "item.h"
#include "types.h"

#define ESD_NO_ITEM  SIZE_MAX

typedef enum {
    ESD_BY_DUE,
    ESD_BY_KEY,
    ESD_ORDERS
} esd_order_t;

/* A place in a tree: indexes of `lane->waiting` plus one; 0: none. */
typedef struct {
    uint32_t  up;
    uint32_t  left;
    uint32_t  right;
} esd_link_t;

/* Adds an item; false: out of memory, and nothing has changed. */
bool esd_waiting_add(esd_lane_t *lane, const esd_item_t *item);
/* Takes the item at `i` out; the last one is at `i` then. */
void esd_waiting_take(esd_lane_t *lane, size_t i);
/* The item at `i` is held or not, and its next attempt is at `next_ms`. */
void esd_waiting_move(esd_lane_t *lane, size_t i, bool held,
    int64_t next_ms);
/* Makes both orders anew, after changes of many items. */
void esd_waiting_sort(esd_lane_t *lane);
/* Takes all items out, and gives their memory back. */
void esd_waiting_clear(esd_lane_t *lane);

/* The first item by an order; ESD_NO_ITEM: there is none. */
size_t esd_waiting_first(const esd_lane_t *lane, esd_order_t order);
/* The item behind the one at `i`; ESD_NO_ITEM: that is the last. */
size_t esd_waiting_next(const esd_lane_t *lane, esd_order_t order,
    size_t i);
/* The first item of the key from `sequence` on; ESD_NO_ITEM: there is none. */
size_t esd_waiting_find(const esd_lane_t *lane, uint64_t key,
    uint64_t sequence);

#endif /* ESD_WAITING_H */
