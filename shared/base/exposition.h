/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Prometheus' text format, version 0.0.4.
 *
 * The caller begins a family and then writes its samples, because the format
 * wants the samples of a family together.  After a failure (out of memory)
 * nothing more is written: the caller checks `rc` once, at the end.
 */

#ifndef ES_EXPOSITION_H
#define ES_EXPOSITION_H

#include "base/base.h"

#define ES_EXPOSITION_TYPE  "text/plain; version=0.0.4; charset=utf-8"

typedef struct {
    es_buf_t    *out;
    const char  *name;         /* of the family */
    es_rc_t      rc;
} es_exposition_t;

typedef struct {
    const char  *name;
    es_str_t     value;        /* UTF-8; escaped when it is written */
} es_label_t;

/* Begins a family.  `type` is "counter", "gauge" or "histogram"; `help` has
   neither '\' nor a line break.  `name` must live as long as the family. */
void es_metric_family(es_exposition_t *e, const char *name, const char *type,
    const char *help);

/* Writes a sample of the family.  `suffix` is "", or one of a histogram's. */
void es_metric(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels, uint64_t value);

/* The same for a time, which is printed in seconds. */
void es_metric_ms(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels, uint64_t ms);
void es_metric_us(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels, uint64_t us);

/* A family with one sample and no labels. */
void es_metric_gauge(es_exposition_t *e, const char *name, const char *help,
    uint64_t value);
void es_metric_counter(es_exposition_t *e, const char *name, const char *help,
    uint64_t value);

#endif /* ES_EXPOSITION_H */
