/* SPDX-License-Identifier: BSD-2-Clause */

/* Finds how far the history of a feed is packed. */

#include "log/chunk.h"
#include "pack/pack.h"
#include "pack/position.h"
#include "store/env.h"
#include "store/store.h"


uint64_t
es_pack_end(const es_feed_t *feed)
{
    return feed->last > ES_PACK_TAIL
           ? (feed->last - ES_PACK_TAIL) / feed->page_size * feed->page_size
           : 0;
}


/* Whether the chunk with the sequence is packed.  Its bytes are not checked
   here: the step that reads it does that. */

static es_rc_t
es_pack_is(MDB_cursor *cursor, uint32_t feed, uint64_t sequence, bool *packed)
{
    es_rc_t                 rc;
    MDB_val                 key, value;
    const es_chunk_head_t  *head;

    rc = es_chunk_find(cursor, feed, sequence, &key, &value);

    if (rc == ES_OK) {
        head = value.mv_data;
        *packed = value.mv_size >= sizeof(*head)
                  && head->form != ES_CHUNK_PLAIN;
    }

    return rc;
}


es_rc_t
es_pack_position(es_txn_t *txn, const es_feed_t *feed, uint64_t *after)
{
    bool         packed;
    es_rc_t      rc;
    uint64_t     run, first, end;
    MDB_cursor  *cursor;

    first = (feed->oldest - 1) / feed->page_size;
    end = es_pack_end(feed) / feed->page_size;

    rc = es_env_rc(mdb_cursor_open(txn->mdb, es_env_dbi(txn->store->log,
                                                        ES_LOG_EVENTS),
                                   &cursor));
    if (rc != ES_OK) {
        return rc;
    }

    while (rc == ES_OK && first < end) {
        run = first + (end - first) / 2;
        rc = es_pack_is(cursor, feed->number, (run + 1) * feed->page_size,
                        &packed);

        if (rc == ES_OK && packed) {
            first = run + 1;

        } else {
            end = run;
        }
    }

    mdb_cursor_close(cursor);
    *after = first * feed->page_size;

    return rc;
}
