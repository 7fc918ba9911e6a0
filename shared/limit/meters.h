/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A fixed number of rate meters in shared memory, for keys that clients can
 * invent, such as addresses.
 *
 * A key has one of the eight meters of its set.  A charged key without a meter
 * takes over that of the key with the least use, together with that use (the
 * "space-saving" algorithm of Metwally, Agrawal and El Abbadi, 2005).  So
 * memory is bounded, a flood of keys gains nothing, and a key never gets more
 * than its rate.  A key that was never charged is never refused.
 *
 * If two keys take over one meter at the same moment, one charge can be lost.
 */

#ifndef ES_METERS_H
#define ES_METERS_H

#include "limit/gcra.h"

typedef struct es_meters_s  es_meters_t;

/* Returns the bytes of a table with this many sets. */
size_t es_meters_size(size_t sets);

/* Makes a table in zeroed memory of es_meters_size(sets) bytes, aligned to
   8.  `sets` is at least 1.  ES_IO: the kernel gives no random bytes. */
es_rc_t es_meters_init(es_meters_t *meters, size_t sets);

/* Hashes bytes to a key, with the table's own secret. */
uint64_t es_meters_key(const es_meters_t *meters, const void *data,
    size_t len);

/* As es_gcra_peek() and es_gcra_take(). */
es_gcra_t es_meters_peek(es_meters_t *meters, uint64_t key,
    const es_rate_t *rate, uint64_t now_ns, uint64_t cost);
es_gcra_t es_meters_take(es_meters_t *meters, uint64_t key,
    const es_rate_t *rate, uint64_t now_ns, uint64_t cost);

/* Returns a charge, if the key still has its meter. */
void es_meters_refund(es_meters_t *meters, uint64_t key,
    const es_rate_t *rate, uint64_t cost);

#endif /* ES_METERS_H */
