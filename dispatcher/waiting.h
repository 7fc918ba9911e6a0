/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The waiting events of a lane, in the two orders that selection needs.
 *
 * The array `lane->waiting` is unordered: the last item replaces one that is
 * removed.  Each item also has a node in two binary trees, so that the cost of
 * an operation hardly grows with the number of items:
 *
 *     ESD_BY_DUE   items that are not held first, then by the next attempt,
 *                  then by sequence
 *     ESD_BY_KEY   by key, then by sequence
 *
 * Code that changes `held`, `next_ms` or `key` of an item in `lane->waiting`
 * must use esd_waiting_move(), or call esd_waiting_sort() after all changes.
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

/* A node of a tree: indexes into `lane->waiting` plus one; 0: none. */
typedef struct {
    uint32_t  up;
    uint32_t  left;
    uint32_t  right;
} esd_link_t;

/* Adds an item.  False: out of memory, and nothing has changed. */
bool esd_waiting_add(esd_lane_t *lane, const esd_item_t *item);
/* Removes the item at `i`; the last one moves to `i`. */
void esd_waiting_take(esd_lane_t *lane, size_t i);
/* Sets `held` and `next_ms` of the item at `i`. */
void esd_waiting_move(esd_lane_t *lane, size_t i, bool held,
    int64_t next_ms);
/* Rebuilds both orders, after changes of many items. */
void esd_waiting_sort(esd_lane_t *lane);
/* Removes all items and frees their memory. */
void esd_waiting_clear(esd_lane_t *lane);

/* The first item by an order; ESD_NO_ITEM: there is none. */
size_t esd_waiting_first(const esd_lane_t *lane, esd_order_t order);
/* The item after the one at `i`; ESD_NO_ITEM: that is the last. */
size_t esd_waiting_next(const esd_lane_t *lane, esd_order_t order,
    size_t i);
/* The first item of the key from `sequence` on; ESD_NO_ITEM: there is none. */
size_t esd_waiting_find(const esd_lane_t *lane, uint64_t key,
    uint64_t sequence);

#endif /* ESD_WAITING_H */
