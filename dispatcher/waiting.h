/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The events of a lane that wait, in the two orders in which they
 * are asked for.
 *
 * They stand in `lane->waiting` in no order: the last one takes the place of
 * one that goes.  Beside them each has its place in two binary trees, so that
 * a hundred thousand events that wait cost no more than a few:
 *
 *     ES_BY_DUE   not held before held, then by the next attempt, then by
 *                 sequence
 *     ES_BY_KEY   by key, then by sequence
 *
 * Whoever changes `held`, `next_ms` or `key` of an item that stands in
 * `lane->waiting` uses es_waiting_move(), or calls es_waiting_sort() when all
 * changes are made.
 */

#ifndef ES_WAITING_H
#define ES_WAITING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "item.h"

struct es_lane;

#define ES_NO_ITEM  SIZE_MAX

typedef enum {
    ES_BY_DUE,
    ES_BY_KEY,
    ES_ORDERS
} es_order_t;

/* A place in a tree: indexes of `lane->waiting` plus one; 0: none. */
typedef struct {
    uint32_t  up;
    uint32_t  left;
    uint32_t  right;
} es_link_t;

/* Adds an item; false: out of memory, and nothing has changed. */
bool es_waiting_add(struct es_lane *lane, const es_item_t *item);
/* Takes the item at `i` out; the last one is at `i` then. */
void es_waiting_take(struct es_lane *lane, size_t i);
/* The item at `i` is held or not, and its next attempt is at `next_ms`. */
void es_waiting_move(struct es_lane *lane, size_t i, bool held,
    int64_t next_ms);
/* Makes both orders anew, after changes of many items. */
void es_waiting_sort(struct es_lane *lane);
/* Takes all items out, and gives their memory back. */
void es_waiting_clear(struct es_lane *lane);

/* The first item by an order; ES_NO_ITEM: there is none. */
size_t es_waiting_first(const struct es_lane *lane, es_order_t order);
/* The item behind the one at `i`; ES_NO_ITEM: that is the last. */
size_t es_waiting_next(const struct es_lane *lane, es_order_t order, size_t i);
/* The first item of the key from `sequence` on; ES_NO_ITEM: there is none. */
size_t es_waiting_find(const struct es_lane *lane, uint64_t key,
    uint64_t sequence);

#endif /* ES_WAITING_H */
