/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The events of a lane that wait, in order.
 *
 * Each order is a treap: a search tree whose nodes are also a heap by a
 * priority that looks like chance.  Its depth is the logarithm of what it has,
 * whatever order the items come in.  The priority is made from the sequence,
 * so that none has to be kept.
 */

#include "dispatcher.h"

#define ES_WAITING_KEPT  64        /* items whose memory is kept for others */


static uint64_t
es_waiting_priority(const es_lane_t *lane, uint32_t node)
{
    uint64_t  x;

    x = lane->waiting[node - 1].sequence + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);

    return x ^ (x >> 31);
}


static bool
es_waiting_before(const es_item_t *a, const es_item_t *b, es_order_t order)
{
    if (order == ES_BY_KEY) {
        return a->key == b->key ? a->sequence < b->sequence : a->key < b->key;
    }

    if (a->held != b->held) {
        return b->held;
    }

    return a->next_ms == b->next_ms ? a->sequence < b->sequence
                                    : a->next_ms < b->next_ms;
}


/* Where the node stands in its parent, or the root. */

static uint32_t *
es_waiting_slot(es_lane_t *lane, es_order_t order, uint32_t node)
{
    uint32_t    up;
    es_link_t  *links;

    links = lane->links[order];
    up = links[node - 1].up;

    if (up == 0) {
        return &lane->roots[order];
    }

    return links[up - 1].left == node ? &links[up - 1].left
                                      : &links[up - 1].right;
}


/* The node takes the place of its parent, which becomes its child. */

static void
es_waiting_rotate(es_lane_t *lane, es_order_t order, uint32_t node)
{
    uint32_t    up, child;
    es_link_t  *links;

    links = lane->links[order];
    up = links[node - 1].up;
    *es_waiting_slot(lane, order, up) = node;
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
es_waiting_insert(es_lane_t *lane, es_order_t order, uint32_t node)
{
    bool        before;
    uint32_t    up, next;
    es_link_t  *links;

    links = lane->links[order];
    before = false;
    up = 0;

    for (next = lane->roots[order]; next != 0;
         next = before ? links[up - 1].left : links[up - 1].right)
    {
        up = next;
        before = es_waiting_before(&lane->waiting[node - 1],
                                   &lane->waiting[up - 1], order);
    }

    links[node - 1] = (es_link_t) { .up = up };

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
           && es_waiting_priority(lane, node)
              > es_waiting_priority(lane, links[node - 1].up))
    {
        es_waiting_rotate(lane, order, node);
    }
}


static void
es_waiting_remove(es_lane_t *lane, es_order_t order, uint32_t node)
{
    uint32_t    left, right;
    es_link_t  *links;

    links = lane->links[order];

    while ((left = links[node - 1].left) | (right = links[node - 1].right)) {
        es_waiting_rotate(lane, order,
                          right == 0
                          || (left != 0
                              && es_waiting_priority(lane, left)
                                 > es_waiting_priority(lane, right))
                          ? left : right);
    }

    *es_waiting_slot(lane, order, node) = 0;
}


/* The item of one node is now that of another. */

static void
es_waiting_rename(es_lane_t *lane, es_order_t order, uint32_t from,
    uint32_t to)
{
    es_link_t  *link, *links;

    links = lane->links[order];
    *es_waiting_slot(lane, order, from) = to;
    links[to - 1] = links[from - 1];
    link = &links[to - 1];

    if (link->left != 0) {
        links[link->left - 1].up = to;
    }

    if (link->right != 0) {
        links[link->right - 1].up = to;
    }
}


/* The first that is due is looked for ten times a second in all lanes: so its
   time stands by itself. */

static void
es_waiting_due(es_lane_t *lane)
{
    size_t  first;

    first = es_waiting_first(lane, ES_BY_DUE);

    lane->due_ms = first == ES_NO_ITEM || lane->waiting[first].held
                   ? INT64_MAX : lane->waiting[first].next_ms;
}


static bool
es_waiting_grow(es_lane_t *lane)
{
    void      *room;
    size_t     cap;
    unsigned   k;

    cap = lane->waiting_cap ? lane->waiting_cap * 2 : 4;

    if (cap >= UINT32_MAX) {
        return false;
    }

    room = realloc(lane->waiting, cap * sizeof(es_item_t));
    if (room == NULL) {
        return false;
    }

    lane->waiting = room;

    for (k = 0; k < ES_ORDERS; k++) {
        room = realloc(lane->links[k], cap * sizeof(es_link_t));
        if (room == NULL) {
            return false;
        }

        lane->links[k] = room;
    }

    lane->waiting_cap = cap;

    return true;
}


bool
es_waiting_add(es_lane_t *lane, const es_item_t *item)
{
    uint32_t  node;

    if (lane->nwaiting == lane->waiting_cap && !es_waiting_grow(lane)) {
        return false;
    }

    lane->waiting[lane->nwaiting++] = *item;
    lane->nheld += item->held;
    node = (uint32_t) lane->nwaiting;

    es_waiting_insert(lane, ES_BY_DUE, node);
    es_waiting_insert(lane, ES_BY_KEY, node);
    es_waiting_due(lane);

    return true;
}


void
es_waiting_take(es_lane_t *lane, size_t i)
{
    uint32_t  node, last;

    node = (uint32_t) i + 1;
    last = (uint32_t) lane->nwaiting;

    es_waiting_remove(lane, ES_BY_DUE, node);
    es_waiting_remove(lane, ES_BY_KEY, node);
    lane->nheld -= lane->waiting[i].held;

    if (node != last) {
        es_waiting_rename(lane, ES_BY_DUE, last, node);
        es_waiting_rename(lane, ES_BY_KEY, last, node);
        lane->waiting[i] = lane->waiting[last - 1];
    }

    lane->nwaiting--;

    if (lane->nwaiting == 0 && lane->waiting_cap > ES_WAITING_KEPT) {
        es_waiting_clear(lane);
        return;
    }

    es_waiting_due(lane);
}


void
es_waiting_move(es_lane_t *lane, size_t i, bool held, int64_t next_ms)
{
    uint32_t  node;

    node = (uint32_t) i + 1;

    es_waiting_remove(lane, ES_BY_DUE, node);
    lane->nheld += held;
    lane->nheld -= lane->waiting[i].held;
    lane->waiting[i].held = held;
    lane->waiting[i].next_ms = next_ms;
    es_waiting_insert(lane, ES_BY_DUE, node);
    es_waiting_due(lane);
}


void
es_waiting_sort(es_lane_t *lane)
{
    uint32_t  node;

    memset(lane->roots, 0, sizeof(lane->roots));
    lane->nheld = 0;

    for (node = 1; node <= lane->nwaiting; node++) {
        es_waiting_insert(lane, ES_BY_DUE, node);
        es_waiting_insert(lane, ES_BY_KEY, node);
        lane->nheld += lane->waiting[node - 1].held;
    }

    es_waiting_due(lane);
}


void
es_waiting_clear(es_lane_t *lane)
{
    unsigned  k;

    free(lane->waiting);
    lane->waiting = NULL;
    lane->nwaiting = 0;
    lane->nheld = 0;
    lane->waiting_cap = 0;
    memset(lane->roots, 0, sizeof(lane->roots));

    for (k = 0; k < ES_ORDERS; k++) {
        free(lane->links[k]);
        lane->links[k] = NULL;
    }

    lane->due_ms = INT64_MAX;
}


size_t
es_waiting_first(const es_lane_t *lane, es_order_t order)
{
    uint32_t  node;

    node = lane->roots[order];

    if (node == 0) {
        return ES_NO_ITEM;
    }

    while (lane->links[order][node - 1].left != 0) {
        node = lane->links[order][node - 1].left;
    }

    return node - 1;
}


size_t
es_waiting_next(const es_lane_t *lane, es_order_t order, size_t i)
{
    uint32_t          node, up;
    const es_link_t  *links;

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

    return up != 0 ? up - 1 : ES_NO_ITEM;
}


size_t
es_waiting_find(const es_lane_t *lane, uint64_t key, uint64_t sequence)
{
    size_t            found;
    uint32_t          node;
    es_item_t         wanted;
    const es_link_t  *links;

    links = lane->links[ES_BY_KEY];
    wanted.key = key;
    wanted.sequence = sequence;
    found = ES_NO_ITEM;

    for (node = lane->roots[ES_BY_KEY]; node != 0; /* void */ ) {
        if (es_waiting_before(&lane->waiting[node - 1], &wanted, ES_BY_KEY)) {
            node = links[node - 1].right;

        } else {
            found = node - 1;
            node = links[node - 1].left;
        }
    }

    return found != ES_NO_ITEM && lane->waiting[found].key == key
           ? found : ES_NO_ITEM;
}
