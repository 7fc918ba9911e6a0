/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Takes the bytes of answers to erased events.
 */

#include <stdlib.h>

#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/erased_answers.h"
#include "log/chunk.h"
#include "log/erased.h"
#include "store/env.h"
#include "store/scrub.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_META_ERASED_ANSWERS  "erased"
#define ES_ANSWERS_MOST   10000    /* erasures at once */
#define ES_ANSWERS_SLICE  5000     /* attempts examined in one transaction */
#define ES_ANSWERS_BATCH  1000     /* an attempt may be of so many events; its
                                      sequence is that of the first */
#define ES_ANSWERS_WAIT_MS  5000
#define ES_ANSWERS_LATE_MS  3600000    /* an attempt may have an event that was
                                          read so long before */

typedef struct {
    uint32_t  feed;
    uint64_t  sequence;
} es_answered_t;

typedef struct {
    es_store_t   *store;
    es_answered_t  *erased;      /* in order */
    size_t        n;
    uint64_t      last;        /* number of the last erasure */
    es_slice_t    slice;
    uint8_t       next[ES_ATTEMPT_KEY_LEN];
    bool          done;
} es_answers_t;


static int
es_answered_cmp(const void *a, const void *b)
{
    const es_answered_t  *x = a, *y = b;

    if (x->feed != y->feed) {
        return x->feed < y->feed ? -1 : 1;
    }

    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}


static es_rc_t
es_answers_add(void *ctx, uint64_t number, const es_erasure_t *erasure)
{
    es_answers_t  *a = ctx;

    if (a->n == ES_ANSWERS_MOST) {
        return ES_STOP;
    }

    a->erased[a->n++] = (es_answered_t) { erasure->feed, erasure->sequence };
    a->last = number;

    return ES_OK;
}


/* True if one of the erased events is the attempt's, or may be in its batch. */

static bool
es_answers_has(const es_answers_t *a, uint32_t feed, uint64_t sequence)
{
    size_t              low, high, middle;
    const es_answered_t  *found;

    const es_answered_t  key = { feed, sequence };

    for (low = 0, high = a->n; low < high; ) {
        middle = low + (high - low) / 2;

        if (es_answered_cmp(&a->erased[middle], &key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    found = &a->erased[low];

    return low < a->n && found->feed == feed
           && found->sequence - sequence < ES_ANSWERS_BATCH;
}


static es_rc_t
es_answers_txn(MDB_txn *txn, void *ctx)
{
    int                 rc;
    char                head[sizeof(es_attempt_value_t)];
    MDB_val             key, value;
    unsigned            n;
    MDB_cursor         *cursor;
    es_answers_t       *a = ctx;

    rc = mdb_cursor_open(txn, es_env_dbi(a->store->delivery,
                                         ES_DELIVERY_ATTEMPTS), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key = (MDB_val) { sizeof(a->next), a->next };
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

    for (n = 0; rc == 0 && n < a->slice.max; n++) {
        if (key.mv_size != sizeof(a->next)
            || value.mv_size < sizeof(head))
        {
            rc = MDB_CORRUPTED;
            break;
        }

        memcpy(a->next, key.mv_data, sizeof(a->next));

        if (value.mv_size > sizeof(head)
            && es_answers_has(a, es_key32_get(&key, 12),
                              es_key64_get(&key, 16)))
        {
            memcpy(head, value.mv_data, sizeof(head));
            key = (MDB_val) { sizeof(a->next), a->next };
            value = (MDB_val) { sizeof(head), head };
            rc = mdb_cursor_put(cursor, &key, &value, MDB_CURRENT);
        }

        if (rc == 0) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }

    a->done = rc == MDB_NOTFOUND;
    mdb_cursor_close(cursor);

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_answers_note(MDB_txn *txn, void *ctx)
{
    MDB_val        k, v;
    es_dkey_t      key;
    es_answers_t  *a = ctx;

    key = es_meta_key(ES_META_ERASED_ANSWERS);
    k = (MDB_val) { key.len, key.data };
    v = (MDB_val) { sizeof(a->last), &a->last };

    return es_env_rc(mdb_put(txn, es_env_dbi(a->store->delivery,
                                             ES_DELIVERY_META), &k, &v, 0));
}


static es_rc_t
es_answers_last(void *ctx, const MDB_val *key, const MDB_val *value)
{
    uint64_t  *last = ctx;

    (void) key;

    if (value->mv_size != sizeof(*last)) {
        return ES_CORRUPT;
    }

    memcpy(last, value->mv_data, sizeof(*last));

    return ES_OK;
}


/* Reads the erasures after those that are done. */

static es_rc_t
es_answers_read(es_answers_t *a)
{
    es_rc_t    rc;
    uint64_t   count;
    es_txn_t  *txn;

    rc = es_delivery_get_meta(a->store, es_meta_key(ES_META_ERASED_ANSWERS),
                              es_answers_last, &a->last);
    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        return rc;
    }

    rc = es_txn_begin(a->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_erasures_count(txn, &count);

    if (rc == ES_OK && count > a->last) {
        a->erased = malloc(ES_ANSWERS_MOST * sizeof(es_answered_t));
        rc = a->erased == NULL
             ? ES_NOMEM
             : es_erasures_each(a->store, txn->mdb, a->last, es_answers_add,
                                a);
        rc = rc == ES_STOP ? ES_OK : rc;
    }

    es_txn_end(txn);

    return rc;
}


es_rc_t
es_delivery_erase(es_store_t *store, uint64_t *erased)
{
    es_rc_t       rc;
    es_scrub_t    scrub;
    es_answers_t  a = { .store = store, .slice = { ES_ANSWERS_SLICE,
                                                   ES_ANSWERS_SLICE } };

    *erased = 0;

    rc = es_answers_read(&a);

    if (rc == ES_OK && a.n > 0) {
        qsort(a.erased, a.n, sizeof(es_answered_t), es_answered_cmp);

        do {
            rc = es_env_shrink(store->delivery, es_answers_txn, &a, &a.slice);
        } while (rc == ES_OK && !a.done);

        if (rc == ES_OK) {
            rc = es_env_scrub(store->delivery, ES_ANSWERS_WAIT_MS, &scrub);
        }

        if (rc == ES_OK) {
            rc = es_env_shrink(store->delivery, es_answers_note, &a,
                               &a.slice);
        }

        *erased = rc == ES_OK ? a.n : 0;
    }

    free(a.erased);

    return rc;
}


static es_rc_t
es_answers_time(void *ctx, uint64_t number, const es_erasure_t *erasure)
{
    (void) number;
    *(int64_t *) ctx = erasure->time_ms;

    return ES_OK;
}


int64_t
es_answers_erased(es_store_t *store)
{
    es_rc_t    rc;
    int64_t    time_ms;
    uint64_t   count;
    es_txn_t  *txn;

    time_ms = 0;

    rc = es_txn_begin(store, &txn);

    if (rc == ES_OK) {
        rc = es_erasures_count(txn, &count);

        if (rc == ES_OK && count > 0) {
            rc = es_erasures_each(store, txn->mdb, count - 1, es_answers_time,
                                  &time_ms);
        }

        es_txn_end(txn);
    }

    return rc == ES_OK ? time_ms : INT64_MAX;
}


/* True if one of the events was erased, or if that cannot be read. */

static bool
es_answers_gone(es_store_t *store, uint32_t feed, uint64_t sequence,
    uint64_t last)
{
    bool        gone;
    es_rc_t     rc;
    uint32_t    i;
    es_txn_t   *txn;
    es_chunk_t  chunk;

    rc = es_txn_begin(store, &txn);
    if (rc != ES_OK) {
        return true;
    }

    for (gone = false; rc == ES_OK && !gone && sequence < last; ) {
        rc = es_chunk_seek(txn->events, feed, sequence, false, &chunk);

        for (i = 0; rc == ES_OK && i < chunk.head->count; i++) {
            gone |= chunk.head->first + i >= sequence
                    && chunk.head->first + i < last
                    && es_entry_erased(&chunk.entries[i]);
        }

        sequence = rc == ES_OK ? chunk.last + 1 : last;
    }

    es_txn_end(txn);

    return gone || (rc != ES_OK && rc != ES_NOT_FOUND);
}


void
es_answer_forget(es_store_t *store, int64_t erased_ms, const MDB_val *key,
    MDB_val *value)
{
    uint64_t  sequence;

    sequence = es_key64_get(key, 16);

    if (value->mv_size > sizeof(es_attempt_value_t)
        && (int64_t) es_key64_get(key, 4) - ES_ANSWERS_LATE_MS <= erased_ms
        && es_answers_gone(store, es_key32_get(key, 12), sequence,
                           sequence + ES_ANSWERS_BATCH))
    {
        value->mv_size = sizeof(es_attempt_value_t);
    }
}
