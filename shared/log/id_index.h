/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds an event by (source, id), so that each event is stored once.
 *
 * A B-tree over hashes would dirty one page for every event and write it at
 * each commit; at ten million events that costs several times the log itself.
 * This index is derived data instead: memory-mapped files of hash slots beside
 * the log.  No commit syncs them.  They are filled again from the log when
 * they cannot be trusted (another boot, another store, or behind the log).
 *
 * A slot is 32 bits of the hash and the last 32 of the sequence.  It is a hint:
 * the caller compares the event itself, so slots of an aborted transaction or an
 * expired event do no harm.  Only one thing must hold: every committed event
 * has its slot, because slots are written before the commit.
 *
 * A look-up reads one bucket of 4 KB, in a log of any length.  A bucket is split
 * when it is seven eighths full.  So an event takes 9 to 19 bytes.
 *
 * All functions need the log's writer lock.
 */

#ifndef ES_ID_INDEX_H
#define ES_ID_INDEX_H

#include "base/base.h"

typedef struct es_id_index  es_id_index_t;

typedef struct {
    uint32_t  tag;
    uint32_t  bucket;
    uint32_t  slot;
    uint32_t  steps;
    uint64_t  last;
    uint64_t  sequence;        /* the last one that was found */
} es_id_index_iter_t;

/*
 * Maps the index in `dir`, which is made in the directory `store` if it is
 * missing.  If `*trusted` is false, the index is empty and must be filled.
 * Errors of the system are recorded (reason.h).
 */
es_rc_t es_id_index_open(const char *store, const char *dir, uint64_t identity,
    uint64_t published, es_id_index_t **ids, bool *trusted);
void es_id_index_close(es_id_index_t *ids);

/*
 * Maps what another process has added.  Called at the start of each transaction.
 * ES_CORRUPT: a process died while it filled the index or split a bucket, and
 * the index must be opened anew.
 */
es_rc_t es_id_index_refresh(es_id_index_t *ids);

/* Clears the index, which must then be filled. */
es_rc_t es_id_index_clear(es_id_index_t *ids);

/* Iterates over the sequences up to `last` that may have a hash.  False: there are
   no more. */
void es_id_index_find(const es_id_index_t *ids, uint64_t hash, uint64_t last,
    es_id_index_iter_t *iter);
bool es_id_index_next(const es_id_index_t *ids, es_id_index_iter_t *iter,
    uint64_t *sequence);

/* Prefetches the slots of a hash. */
void es_id_index_prefetch(const es_id_index_t *ids, uint64_t hash);

/* ES_FULL with errno ENOSPC: there is no room for another bucket, and the one
   for this hash is full. */
es_rc_t es_id_index_insert(es_id_index_t *ids, uint64_t hash,
    uint64_t sequence);

/* Clears the slot of an event whose (source, id) was erased.  It may be
   missing. */
void es_id_index_forget(es_id_index_t *ids, uint64_t hash, uint64_t sequence);

/* Declares that all events up to this publishing transaction have their
   slots. */
void es_id_index_mark(es_id_index_t *ids, uint64_t published);

/* Ends a filling.  Until then no process trusts the index. */
void es_id_index_trust(es_id_index_t *ids);

/* True if an insert found no room for a bucket, and those that there are would
   hold `n` events. */
bool es_id_index_stuck(const es_id_index_t *ids, uint64_t n);

/* Clears the index but keeps the files' blocks on disk.  The caller fills
   it again. */
void es_id_index_empty(es_id_index_t *ids);

#endif /* ES_ID_INDEX_H */
