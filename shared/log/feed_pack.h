/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whether the history of a feed is packed, and how.
 *
 * The setting is in the log's `meta`, apart from the feed's record.  A program
 * that does not know packed history writes that record at each publish, and
 * would lose a member that it does not know.
 */

#ifndef ES_FEED_PACK_H
#define ES_FEED_PACK_H

#include <lmdb.h>

#include "log/chunk.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_PACK_OFF      0
#define ES_PACK_LEVEL    1     /* of zstd: for "on" */
#define ES_PACK_MAX     19     /* the levels above need much more memory */

/*
 * Reads a feed's level of zstd, 1 to ES_PACK_MAX; ES_PACK_OFF: what is not
 * packed yet stays so.  A feed without a setting is off.  ES_CORRUPT: another
 * value is stored.
 */
es_rc_t es_feed_pack_get(es_txn_t *txn, uint32_t feed, unsigned *level);

/* Packs a chunk again that was unpacked and changed, at the feed's level, also
   if the feed is off now.  Within a write transaction of the log.  Outcomes are
   those of es_packed_encode(), which appends to `out`. */
es_rc_t es_feed_pack_again(es_store_t *store, MDB_txn *txn, uint32_t feed,
    const es_chunk_t *chunk, es_buf_t *out);

/* The same as the first within a write transaction of the log. */
es_rc_t es_feed_pack_load(es_store_t *store, MDB_txn *txn, uint32_t feed,
    unsigned *level);
es_rc_t es_feed_pack_save(es_store_t *store, MDB_txn *txn, uint32_t feed,
    unsigned level);

#endif /* ES_FEED_PACK_H */
