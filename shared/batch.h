/*
 * batch.h - inside of a batch, for batch.c (collects) and publish.c (commits).
 */

#ifndef ES_BATCH_H
#define ES_BATCH_H

#include "event.h"

struct es_batch {
    char           feed[ES_FEED_MAX + 1];
    es_limits_t    limits;
    es_compose_t   compose;
    es_buf_t       arena;          /* text of all drafts */
    es_draft_t    *drafts;         /* head and tail: offsets until sealed */
    es_result_t   *results;
    size_t         n;
    size_t         cap;
    bool           sealed;
    es_rc_t        rc;
    es_problem_t   problem;
};

/* Turns the drafts' offsets into pointers; nothing can be added after. */
es_rc_t es_batch_seal(es_batch_t *batch);

#endif /* ES_BATCH_H */
