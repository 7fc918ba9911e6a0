/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A fixed number of rate meters in shared memory, for keys that
 * anybody can make up, such as addresses.
 *
 * A key has one of the eight meters of its set.  A key that is charged and has
 * none takes that of the key which has used the least, with what was used: so
 * memory is bounded, who floods the table with keys gets nothing by it, and a
 * key is never judged better than it deserves (the "space-saving" algorithm).
 * A key that was never charged is never refused.
 *
 * Approximate where two keys meet in a meter at the same moment: then one
 * charge can be forgotten.
 */

#ifndef ES_METERS_H
#define ES_METERS_H

#include "limit/gcra.h"

typedef struct es_meters_s  es_meters_t;

/* Bytes of a table of so many sets of eight. */
size_t es_meters_size(size_t sets);

/* Makes a table in zeroed memory of es_meters_size(sets) bytes, aligned to 8;
   `sets` is at least 1.  ES_IO: there is no randomness to be had. */
es_rc_t es_meters_init(es_meters_t *meters, size_t sets);

/* A key of bytes, under the table's own secret. */
uint64_t es_meters_key(const es_meters_t *meters, const void *data,
    size_t len);

/* As es_gcra_peek() and es_gcra_take(). */
es_gcra_t es_meters_peek(es_meters_t *meters, uint64_t key,
    const es_rate_t *rate, uint64_t now_ns, uint64_t cost);
es_gcra_t es_meters_take(es_meters_t *meters, uint64_t key,
    const es_rate_t *rate, uint64_t now_ns, uint64_t cost);

/* Gives back what was taken, if the key still has its meter. */
void es_meters_refund(es_meters_t *meters, uint64_t key,
    const es_rate_t *rate, uint64_t cost);

#endif /* ES_METERS_H */
