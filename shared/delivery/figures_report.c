/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Describes the figures of an endpoint as JSON.
 */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/figures.h"
#include "delivery/figures_span.h"
#include "delivery/fresh.h"

static const char  *const  es_figures_answers[ES_ANSWERS] = {
    [ES_ANSWER_NONE] = "none",
    [ES_ANSWER_2XX] = "2xx",
    [ES_ANSWER_3XX] = "3xx",
    [ES_ANSWER_429] = "429",
    [ES_ANSWER_4XX] = "4xx",
    [ES_ANSWER_5XX] = "5xx",
};

/* The sum of a span's cells. */
typedef struct {
    uint64_t    n;
    uint64_t    ok;
    uint64_t    dead;
    uint64_t    duration_us;
    uint64_t    attempts[ES_ATTEMPT_CLASSES];
    uint64_t    answers[ES_ANSWERS];
    uint64_t    tries[ES_FIGURES_TRIES];
    uint64_t    within[ES_TALLY_BUCKETS + 1];
    es_fresh_t  fresh;
} es_figures_sum_t;


static void
es_figures_sum(es_figures_sum_t *sum, const es_figures_cell_t *cell)
{
    unsigned    i;
    es_fresh_t  fresh = { .worst_ms = cell->worst_ms };

    for (i = 0; i < ES_FRESH_VERDICTS; i++) {
        fresh.counts[i] = cell->fresh[i];
    }

    es_fresh_add(&sum->fresh, &fresh);

    for (i = 0; i < ES_ATTEMPT_CLASSES; i++) {
        sum->attempts[i] += cell->attempts[i];
        sum->n += cell->attempts[i];
    }

    for (i = 0; i < ES_ANSWERS; i++) {
        sum->answers[i] += cell->answers[i];
    }

    for (i = 0; i < ES_FIGURES_TRIES; i++) {
        sum->tries[i] += cell->tries[i];
    }

    for (i = 0; i <= ES_TALLY_BUCKETS; i++) {
        sum->within[i] += cell->within[i];
    }

    sum->ok += cell->attempts[ES_ATTEMPT_OK];
    sum->dead += cell->dead;
    sum->duration_us += cell->duration_us;
}


/* The quotient as a JSON number; null if there is nothing to divide. */

static json_t *
es_figures_quotient(double value, uint64_t n)
{
    return n == 0 ? json_null() : json_real(value / (double) n);
}


static json_t *
es_figures_cell_report(const es_figures_cell_t *cell)
{
    char              start[ES_TIME_LEN];
    es_figures_sum_t  sum = { 0 };

    es_figures_sum(&sum, cell);
    es_time_print(cell->start_ms, start);

    return json_pack("{s:s%, s:I, s:I, s:I, s:o}",
                     "start", start, sizeof(start),
                     "attempts", (json_int_t) sum.n,
                     "ok", (json_int_t) sum.ok,
                     "dead", (json_int_t) sum.dead,
                     "mean", es_figures_quotient((double) sum.duration_us
                                                 / 1000, sum.n));
}


static json_t *
es_figures_counts_report(const uint64_t *counts, unsigned n,
    const char *(*name)(unsigned i))
{
    json_t    *report;
    unsigned   i;

    report = json_object();

    for (i = 0; i < n; i++) {
        if (counts[i] != 0
            && json_object_set_new(report, name(i),
                                   json_integer((json_int_t) counts[i])) != 0)
        {
            json_decref(report);
            return NULL;
        }
    }

    return report;
}


static const char *
es_figures_class_name(unsigned i)
{
    return es_attempt_class_name((es_attempt_class_t) i);
}


static const char *
es_figures_answer_name(unsigned i)
{
    return es_figures_answers[i];
}


static json_t *
es_figures_tries_report(const es_figures_sum_t *sum)
{
    json_t    *report;
    unsigned   i;

    report = json_array();

    for (i = 0; i < ES_FIGURES_TRIES; i++) {
        (void) json_array_append_new(report,
                                     json_integer((json_int_t) sum->tries[i]));
    }

    return report;
}


static json_t *
es_figures_latency_report(const es_figures_sum_t *sum)
{
    json_t    *histogram;
    unsigned   i;

    histogram = json_array();

    for (i = 0; i <= ES_TALLY_BUCKETS; i++) {
        (void) json_array_append_new(
            histogram,
            json_pack("[o, I]",
                      i < ES_TALLY_BUCKETS
                      ? json_integer(es_tally_bounds_ms[i]) : json_null(),
                      (json_int_t) sum->within[i]));
    }

    return json_pack("{s:o, s:o}",
                     "mean", es_figures_quotient((double) sum->duration_us
                                                 / 1000, sum->n),
                     "histogram", histogram);
}


/* Adds up the cells of the span that are neither older than it nor in the
   future; `cells` (NULL: not wanted) receives the report of each. */

static void
es_figures_span_sum(const es_figures_span_t *span,
    const es_figures_shape_t *shape, int64_t now_ms, es_figures_sum_t *sum,
    json_t *cells)
{
    int64_t                   first_ms;
    unsigned                  i;
    const es_figures_cell_t  *cell;

    memset(sum, 0, sizeof(*sum));
    first_ms = now_ms - shape->width_ms * shape->cells;

    for (i = 0; i < span->n; i++) {
        cell = &span->cells[i];

        if (cell->start_ms <= first_ms || cell->start_ms > now_ms) {
            continue;
        }

        es_figures_sum(sum, cell);

        if (cells != NULL) {
            (void) json_array_append_new(cells, es_figures_cell_report(cell));
        }
    }
}


static json_t *
es_figures_span_report(const es_figures_span_t *span,
    const es_figures_shape_t *shape, int64_t now_ms)
{
    json_t            *cells;
    es_figures_sum_t   sum;

    cells = json_array();
    es_figures_span_sum(span, shape, now_ms, &sum, cells);

    return json_pack("{s:I, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "attempts", (json_int_t) sum.n,
                     "ok", (json_int_t) sum.ok,
                     "success", es_figures_quotient((double) sum.ok, sum.n),
                     "dead", (json_int_t) sum.dead,
                     "classes", es_figures_counts_report(
                         sum.attempts, ES_ATTEMPT_CLASSES,
                         es_figures_class_name),
                     "answers", es_figures_counts_report(
                         sum.answers, ES_ANSWERS, es_figures_answer_name),
                     "tries", es_figures_tries_report(&sum),
                     "latency", es_figures_latency_report(&sum),
                     "fresh", es_fresh_report(&sum.fresh),
                     "cells", cells);
}


static json_t *
es_figures_span_summary(const es_figures_span_t *span,
    const es_figures_shape_t *shape, int64_t now_ms)
{
    es_figures_sum_t  sum;

    es_figures_span_sum(span, shape, now_ms, &sum, NULL);

    return json_pack("{s:I, s:I, s:o, s:I, s:o, s:o}",
                     "attempts", (json_int_t) sum.n,
                     "ok", (json_int_t) sum.ok,
                     "success", es_figures_quotient((double) sum.ok, sum.n),
                     "dead", (json_int_t) sum.dead,
                     "fresh", es_fresh_report(&sum.fresh),
                     "mean", es_figures_quotient((double) sum.duration_us
                                                 / 1000, sum.n));
}


static json_t *
es_figures_spans(const es_figures_t *figures, int64_t now_ms,
    json_t *(*describe)(const es_figures_span_t *span,
                        const es_figures_shape_t *shape, int64_t now_ms))
{
    json_t    *report, *span;
    unsigned   i;

    report = json_object();

    for (i = 0; i < ES_SPANS; i++) {
        span = describe(&figures->spans[i], &es_figures_shapes[i], now_ms);

        if (json_object_set_new(report, es_figures_shapes[i].name, span) != 0)
        {
            json_decref(report);
            return NULL;
        }
    }

    return report;
}


json_t *
es_figures_report(const es_figures_t *figures, int64_t now_ms)
{
    return es_figures_spans(figures, now_ms, es_figures_span_report);
}


json_t *
es_figures_summary(const es_figures_t *figures, int64_t now_ms)
{
    return es_figures_spans(figures, now_ms, es_figures_span_summary);
}


void
es_figures_total(const es_figures_t *figures, es_span_t span, int64_t now_ms,
    es_figures_total_t *total)
{
    es_figures_sum_t  sum;

    es_figures_span_sum(&figures->spans[span], &es_figures_shapes[span],
                        now_ms, &sum, NULL);

    total->attempts += sum.n;
    total->ok += sum.ok;
    total->dead += sum.dead;
}
