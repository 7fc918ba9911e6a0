/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Packs the history of a feed, and unpacks it again.
 *
 * A run is the events of one full page of a feed.  Packing replaces a run's
 * chunks by packed ones (log/packed.h), mostly by a single one.  Sequences,
 * texts, digests, byte counts, subjects, times and publishers stay as they
 * are, so every answer has the same bytes before and after.
 *
 * A step reads and compresses in a read transaction, and then replaces the runs
 * in one write transaction.  That transaction leaves a run alone whose chunks
 * have changed since.  So two processes may pack the same feed at once, and a
 * process that is killed has replaced whole runs or none.
 *
 * Any thread may call these functions, except an event loop.  They need
 * ES_STORE_PUBLISH, or return ES_DENIED.
 */

#ifndef ES_PACK_H
#define ES_PACK_H

#include "base/base.h"

#define ES_PACK_RUNS_MAX  64     /* runs in one step */
#define ES_PACK_TAIL      100    /* events after the last run that is packed,
                                    which the readers at the head read */

typedef struct {
    uint64_t  next;            /* the next step begins after this sequence */
    bool      done;            /* the feed has no full run after it */
    uint64_t  runs;            /* replaced */
    uint64_t  events;          /* in these */
    uint64_t  chunks;          /* that these had before */
    uint64_t  before;          /* bytes of their chunks before, and after */
    uint64_t  after;
    uint64_t  damaged;         /* runs that stay as they are for that */
    uint64_t  damaged_at;      /* the first sequence of the first of them */
} es_packed_runs_t;

/*
 * Packs at most `max` runs after the sequence `after`, at `level` of zstd (1 to
 * 19).  It looks at some more runs that are packed already, and at none of the
 * last ES_PACK_TAIL events.  A run that cannot be packed stays as it is: a
 * damaged one, or one whose first events are no longer kept.
 *
 * ES_FULL: the log has no room for the copies.  ES_NOT_FOUND: no such feed.
 */
es_rc_t es_pack_step(es_store_t *store, es_str_t feed, uint64_t after,
    unsigned max, unsigned level, es_packed_runs_t *packed);

/*
 * Unpacks at most `max` runs after the sequence `after`, for a program that
 * does not know packed chunks.  `packed` counts as above.  ES_CORRUPT: a run
 * is damaged.
 */
es_rc_t es_unpack_step(es_store_t *store, es_str_t feed, uint64_t after,
    unsigned max, es_packed_runs_t *packed);

#endif /* ES_PACK_H */
