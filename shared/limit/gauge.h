/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts requests under way for each key, across processes, in shared memory.
 *
 * Each process that counts has a slot (0 to ES_GAUGE_PLACES - 1; nginx's
 * process slot) and one word for each key that it holds.  The counts of a
 * killed process can therefore be found and dropped: by the next process in
 * its slot, or by a process whose request they would refuse.  Every change
 * writes one word, so a kill at any moment leaves no wrong count.
 *
 * The number of words is fixed, and bounds the (key, process) pairs that can
 * be counted at once.
 */

#ifndef ES_GAUGE_H
#define ES_GAUGE_H

#include "base/base.h"

#define ES_GAUGE_PLACES  1024

typedef struct es_gauge_s  es_gauge_t;

/* Returns the bytes of a gauge with this many words. */
size_t es_gauge_size(size_t words);

/* Makes a gauge in zeroed memory of es_gauge_size(words) bytes, aligned to
   8.  `words` is at least 1. */
void es_gauge_init(es_gauge_t *gauge, size_t words);

/* Begins to count in the slot and drops the counts of the process before,
   which must be dead. */
void es_gauge_start(es_gauge_t *gauge, unsigned place);

/*
 * Counts one more of the key.  ES_FULL: `max` are under way already.
 * ES_NOMEM: no word is free.  Exact under any concurrency.
 */
es_rc_t es_gauge_enter(es_gauge_t *gauge, unsigned place, uint32_t key,
    uint64_t max);

/* Counts one less.  A key that this slot does not hold is ignored. */
void es_gauge_leave(es_gauge_t *gauge, unsigned place, uint32_t key);

/* True if the process that began to count in the slot is alive. */
bool es_gauge_alive(const es_gauge_t *gauge, unsigned place);

/* Returns how many of the key are under way. */
uint64_t es_gauge_count(const es_gauge_t *gauge, uint32_t key);

#endif /* ES_GAUGE_H */
