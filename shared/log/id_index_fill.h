/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The id index as part of a store.  It is opened with the first publish, and
 * filled from the log if it cannot be trusted.  Needs the log's writer lock.
 */

#ifndef ES_ID_INDEX_FILL_H
#define ES_ID_INDEX_FILL_H

#include "log/chunk.h"
#include "store/store.h"

#define ES_META_PUBLISHED  "published"    /* last publishing transaction */
#define ES_META_TYPES      "types"        /* last event type's number */

/* Makes the index ready.  After ES_OK it finds every committed event. */
es_rc_t es_id_index_ready(es_store_t *store, MDB_txn *txn);

/* Computes the hashes of the (source, id) of all events of the chunk, and
   prefetches their slots.  An event outside of the record has the hash 0. */
void es_id_index_hashes(es_store_t *store, uint32_t feed,
    const es_chunk_t *chunk, uint64_t hashes[ES_CHUNK_COUNT]);

/* ES_OK: the index has a slot for this event.  ES_NOT_FOUND: it has none. */
es_rc_t es_id_index_check(es_store_t *store, uint64_t hash, uint64_t sequence);

#endif /* ES_ID_INDEX_FILL_H */
