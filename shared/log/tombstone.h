/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The tombstone that stands for an erased event.
 */

#ifndef ES_TOMBSTONE_H
#define ES_TOMBSTONE_H

#include "log/chunk.h"
#include "log/feed.h"

/*
 * Makes the record of a chunk in which the events of `which` are tombstones.
 * A tombstone has the event's type, time, sequence, cursor and prevcursor, an
 * id and a source of its own, and the extensions "erased" and "digest".  Events
 * that are erased already stay.
 *
 * `drop`: the tombstones of `which`, also those that there are already, have no
 * "digest".  The digest chain then counts their own texts, so the caller must
 * have the chain made anew (es_rechain_from() of log/rechain.h).
 *
 * `unlinked`: those events are in no subject's chain any more, so their entries
 * say nothing of it.  `out` is replaced.  ES_CORRUPT, ES_NOMEM.
 */
es_rc_t es_erased_chunk(const es_feed_t *feed, const es_chunk_t *chunk,
    const bool which[ES_CHUNK_COUNT], const bool unlinked[ES_CHUNK_COUNT],
    bool drop, es_buf_t *out);

#endif /* ES_TOMBSTONE_H */
