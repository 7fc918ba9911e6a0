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
 * A slot is 24 bits of the hash and a 40-bit sequence.  It is a hint: the
 * caller compares the event itself, so slots of an aborted transaction or an
 * expired event do no harm.  Only one thing must hold: every committed event
 * has its slot, because slots are written before the commit.
 *
 * Each table has four times the slots of the one before, and no table is ever
 * rehashed.  A look-up reads all tables (five at ten million events).
 *
 * All functions need the log's writer lock.
 */

#ifndef ES_ID_INDEX_H
#define ES_ID_INDEX_H

#include "base/base.h"

#define ES_ID_INDEX_TABLES_MAX  12

typedef struct es_id_index  es_id_index_t;

typedef struct {
    uint64_t  hash;
    int       table;
    uint64_t  slot;
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
 * Maps tables that another process has added.  Called at the start of each
 * transaction.  ES_CORRUPT: a process died while it filled the index, which
 * must be opened anew.
 */
es_rc_t es_id_index_refresh(es_id_index_t *ids);

/* Clears the index, which must then be filled. */
es_rc_t es_id_index_clear(es_id_index_t *ids);

/* Iterates over the sequences that may have a hash.  False: there are no
   more. */
void es_id_index_find(const es_id_index_t *ids, uint64_t hash,
    es_id_index_iter_t *iter);
bool es_id_index_next(const es_id_index_t *ids, es_id_index_iter_t *iter,
    uint64_t *sequence);

/* Prefetches the slots of a hash. */
void es_id_index_prefetch(const es_id_index_t *ids, uint64_t hash);

/* ES_FULL with errno ENOSPC: there is no room for another table, and the
   last one is full to seven eighths. */
es_rc_t es_id_index_insert(es_id_index_t *ids, uint64_t hash,
    uint64_t sequence);

/* Clears what the slot of an event says of its (source, id), which was erased.
   The slot stays in use.  It may be missing. */
void es_id_index_forget(es_id_index_t *ids, uint64_t hash, uint64_t sequence);

/* Declares that all events up to this publishing transaction have their
   slots. */
void es_id_index_mark(es_id_index_t *ids, uint64_t published);

/* Ends a filling.  Until then no process trusts the index. */
void es_id_index_trust(es_id_index_t *ids);

/* True if an insert found no room for a table, and the last table alone
   would hold `n` events. */
bool es_id_index_stuck(const es_id_index_t *ids, uint64_t n);

/* Clears the index but keeps the tables' blocks on disk.  The caller fills
   it again. */
void es_id_index_empty(es_id_index_t *ids);

#endif /* ES_ID_INDEX_H */
