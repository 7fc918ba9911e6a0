/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Histograms of times in shared memory.
 *
 * A case is several words, which are stored one by one.  The last word is a
 * hash of the others, so a reader recognises a case that is being written.
 */

#include "base/base.h"
#include "base/hash.h"
#include "limit/latency.h"

_Static_assert(sizeof(es_case_t) % sizeof(uint64_t) == 0,
               "a case is whole words");

static const uint32_t  es_latency_bounds_ms[ES_LATENCY_BUCKETS] = {
    1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000
};


static void
es_case_store(_Atomic uint64_t *slot, const es_case_t *c)
{
    size_t    i;
    uint64_t  words[ES_CASE_WORDS];

    memcpy(words, c, sizeof(*c));
    words[ES_CASE_WORDS - 1] = es_hash_long(c, sizeof(*c), 0);

    for (i = 0; i < ES_CASE_WORDS; i++) {
        atomic_store_explicit(&slot[i], words[i], memory_order_relaxed);
    }
}


/* False: there is none, or it is being written. */

static bool
es_case_load(const _Atomic uint64_t *slot, es_case_t *c)
{
    size_t    i;
    uint64_t  words[ES_CASE_WORDS];

    for (i = 0; i < ES_CASE_WORDS; i++) {
        words[i] = atomic_load_explicit(&slot[i], memory_order_relaxed);
    }

    memcpy(c, words, sizeof(*c));

    return c->time_ms != 0
           && words[ES_CASE_WORDS - 1] == es_hash_long(c, sizeof(*c), 0);
}


void
es_latency_count(es_latency_t *latency, const es_case_t *c)
{
    size_t  i;

    for (i = 0; i < ES_LATENCY_BUCKETS; i++) {
        if (c->us <= (uint64_t) es_latency_bounds_ms[i] * 1000) {
            break;
        }
    }

    (void) atomic_fetch_add_explicit(&latency->within[i], 1,
                                     memory_order_relaxed);
    (void) atomic_fetch_add_explicit(&latency->sum_us, c->us,
                                     memory_order_relaxed);

    if (c->time_ms != 0) {
        es_case_store(latency->cases[i], c);
    }
}


static void
es_case_exemplar(const es_case_t *c, es_exemplar_t *exemplar)
{
    size_t  i, n;

    const es_label_t  labels[] = {
        { "trace_id", es_str(c->trace) },
        { "cursor", es_str(c->cursor) },
        { "feed", es_str(c->feed) }
    };

    n = 0;

    for (i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        if (labels[i].value.len > 0) {
            exemplar->labels[n++] = labels[i];
        }
    }

    exemplar->nlabels = n;
    exemplar->value_us = c->us;
    exemplar->time_ms = c->time_ms;
}


void
es_metric_latency(es_exposition_t *e, const es_latency_t *latency)
{
    size_t          i;
    uint64_t        within[ES_LATENCY_BUCKETS + 1];
    es_case_t       cases[ES_LATENCY_BUCKETS + 1];
    es_exemplar_t   exemplars[ES_LATENCY_BUCKETS + 1] = { 0 };
    es_histogram_t  histogram = { .bounds_ms = es_latency_bounds_ms,
                                  .within = within,
                                  .exemplars = exemplars,
                                  .nbounds = ES_LATENCY_BUCKETS };

    histogram.sum_us = atomic_load_explicit(&latency->sum_us,
                                            memory_order_relaxed);

    for (i = 0; i <= ES_LATENCY_BUCKETS; i++) {
        within[i] = atomic_load_explicit(&latency->within[i],
                                         memory_order_relaxed);

        if (es_case_load(latency->cases[i], &cases[i])) {
            es_case_exemplar(&cases[i], &exemplars[i]);
        }
    }

    es_metric_histogram(e, NULL, &histogram);
}
