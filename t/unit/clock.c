/* SPDX-License-Identifier: BSD-2-Clause */

/* RFC 3339 times: parsed and printed. */

#include "base/clock.h"
#include "tap.h"


static void
good(const char *text, const char *canonical)
{
    char     out[ES_TIME_LEN];
    int64_t  ms;

    if (!ok(es_time_parse(es_str(text), &ms) == ES_OK, "'%s' is a time", text))
    {
        return;
    }

    es_time_print(ms, out);
    is_str((es_str_t) { out, sizeof(out) }, canonical, text);
}


static void
bad(const char *text)
{
    int64_t  ms;

    ok(es_time_parse(es_str(text), &ms) == ES_INVALID, "'%s' is none", text);
}


static void
test_print(void)
{
    char  out[ES_TIME_LEN];

    es_time_print(0, out);
    is_str((es_str_t) { out, 24 }, "1970-01-01T00:00:00.000Z", "the epoch");
    es_time_print(-1, out);
    is_str((es_str_t) { out, 24 }, "1969-12-31T23:59:59.999Z", "before it");
    es_time_print(INT64_C(951782400000), out);
    is_str((es_str_t) { out, 24 }, "2000-02-29T00:00:00.000Z",
           "a leap day of a century");
}


static void
test_parse(void)
{
    good("2026-11-23T12:00:00.123Z", "2026-11-23T12:00:00.123Z");
    good("2026-11-23t12:00:00z", "2026-11-23T12:00:00.000Z");
    good("2026-11-23T12:00:00.1Z", "2026-11-23T12:00:00.100Z");
    good("2026-11-23T12:00:00.1239999999Z", "2026-11-23T12:00:00.123Z");
    good("2026-11-23T12:00:00+02:00", "2026-11-23T10:00:00.000Z");
    good("2026-11-23T12:00:00-05:30", "2026-11-23T17:30:00.000Z");
    good("2026-11-23T12:00:00-00:00", "2026-11-23T12:00:00.000Z");
    good("2026-01-01T00:00:00+23:59", "2025-12-31T00:01:00.000Z");
    good("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z");
    good("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.999Z");
    good("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z");
    good("2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z");
    good("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z");
    good("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z");
    good("1969-07-20T20:17:40Z", "1969-07-20T20:17:40.000Z");

    bad("");
    bad("2026-11-23");
    bad("2026-11-23T12:00:00");
    bad("2026-11-23 12:00:00Z");
    bad("2026-11-23T12:00Z");
    bad("2026-11-23T12:00:00.Z");
    bad("2026-11-23T12:00:00,5Z");
    bad("2026-11-23T24:00:00Z");
    bad("2026-11-23T12:60:00Z");
    bad("2026-11-23T12:00:61Z");
    bad("2026-13-01T00:00:00Z");
    bad("2026-00-01T00:00:00Z");
    bad("2026-01-00T00:00:00Z");
    bad("2026-04-31T00:00:00Z");
    bad("2026-02-29T00:00:00Z");
    bad("1900-02-29T00:00:00Z");
    bad("2026-11-23T12:00:00+24:00");
    bad("2026-11-23T12:00:00+02:60");
    bad("2026-11-23T12:00:00+0200");
    bad("2026-11-23T12:00:00+02");
    bad("2026-11-23T12:00:00ZZ");
    bad(" 2026-11-23T12:00:00Z");
    bad("26-11-23T12:00:00Z");
    bad("+2026-11-23T12:00:00Z");
    bad("2026-1-23T12:00:00Z");
}


static void
test_there_and_back(void)
{
    char     out[ES_TIME_LEN];
    int64_t  ms, back;

    for (ms = INT64_C(-62167219200000); ms < INT64_C(253402300800000);
         ms += INT64_C(97841239877))
    {
        es_time_print(ms, out);
        if (es_time_parse((es_str_t) { out, 24 }, &back) != ES_OK
            || back != ms)
        {
            break;
        }
    }

    ok(ms >= INT64_C(253402300800000), "ten thousand years come back");
}


int
main(void)
{
    int64_t  mono;

    test_print();
    test_parse();
    test_there_and_back();

    mono = es_clock_mono_us();
    ok(es_clock_mono_us() >= mono, "the monotonic clock does not run back");
    ok(es_clock_ms() > INT64_C(1577836800000), "the wall clock is set");

    return done();
}
