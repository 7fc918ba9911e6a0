/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checkpoints: the cursors that consumers have acknowledged.
 *
 * A consumer is a name that a partner chooses for one feed.  Checkpoints are
 * written as often as events are read, so they have an LMDB environment of
 * their own, `checkpoints/`, and no publisher or operator waits for them.  All
 * functions need ES_STORE_CHECKPOINT, except es_checkpoint_version(),
 * es_checkpoint_reached() and es_checkpoint_verify(), for which
 * ES_STORE_CHECKPOINT_READ is enough.
 *
 * A checkpoint is never ahead of the log, and it goes back only when the
 * request says "rewind" (invariant I16): a forgotten second instance of a
 * consumer that acknowledges late does no harm.  A checkpoint stays when its
 * cursor expires or its feed is reset, and the answer then says so.
 *
 * checkpoint.c does the jobs, checkpoint_body.c reads a request's body,
 * checkpoint_reached.c reads for the dispatcher, and checkpoint_prune.c
 * removes and verifies.
 */

#ifndef ES_CHECKPOINT_H
#define ES_CHECKPOINT_H

#include "base/base.h"
#include "base/condition.h"
#include "event/cursor.h"
#include "log/feed.h"
#include "store/faults.h"

typedef enum {
    ES_CHECKPOINT_GET = 0,
    ES_CHECKPOINT_LIST,
    ES_CHECKPOINT_PUT,
    ES_CHECKPOINT_REMOVE
} es_checkpoint_op_t;

/* Why a job's outcome is ES_CONFLICT. */
typedef enum {
    ES_CHECKPOINT_UNMET = 0,   /* the condition is not met */
    ES_CHECKPOINT_BEHIND,      /* the cursor is before the stored one */
    ES_CHECKPOINT_MANY         /* the partner has `max` checkpoints */
} es_checkpoint_conflict_t;

#define ES_CHECKPOINT_ETAG_LEN  18     /* with its quotes */

/* One request.  The caller zeroes it and fills in the first part. */
typedef struct {
    es_checkpoint_op_t  op;
    es_str_t            feed;
    uint32_t            partner;       /* the partner's number */
    es_str_t            consumer;      /* unused by ES_CHECKPOINT_LIST */
    es_str_t            operated;      /* the partner's name: an operator moves
                                          the checkpoint, and the audit gets an
                                          entry; empty: the partner does */

    /* Only for ES_CHECKPOINT_PUT. */
    es_cursor_t         cursor;
    bool                rewind;
    uint64_t            max;           /* the partner's quota of consumers */

    /* For PUT and REMOVE.  A PUT of the stored cursor is a repetition: it
       succeeds without the condition and writes nothing. */
    es_condition_t      condition;

    /*
     * The outcome.  ES_NOT_FOUND: no such feed (found.number is 0), or no such
     * consumer.  A PUT may also have ES_INVALID (the consumer's name does not
     * follow the rules of a feed's name), ES_AHEAD, ES_RESET and ES_EXPIRED.
     * ES_CONFLICT: see `conflict`.  Other outcomes are failures of the store;
     * after ES_IO the write may or may not have happened.
     */
    es_rc_t                   rc;
    es_checkpoint_conflict_t  conflict;
    es_feed_t                 found;   /* the feed as the job saw it */
    bool                      created;
    char                      current[ES_CURSOR_MAX];   /* stored before; "":
                                                           none */
    char                      etag[ES_CHECKPOINT_ETAG_LEN];
    es_buf_t                  out;     /* JSON; the caller frees it */
} es_checkpoint_job_t;

/*
 * Reads the body of a PUT into the job: `{"cursor":"...","rewind":true}`,
 * where "rewind" is optional.  ES_INVALID with a detail, and the pointer
 * "/cursor" if the cursor is malformed.  ES_NOMEM.
 */
es_rc_t es_checkpoint_body(es_str_t body, es_checkpoint_job_t *job,
    es_problem_t *problem);

/*
 * Does all jobs: first those that write, in one durable commit, then those
 * that read.  Each job has its own outcome.  Blocks for the writer lock and
 * the disk.
 */
void es_checkpoints(es_store_t *store, es_checkpoint_job_t **jobs, size_t n);

/* Changes with each write of a checkpoint.  Reads memory only. */
uint64_t es_checkpoint_version(es_store_t *store);

typedef struct {
    const es_feed_t  *feed;    /* cursors of other epochs do not count */
    uint32_t     partner;      /* the partner's number */
    es_str_t     pattern;      /* a consumer, or a prefix that ends in '*' */
    int64_t      since_ms;     /* checkpoints written earlier do not count */
} es_checkpoint_query_t;

/* The highest sequence that these consumers have acknowledged; 0: none.  Takes
   one read transaction, and some microseconds for each consumer. */
es_rc_t es_checkpoint_reached(es_store_t *store,
    const es_checkpoint_query_t *q, uint64_t *sequence);

/*
 * Removes the checkpoints of removed feeds and partners.  Call it after a feed
 * or partner was removed.  Numbers are never given again, so nobody can see
 * such a checkpoint in between.
 */
es_rc_t es_checkpoint_prune(es_store_t *store);

/* Counts the checkpoints of a partner by its number. */
es_rc_t es_checkpoint_count(es_store_t *store, uint32_t partner,
    uint64_t *count);

/* Verifies that each record matches its hash and is not ahead of the log.
   Part of es_verify(). */
es_rc_t es_checkpoint_verify(es_store_t *store, es_verify_fn fn, void *ctx,
    es_verify_t *totals);

#endif /* ES_CHECKPOINT_H */
