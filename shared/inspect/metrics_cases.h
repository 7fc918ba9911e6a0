/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Exemplars of attempts and deliveries: the latest cases, with the trace and the
 * id of the event.
 */

#ifndef ES_METRICS_CASES_H
#define ES_METRICS_CASES_H

#include "base/exposition.h"
#include "delivery/cases.h"
#include "delivery/report.h"

#define ES_CASES_N  (sizeof(es_cases_t) / sizeof(es_case_of_t))

/* The texts of an exemplar's labels, NUL-terminated. */
typedef struct {
    char  trace[2 * 16 + 1];
    char  id[ES_EXEMPLAR_MAX];
    char  cursor[ES_CURSOR_MAX];
} es_case_text_t;

/* The members of es_cases_t, as exemplars. */
typedef struct {
    es_exemplar_t   classes[ES_ATTEMPT_CLASSES];
    es_exemplar_t   durations[ES_TALLY_BUCKETS + 1];
    es_exemplar_t   delays[ES_TALLY_BUCKETS + 1];
    es_case_text_t  texts[ES_CASES_N];
} es_case_exemplars_t;

/* Fills zeroed exemplars, which point into themselves.  An event that is not
   kept, or whose feed was reset since, makes none.  Blocks; the outcome of a
   read. */
es_rc_t es_case_exemplars(es_store_t *store, const es_report_feeds_t *feeds,
    es_case_exemplars_t *exemplars);

#endif /* ES_METRICS_CASES_H */
