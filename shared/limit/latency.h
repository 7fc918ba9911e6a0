/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Histograms of times in shared memory, with one case for each bucket.
 *
 * Any number of processes count at once, without a lock.  Two of them that
 * store a case of one bucket at the same moment may spoil it; it is then left
 * out until the next one.
 */

#ifndef ES_LATENCY_H
#define ES_LATENCY_H

#include <stdatomic.h>

#include "base/base.h"
#include "base/exposition.h"

#define ES_LATENCY_BUCKETS  12

/* A case, to be found again in traces, logs or the feed.  All texts are
   NUL-terminated; an empty one is not known. */
typedef struct {
    uint64_t  us;
    int64_t   time_ms;         /* wall clock; 0: there is no case */
    char      trace[40];       /* the trace id of W3C Trace Context */
    char      cursor[ES_CURSOR_MAX];
    char      feed[ES_FEED_MAX + 1];
} es_case_t;

#define ES_CASE_WORDS  (sizeof(es_case_t) / sizeof(uint64_t) + 1)

/* Zeroed: nothing was counted. */
typedef struct {
    _Atomic uint64_t  within[ES_LATENCY_BUCKETS + 1];
    _Atomic uint64_t  sum_us;
    _Atomic uint64_t  cases[ES_LATENCY_BUCKETS + 1][ES_CASE_WORDS];
} es_latency_t;

/* Counts c->us.  The case is kept as the one of its bucket. */
void es_latency_count(es_latency_t *latency, const es_case_t *c);

/* Writes the samples of a family of type "histogram". */
void es_metric_latency(es_exposition_t *e, const es_latency_t *latency);

#endif /* ES_LATENCY_H */
