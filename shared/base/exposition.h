/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Prometheus' text format, version 0.0.4.
 *
 * A family is begun, then its samples follow: the format wants them together.
 * The first failure (memory is out) is kept, and nothing is written after it:
 * look at `rc` at the end.
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

/* `type`: "counter", "gauge", "histogram"; `help` has neither '\' nor a line
   break.  The names and texts stay as long as the family. */
void es_metric_family(es_exposition_t *e, const char *name, const char *type,
    const char *help);

/* A sample of the family; `suffix` is "", or a histogram's. */
void es_metric(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels, uint64_t value);

/* The same, of a time in thousandths or millionths of its unit, a second. */
void es_metric_ms(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels, uint64_t ms);
void es_metric_us(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels, uint64_t us);

/* A family of one sample without labels. */
void es_metric_gauge(es_exposition_t *e, const char *name, const char *help,
    uint64_t value);
void es_metric_counter(es_exposition_t *e, const char *name, const char *help,
    uint64_t value);

#endif /* ES_EXPOSITION_H */
