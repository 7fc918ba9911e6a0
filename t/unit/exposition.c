/* SPDX-License-Identifier: BSD-2-Clause */

/* Metrics as text, in both forms. */

#include "base/exposition.h"
#include "tap.h"

static const uint32_t       bounds[] = { 5, 100, 2500, 10000 };
static const uint64_t       within[] = { 1, 0, 2, 0, 3 };
static const es_exemplar_t  exemplar = {
    .labels = { { "trace_id", { "4bf9", 4 } },
                { "webhook_id", { "\xc3\xa4\"", 3 } } },
    .nlabels = 2, .value_us = 70, .time_ms = 1700000000007
};
static const es_exemplar_t  exemplars[5] = {
    [2] = {
        .labels = { { "id", { "7", 1 } } },
        .nlabels = 1, .value_us = 1500000, .time_ms = 1
    }
};
static const es_histogram_t  histogram = {
    bounds, within, exemplars, 4, 1000007
};


static void
test_format(void)
{
    es_buf_t         out = { 0 };
    es_label_t       labels[2];
    es_exposition_t  e = { .out = &out };

    labels[0].name = "a";
    labels[0].value = es_str("x\\y\"z\n\xc3\xa4");
    labels[1].name = "b";
    labels[1].value = es_str("");

    es_metric_family(&e, "m", "histogram", "What it is.");
    es_metric(&e, "_bucket", labels, 2, UINT64_MAX);
    es_metric_ms(&e, "", labels + 1, 1, 1005);
    es_metric_us(&e, "_sum", NULL, 0, 7);
    es_metric_counter(&e, "n_total", "N.", 0);

    ok(e.rc == ES_OK, "metrics are written");
    is_str((es_str_t) { out.data, out.len },
           "# HELP m What it is.\n# TYPE m histogram\n"
           "m_bucket{a=\"x\\\\y\\\"z\\n\xc3\xa4\",b=\"\"} "
           "18446744073709551615\n"
           "m{b=\"\"} 1.005\nm_sum 0.000007\n"
           "# HELP n_total N.\n# TYPE n_total counter\nn_total 0\n",
           "as the format wants them");

    e.rc = ES_NOMEM;
    out.len = 0;
    es_metric_gauge(&e, "g", "G.", 1);
    ok(out.len == 0 && e.rc == ES_NOMEM, "nothing follows a failure");
    es_buf_free(&out);
}


static void
test_openmetrics(void)
{
    es_buf_t         out = { 0 };
    es_label_t       label = { "a", es_lit("x\"") };
    es_exposition_t  e = { .out = &out, .form = ES_EXPOSITION_OPENMETRICS };

    es_metric_family(&e, "b_info", "info", "B.");
    es_metric(&e, "", &label, 1, 1);
    es_metric_family(&e, "n_bytes_total", "counter", "N.");
    es_metric_exemplar(&e, "", NULL, 0, 7, &exemplar);
    es_metric_family(&e, "h_seconds", "histogram", "H.");
    es_metric_histogram(&e, NULL, &histogram);
    es_metric_family(&e, "total_", "gauge", "G.");
    es_exposition_end(&e);

    is_str((es_str_t) { out.data, out.len },
           "# HELP b B.\n# TYPE b info\nb_info{a=\"x\\\"\"} 1\n"
           "# HELP n_bytes N.\n# TYPE n_bytes counter\n"
           "# UNIT n_bytes bytes\n"
           "n_bytes_total 7 # {trace_id=\"4bf9\","
           "webhook_id=\"\xc3\xa4\\\"\"} 0.000070 1700000000.007\n"
           "# HELP h_seconds H.\n# TYPE h_seconds histogram\n"
           "# UNIT h_seconds seconds\n"
           "h_seconds_bucket{le=\"0.005\"} 1\n"
           "h_seconds_bucket{le=\"0.1\"} 1\n"
           "h_seconds_bucket{le=\"2.5\"} 3 # {id=\"7\"} 1.500000 0.001\n"
           "h_seconds_bucket{le=\"10.0\"} 3\n"
           "h_seconds_bucket{le=\"+Inf\"} 6\n"
           "h_seconds_sum 1.000007\nh_seconds_count 6\n"
           "# HELP total_ G.\n# TYPE total_ gauge\n# EOF\n",
           "OpenMetrics");
    es_buf_free(&out);
}


/* 128 characters with the name, and one more. */

static void
test_long_exemplar(void)
{
    char             id[130];
    es_buf_t         out = { 0 };
    es_exemplar_t    x = exemplar;
    es_exposition_t  e = { .out = &out, .form = ES_EXPOSITION_OPENMETRICS };

    memset(id, 'x', sizeof(id));
    es_metric_family(&e, "c_total", "counter", "C.");
    out.len = 0;
    x.labels[0] = (es_label_t) { "webhook_id", { id, 118 } };
    x.labels[1] = (es_label_t) { "a", es_lit("") };
    es_metric_exemplar(&e, "", NULL, 0, 1, &x);
    ok(memmem(out.data, out.len, "xxx\"} 0.0", 9) != NULL
       && memmem(out.data, out.len, "a=\"\"", 4) == NULL,
       "an exemplar has 128 characters");

    out.len = 0;
    x.labels[0].value.len = 119;
    es_metric_exemplar(&e, "", NULL, 0, 1, &x);
    is_str((es_str_t) { out.data, out.len },
           "c_total 1 # {a=\"\"} 0.000070 1700000000.007\n",
           "and no more");

    out.len = 0;
    x.nlabels = 1;
    es_metric_exemplar(&e, "", NULL, 0, 1, &x);
    is_str((es_str_t) { out.data, out.len }, "c_total 1\n",
           "without a label there is none");

    /* "\xc3\xa4" is one character */

    out.len = 0;
    memcpy(id, "\xc3\xa4", 2);
    es_metric_exemplar(&e, "", NULL, 0, 1, &x);
    ok(memmem(out.data, out.len, "xxx\"} 0.0", 9) != NULL,
       "characters are those of UTF-8");
    es_buf_free(&out);
}


static void
test_text(void)
{
    es_buf_t         out = { 0 };
    es_label_t       label = { "a", es_lit("x\"") };
    es_exposition_t  e = { .out = &out };

    es_metric_family(&e, "b_info", "info", "B.");
    es_metric_family(&e, "n_bytes_total", "counter", "N.");
    es_metric_exemplar(&e, "", NULL, 0, 7, &exemplar);
    es_metric_histogram(&e, &label, &histogram);
    es_exposition_end(&e);
    is_str((es_str_t) { out.data, out.len },
           "# HELP b_info B.\n# TYPE b_info gauge\n"
           "# HELP n_bytes_total N.\n# TYPE n_bytes_total counter\n"
           "n_bytes_total 7\n"
           "n_bytes_total_bucket{a=\"x\\\"\",le=\"0.005\"} 1\n"
           "n_bytes_total_bucket{a=\"x\\\"\",le=\"0.1\"} 1\n"
           "n_bytes_total_bucket{a=\"x\\\"\",le=\"2.5\"} 3\n"
           "n_bytes_total_bucket{a=\"x\\\"\",le=\"10.0\"} 3\n"
           "n_bytes_total_bucket{a=\"x\\\"\",le=\"+Inf\"} 6\n"
           "n_bytes_total_sum{a=\"x\\\"\"} 1.000007\n"
           "n_bytes_total_count{a=\"x\\\"\"} 6\n",
           "the text format has neither units nor exemplars nor an end");
    es_buf_free(&out);
}


int
main(void)
{
    test_format();
    test_openmetrics();
    test_long_exemplar();
    test_text();

    return done();
}
