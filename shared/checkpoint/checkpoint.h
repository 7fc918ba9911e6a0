/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How far named consumers have come, by their own word.
 *
 * A consumer is a partner's, and of one feed; its checkpoint is the cursor
 * that it has acknowledged.  They are in an LMDB environment of the store's
 * own, `checkpoints/`, because they are written as often as events are read:
 * neither publishers nor operators wait for them.  Needs ES_STORE_CHECKPOINT.
 *
 * A checkpoint never moves back unless it is told to rewind, so that what a
 * consumer's forgotten twin acknowledges late does no harm, and it is never
 * ahead of the log.  It is kept when its cursor expires or its feed is reset:
 * who asks is told so.
 */

#ifndef ES_CHECKPOINT_H
#define ES_CHECKPOINT_H

#include "base/base.h"
#include "base/condition.h"
#include "event/cursor.h"
#include "store/faults.h"
#include "log/feed.h"

typedef enum {
    ES_CHECKPOINT_GET = 0,
    ES_CHECKPOINT_LIST,
    ES_CHECKPOINT_PUT,
    ES_CHECKPOINT_REMOVE
} es_checkpoint_op_t;

/* Why a job's outcome is ES_CONFLICT. */
typedef enum {
    ES_CHECKPOINT_UNMET = 0,   /* the condition */
    ES_CHECKPOINT_BEHIND,      /* the cursor is before the one stored */
    ES_CHECKPOINT_MANY         /* the partner has `max` consumers there */
} es_checkpoint_conflict_t;

#define ES_CHECKPOINT_ETAG_LEN  18     /* with its quotes */

/* One request.  Zeroed and then filled in by the caller. */
typedef struct {
    es_checkpoint_op_t  op;
    es_str_t            feed;
    uint32_t            partner;       /* its number */
    es_str_t            consumer;      /* not of ES_CHECKPOINT_LIST */

    es_cursor_t         cursor;        /* these three of ES_CHECKPOINT_PUT */
    bool                rewind;
    unsigned            max;           /* consumers; 0: any number */

    /* Of PUT and REMOVE.  A PUT of the cursor that is stored has happened
       already: it succeeds whatever this says, and writes nothing. */
    es_condition_t      condition;

    /*
     * ES_OK; ES_NOT_FOUND: no such feed if found.number is 0, else no such
     * consumer; of a PUT ES_INVALID (the consumer's name, which is as a
     * feed's), ES_AHEAD, ES_RESET and ES_EXPIRED; ES_CONFLICT; or why the
     * store could not do it.  After ES_IO it is not known whether it did.
     */
    es_rc_t                   rc;
    es_checkpoint_conflict_t  conflict;
    es_feed_t                 found;   /* the feed as it was then */
    bool                      created;
    char                      current[ES_CURSOR_MAX];   /* stored, or "" */
    char                      etag[ES_CHECKPOINT_ETAG_LEN];
    es_buf_t                  out;     /* JSON; freed by the caller */
} es_checkpoint_job_t;

/*
 * What a PUT has as its body, `{"cursor":"...","rewind":true}` of which the
 * second may be left out, into the job.  ES_INVALID: the problem's detail says
 * why, and its pointer is "/cursor" when that is malformed; ES_NOMEM.
 */
es_rc_t es_checkpoint_body(es_str_t body, es_checkpoint_job_t *job,
    es_problem_t *problem);

/*
 * Does all of the jobs: what they write in one durable commit, after which
 * the others read.  Each has its own outcome.  Blocks for the writer lock and
 * the disk.
 */
void es_checkpoints(es_store_t *store, es_checkpoint_job_t **jobs, size_t n);

/* Moves with each change of any checkpoint; a memory read. */
uint64_t es_checkpoint_version(es_store_t *store);

typedef struct {
    uint32_t     feed;         /* its number */
    uint32_t     partner;      /* the same */
    es_str_t     pattern;      /* a consumer, or a prefix that ends in '*' */
    const char  *epoch;        /* cursors of others are passed over */
    int64_t      since_ms;     /* and those moved before */
} es_checkpoint_query_t;

/* How far the furthest of these consumers has come; 0: none has.  A read of
   its own, of microseconds for each of them. */
es_rc_t es_checkpoint_reached(es_store_t *store,
    const es_checkpoint_query_t *q, uint64_t *sequence);

/*
 * Removes those of feeds and partners that are no more; their numbers are
 * never given again, so nobody could see them meanwhile.  Part of removing a
 * feed or partner where the store is open with ES_STORE_CHECKPOINT.
 */
es_rc_t es_checkpoint_prune(es_store_t *store);

/* Proves that each record matches its hash and is not ahead of the log.  Part
   of es_verify(). */
es_rc_t es_checkpoint_verify(es_store_t *store, es_verify_fn fn, void *ctx,
    es_verify_t *totals);

#endif /* ES_CHECKPOINT_H */
