/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The inside of a scrub, for scrub.c and scrub_free.c.  All functions are of
 * one thread, which has no transaction open.
 */

#ifndef ES_SCRUB_IMPL_H
#define ES_SCRUB_IMPL_H

#include "store/env.h"
#include "store/duty.h"
#include "store/scrub.h"
#include "store/scrub_pages.h"

#define ES_SCRUB_BATCH       64    /* pages of one transaction, at least ... */
#define ES_SCRUB_BATCH_MAX  512    /* ... and at most */

/* In `meta`: the number of scrubs.  With a number after it: a record of
   zeros. */
#define ES_SCRUB_NAME  "\xff\xff" "scrub"

typedef struct {
    es_env_t         *env;
    es_slice_t        slice;
    const es_env_db_t  *db;        /* that is worked on */
    MDB_dbi           dbi;
    es_scrub_item_t  *items;
    unsigned          n;
    unsigned          done;        /* items of the slice before this one */
    uint64_t          number;      /* of the last record of zeros */
    uint64_t          oldest;      /* the first one that is still there */
    bool              hold;        /* keeps the records until all are put */
    es_duty_t         duty;        /* records of one transaction */
    uint64_t          put;         /* records in this transaction */
    size_t            txnid;       /* of the transaction */
    es_str_t          key;         /* of es_env_scrub_key() */
    unsigned          nkeys;
} es_scrubber_t;

/* Runs `fn` with the scrubber in a transaction that may use the reserve, and
   pauses, so that other writers go on. */
es_rc_t es_scrub_write(es_scrubber_t *s, es_env_fn fn);

/* Uses every page that was free when it was called.  ES_BUSY: a reader has
   kept pages from use for `wait_ms`; it is in `scrub->reader`. */
es_rc_t es_scrub_fill(es_scrubber_t *s, int64_t wait_ms, es_scrub_t *scrub);

/* Ends the records of zeros, also those of a run that was killed. */
es_rc_t es_scrub_ends(es_scrubber_t *s);

/* Clears the file after LMDB's last page. */
es_rc_t es_scrub_tail(es_scrubber_t *s);

/* True if the list of free pages takes more than one page itself. */
bool es_scrub_large(es_env_t *env);

#endif /* ES_SCRUB_IMPL_H */
