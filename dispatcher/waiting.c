/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The waiting events of a lane, in two orders.
 *
 * Each order is a treap: a search tree whose nodes are also a heap by a random
 * priority.  Its depth is logarithmic in the number of items, in any order of
 * insertion.  The priority is a hash of the sequence, so that it need not be
 * stored.
 */

#include <stdlib.h>
#include <string.h>

#include "item.h"
#include "lane.h"
#include "waiting.h"

#define ESD_WAITING_KEPT  64       /* items whose memory is kept */


static uint64_t
esd_waiting_priority(const esd_lane_t *lane, uint32_t node)
{
    uint64_t  x;

    x = lane->waiting[node - 1].sequence + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);

    return x ^ (x >> 31);
}


static bool
esd_waiting_before(const esd_item_t *a, const esd_item_t *b, esd_order_t order)
{
    if (order == ESD_BY_KEY) {
        return a->key == b->key ? a->sequence < b->sequence : a->key < b->key;
    }

    if (a->held != b->held) {
        return b->held;
    }

    return a->next_ms == b->next_ms ? a->sequence < b->sequence
                                    : a->next_ms < b->next_ms;
}


/* The link to the node in its parent, or the root. */

static uint32_t *
esd_waiting_slot(esd_lane_t *lane, esd_order_t order, uint32_t node)
{
    uint32_t     up;
    esd_link_t  *links;

    links = lane->links[order];
    up = links[node - 1].up;

    if (up == 0) {
        return &lane->roots[order];
    }

    return links[up - 1].left == node ? &links[up - 1].left
                                      : &links[up - 1].right;
}


/* Rotates the node above its parent. */

static void
esd_waiting_rotate(esd_lane_t *lane, esd_order_t order, uint32_t node)
{
    uint32_t     up, child;
    esd_link_t  *links;

    links = lane->links[order];
    up = links[node - 1].up;
    *esd_waiting_slot(lane, order, up) = node;
    links[node - 1].up = links[up - 1].up;
    links[up - 1].up = node;

    if (links[up - 1].left == node) {
        child = links[node - 1].right;
        links[up - 1].left = child;
        links[node - 1].right = up;

    } else {
        child = links[node - 1].left;
        links[up - 1].right = child;
        links[node - 1].left = up;
    }

    if (child != 0) {
        links[child - 1].up = up;
    }
}


static void
esd_waiting_insert(esd_lane_t *lane, esd_order_t order, uint32_t node)
{
    bool         before;
    uint32_t     up, next;
    esd_link_t  *links;

    links = lane->links[order];
    before = false;
    up = 0;

    for (next = lane->roots[order]; next != 0;
         next = before ? links[up - 1].left : links[up - 1].right)
    {
        up = next;
        before = esd_waiting_before(&lane->waiting[node - 1],
                                    &lane->waiting[up - 1], order);
    }

    links[node - 1] = (esd_link_t) { .up = up };

    if (up == 0) {
        lane->roots[order] = node;
        return;
    }

    if (before) {
        links[up - 1].left = node;
    } else {
        links[up - 1].right = node;
    }

    while (links[node - 1].up != 0
           && esd_waiting_priority(lane, node)
              > esd_waiting_priority(lane, links[node - 1].up))
    {
        esd_waiting_rotate(lane, order, node);
    }
}


static void
esd_waiting_remove(esd_lane_t *lane, esd_order_t order, uint32_t node)
{
    uint32_t     left, right;
    esd_link_t  *links;

    links = lane->links[order];

    while ((left = links[node - 1].left) | (right = links[node - 1].right)) {
        esd_waiting_rotate(lane, order,
                           right == 0
                           || (left != 0
                               && esd_waiting_priority(lane, left)
                                  > esd_waiting_priority(lane, right))
                           ? left : right);
    }

    *esd_waiting_slot(lane, order, node) = 0;
}


/* Replaces node `from` by node `to` in the tree. */

static void
esd_waiting_rename(esd_lane_t *lane, esd_order_t order, uint32_t from,
    uint32_t to)
{
    esd_link_t  *link, *links;

    links = lane->links[order];
    *esd_waiting_slot(lane, order, from) = to;
    links[to - 1] = links[from - 1];
    link = &links[to - 1];

    if (link->left != 0) {
        links[link->left - 1].up = to;
    }

    if (link->right != 0) {
        links[link->right - 1].up = to;
    }
}


/* Ten times a second the first due item of every lane is needed, so its time is
   stored in the lane. */

static void
esd_waiting_due(esd_lane_t *lane)
{
    size_t  first;

    first = esd_waiting_first(lane, ESD_BY_DUE);

    lane->due_ms = first == ESD_NO_ITEM || lane->waiting[first].held
                   ? INT64_MAX : lane->waiting[first].next_ms;
}


static bool
esd_waiting_grow(esd_lane_t *lane)
{
    void      *room;
    size_t     cap;
    unsigned   k;

    cap = lane->waiting_cap ? lane->waiting_cap * 2 : 4;

    if (cap >= UINT32_MAX) {
        return false;
    }

    room = realloc(lane->waiting, cap * sizeof(esd_item_t));
    if (room == NULL) {
        return false;
    }

    lane->waiting = room;

    for (k = 0; k < ESD_ORDERS; k++) {
        room = realloc(lane->links[k], cap * sizeof(esd_link_t));
        if (room == NULL) {
            return false;
        }

        lane->links[k] = room;
    }

    lane->waiting_cap = cap;

    return true;
}


bool
esd_waiting_add(esd_lane_t *lane, const esd_item_t *item)
{
    uint32_t  node;

    if (lane->nwaiting == lane->waiting_cap && !esd_waiting_grow(lane)) {
        return false;
    }

    lane->waiting[lane->nwaiting++] = *item;
    lane->nheld += item->held;
    node = (uint32_t) lane->nwaiting;

    esd_waiting_insert(lane, ESD_BY_DUE, node);
    esd_waiting_insert(lane, ESD_BY_KEY, node);
    esd_waiting_due(lane);

    return true;
}


void
esd_waiting_take(esd_lane_t *lane, size_t i)
{
    uint32_t  node, last;

    node = (uint32_t) i + 1;
    last = (uint32_t) lane->nwaiting;

    esd_waiting_remove(lane, ESD_BY_DUE, node);
    esd_waiting_remove(lane, ESD_BY_KEY, node);
    lane->nheld -= lane->waiting[i].held;

    if (node != last) {
        esd_waiting_rename(lane, ESD_BY_DUE, last, node);
        esd_waiting_rename(lane, ESD_BY_KEY, last, node);
        lane->waiting[i] = lane->waiting[last - 1];
    }

    lane->nwaiting--;

    if (lane->nwaiting == 0 && lane->waiting_cap > ESD_WAITING_KEPT) {
        esd_waiting_clear(lane);
        return;
    }

    esd_waiting_due(lane);
}


void
esd_waiting_move(esd_lane_t *lane, size_t i, bool held, int64_t next_ms)
{
    uint32_t  node;

    node = (uint32_t) i + 1;

    esd_waiting_remove(lane, ESD_BY_DUE, node);
    lane->nheld += held;
    lane->nheld -= lane->waiting[i].held;
    lane->waiting[i].held = held;
    lane->waiting[i].next_ms = next_ms;
    esd_waiting_insert(lane, ESD_BY_DUE, node);
    esd_waiting_due(lane);
}


void
esd_waiting_sort(esd_lane_t *lane)
{
    uint32_t  node;

    memset(lane->roots, 0, sizeof(lane->roots));
    lane->nheld = 0;

    for (node = 1; node <= lane->nwaiting; node++) {
        esd_waiting_insert(lane, ESD_BY_DUE, node);
        esd_waiting_insert(lane, ESD_BY_KEY, node);
        lane->nheld += lane->waiting[node - 1].held;
    }

    esd_waiting_due(lane);
}


void
esd_waiting_clear(esd_lane_t *lane)
{
    unsigned  k;

    free(lane->waiting);
    lane->waiting = NULL;
    lane->nwaiting = 0;
    lane->nheld = 0;
    lane->waiting_cap = 0;
    memset(lane->roots, 0, sizeof(lane->roots));

    for (k = 0; k < ESD_ORDERS; k++) {
        free(lane->links[k]);
        lane->links[k] = NULL;
    }

    lane->due_ms = INT64_MAX;
}


size_t
esd_waiting_first(const esd_lane_t *lane, esd_order_t order)
{
    uint32_t  node;

    node = lane->roots[order];

    if (node == 0) {
        return ESD_NO_ITEM;
    }

    while (lane->links[order][node - 1].left != 0) {
        node = lane->links[order][node - 1].left;
    }

    return node - 1;
}


size_t
esd_waiting_next(const esd_lane_t *lane, esd_order_t order, size_t i)
{
    uint32_t           node, up;
    const esd_link_t  *links;

    links = lane->links[order];
    node = (uint32_t) i + 1;

    if (links[i].right != 0) {
        node = links[i].right;

        while (links[node - 1].left != 0) {
            node = links[node - 1].left;
        }

        return node - 1;
    }

    for (up = links[i].up; up != 0 && links[up - 1].right == node;
         up = links[up - 1].up)
    {
        node = up;
    }

    return up != 0 ? up - 1 : ESD_NO_ITEM;
}


size_t
esd_waiting_find(const esd_lane_t *lane, uint64_t key, uint64_t sequence)
{
    size_t             found;
    uint32_t           node;
    esd_item_t         wanted;
    const esd_link_t  *links;

    links = lane->links[ESD_BY_KEY];
    wanted.key = key;
    wanted.sequence = sequence;
    found = ESD_NO_ITEM;

    for (node = lane->roots[ESD_BY_KEY]; node != 0; /* void */ ) {
        if (esd_waiting_before(&lane->waiting[node - 1], &wanted,
                               ESD_BY_KEY)) {
            node = links[node - 1].right;

        } else {
            found = node - 1;
            node = links[node - 1].left;
        }
    }

    return found != ESD_NO_ITEM && lane->waiting[found].key == key
           ? found : ESD_NO_ITEM;
}
