/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How a feed's promise of freshness was kept: the time from the commit of an
 * event until a reader has it.  docs/http-endpoints.md#freshness says what
 * counts.
 */

#ifndef ES_FRESH_H
#define ES_FRESH_H

#include <stdint.h>

typedef enum {
    ES_FRESH_KEPT,             /* within the promise */
    ES_FRESH_MISSED,           /* later, for no reason of the receiver */
    ES_FRESH_EXCUSED,          /* later: the receiver came late, or failed */
    ES_FRESH_VERDICTS
} es_fresh_verdict_t;

/* Zeroed: nothing was counted. */
typedef struct {
    uint64_t  counts[ES_FRESH_VERDICTS];
    uint64_t  worst_ms;        /* the longest of those kept and missed */
} es_fresh_t;

const char *es_fresh_name(es_fresh_verdict_t verdict);

/* `age_ms` is the time since the commit, and `ours_ms` the part of it for which
   the receiver was ready to have the event. */
es_fresh_verdict_t es_fresh_judge(int64_t within_ms, int64_t age_ms,
    int64_t ours_ms);

void es_fresh_count(es_fresh_t *fresh, es_fresh_verdict_t verdict,
    int64_t age_ms);

/* Adds the counts of `more`. */
void es_fresh_add(es_fresh_t *fresh, const es_fresh_t *more);

#endif /* ES_FRESH_H */
