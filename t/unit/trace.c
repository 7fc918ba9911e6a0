/* SPDX-License-Identifier: BSD-2-Clause */

/* W3C Trace Context: what is a valid traceparent and tracestate, and where they
   stand in an event. */

#include "event/trace.h"
#include "trace/context.h"
#include "tap.h"

#define ID    "0af7651916cd43dd8448eb211c80319c"
#define SPAN  "b7ad6b7169203331"
#define ZERO8 "00000000"


static void
parent(const char *text, const char *expected)
{
    char        out[ES_TRACEPARENT_LEN + 1];
    es_trace_t  trace;

    if (!es_trace_parse(es_str(text), &trace)) {
        ok(expected == NULL, "\"%s\" is invalid", text);
        return;
    }

    *es_trace_print(&trace, out) = '\0';
    is_str(es_str(out), expected ? expected : "(invalid)", text);
}


static void
test_parent(void)
{
    parent("00-" ID "-" SPAN "-01", "00-" ID "-" SPAN "-01");
    parent("00-" ID "-" SPAN "-00", "00-" ID "-" SPAN "-00");
    parent(" \t00-" ID "-" SPAN "-01\t ", "00-" ID "-" SPAN "-01");

    /* flags: two are known, of a later version one */
    parent("00-" ID "-" SPAN "-03", "00-" ID "-" SPAN "-03");
    parent("00-" ID "-" SPAN "-ff", "00-" ID "-" SPAN "-03");
    parent("cc-" ID "-" SPAN "-ff", "00-" ID "-" SPAN "-01");

    /* versions */
    parent("ff-" ID "-" SPAN "-01", NULL);
    parent("00-" ID "-" SPAN "-01-", NULL);
    parent("00-" ID "-" SPAN "-01-x", NULL);
    parent("01-" ID "-" SPAN "-01-what-the-future-will-be",
           "00-" ID "-" SPAN "-01");
    parent("cc-" ID "-" SPAN "-01.x", NULL);
    parent("0-" ID "-" SPAN "-01", NULL);
    parent("000-" ID "-" SPAN "-01", NULL);
    parent("0x-" ID "-" SPAN "-01", NULL);

    /* ids */
    parent("00-" ZERO8 ZERO8 ZERO8 ZERO8 "-" SPAN "-01", NULL);
    parent("00-" ID "-" ZERO8 ZERO8 "-01", NULL);
    parent("00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", NULL);
    parent("00-" ID "-B7AD6B7169203331-01", NULL);
    parent("00-" ID "-" SPAN "-0A", NULL);
    parent("00-" ID "-" SPAN "-1", NULL);
    parent("00-" ID "-" SPAN, NULL);
    parent("00-" ID "0-" SPAN "-01", NULL);
    parent("00-" ID "." SPAN "-01", NULL);
    parent("00_" ID "-" SPAN "-01", NULL);
    parent("00-" ID "-" SPAN ".01", NULL);
    parent("00-" ID "-b7ad6b716920333g-01", NULL);
    parent("", NULL);
    parent("not one", NULL);
}


static void
state(const char *text, const char *expected)
{
    char    out[ES_TRACESTATE_MAX];
    size_t  len;

    len = es_tracestate_clean(es_str(text), out);
    is_str((es_str_t) { out, len }, expected, text);
}


static char *
repeat(char *out, const char *text, unsigned n)
{
    while (n-- > 0) {
        out += sprintf(out, "%s", text);
    }

    return out;
}


static void
test_state(void)
{
    state("foo=1", "foo=1");
    state("foo=1,bar=2", "foo=1,bar=2");
    state(" foo=1 \t,\t,  bar=2,,", "foo=1,bar=2");
    state("foo= 1  2", "foo= 1  2");
    state("foo=\"\\!<>~", "foo=\"\\!<>~");
    state("a0_-*/=1", "a0_-*/=1");
    state("0t@v=1,t0_-*/@v0_-*/=1", "0t@v=1,t0_-*/@v0_-*/=1");
    state("", "");
    state(" , ", "");

    state("foo", "");
    state("foo=", "");
    state("=1", "");
    state("foo =1", "");
    state("FOO=1", "");
    state("0foo=1", "");
    state("foo.bar=1", "");
    state("@v=1", "");
    state("t@=1", "");
    state("t@0v=1", "");
    state("_t@v=1", "");
    state("t@v@w=1", "");
    state("t@v23456789012345=1", "");
    state("foo=1=2", "");
    state("foo=\x01", "");
    state("foo=\xc3\xa4", "");
    state("foo=1,foo=2", "");
    state("foo=1,bar", "");
}


static void
test_state_lengths(void)
{
    char   *p, text[2048], expected[2048];
    size_t  n;

    p = repeat(text, "k", 256);
    (void) sprintf(p, "=1");
    state(text, text);
    p = repeat(text, "k", 257);
    (void) sprintf(p, "=1");
    state(text, "");
    p = repeat(text, "t", 241);
    (void) sprintf(p, "@v=1");
    state(text, text);
    p = repeat(text, "t", 242);
    (void) sprintf(p, "@v=1");
    state(text, "");
    (void) repeat(text + sprintf(text, "k="), "v", 256);
    state(text, text);
    (void) repeat(text + sprintf(text, "k="), "v", 257);
    state(text, "");

    /* at most 32 members; an empty one is none */
    p = text;
    for (unsigned i = 0; i < 32; i++) {
        p += sprintf(p, "%sk%u=1", i ? "," : "", i);
    }
    state(text, text);
    n = strlen(text);
    memcpy(text + n, ",", 2);
    is_int((int64_t) es_tracestate_clean(es_str(text), expected), (int64_t) n,
           "32 members and an empty one");
    memcpy(text + n, ",l=1", 5);
    state(text, "");

    /* too long: the long members go first, the last of them before others */
    p = repeat(text + sprintf(text, "a="), "1", 250);
    p = repeat(p + sprintf(p, ",b="), "2", 100);
    p = repeat(p + sprintf(p, ",c="), "3", 250);
    p = repeat(p + sprintf(p, ",d="), "4", 250);
    (void) repeat(p + sprintf(p, ",e="), "5", 250);
    p = strstr(text, ",e=");
    (void) sprintf(expected, "%.*s", (int) (p - text), text);
    state(text, expected);

    /* and then the last of all */
    p = text;
    for (unsigned i = 0; i < 10; i++) {
        p = repeat(p + sprintf(p, "%sk%u=", i ? "," : "", i), "v", 120);
    }
    (void) sprintf(expected, "%.*s", (int) (strstr(text, ",k8=") - text), text);
    state(text, expected);
}


static void
test_new(void)
{
    char        text[ES_TRACEPARENT_LEN];
    es_trace_t  a, b;

    ok(es_trace_new(&a) == ES_OK, "a new trace");
    is_int(a.flags, ES_TRACE_SAMPLED|ES_TRACE_RANDOM, "its flags");
    (void) es_trace_print(&a, text);
    ok(es_trace_parse((es_str_t) { text, sizeof(text) }, &b)
       && memcmp(&a, &b, sizeof(a)) == 0, "is read back");
    ok(es_trace_span(&b) == ES_OK, "a new span");
    ok(memcmp(a.id, b.id, sizeof(a.id)) == 0, "has the id of its trace");
    ok(memcmp(a.span, b.span, sizeof(a.span)) != 0, "and one of its own");
}


static void
test_event(void)
{
    char        out[ES_TRACESTATE_MAX];
    size_t      len;
    es_trace_t  trace;

#define AT  ",\"traceparent\":\"00-" ID "-" SPAN "-01\""

    ok(es_event_trace(es_lit("{\"id\":\"1\"" AT ",\"feed\":\"f\""), &trace),
       "the attribute of an event");
    ok(!es_event_trace(es_lit("{\"id\":\"1\",\"feed\":\"f\""), &trace),
       "no attribute");
    ok(!es_event_trace(es_lit("{\"id\":\"1\",\"traceparent\":1,\"z\":1"),
                       &trace), "a number");
    ok(!es_event_trace(es_lit("{\"id\":\"1\",\"traceparent\":\"00-" ID "-"
                              SPAN "-01\\u0020\",\"z\":1"), &trace),
       "an invalid one");
    ok(!es_event_trace(es_lit("{\"id\":\",\\\"traceparent\\\":\\\"00-" ID "-"
                              SPAN "-01\""), &trace),
       "text in another attribute is none");
    ok(!es_event_trace(es_lit("{\"id\":\"1\",\"traceparent\":\"00-" ID),
                       &trace), "one that is cut off");

    len = es_event_tracestate(es_lit("{\"id\":\"1\",\"tracestate\":"
                                     "\"a=\\\"\\\\ ,b=2\",\"z\":\"\""), out);
    is_str((es_str_t) { out, len }, "a=\"\\,b=2", "the state, decoded");
    is_int((int64_t) es_event_tracestate(es_lit("{,\"tracestate\":\"a\""), out),
           0, "an invalid state");
    is_int((int64_t) es_event_tracestate(es_lit("{,\"tracestate\":true}"), out),
           0, "a literal");
}


static void
same(const char *a, const char *b, bool expected)
{
    ok(es_event_same(es_str(a), es_str(b)) == expected
       && es_event_same(es_str(b), es_str(a)) == expected,
       "%s %s %s", a, expected ? "is" : "is not", b);
}


static void
test_same(void)
{
#define TP(v)  ",\"traceparent\":\"" v "\""
#define TS(v)  ",\"tracestate\":\"" v "\""

    same("{\"a\":1" TP("1") TS("2") ",\"z\":1", "{\"a\":1,\"z\":1", true);
    same("{\"a\":1" TP("1") TS("2") ",\"z\":1",
         "{\"a\":1" TP("345") ",\"z\":1", true);
    same("{\"a\":1" TP("1") ",\"traceq\":1" TS("2") ",\"z\":1",
         "{\"a\":1,\"traceq\":1,\"z\":1", true);
    same("{\"a\":1" TP("1") ",\"traceq\":1" TS("2") ",\"z\":1",
         "{\"a\":1" TP("x\\\"y") ",\"traceq\":1,\"z\":1", true);
    same("{\"a\":1,\"traceparent\":17,\"z\":1", "{\"a\":1,\"z\":1", true);
    same("{\"a\":1" TP("1"), "{\"a\":1", true);
    same("", "", true);

    same("{\"a\":1" TP("1") ",\"z\":1", "{\"a\":1,\"z\":2", false);
    same("{\"a\":1" TP("1") ",\"z\":1", "{\"a\":1", false);
    same("{\"a\":1" TP("1") ",\"z\":1", "{\"b\":1,\"z\":1", false);
    same("{\"a\":1" TP("1") ",\"traceq\":1" TS("2"), "{\"a\":1", false);
    same("{\"a\":1,\"tracer\":\"1\"", "{\"a\":1,\"tracer\":\"2\"", false);
}


int
main(void)
{
    test_parent();
    test_state();
    test_state_lengths();
    test_new();
    test_event();
    test_same();

    return done();
}
