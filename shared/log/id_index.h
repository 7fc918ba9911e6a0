/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds an event by (source, id), so that it is stored once.
 *
 * A B-tree over hashes would dirty a page of its own for every event and
 * write it at each commit; at ten million events that costs several times the
 * log itself.  This index is derived data instead: memory-mapped files of
 * hash slots beside the log, never synced by a commit, rebuilt from the log
 * when they cannot be trusted (another boot, another store, behind the log).
 *
 * A slot is 24 bits of the hash and a 40-bit sequence: a hint.  Who finds one
 * compares the event itself, so slots left by an aborted transaction or an
 * expired event do no harm.  What must hold is only that every committed event
 * has its slot: they are written before the commit.
 *
 * Each table has four times the slots of the one before, and none is ever
 * rehashed: a look-up probes each (five at ten million events).  Everything
 * here needs the log's writer lock.
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
 * missing.  `*trusted` is false when the index must be filled anew: it is then
 * empty.  What the system refuses is recorded (reason.h).
 */
es_rc_t es_id_index_open(const char *store, const char *dir, uint64_t identity,
    uint64_t published, es_id_index_t **ids, bool *trusted);
void es_id_index_close(es_id_index_t *ids);

/* Adopts tables that another process has added; at each transaction's start.
   ES_CORRUPT: a process has died while it filled the index; open it anew. */
es_rc_t es_id_index_refresh(es_id_index_t *ids);

/* Forgets everything; to be filled anew. */
es_rc_t es_id_index_clear(es_id_index_t *ids);

/* Candidates for a hash: sequences, one a call, until false. */
void es_id_index_find(const es_id_index_t *ids, uint64_t hash,
    es_id_index_iter_t *iter);
bool es_id_index_next(const es_id_index_t *ids, es_id_index_iter_t *iter,
    uint64_t *sequence);

/* Brings a hash's slots into the cache. */
void es_id_index_prefetch(const es_id_index_t *ids, uint64_t hash);

/* ES_FULL with errno ENOSPC when a new table finds no room, and the last one
   is full to seven eighths. */
es_rc_t es_id_index_insert(es_id_index_t *ids, uint64_t hash,
    uint64_t sequence);

/* Declares that every event up to this publishing transaction has its slot. */
void es_id_index_mark(es_id_index_t *ids, uint64_t published);

/* Ends a filling: until then nobody takes the index for a whole one. */
void es_id_index_trust(es_id_index_t *ids);

/* Has an insert found no room for a table, and would the last table do for `n`
   events, if all others were forgotten? */
bool es_id_index_stuck(const es_id_index_t *ids, uint64_t n);

/* Forgets everything and keeps the tables' places on disk; to be filled
   anew. */
void es_id_index_empty(es_id_index_t *ids);

#endif /* ES_ID_INDEX_H */
