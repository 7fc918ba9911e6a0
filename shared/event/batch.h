/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The inside of a batch, for batch.c, which collects, and publish.c, which
 * commits.
 */

#ifndef ES_BATCH_H
#define ES_BATCH_H

#include "base/base.h"
#include "base/pool.h"
#include "event/event.h"
#include "event/trace.h"

struct es_batch {
    char           feed[ES_FEED_MAX + 1];
    es_limits_t    limits;
    es_compose_t   compose;
    es_publisher_t publisher;      /* of all its events; zero: the operator */
    es_buf_t       arena;          /* text of all drafts */
    es_draft_t    *drafts;         /* head and tail are offsets until sealed */
    es_result_t   *results;
    size_t         results_cap;
    size_t         n;
    size_t         cap;
    size_t         ntraced;        /* drafts with a traceparent of their own */
    bool           sealed;
    bool           validated;
    bool           refused;        /* not to commit: `rc` and `problem` say
                                      why */
    size_t         nwarnings;
    es_pool_t      problems;       /* of single events */
    es_rc_t        rc;
    es_problem_t   problem;
};

/* Turns the drafts' offsets into pointers.  No event can be added
   afterwards. */
es_rc_t es_batch_seal(es_batch_t *batch);

/* With ES_HANDLE_EACH: refuses one event of a sealed batch.  ES_NOMEM. */
es_rc_t es_batch_refuse(es_batch_t *batch, size_t i,
    const es_problem_t *problem);

/* Returns a copy that lives as long as the batch.  NULL: out of memory. */
const es_problem_t *es_batch_keep(es_batch_t *batch,
    const es_problem_t *problem);

/* Reads the trace context of event `i` of a sealed batch.  False: it has
   none. */
bool es_batch_trace(const es_batch_t *batch, size_t i, es_trace_t *trace);

/* Makes a used batch as new, and keeps its memory. */
void es_batch_reset(es_batch_t *batch, es_str_t feed,
    const es_limits_t *limits);

/* Returns the bytes of memory that a batch keeps for its next use. */
size_t es_batch_kept(const es_batch_t *batch);

#endif /* ES_BATCH_H */
