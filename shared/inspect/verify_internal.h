/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The state of one es_verify(), as the files that verify the log share it.
 */

#ifndef ES_VERIFY_INTERNAL_H
#define ES_VERIFY_INTERNAL_H

#include "event/digest.h"
#include "inspect/pace.h"
#include "inspect/verify.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/subject.h"
#include "store/faults.h"
#include "store/store.h"

typedef struct {
    es_store_t    *store;
    MDB_txn       *txn;
    es_verify_fn   fn;
    void          *fn_ctx;
    es_verify_t   *totals;
    char           name[ES_FEED_MAX + 1];
    es_feed_t      feed;
    char           epoch[ES_EPOCH_MAX + 1];
    uint64_t       position;       /* sequence verified up to here */
    int64_t        time_ms;        /* of the chunk before */
    uint64_t       total;          /* bytes before the next chunk */
    uint8_t        digest[ES_CHAIN_LEN];
    uint64_t       erasures;       /* of the slice before */
    bool           seam;           /* the next chunk may be of another digest
                                      chain than `digest` (log/rechain.h) */
    uint8_t        subject_key[ES_SUBJECT_KEY_MAX];
    size_t         subject_key_len;
    uint8_t        type_key[ES_BYTYPE_KEY_LEN];
    uint8_t        type_value[8];
    uint64_t       partners;       /* last numbers that were given */
    uint64_t       keys;
    bool           done;           /* the slices have come to the end */
    bool           records;        /* see es_verify_records() */
    es_pace_t     *pace;           /* of that */
} es_verify_ctx_t;

/* Counts and reports a fault of the feed v->name. */
void es_verify_fault(es_verify_ctx_t *v, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Slices, for es_env_update(); `ctx` is an es_verify_ctx_t.  They verify the
   next chunks of the feed v->name, and the next entries of both indexes. */
es_rc_t es_verify_feed_slice(MDB_txn *txn, void *ctx);
es_rc_t es_verify_types_slice(MDB_txn *txn, void *ctx);
es_rc_t es_verify_subjects_slice(MDB_txn *txn, void *ctx);

#endif /* ES_VERIFY_INTERNAL_H */
