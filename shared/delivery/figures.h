/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Figures of an endpoint: what its attempts came to within the last minute,
 * hour and day.
 *
 * Each of these spans consists of cells of equal length, and a cell counts the
 * attempts that ended in it.  A cell without attempts is not kept, so a quiet
 * endpoint costs nothing.  Attempts that carry no event of a feed (test events,
 * token requests, checks) and simulated failures that sent nothing do not
 * count.
 *
 * The dispatcher writes the figures of an endpoint every few seconds.  When it
 * is killed, the attempts since then are missing here; their records are not.
 */

#ifndef ES_FIGURES_H
#define ES_FIGURES_H

#include <jansson.h>

#include "base/fresh.h"
#include "delivery/delivery.h"
#include "delivery/tally.h"

typedef enum {
    ES_SPAN_MINUTE,
    ES_SPAN_HOUR,
    ES_SPAN_DAY,
    ES_SPANS
} es_span_t;

typedef enum {
    ES_ANSWER_NONE,
    ES_ANSWER_2XX,
    ES_ANSWER_3XX,             /* and 1xx */
    ES_ANSWER_429,
    ES_ANSWER_4XX,             /* all others */
    ES_ANSWER_5XX,
    ES_ANSWERS
} es_answer_t;

#define ES_FIGURES_TRIES  6

typedef struct {
    int64_t   start_ms;        /* wall clock */
    uint64_t  duration_us;     /* sum of all attempts */
    uint32_t  attempts[ES_ATTEMPT_CLASSES];
    uint32_t  answers[ES_ANSWERS];
    uint32_t  tries[ES_FIGURES_TRIES];     /* first, second … attempts of an
                                              event; the last element counts
                                              all after them */
    uint32_t  within[ES_TALLY_BUCKETS + 1];    /* see tally.h */
    uint32_t  dead;            /* events that became dead letters */
    uint32_t  fresh[ES_FRESH_VERDICTS];    /* events of feeds with a promise */
    uint32_t  worst_ms;        /* of those kept and missed */
} es_figures_cell_t;

typedef struct {
    es_figures_cell_t  *cells; /* ascending by start */
    unsigned            n;
    unsigned            cap;
} es_figures_span_t;

/* Events that wait, when the figures were written. */
typedef struct {
    uint32_t  waiting;         /* for another attempt, or for their first after
                                  a restart */
    uint32_t  held;            /* for an earlier event of their subject */
    int64_t   next_ms;         /* wall clock of the next attempt; 0: none */
} es_figures_waiting_t;

/* Zeroed: no attempt. */
typedef struct {
    es_figures_waiting_t  waiting;
    es_figures_span_t     spans[ES_SPANS];
} es_figures_t;

void es_figures_free(es_figures_t *figures);

/* True if the figures count such an attempt. */
bool es_figures_counts(const es_attempt_t *attempt);

/* Counts an attempt that ended at `now_ms` (wall clock), or a dead letter that
   was made then.  ES_NOMEM: it is counted in some spans only. */
es_rc_t es_figures_attempt(es_figures_t *figures, const es_attempt_t *attempt,
    int64_t now_ms);
es_rc_t es_figures_dead(es_figures_t *figures, int64_t now_ms);

/* Counts how fresh an event was that was delivered at `now_ms`. */
es_rc_t es_figures_fresh(es_figures_t *figures, es_fresh_verdict_t verdict,
    int64_t age_ms, int64_t now_ms);

/* Writes the record of an endpoint in the changeset's commit (delivery.h), or
   deletes it. */
es_rc_t es_changeset_figures(es_changeset_t *c, uint32_t endpoint,
    const es_figures_t *figures);
es_rc_t es_changeset_figures_done(es_changeset_t *c, uint32_t endpoint);

/* Reads the record into zeroed figures, which the caller frees, also after a
   failure.  Without a record, and if a version with other cells wrote it, they
   stay empty.  ES_NOMEM, ES_CORRUPT. */
es_rc_t es_delivery_figures(es_store_t *store, uint32_t endpoint,
    es_figures_t *figures);

/* Walks the records of all endpoints, see delivery.h.  `figures` is valid in
   `fn` only. */
typedef es_rc_t (*es_figures_fn)(void *ctx, uint32_t endpoint,
    const es_figures_t *figures);

es_rc_t es_delivery_each_figures(es_store_t *store, es_figures_fn fn,
    void *ctx);

/* What the cells of a span come to that are neither older than the span nor in
   the future. */
typedef struct {
    uint64_t  attempts;
    uint64_t  ok;
    uint64_t  dead;
} es_figures_total_t;

/* Adds the span's to `total`. */
void es_figures_total(const es_figures_t *figures, es_span_t span,
    int64_t now_ms, es_figures_total_t *total);

/*
 * The figures as a new JSON object; NULL: out of memory.  Its members are
 * `minute`, `hour` and `day`, each an object:
 *
 *     attempts, ok, dead   numbers
 *     success              ok ÷ attempts; null without attempts
 *     classes              attempts by class, those that occurred
 *     answers              attempts by answer: "2xx", "429", "none" …
 *     tries                first, second … sixth and later attempts
 *     latency              `mean` in milliseconds, null without attempts, and
 *                          `histogram`: arrays of a bound in milliseconds (the
 *                          last is null) and the attempts below it that are
 *                          above the bound before
 *     fresh                how the promises of feeds were kept: see
 *                          es_fresh_report()
 *     cells                ascending, those with attempts: start, attempts, ok,
 *                          dead, and the mean latency
 *
 * Cells that are older than the span, or in the future, are left out.
 */
json_t *es_figures_report(const es_figures_t *figures, int64_t now_ms);

/* The same with `attempts`, `ok`, `success`, `dead`, `fresh` and `mean`, the
   latency, only. */
json_t *es_figures_summary(const es_figures_t *figures, int64_t now_ms);

#endif /* ES_FIGURES_H */
