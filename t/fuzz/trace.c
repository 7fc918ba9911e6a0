/* SPDX-License-Identifier: BSD-2-Clause */

/* Trace contexts: a traceparent, a tracestate, the attributes of an event, and
   the answer of a collector, all of the same text. */

#include "event/trace.h"
#include "trace/otlp.h"
#include "fuzz.h"


static void
parent(es_str_t text)
{
    char        out[ES_TRACEPARENT_LEN];
    es_trace_t  trace, again;

    if (!es_trace_parse(text, &trace)) {
        return;
    }

    must(es_trace_print(&trace, out) == out + sizeof(out));
    must(es_trace_parse((es_str_t) { out, sizeof(out) }, &again));
    must(memcmp(&trace, &again, sizeof(trace)) == 0);
    must((trace.flags & ~(ES_TRACE_SAMPLED|ES_TRACE_RANDOM)) == 0);
}


static void
state(es_str_t text)
{
    char    out[ES_TRACESTATE_MAX], again[ES_TRACESTATE_MAX];
    size_t  i, len;

    len = es_tracestate_clean(text, out);
    must(len <= sizeof(out) && len <= text.len);

    for (i = 0; i < len; i++) {
        must(out[i] >= ' ' && out[i] <= '~');
    }

    must(es_tracestate_clean((es_str_t) { out, len }, again) == len);
    must(memcmp(out, again, len) == 0);
}


static void
event(es_str_t text)
{
    char        out[ES_TRACESTATE_MAX];
    es_trace_t  trace;

    (void) es_event_trace(text, &trace);
    must(es_event_tracestate(text, out) <= sizeof(out));
    must(es_event_same(text, text));
    must(es_event_same(text, es_lit("x")) == es_event_same(es_lit("x"), text));
}


static void
answer(es_str_t text)
{
    es_str_t          body;
    es_otlp_t         otlp;
    es_otlp_span_t    span;
    es_otlp_answer_t  a;

    memset(&span, 0, sizeof(span));
    span.kind = ES_SPAN_CLIENT;
    span.name = "x";

    must(es_otlp_init(&otlp, ES_OTLP_MIN, "fuzz") == ES_OK);
    must(es_otlp_begin(&otlp, &span) != NULL);
    must(es_span_text(&otlp.filling, "text", text) == ES_OK);
    es_otlp_end(&otlp, NULL, 0, NULL);
    must(es_otlp_take(&otlp, &body));

    a.status = 200;
    a.retry_after_ms = -1;
    a.body = text;

    must(es_otlp_answer(&otlp, &a) == -1);
    must(otlp.counts.spans[ES_OTLP_EXPORTED]
         + otlp.counts.spans[ES_OTLP_REJECTED] == 1);
    must(memchr(otlp.said, '\0', sizeof(otlp.said)) != NULL);

    es_otlp_free(&otlp);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    es_str_t  text;

    text = (es_str_t) { (const char *) data, size };

    parent(text);
    state(text);
    event(text);
    answer(text);

    return 0;
}
