/* SPDX-License-Identifier: BSD-2-Clause */

/* Durations, URLs and feed patterns: parsing. */

#include "registry/values.h"
#include "tap.h"


static void
duration(const char *text, int64_t expected)
{
    uint32_t  ms;

    ok(es_duration_parse(es_str(text), &ms) == ES_OK && ms == expected,
       "'%s' is %lld ms", text, (long long) expected);
}


static void
no_duration(const char *text)
{
    uint32_t  ms;

    ok(es_duration_parse(es_str(text), &ms) == ES_INVALID,
       "'%s' is no duration", text);
}


static void
url(const char *text, bool right)
{
    const char  *fault;

    fault = es_url_fault(es_str(text));
    ok((fault == NULL) == right, "URL '%s' is %s", text,
       fault ? fault : "taken");
}


int
main(void)
{
    duration("0", 0);
    duration("5", 5000);
    duration("250ms", 250);
    duration("10s", 10000);
    duration("5m", 300000);
    duration("2h", 7200000);
    duration("1d", 86400000);
    duration("1h30m", 5400000);
    duration("30d", INT64_C(2592000000));
    no_duration("");
    no_duration("s");
    no_duration("1x");
    no_duration("-1s");
    no_duration("1.5s");
    no_duration("1 s");
    no_duration("31d");
    no_duration("99999999999999999999");

    url("https://example.com", true);
    url("https://example.com/hook?a=b", true);
    url("http://127.0.0.1:8080/", true);
    url("https://[::1]:443/x", true);
    url("HTTPS://Example.COM/x", true);
    url("https://a_b.example/", true);
    url("https://example.com.", true);
    url("ftp://example.com", false);
    url("example.com", false);
    url("https://", false);
    url("https:///x", false);
    url("https://user@example.com/", false);
    url("https://user:pw@example.com/", false);
    url("https://example.com/#x", false);
    url("https://example.com:0/", false);
    url("https://example.com:65536/", false);
    url("https://example.com:/", false);
    url("https://example.com:x/", false);
    url("https://exa mple.com/", false);
    url("https://example..com/", false);
    url("https://.example/", false);
    url("https://[::1/", false);
    url("https://[zz]/", false);
    url("https://[::1]x/", false);
    url("https://ex%41mple.com/", false);
    ok(es_url_fault(es_lit("https://example.com/\n")) != NULL,
       "no line break in a URL");
    url("https://example.com/\xc3\xa4", false);
    url("https://example.com/%", false);
    url("https://example.com\\@x/", false);
    url("", false);

    ok(es_pattern_ok(es_lit("orders")), "a feed's name is a pattern");
    ok(es_pattern_ok(es_lit("orders-*")), "and a start with '*'");
    ok(es_pattern_ok(es_lit("*")), "and '*' alone");
    ok(!es_pattern_ok(es_lit("")), "but not nothing");
    ok(!es_pattern_ok(es_lit("a*b")), "nor '*' inside");
    ok(!es_pattern_ok(es_lit("a**")), "nor twice");
    ok(!es_pattern_ok(es_lit("A")), "nor upper case");

    return done();
}
