/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How many events answers have, by feed, in shared memory.
 *
 * A table of fixed size has a record for each feed that was read.  A record is
 * never given away, so that no count ever falls.  Feeds for which there is no
 * room are counted together.  Any number of processes count at once, without a
 * lock.
 */

#ifndef ES_BATCHES_H
#define ES_BATCHES_H

#include "base/base.h"

typedef struct es_batches_s  es_batches_t;

typedef struct {
    uint64_t  answers;
    uint64_t  events;
} es_batch_figures_t;

/* Returns the bytes of a table for this many feeds. */
size_t es_batches_size(size_t feeds);

/* Makes a table in zeroed memory of es_batches_size(feeds) bytes, aligned to 8.
   `feeds` is at least 1. */
void es_batches_init(es_batches_t *batches, size_t feeds);

/* Counts an answer with events of the feed with this number, which is not 0. */
void es_batches_count(es_batches_t *batches, uint32_t feed, uint64_t events);

/* Reads the figures of a feed, or with 0 those of the feeds without a record.
   All are 0 if there are none. */
void es_batches_get(const es_batches_t *batches, uint32_t feed,
    es_batch_figures_t *figures);

#endif /* ES_BATCHES_H */
