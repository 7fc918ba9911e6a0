/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes metrics in Prometheus' text format or as OpenMetrics.
 *
 * OpenMetrics names a family of counters without "_total" and an info without
 * "_info", and has units, exemplars and an end.
 */

#include <stdio.h>

#include "base/accept.h"
#include "base/base.h"
#include "base/exposition.h"

const es_str_t  es_exposition_types[ES_EXPOSITION_FORMS] = {
    [ES_EXPOSITION_TEXT] = es_lit("text/plain; version=0.0.4; charset=utf-8"),
    [ES_EXPOSITION_OPENMETRICS] = es_lit("application/openmetrics-text; "
                                         "version=1.0.0; charset=utf-8")
};


es_exposition_form_t
es_exposition_form(es_str_t accept)
{
    return es_accept(accept, es_exposition_types, ES_EXPOSITION_FORMS)
           == ES_EXPOSITION_OPENMETRICS
           ? ES_EXPOSITION_OPENMETRICS : ES_EXPOSITION_TEXT;
}


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


/* Removes the end from a name that has it. */

static bool
es_exposition_cut(es_str_t *name, const char *end)
{
    size_t  len;

    len = strlen(end);

    if (name->len <= len
        || memcmp(name->data + name->len - len, end, len) != 0)
    {
        return false;
    }

    name->len -= len;

    return true;
}


static void
es_exposition_unit(es_exposition_t *e, es_str_t family)
{
    size_t       i;
    es_str_t     name;

    static const char *const  ends[] = { "_seconds", "_bytes", "_ratio" };

    for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        name = family;

        if (es_exposition_cut(&name, ends[i])) {
            e->rc = es_buf_printf(e->out, "# UNIT %.*s %s\n", (int) family.len,
                                  family.data, ends[i] + 1);
            return;
        }
    }
}


void
es_metric_family(es_exposition_t *e, const char *name, const char *type,
    const char *help)
{
    es_str_t  family;

    e->name = name;
    family = es_str(name);

    if (e->form == ES_EXPOSITION_OPENMETRICS) {
        (void) (es_exposition_cut(&family, "_total")
                || (strcmp(type, "info") == 0
                    && es_exposition_cut(&family, "_info")));

    } else if (strcmp(type, "info") == 0) {
        type = "gauge";
    }

    if (e->rc == ES_OK) {
        e->rc = es_buf_printf(e->out, "# HELP %.*s %s\n# TYPE %.*s %s\n",
                              (int) family.len, family.data, help,
                              (int) family.len, family.data, type);
    }

    if (e->rc == ES_OK && e->form == ES_EXPOSITION_OPENMETRICS) {
        es_exposition_unit(e, family);
    }
}


/* The formats escape a backslash, a quote and a line break, and nothing
   else. */

static void
es_exposition_value(es_exposition_t *e, es_str_t value)
{
    char    c;
    size_t  i, from;

    from = 0;

    for (i = 0; i < value.len; i++) {
        c = value.data[i];

        if (c == '\\' || c == '"' || c == '\n') {
            es_exposition_text(e, value.data + from, i - from);
            es_exposition_word(e, c == '\\' ? "\\\\" : c == '"' ? "\\\""
                                                                : "\\n");
            from = i + 1;
        }
    }

    es_exposition_text(e, value.data + from, value.len - from);
}


static void
es_exposition_labels(es_exposition_t *e, const es_label_t *labels,
    size_t nlabels)
{
    size_t  i;

    for (i = 0; i < nlabels; i++) {
        es_exposition_word(e, i == 0 ? "{" : ",");
        es_exposition_word(e, labels[i].name);
        es_exposition_word(e, "=\"");
        es_exposition_value(e, labels[i].value);
        es_exposition_word(e, "\"");
    }

    es_exposition_word(e, nlabels > 0 ? "} " : " ");
}


static void
es_exposition_name(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels)
{
    es_exposition_word(e, e->name);
    es_exposition_word(e, suffix);
    es_exposition_labels(e, labels, nlabels);
}


/* A scrape can have a hundred thousand numbers; printf() would take a fifth of
   its time. */

static void
es_exposition_number(es_exposition_t *e, uint64_t n)
{
    char    digits[20];
    size_t  i;

    i = sizeof(digits);

    do {
        digits[--i] = (char) ('0' + n % 10);
        n /= 10;
    } while (n > 0);

    es_exposition_text(e, digits + i, sizeof(digits) - i);
}


/* Writes `n` as units of which `unit` make one, with `digits` digits. */

static void
es_exposition_fraction(es_exposition_t *e, uint64_t n, unsigned unit,
    int digits, const char *end)
{
    if (e->rc == ES_OK) {
        e->rc = es_buf_printf(e->out, "%llu.%0*u%s",
                              (unsigned long long) n / unit, digits,
                              (unsigned) (n % unit), end);
    }
}


/* Counts characters of UTF-8. */

static size_t
es_exposition_chars(es_str_t text)
{
    size_t  i, n;

    n = 0;

    for (i = 0; i < text.len; i++) {
        n += ((unsigned char) text.data[i] & 0xc0) != 0x80;
    }

    return n;
}


static void
es_exposition_exemplar(es_exposition_t *e, const es_exemplar_t *exemplar)
{
    size_t      i, n, chars, total;
    es_label_t  labels[3];

    n = 0;
    total = 0;

    for (i = 0; i < exemplar->nlabels; i++) {
        chars = strlen(exemplar->labels[i].name)
                + es_exposition_chars(exemplar->labels[i].value);

        if (total + chars <= ES_EXEMPLAR_MAX) {
            total += chars;
            labels[n++] = exemplar->labels[i];
        }
    }

    if (n == 0) {
        return;
    }

    es_exposition_word(e, " # ");
    es_exposition_labels(e, labels, n);
    es_exposition_fraction(e, exemplar->value_us, 1000000, 6, " ");
    es_exposition_fraction(e, (uint64_t) exemplar->time_ms, 1000, 3, "");
}


void
es_metric_exemplar(es_exposition_t *e, const char *suffix,
    const es_label_t *labels, size_t nlabels, uint64_t value,
    const es_exemplar_t *exemplar)
{
    es_exposition_name(e, suffix, labels, nlabels);

    es_exposition_number(e, value);

    if (e->form == ES_EXPOSITION_OPENMETRICS && exemplar != NULL) {
        es_exposition_exemplar(e, exemplar);
    }

    es_exposition_word(e, "\n");
}


void
es_metric(es_exposition_t *e, const char *suffix, const es_label_t *labels,
    size_t nlabels, uint64_t value)
{
    es_metric_exemplar(e, suffix, labels, nlabels, value, NULL);
}


void
es_metric_ms(es_exposition_t *e, const char *suffix, const es_label_t *labels,
    size_t nlabels, uint64_t ms)
{
    es_exposition_name(e, suffix, labels, nlabels);
    es_exposition_fraction(e, ms, 1000, 3, "\n");
}


void
es_metric_us(es_exposition_t *e, const char *suffix, const es_label_t *labels,
    size_t nlabels, uint64_t us)
{
    es_exposition_name(e, suffix, labels, nlabels);
    es_exposition_fraction(e, us, 1000000, 6, "\n");
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


/* OpenMetrics wants the shortest number that is the bound, with a point: "0.5",
   "10.0".  The text format has the same, so that one series has one name. */

static es_str_t
es_exposition_bound(uint32_t ms, char *text, size_t size)
{
    int  len;

    len = snprintf(text, size, "%u.%03u", (unsigned) ms / 1000,
                   (unsigned) ms % 1000);

    while (text[len - 1] == '0' && text[len - 2] != '.') {
        len--;
    }

    return (es_str_t) { text, (size_t) len };
}


void
es_metric_histogram(es_exposition_t *e, const es_label_t *label,
    const es_histogram_t *histogram)
{
    char        bound[32];
    size_t      i, n;
    uint64_t    total;
    es_label_t  labels[2];

    n = 0;
    total = 0;

    if (label != NULL) {
        labels[n++] = *label;
    }

    labels[n].name = "le";

    for (i = 0; i <= histogram->nbounds; i++) {
        total += histogram->within[i];
        labels[n].value = i < histogram->nbounds
                          ? es_exposition_bound(histogram->bounds_ms[i], bound,
                                                sizeof(bound))
                          : es_lit("+Inf");
        es_metric_exemplar(e, "_bucket", labels, n + 1, total,
                           histogram->exemplars != NULL
                           ? &histogram->exemplars[i] : NULL);
    }

    es_metric_us(e, "_sum", labels, n, histogram->sum_us);
    es_metric(e, "_count", labels, n, total);
}


void
es_exposition_end(es_exposition_t *e)
{
    if (e->form == ES_EXPOSITION_OPENMETRICS) {
        es_exposition_word(e, "# EOF\n");
    }
}
