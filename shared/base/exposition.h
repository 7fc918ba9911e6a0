/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics as text: Prometheus' text format, version 0.0.4, and OpenMetrics 1.0.
 *
 *     https://prometheus.io/docs/instrumenting/exposition_formats/
 *     https://prometheus.io/docs/specs/om/open_metrics_spec/
 *
 * The caller begins a family and then writes its samples, because both formats
 * want the samples of a family together.  es_exposition_end() must follow the
 * last one.  After a failure (out of memory) nothing more is written: the
 * caller checks `rc` once, at the end.
 */

#ifndef ES_EXPOSITION_H
#define ES_EXPOSITION_H

#include "base/base.h"

typedef enum {
    ES_EXPOSITION_TEXT = 0,
    ES_EXPOSITION_OPENMETRICS,
    ES_EXPOSITION_FORMS
} es_exposition_form_t;

typedef struct {
    es_buf_t             *out;
    es_exposition_form_t  form;
    const char           *name;    /* of the family; NULL before the first */
    es_rc_t               rc;
} es_exposition_t;

typedef struct {
    const char  *name;
    es_str_t     value;        /* UTF-8; escaped when it is written */
} es_label_t;

/* What the labels of an exemplar may have in all, names and values; a label
   that does not fit is left out. */
#define ES_EXEMPLAR_MAX  128

/* A case that was counted.  Only OpenMetrics has exemplars. */
typedef struct {
    es_label_t   labels[3];
    size_t       nlabels;      /* 0: there is none */
    uint64_t     value_us;     /* written in seconds */
    int64_t      time_ms;      /* wall clock */
} es_exemplar_t;

/* The values of Content-Type. */
extern const es_str_t  es_exposition_types[ES_EXPOSITION_FORMS];

/* Returns the form that a value of Accept asks for: OpenMetrics only if the
   value prefers its version 1.0.0 to text, and else the text format, also if
   the value accepts neither. */
es_exposition_form_t es_exposition_form(es_str_t accept);

/*
 * Begins a family.  `type` is "counter", "gauge", "histogram", "summary" or
 * "info".  The names of counters end with "_total", of infos with "_info"; the
 * unit is read from a name that ends with "_seconds", "_bytes" or "_ratio"
 * before that.  `help` has neither '\', '"' nor a line break.  `name` must live
 * as long as the family.
 */
void es_metric_family(es_exposition_t *e, const char *name, const char *type,
    const char *help);

/* Writes a sample of the family.  `suffix` is "", or one of a histogram's or
   summary's. */
void es_metric(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels, uint64_t value);

/* The same for a time, which is printed in seconds, and for a value from 0 to
   1 in millionths. */
void es_metric_ms(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels, uint64_t ms);
void es_metric_us(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels, uint64_t us);

/* The same with an exemplar, for counters and buckets; NULL: none. */
void es_metric_exemplar(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels, uint64_t value,
    const es_exemplar_t *exemplar);

/* A family with one sample and no labels. */
void es_metric_gauge(es_exposition_t *e, const char *name, const char *help,
    uint64_t value);
void es_metric_counter(es_exposition_t *e, const char *name, const char *help,
    uint64_t value);

/* The bounds of a histogram with what was counted above each bound's
   predecessor, and above the last bound. */
typedef struct {
    const uint32_t       *bounds_ms;   /* ascending */
    const uint64_t       *within;      /* nbounds + 1 */
    const es_exemplar_t  *exemplars;   /* nbounds + 1, or NULL */
    size_t                nbounds;
    uint64_t              sum_us;
} es_histogram_t;

/* Writes the samples of a histogram in seconds, of a family without labels or
   with one label, which may be NULL. */
void es_metric_histogram(es_exposition_t *e, const es_label_t *label,
    const es_histogram_t *histogram);

/* Ends the text. */
void es_exposition_end(es_exposition_t *e);

#endif /* ES_EXPOSITION_H */
