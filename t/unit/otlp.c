/* SPDX-License-Identifier: BSD-2-Clause */

/* Spans as JSON, the buffer on their way to a collector, and its answers. */

#include <jansson.h>

#include "trace/otlp.h"
#include "tap.h"

static es_otlp_t  otlp;

static const es_trace_t  trace = {
    .id = { 0x0a, 0xf7, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x9c },
    .span = { 0xb7, 2, 3, 4, 5, 6, 7, 0x31 },
    .flags = ES_TRACE_SAMPLED
};

static const uint8_t  parent[ES_SPAN_ID] = { 1, 2, 3, 4, 5, 6, 7, 8 };


static es_otlp_span_t
a_span(void)
{
    return (es_otlp_span_t) { .trace = trace, .parent = parent, .remote = true,
                         .kind = ES_SPAN_CLIENT, .name = "POST",
                         .start_us = 1795435200000001,
                         .end_us = 1795435200000002 };
}


static bool
add(void)
{
    es_otlp_span_t  span;

    span = a_span();

    if (es_otlp_begin(&otlp, &span) == NULL) {
        return false;
    }

    es_otlp_end(&otlp, NULL, 0, NULL);

    return true;
}


static void
begin(size_t max)
{
    es_otlp_free(&otlp);
    ok(es_otlp_init(&otlp, max, "a-service") == ES_OK, "a buffer");
}


static json_t *
taken(size_t *n)
{
    json_t    *root, *spans;
    es_str_t   body;

    *n = 0;

    if (!es_otlp_take(&otlp, &body)) {
        return NULL;
    }

    root = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
    ok(root != NULL, "the request is JSON");
    spans = json_object_get(json_array_get(json_object_get(
                json_array_get(json_object_get(root, "resourceSpans"), 0),
                "scopeSpans"), 0), "spans");
    *n = json_array_size(spans);

    return root;
}


static int64_t
answer(int status, int64_t after, const char *body)
{
    es_otlp_answer_t  a;

    a.status = status;
    a.retry_after_ms = after;
    a.body = es_str(body);

    return es_otlp_answer(&otlp, &a);
}


static void
test_sent(const char *longer)
{
    char    *text, expected[2048];
    size_t   n;
    json_t  *root, *span;

    root = taken(&n);
    is_int((int64_t) n, 2, "both are sent");

    span = json_object_get(json_array_get(json_object_get(
               json_array_get(json_object_get(root, "resourceSpans"), 0),
               "scopeSpans"), 0), "spans");
    text = json_dumps(json_array_get(span, 0), JSON_COMPACT);
    (void) snprintf(expected, sizeof(expected),
        "{\"traceId\":\"0af7030405060708090a0b0c0d0e0f9c\","
        "\"spanId\":\"b702030405060731\","
        "\"parentSpanId\":\"0102030405060708\",\"flags\":769,"
        "\"name\":\"POST\",\"kind\":3,"
        "\"startTimeUnixNano\":\"1795435200000001000\","
        "\"endTimeUnixNano\":\"1795435200000002000\",\"attributes\":["
        "{\"key\":\"a\",\"value\":{\"stringValue\":\"b\\\"\\\\\\n\xc3\xa4\"}},"
        "{\"key\":\"bad\",\"value\":{\"stringValue\":\"\"}},"
        "{\"key\":\"cut\",\"value\":{\"stringValue\":\"%s\"}},"
        "{\"key\":\"n\",\"value\":{\"intValue\":\"-5\"}},"
        "{\"key\":\"min\",\"value\":{\"intValue\":\"-9223372036854775808\"}}],"
        "\"links\":[{\"traceId\":\"0af7030405060708090a0b0c0d0e0f9c\","
        "\"spanId\":\"b702030405060731\",\"flags\":1},"
        "{\"traceId\":\"0af7030405060708090a0b0c0d0e0f9c\","
        "\"spanId\":\"b702030405060731\",\"flags\":1}],"
        "\"status\":{\"code\":2,\"message\":\"status\"}}", longer);
    is_str(es_str(text), expected, "a span with everything");
    free(text);

    text = json_dumps(json_array_get(span, 1), JSON_COMPACT);
    is_str(es_str(text),
        "{\"traceId\":\"0af7030405060708090a0b0c0d0e0f9c\","
        "\"spanId\":\"b702030405060731\",\"flags\":257,"
        "\"name\":\"POST\",\"kind\":1,"
        "\"startTimeUnixNano\":\"1795435200000001000\","
        "\"endTimeUnixNano\":\"1795435200000002000\",\"attributes\":[]}",
        "a root with nothing");
    free(text);
    json_decref(root);
    is_int(answer(200, -1, "{}"), -1, "and taken");
}


static void
test_span(void)
{
    es_buf_t   *out;
    es_otlp_span_t   s;
    es_trace_t  links[2] = { trace, trace };

    char  longer[300];

    memset(longer, 'x', sizeof(longer));
    longer[255] = '\xc3';
    longer[256] = '\xa4';

    begin(ES_OTLP_MIN);
    s = a_span();
    out = es_otlp_begin(&otlp, &s);
    ok(out != NULL, "a span begins");
    ok(es_span_text(out, "a", es_lit("b\"\\\n\xc3\xa4")) == ES_OK, "text");
    ok(es_span_text(out, "bad", es_lit("\xff")) == ES_OK, "no UTF-8");
    ok(es_span_text(out, "cut", (es_str_t) { longer, 300 }) == ES_OK, "long");
    ok(es_span_number(out, "n", -5) == ES_OK, "a number");
    ok(es_span_number(out, "min", INT64_MIN) == ES_OK, "the least");
    es_otlp_end(&otlp, links, 2, "status");

    s.parent = NULL;
    s.remote = false;
    s.kind = ES_SPAN_INTERNAL;
    (void) es_otlp_begin(&otlp, &s);
    es_otlp_end(&otlp, NULL, 0, NULL);

    longer[255] = '\0';
    test_sent(longer);
}


static void
test_bounds(void)
{
    size_t  n, i, added, sent;

    begin(ES_OTLP_MIN);
    is_int((int64_t) (taken(&n) != NULL), 0, "nothing to send");
    ok(!es_otlp_due(&otlp), "nothing is due");

    for (i = 0; !es_otlp_due(&otlp); i++) {
        (void) add();
    }

    ok(otlp.filling.len >= ES_OTLP_MIN / 2, "half a buffer is due");
    json_decref(taken(&sent));
    is_int((int64_t) sent, (int64_t) i, "all are sent");
    ok(!es_otlp_due(&otlp), "one request at a time");
    ok(taken(&n) == NULL, "really");

    for (added = 0; added < 10000 && add(); added++) { /* void */ }
    ok(added < 10000 && otlp.filling.len <= ES_OTLP_MIN, "then it is full");

    for (i = 0; i < 1000; i++) {
        (void) add();
    }

    is_int((int64_t) otlp.counts.spans[ES_OTLP_DROPPED], 1001, "and drops");
    is_int(answer(0, -1, "") > 0, 1, "no answer: later");
    is_int((int64_t) otlp.counts.requests[ES_OTLP_RETRIED], 1, "counted");
    is_int(answer(200, -1, ""), -1, "taken, with an empty body");
    is_int((int64_t) otlp.counts.spans[ES_OTLP_EXPORTED], (int64_t) sent,
           "counted");
    json_decref(taken(&n));
    is_int((int64_t) n, (int64_t) added, "the others come next");
    es_otlp_drop(&otlp);
    is_int((int64_t) otlp.counts.spans[ES_OTLP_DROPPED],
           (int64_t) (1001 + added), "given up");
    ok(add(), "there is room again");
}


static int64_t
answered(int status, int64_t after, const char *body)
{
    size_t  n;

    if (otlp.nsending > 0) {
        es_otlp_drop(&otlp);
    }

    memset(&otlp.counts, 0, sizeof(otlp.counts));
    (void) add();
    (void) add();
    (void) add();
    json_decref(taken(&n));

    return answer(status, after, body);
}


static void
is_counted(const char *name, es_otlp_outcome_t outcome, uint64_t exported,
    uint64_t refused, uint64_t rejected)
{
    const es_otlp_counts_t  *c;

    c = &otlp.counts;
    ok(c->requests[outcome] == 1
       && c->spans[ES_OTLP_EXPORTED] == exported
       && c->spans[ES_OTLP_REFUSED] == refused
       && c->spans[ES_OTLP_REJECTED] == rejected, "%s: counted", name);
}


static void
test_answers(void)
{
    size_t      i;
    es_str_t    text;

    static const int  refused[] = { 301, 400, 401, 404, 413, 500, 501 };
    static const int  retried[] = { 429, 502, 503, 504 };
    static const char *const  garbled[] = {
        "x", "[]", "<html>", "{", "{\"partialSuccess\":[]}", "\"\""
    };

    begin(ES_OTLP_MIN);

    is_int(answered(200, -1, "{\"partialSuccess\":{}}"), -1, "200");
    is_counted("200", ES_OTLP_TAKEN, 3, 0, 0);
    is_str(es_str(otlp.said), "", "nothing is wrong");

    is_int(answered(200, -1, "{\"partialSuccess\":{\"rejectedSpans\":\"2\","
                             "\"errorMessage\":\"no\\nroom\"}}"), -1, "partial");
    is_counted("partial", ES_OTLP_PARTIAL, 1, 0, 2);
    is_str(es_str(otlp.said), "it rejected 2 of 3 spans: no?room", "said");

    is_int(answered(200, -1, "{\"partialSuccess\":{\"rejectedSpans\":1}}"), -1,
           "a number");
    is_counted("a number", ES_OTLP_PARTIAL, 2, 0, 1);
    is_int(answered(200, -1, "{\"partialSuccess\":{\"rejectedSpans\":\"99\"}}"),
           -1, "more than there were");
    is_counted("more than there were", ES_OTLP_PARTIAL, 0, 0, 3);
    is_int(answered(200, -1, "{\"partialSuccess\":{\"errorMessage\":\"w\"}}"),
           -1, "a warning");
    is_counted("a warning", ES_OTLP_TAKEN, 3, 0, 0);

    for (i = 0; i < sizeof(garbled) / sizeof(garbled[0]); i++) {
        is_int(answered(200, -1, garbled[i]), -1, garbled[i]);
        is_counted(garbled[i], ES_OTLP_GARBLED, 3, 0, 0);
    }

    for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        is_int(answered(refused[i], 5000, "{"), -1, "refused for good");
        is_counted("refused", ES_OTLP_FAILED, 0, 3, 0);
    }

    text = es_str(otlp.said);
    is_str(text, "it answered 501", "said");

    for (i = 0; i < sizeof(retried) / sizeof(retried[0]); i++) {
        is_int(answered(retried[i], 5000, ""), 5000, "Retry-After");
        is_counted("retried", ES_OTLP_RETRIED, 0, 0, 0);
    }

    is_int(answered(503, 0, ""), 100, "not at once");
    is_int(answered(503, INT64_MAX, ""), 600000, "not too late");
    is_int(answered(0, 5000, "") != 5000, 1, "not without an answer");
}


static void
test_backoff(void)
{
    int64_t   ms;
    unsigned  i;

    begin(ES_OTLP_MIN);
    (void) answered(503, -1, "");

    for (i = 1; i < 10; i++) {
        ms = answer(503, -1, "");
        ok(ms >= (i < 6 ? 1000 << i : 60000) * 4 / 5
           && ms <= (i < 6 ? 1000 << i : 60000) * 6 / 5,
           "attempt %u after %d ms", i + 1, (int) ms);
    }

    is_int(answer(200, -1, ""), -1, "over");
    ok(add(), "the next one");
    ok(answered(503, -1, "") <= 1200, "begins anew");
}


static void
test_share(void)
{
    size_t    i, n;
    uint32_t  ppm;
    uint64_t  number;

    es_trace_t  a, b;

    static const struct { const char *text; int64_t ppm; } cases[] = {
        { "0", 0 }, { "1", 1000000 }, { "0.01", 10000 }, { "0.5", 500000 },
        { "1.0", 1000000 }, { "0.000001", 1 }, { "1.000000", 1000000 },
        { "1.1", -1 }, { "2", -1 }, { "", -1 }, { ".5", -1 }, { "0.", -1 },
        { "0,5", -1 }, { "-1", -1 }, { "0.0000001", -1 }, { "1%", -1 },
        { "0.1x", -1 }, { "01", -1 }, { "1e0", -1 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(es_otlp_share(es_str(cases[i].text), &ppm) == ES_OK
               ? (int64_t) ppm : -1, cases[i].ppm, cases[i].text);
    }

    for (number = 0, n = 0; number < 100000; number++) {
        n += es_trace_pick(&number, sizeof(number), 10000, &a);
    }

    ok(n > 800 && n < 1200, "a share of 0.01 picks %zu of 100000", n);

    number = 1;
    ok(!es_trace_pick(&number, sizeof(number), 0, &a), "a share of 0");
    ok(es_trace_pick(&number, sizeof(number), 1000000, &a), "of 1");
    ok(es_trace_pick(&number, sizeof(number), 1000000, &b)
       && memcmp(a.id, b.id, sizeof(a.id)) == 0, "the same trace each time");
    is_int(a.flags, ES_TRACE_SAMPLED, "which is sampled");

    es_span_derive(&a, "1", 1, a.span);
    es_span_derive(&b, "1", 1, b.span);
    ok(memcmp(a.span, b.span, ES_SPAN_ID) == 0, "the same span each time");
    es_span_derive(&b, "2", 1, b.span);
    ok(memcmp(a.span, b.span, ES_SPAN_ID) != 0, "and another one");
}


int
main(void)
{
    test_span();
    test_bounds();
    test_answers();
    test_backoff();
    test_share();
    es_otlp_free(&otlp);

    return done();
}
