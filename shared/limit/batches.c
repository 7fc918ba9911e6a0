/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A hash table of feeds' numbers.  The record before the first one is that of
 * the feeds for which there is no room.
 */

#include <stdatomic.h>

#include "limit/batches.h"

#define ES_BATCHES_PROBES  16

typedef struct {
    _Atomic uint64_t  feed;    /* 0: free */
    _Atomic uint64_t  answers;
    _Atomic uint64_t  events;
} es_batches_record_t;

struct es_batches_s {
    uint64_t             n;
    es_batches_record_t  rest;
    es_batches_record_t  records[];
};


size_t
es_batches_size(size_t feeds)
{
    return sizeof(es_batches_t) + feeds * sizeof(es_batches_record_t);
}


void
es_batches_init(es_batches_t *batches, size_t feeds)
{
    batches->n = feeds;
}


/* Numbers are given one after the other, so they need no better hash. */

static size_t
es_batches_place(const es_batches_t *batches, uint32_t feed, size_t probe)
{
    return (feed + probe) % batches->n;
}


static es_batches_record_t *
es_batches_record(es_batches_t *batches, uint32_t feed)
{
    size_t                i;
    uint64_t              found;
    es_batches_record_t  *record;

    for (i = 0; i < ES_BATCHES_PROBES && i < batches->n; i++) {
        record = &batches->records[es_batches_place(batches, feed, i)];
        found = atomic_load_explicit(&record->feed, memory_order_relaxed);

        if (found == feed
            || (found == 0
                && (atomic_compare_exchange_strong(&record->feed, &found, feed)
                    || found == feed)))
        {
            return record;
        }
    }

    return &batches->rest;
}


void
es_batches_count(es_batches_t *batches, uint32_t feed, uint64_t events)
{
    es_batches_record_t  *record;

    record = es_batches_record(batches, feed);

    (void) atomic_fetch_add_explicit(&record->answers, 1,
                                     memory_order_relaxed);
    (void) atomic_fetch_add_explicit(&record->events, events,
                                     memory_order_relaxed);
}


static const es_batches_record_t *
es_batches_find(const es_batches_t *batches, uint32_t feed)
{
    size_t                      i;
    const es_batches_record_t  *record;

    for (i = 0; i < ES_BATCHES_PROBES && i < batches->n; i++) {
        record = &batches->records[es_batches_place(batches, feed, i)];

        if (atomic_load_explicit(&record->feed, memory_order_relaxed)
            == feed)
        {
            return record;
        }
    }

    return NULL;
}


void
es_batches_get(const es_batches_t *batches, uint32_t feed,
    es_batch_figures_t *figures)
{
    const es_batches_record_t  *record;

    record = &batches->rest;

    if (feed != 0) {
        record = es_batches_find(batches, feed);
    }

    figures->answers = 0;
    figures->events = 0;

    if (record != NULL) {
        figures->answers = atomic_load_explicit(&record->answers,
                                                memory_order_relaxed);
        figures->events = atomic_load_explicit(&record->events,
                                               memory_order_relaxed);
    }
}
