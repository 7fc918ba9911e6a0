/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Overwrites what is left of erased events: the slots of the id index, and
 * bytes in the files that no record has any more.
 */

#include <unistd.h>

#include "erase/erase.h"
#include "log/chunk.h"
#include "log/erased.h"
#include "log/feed.h"
#include "log/feed_record.h"
#include "log/id_index_fill.h"
#include "log/rechain.h"
#include "log/subject.h"
#include "store/env.h"
#include "store/scrub.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_ERASE_SLOTS  1000   /* in one transaction */

typedef struct {
    es_store_t  *store;
    es_slice_t   slice;
    uint64_t     count;        /* of erasures */
    bool         more;
} es_erase_end_t;


static es_rc_t
es_erase_slots(MDB_txn *txn, void *ctx)
{
    es_rc_t          rc;
    es_erasures_t    erasures;
    es_erase_end_t  *end = ctx;

    rc = es_erasures_load(end->store, txn, &erasures);
    end->count = erasures.count;
    end->more = false;

    if (rc != ES_OK || erasures.count == 0) {
        return rc;
    }

    rc = es_id_index_ready(end->store, txn);

    return rc == ES_OK ? es_erasing_clear(end->store, txn, end->slice.max,
                                          &end->more) : rc;
}


static es_rc_t
es_erase_note(MDB_txn *txn, void *ctx)
{
    es_erase_end_t  *end = ctx;

    return es_meta_put(end->store, txn, ES_META_SCRUBBED, end->count);
}


es_rc_t
es_erase_finish(es_store_t *store, int64_t wait_ms, es_scrub_t *scrub)
{
    es_rc_t         rc;
    es_erase_end_t  end = { .store = store,
                            .slice = { ES_ERASE_SLOTS, ES_ERASE_SLOTS } };

    memset(scrub, 0, sizeof(*scrub));

    do {
        rc = es_env_shrink(store->log, es_erase_slots, &end, &end.slice);
    } while (rc == ES_OK && end.more);

    if (rc != ES_OK || end.count == 0) {
        return rc;
    }

    /* after the count, which then tells of no chain that is not complete */

    rc = es_rechain(store);

    if (rc == ES_OK) {
        rc = es_env_scrub(store->log, wait_ms, scrub);
    }

    return rc == ES_OK ? es_env_shrink(store->log, es_erase_note, &end,
                                       &end.slice) : rc;
}


es_rc_t
es_erase_bounds(es_store_t *store, es_str_t name, es_str_t text)
{
    es_rc_t       rc;
    uint8_t       bytes[ES_SUBJECT_KEY_MAX];
    es_str_t      key;
    es_txn_t     *txn;
    es_feed_t     feed;
    es_subject_t  subject;

    rc = es_txn_begin(store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_feed_get(txn, name, &feed);

    if (rc == ES_OK) {
        rc = es_subject_load(store, txn->mdb, feed.number, text, &subject);
    }

    es_txn_end(txn);

    if (rc != ES_NOT_FOUND) {
        return rc;
    }

    key.len = es_subject_key(feed.number, text, bytes);
    key.data = (const char *) bytes;

    return es_env_scrub_key(store->log, ES_LOG_SUBJECTS, key);
}


es_rc_t
es_erase_state(es_store_t *store, uint64_t *erased, uint64_t *finished)
{
    es_rc_t    rc;
    es_txn_t  *txn;

    rc = es_txn_begin(store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_erasures_count(txn, erased);

    if (rc == ES_OK) {
        rc = es_meta_get(store, txn->mdb, ES_META_SCRUBBED, finished);
    }

    es_txn_end(txn);

    return rc;
}
