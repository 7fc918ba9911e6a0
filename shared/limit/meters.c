/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sets of eight meters.  A key's hash selects its set.
 */

#include <stdatomic.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/random.h"
#include "limit/gcra.h"
#include "limit/meters.h"

#define ES_METERS_WAYS  8

typedef struct {
    _Atomic uint64_t  key;       /* 0: never used */
    _Atomic uint64_t  tat;
} es_meter_t;

struct es_meters_s {
    uint64_t    seed;
    uint64_t    nsets;
    es_meter_t  meters[];
};


size_t
es_meters_size(size_t sets)
{
    return sizeof(es_meters_t) + sets * ES_METERS_WAYS * sizeof(es_meter_t);
}


es_rc_t
es_meters_init(es_meters_t *meters, size_t sets)
{
    meters->nsets = sets;

    return es_random(&meters->seed, sizeof(meters->seed));
}


uint64_t
es_meters_key(const es_meters_t *meters, const void *data, size_t len)
{
    return XXH3_64bits_withSeed(data, len, meters->seed) | 1;
}


static es_meter_t *
es_meters_find(const es_meters_t *meters, uint64_t key)
{
    unsigned           i;
    const es_meter_t  *set;

    set = &meters->meters[(key >> 1) % meters->nsets * ES_METERS_WAYS];

    for (i = 0; i < ES_METERS_WAYS; i++) {

        if (atomic_load_explicit(&set[i].key, memory_order_relaxed) == key) {
            return (es_meter_t *) (uintptr_t) &set[i];
        }
    }

    return NULL;
}


/* The meter that has used the least now belongs to this key. */

static es_meter_t *
es_meters_claim(es_meters_t *meters, uint64_t key)
{
    unsigned     i;
    uint64_t     tat, least;
    es_meter_t  *set, *meter;

    set = &meters->meters[(key >> 1) % meters->nsets * ES_METERS_WAYS];
    meter = set;
    least = UINT64_MAX;

    for (i = 0; i < ES_METERS_WAYS; i++) {
        tat = atomic_load_explicit(&set[i].tat, memory_order_relaxed);

        if (tat < least) {
            least = tat;
            meter = &set[i];
        }
    }

    atomic_store_explicit(&meter->key, key, memory_order_relaxed);

    return meter;
}


es_gcra_t
es_meters_peek(es_meters_t *meters, uint64_t key, const es_rate_t *rate,
    uint64_t now_ns, uint64_t cost)
{
    es_meter_t        *meter;
    _Atomic uint64_t   full = 0;

    meter = es_meters_find(meters, key);

    return es_gcra_peek(meter != NULL ? &meter->tat : &full, rate, now_ns,
                        cost);
}


es_gcra_t
es_meters_take(es_meters_t *meters, uint64_t key, const es_rate_t *rate,
    uint64_t now_ns, uint64_t cost)
{
    es_meter_t  *meter;

    meter = es_meters_find(meters, key);

    if (meter == NULL) {
        meter = es_meters_claim(meters, key);
    }

    return es_gcra_take(&meter->tat, rate, now_ns, cost);
}


void
es_meters_refund(es_meters_t *meters, uint64_t key, const es_rate_t *rate,
    uint64_t cost)
{
    es_meter_t  *meter;

    meter = es_meters_find(meters, key);

    if (meter != NULL) {
        es_gcra_refund(&meter->tat, rate, cost);
    }
}
