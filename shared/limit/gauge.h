/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How many things of each key are under way, counted across
 * processes in shared memory.
 *
 * Each process that counts has a place (0 to ES_GAUGE_PLACES - 1; nginx's
 * process slot), and a word of its own for each key that it holds, so that
 * what a killed process held can be told and dropped: by the next process in
 * its place, or by whoever would be refused because of it.  Every change is a
 * single word, so there is no moment at which a kill leaves a wrong count.
 *
 * The number of words is fixed: it bounds how many (key, process) pairs can
 * be counted at once.
 */

#ifndef ES_GAUGE_H
#define ES_GAUGE_H

#include "base/base.h"

#define ES_GAUGE_PLACES  1024

typedef struct es_gauge_s  es_gauge_t;

/* Bytes of a gauge of so many words; so many words fit into the bytes. */
size_t es_gauge_size(size_t words);

/* Makes a gauge in zeroed memory of es_gauge_size(words) bytes, aligned to 8;
   `words` is at least 1. */
void es_gauge_init(es_gauge_t *gauge, size_t words);

/* This process begins to count in the place, and what the one before it held
   is dropped.  That one must be dead. */
void es_gauge_start(es_gauge_t *gauge, unsigned place);

/*
 * Counts one more of the key, unless `max` are under way already (ES_FULL).
 * ES_NOMEM: no word is free.  Exact under any concurrency.
 */
es_rc_t es_gauge_enter(es_gauge_t *gauge, unsigned place, uint32_t key,
    uint64_t max);

/* Counts one less; what was never entered is passed over. */
void es_gauge_leave(es_gauge_t *gauge, unsigned place, uint32_t key);

/* The process that began to count in the place lives. */
bool es_gauge_alive(const es_gauge_t *gauge, unsigned place);

/* How many of the key are under way. */
uint64_t es_gauge_count(const es_gauge_t *gauge, uint32_t key);

#endif /* ES_GAUGE_H */
