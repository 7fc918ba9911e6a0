/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes metrics in Prometheus' text format.
 */

#include "base/base.h"
#include "base/exposition.h"


static void
es_exposition_text(es_exposition_t *e, const char *text, size_t len)
{
    if (e->rc == ES_OK) {
        e->rc = es_buf_append(e->out, text, len);
    }
}


static void
es_exposition_word(es_exposition_t *e, const char *word)
{
    es_exposition_text(e, word, strlen(word));
}


void
es_metric_family(es_exposition_t *e, const char *name, const char *type,
    const char *help)
{
    e->name = name;

    if (e->rc == ES_OK) {
        e->rc = es_buf_printf(e->out, "# HELP %s %s\n# TYPE %s %s\n", name,
                              help, name, type);
    }
}


/* The format escapes a backslash, a quote and a line break, and nothing
   else. */

static void
es_exposition_value(es_exposition_t *e, es_str_t value)
{
    size_t  i;

    for (i = 0; i < value.len; i++) {
        switch (value.data[i]) {

        case '\\':
            es_exposition_word(e, "\\\\");
            break;

        case '"':
            es_exposition_word(e, "\\\"");
            break;

        case '\n':
            es_exposition_word(e, "\\n");
            break;

        default:
            es_exposition_text(e, value.data + i, 1);
        }
    }
}


static void
es_exposition_name(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels)
{
    size_t  i;

    es_exposition_word(e, e->name);
    es_exposition_word(e, suffix);

    for (i = 0; i < nlabels; i++) {
        es_exposition_word(e, i == 0 ? "{" : ",");
        es_exposition_word(e, labels[i].name);
        es_exposition_word(e, "=\"");
        es_exposition_value(e, labels[i].value);
        es_exposition_word(e, "\"");
    }

    es_exposition_word(e, nlabels > 0 ? "} " : " ");
}


void
es_metric(es_exposition_t *e, const char *suffix, const es_label_t *labels,
    size_t nlabels, uint64_t value)
{
    es_exposition_name(e, suffix, labels, nlabels);

    if (e->rc == ES_OK) {
        e->rc = es_buf_printf(e->out, "%llu\n", (unsigned long long) value);
    }
}


void
es_metric_ms(es_exposition_t *e, const char *suffix, const es_label_t *labels,
    size_t nlabels, uint64_t ms)
{
    es_exposition_name(e, suffix, labels, nlabels);

    if (e->rc == ES_OK) {
        e->rc = es_buf_printf(e->out, "%llu.%03u\n",
                              (unsigned long long) ms / 1000,
                              (unsigned) (ms % 1000));
    }
}


void
es_metric_us(es_exposition_t *e, const char *suffix, const es_label_t *labels,
    size_t nlabels, uint64_t us)
{
    es_exposition_name(e, suffix, labels, nlabels);

    if (e->rc == ES_OK) {
        e->rc = es_buf_printf(e->out, "%llu.%06u\n",
                              (unsigned long long) us / 1000000,
                              (unsigned) (us % 1000000));
    }
}


void
es_metric_gauge(es_exposition_t *e, const char *name, const char *help,
    uint64_t value)
{
    es_metric_family(e, name, "gauge", help);
    es_metric(e, "", NULL, 0, value);
}


void
es_metric_counter(es_exposition_t *e, const char *name, const char *help,
    uint64_t value)
{
    es_metric_family(e, name, "counter", help);
    es_metric(e, "", NULL, 0, value);
}
