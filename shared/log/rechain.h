/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes the digest chain of a feed anew, after digests of erased events were
 * dropped.
 *
 * Whoever has a value of the old chain and all other events can test a guess of
 * an erased one.  So each chunk after it gets the value that follows from the
 * tombstone's own text, and the feed gets it last.
 *
 * That takes many transactions.  The feed's record says how far they have come
 * (es_rechain_t): what is before `next` is of the new chain, and the values
 * after it prove nothing.  Publishers go on beside it.  They continue the old
 * chain, and the last transaction has all of their chunks.
 */

#ifndef ES_RECHAIN_H
#define ES_RECHAIN_H

#include "log/chunk.h"
#include "log/feed.h"

/* Notes in `feed`, which the caller saves, that the chain must be made anew
   from the chunk on, in which a digest was dropped. */
void es_rechain_from(es_feed_t *feed, const es_chunk_t *chunk);

/* True if the feed's chain has a value D(sequence) that proves something. */
static inline bool
es_rechain_has(const es_feed_t *feed, uint64_t sequence)
{
    return !feed->rechained || sequence + 1 < feed->rechain.next;
}

/*
 * Completes the chains of all feeds.  Needs ES_STORE_PUBLISH.  Pauses between
 * transactions.  ES_CORRUPT: a chunk is damaged.
 */
es_rc_t es_rechain(es_store_t *store);

#endif /* ES_RECHAIN_H */
