/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A hash table, shared by all writers, that grows bucket by bucket (extendible
 * hashing: R. Fagin et al., 1979).
 *
 * File 0 has the buckets, each a page of slots.  File 1 has the directory: the
 * first bits of a tag lead to the bucket.  A bucket that has become full is
 * split into two, and the directory doubles when a bucket needs one bit more
 * than it has.  So an event costs one page, in a log of any length.
 */

#include <stdatomic.h>
#include <string.h>

#include "base/assert.h"
#include "log/id_index.h"
#include "log/id_index_impl.h"

#define ES_ID_INDEX_FULL      434     /* a bucket with so many is split */
#define ES_ID_INDEX_FIRST     16      /* buckets that are made at once */
#define ES_ID_INDEX_DEPTH     10      /* bits of the first directory, a page */
#define ES_ID_INDEX_DEEPER    6       /* bits of one bucket beyond those that
                                         all of them need */
#define ES_ID_INDEX_NONE      UINT32_MAX
#define ES_ID_INDEX_GONE      1       /* a slot whose event was erased */
#define ES_ID_INDEX_RETRY     1024    /* inserts between two tries to make
                                         buckets */

typedef struct {
    uint32_t  bucket;
    uint32_t  slot;
    bool      full;            /* the bucket has no free slot */
} es_id_index_at_t;


/* 0 is the tag of a slot that is free or whose event was erased. */

static inline uint32_t
es_id_index_tag(uint64_t hash)
{
    return hash >> 32 != 0 ? (uint32_t) (hash >> 32) : 1;
}


static inline uint64_t
es_id_index_slot(uint32_t tag, uint64_t sequence)
{
    return (uint64_t) tag << 32 | (uint32_t) sequence;
}


/* The tags of a bucket share their first bits, so the product is what spreads
   them. */

static inline uint32_t
es_id_index_home(uint32_t tag)
{
    return ((tag * UINT32_C(0x9e3779b1)) >> 16) * ES_ID_INDEX_SLOTS >> 16;
}


static inline uint32_t
es_id_index_step(uint32_t slot)
{
    return slot + 1 == ES_ID_INDEX_SLOTS ? 0 : slot + 1;
}


static inline uint32_t
es_id_index_place(uint32_t tag, uint32_t depth)
{
    return (uint32_t) ((uint64_t) tag >> (32 - depth));
}


void
es_id_index_find(const es_id_index_t *ids, uint64_t hash, uint64_t last,
    es_id_index_iter_t *iter)
{
    iter->tag = es_id_index_tag(hash);
    iter->last = last;
    iter->sequence = 0;
    iter->steps = 0;
    iter->slot = es_id_index_home(iter->tag);
    iter->bucket = ids->control->nbuckets > 0
                   ? ids->directory[es_id_index_place(iter->tag, ids->depth)]
                   : ES_ID_INDEX_NONE;
}


/* The greatest sequence up to `last` that ends as the slot says.  0: none. */

static inline uint64_t
es_id_index_sequence(uint64_t slot, uint64_t last)
{
    uint32_t  behind;

    behind = (uint32_t) last - (uint32_t) slot;

    return last > behind ? last - behind : 0;
}


bool
es_id_index_next(const es_id_index_t *ids, es_id_index_iter_t *iter,
    uint64_t *sequence)
{
    uint64_t               slot;
    const es_id_bucket_t  *bucket;

    if (iter->sequence > UINT32_MAX) {

        /* an event of four thousand million before has the same slot */

        iter->sequence -= UINT64_C(1) << 32;
        *sequence = iter->sequence;

        if (iter->sequence != 0) {
            return true;
        }
    }

    while (iter->bucket != ES_ID_INDEX_NONE) {
        bucket = &ids->buckets[iter->bucket];

        while (iter->steps++ < ES_ID_INDEX_SLOTS) {
            slot = bucket->slots[iter->slot];
            if (slot == 0) {
                break;
            }

            iter->slot = es_id_index_step(iter->slot);

            if (slot >> 32 == iter->tag) {
                iter->sequence = es_id_index_sequence(slot, iter->last);

                if (iter->sequence != 0) {
                    *sequence = iter->sequence;
                    return true;
                }
            }
        }

        iter->bucket = bucket->next != 0 ? bucket->next : ES_ID_INDEX_NONE;
        iter->slot = es_id_index_home(iter->tag);
        iter->steps = 0;
    }

    return false;
}


void
es_id_index_prefetch(const es_id_index_t *ids, uint64_t hash)
{
    uint32_t               tag;
    const es_id_bucket_t  *bucket;

    if (ids->control->nbuckets > 0) {
        tag = es_id_index_tag(hash);
        bucket = &ids->buckets[ids->directory[es_id_index_place(tag,
                                                                ids->depth)]];

        __builtin_prefetch(bucket);
        __builtin_prefetch(&bucket->slots[es_id_index_home(tag)]);
    }
}


/* Between both calls the files are of no use to another process if this one is
   killed. */

static void
es_id_index_busy(es_id_index_t *ids, uint32_t busy)
{
    atomic_signal_fence(memory_order_seq_cst);
    ids->control->busy = busy;
    atomic_signal_fence(memory_order_seq_cst);
}


/* Makes room for more buckets, a sixteenth of those that there are.  A full
   disk is asked again only now and then, unless `needed`. */

static es_rc_t
es_id_index_grow(es_id_index_t *ids, bool needed)
{
    es_rc_t   rc;
    uint32_t  room;

    if (ids->stuck && !needed
        && ids->control->used % ES_ID_INDEX_RETRY != 0)
    {
        return ES_FULL;
    }

    room = ids->room + (ids->room / 16 > ES_ID_INDEX_FIRST
                        ? ids->room / 16 : ES_ID_INDEX_FIRST);

    rc = es_id_index_map_buckets(ids, room, true);
    ids->stuck = rc == ES_FULL;

    if (rc == ES_OK) {
        ids->control->room = room;
    }

    return rc;
}


/* The caller has made room. */

static uint32_t
es_id_index_take(es_id_index_t *ids, uint8_t depth)
{
    es_id_bucket_t  *bucket;

    ES_ASSERT(ids->control->nbuckets < ids->room);

    bucket = &ids->buckets[ids->control->nbuckets];
    memset(bucket, 0, sizeof(*bucket));
    bucket->depth = depth;

    return ids->control->nbuckets++;
}


/* Makes the first bucket.  The files are those of a cleared index, or those
   that an emptied one has kept. */

static es_rc_t
es_id_index_begin(es_id_index_t *ids)
{
    es_rc_t   rc;
    uint32_t  i, first;

    rc = ES_OK;

    if (ids->directory == NULL) {
        rc = es_id_index_map_directory(ids, ES_ID_INDEX_DEPTH, true);
        ids->stuck = rc == ES_FULL;
        ids->control->depth = ids->depth;
    }

    if (rc == ES_OK && ids->room == 0) {
        rc = es_id_index_grow(ids, true);
    }

    if (rc != ES_OK) {
        return rc;
    }

    first = es_id_index_take(ids, 0);

    for (i = 0; i < UINT32_C(1) << ids->depth; i++) {
        ids->directory[i] = first;
    }

    return ES_OK;
}


/* Doubles the directory, from its end on. */

static es_rc_t
es_id_index_double(es_id_index_t *ids)
{
    es_rc_t   rc;
    uint32_t  i;

    rc = es_id_index_map_directory(ids, ids->depth + 1, true);
    if (rc != ES_OK) {
        ids->stuck = rc == ES_FULL;
        return rc;
    }

    es_id_index_busy(ids, 1);

    for (i = UINT32_C(1) << ids->depth; i-- > 0; /* void */ ) {
        ids->directory[i] = ids->directory[i / 2];
    }

    ids->control->depth = ids->depth;

    es_id_index_busy(ids, 0);

    return ES_OK;
}


static void
es_id_index_put(es_id_bucket_t *bucket, uint64_t slot)
{
    uint32_t  i;

    for (i = es_id_index_home((uint32_t) (slot >> 32)); bucket->slots[i] != 0;
         i = es_id_index_step(i)) { /* void */ }

    bucket->slots[i] = slot;
    bucket->count++;
}


/* Moves the slots of a bucket whose next bit is set to a new one. */

static void
es_id_index_split(es_id_index_t *ids, uint32_t tag)
{
    uint8_t          depth;
    uint32_t         i, n, from, to, first;
    uint64_t         slot;
    es_id_bucket_t   old, *bucket;

    es_id_index_busy(ids, 1);

    from = ids->directory[es_id_index_place(tag, ids->depth)];
    bucket = &ids->buckets[from];
    old = *bucket;
    depth = (uint8_t) (old.depth + 1);
    to = es_id_index_take(ids, depth);

    memset(bucket, 0, sizeof(*bucket));
    bucket->depth = depth;

    for (i = 0; i < ES_ID_INDEX_SLOTS; i++) {
        slot = old.slots[i];

        if (slot >> 32 != 0) {
            n = es_id_index_place((uint32_t) (slot >> 32), depth) & 1;
            es_id_index_put(&ids->buckets[n ? to : from], slot);
        }
    }

    n = UINT32_C(1) << (ids->depth - depth);
    first = (es_id_index_place(tag, depth) | 1) << (ids->depth - depth);

    for (i = first; i < first + n; i++) {
        ids->directory[i] = to;
    }

    es_id_index_busy(ids, 0);
}


/* True if the index has the slot, and finds its place.  Else it finds the free
   slot for it, in the last bucket of its tag, unless that one is full. */

static bool
es_id_index_has(const es_id_index_t *ids, uint64_t slot, es_id_index_at_t *at)
{
    uint32_t               tag, n, next;
    const es_id_bucket_t  *bucket;

    tag = (uint32_t) (slot >> 32);
    next = ids->directory[es_id_index_place(tag, ids->depth)];

    do {
        at->bucket = next;
        at->slot = es_id_index_home(tag);
        bucket = &ids->buckets[next];

        for (n = 0; n < ES_ID_INDEX_SLOTS && bucket->slots[at->slot] != 0;
             n++)
        {
            if (bucket->slots[at->slot] == slot) {
                return true;
            }

            at->slot = es_id_index_step(at->slot);
        }

        next = bucket->next;

    } while (next != 0);

    at->full = n == ES_ID_INDEX_SLOTS;

    return false;
}


/* Bits that no bucket may exceed: one id that is published again and again,
   and deleted each time, has slots that no bit tells apart. */

static uint32_t
es_id_index_deepest(const es_id_index_t *ids)
{
    uint32_t  n, depth;

    depth = ES_ID_INDEX_DEEPER;

    for (n = ids->control->nbuckets; n > 1; n /= 2) {
        depth++;
    }

    return depth < ES_ID_INDEX_DEPTH_MAX ? depth : ES_ID_INDEX_DEPTH_MAX;
}


/* A bucket that was added to another one is never split. */

static bool
es_id_index_splits(const es_id_index_t *ids, uint32_t tag, uint32_t bucket)
{
    return ids->directory[es_id_index_place(tag, ids->depth)] == bucket
           && ids->buckets[bucket].depth < es_id_index_deepest(ids);
}


/* Splits the full bucket of a tag, or adds another one to it. */

static es_rc_t
es_id_index_widen(es_id_index_t *ids, uint32_t tag, const es_id_index_at_t *at)
{
    es_rc_t   rc;
    uint32_t  added;

    if (ids->control->nbuckets == ids->room) {
        rc = es_id_index_grow(ids, at->full);
        if (rc != ES_OK) {
            return rc;
        }
    }

    if (!es_id_index_splits(ids, tag, at->bucket)) {
        added = es_id_index_take(ids, 0);
        ids->buckets[at->bucket].next = added;

        return ES_OK;
    }

    if (ids->buckets[at->bucket].depth == ids->depth) {
        rc = es_id_index_double(ids);
        if (rc != ES_OK) {
            return rc;
        }
    }

    es_id_index_split(ids, tag);

    return ES_OK;
}


es_rc_t
es_id_index_insert(es_id_index_t *ids, uint64_t hash, uint64_t sequence)
{
    es_rc_t           rc;
    uint32_t          tag;
    uint64_t          slot;
    es_id_bucket_t   *bucket;
    es_id_index_at_t  at;

    tag = es_id_index_tag(hash);
    slot = es_id_index_slot(tag, sequence);

    if (ids->control->nbuckets == 0) {
        rc = es_id_index_begin(ids);
        if (rc != ES_OK) {
            return rc;
        }
    }

    for ( ;; ) {
        if (es_id_index_has(ids, slot, &at)) {
            return ES_OK;
        }

        bucket = &ids->buckets[at.bucket];

        if (!at.full
            && (bucket->count < ES_ID_INDEX_FULL
                || !es_id_index_splits(ids, tag, at.bucket)))
        {
            break;
        }

        rc = es_id_index_widen(ids, tag, &at);

        if (rc != ES_OK) {
            if (at.full || rc != ES_FULL) {
                return rc;
            }

            bucket = &ids->buckets[at.bucket];
            break;
        }
    }

    bucket->slots[at.slot] = slot;
    bucket->count++;
    ids->control->used++;

    return ES_OK;
}


void
es_id_index_forget(es_id_index_t *ids, uint64_t hash, uint64_t sequence)
{
    uint64_t          slot;
    es_id_index_at_t  at;

    slot = es_id_index_slot(es_id_index_tag(hash), sequence);

    while (ids->control->nbuckets > 0 && es_id_index_has(ids, slot, &at)) {
        ids->buckets[at.bucket].slots[at.slot] = ES_ID_INDEX_GONE;
    }
}


bool
es_id_index_stuck(const es_id_index_t *ids, uint64_t n)
{
    return ids->stuck
           && ids->room > 0
           && n < (uint64_t) ids->room * ES_ID_INDEX_SLOTS / 3;
}
