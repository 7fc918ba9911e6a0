/* SPDX-License-Identifier: BSD-2-Clause */

/* Content negotiation: the offer that Accept or Accept-Encoding prefers. */

#include "base/accept.h"
#include "tap.h"

static const es_str_t  offers[] = {
    { "application/json", 16 },
    { "application/x-ndjson", 20 },
    { "text/event-stream", 17 },
};


static void
prefers(const char *value, int index)
{
    is_int(es_accept(es_str(value), offers, 3), index, value);
}


/* Offers with parameters. */
static void
test_parameters(void)
{
    int     i;
    size_t  k;

    static const es_str_t  forms[] = {
        { "text/plain; version=0.0.4; charset=utf-8", 40 },
        { "application/openmetrics-text; version=1.0.0; charset=utf-8", 58 },
    };
    static const struct {
        const char  *value;
        int          index;
    } cases[] = {
        { "", 0 },
        { "*/*", 0 },
        { "text/plain", 0 },
        { "text/html", -1 },
        { "application/openmetrics-text", 1 },
        { "APPLICATION/OPENMETRICS-TEXT", 1 },
        { "application/*", 1 },
        { "application/openmetrics-text;version=1.0.0", 1 },
        { "application/openmetrics-text; VERSION=\"1.0.0\"", 1 },
        { "application/openmetrics-text;version=0.0.1", -1 },
        { "application/openmetrics-text;version=0.0.1,*/*;q=0.1", 0 },
        { "application/openmetrics-text;version=1.0.0;charset=UTF-8", 1 },
        { "application/openmetrics-text;charset=iso-8859-1", -1 },
        { "application/openmetrics-text;escaping=allow-utf-8", 1 },
        { "application/openmetrics-text;q=0", -1 },
        { "application/openmetrics-text;q=0, */*", 0 },
        { "application/openmetrics-text;version=1.0.0;q=0,"
          "application/openmetrics-text", -1 },
        { "application/openmetrics-text, text/plain", 0 },
        { "application/openmetrics-text;version=1.0.0, text/plain", 1 },
        { "application/openmetrics-text;q=0.5, text/plain;q=0.4", 1 },
        { "application/openmetrics-text;q=0.4, text/plain;q=0.5", 0 },
        { "text/plain;version=1.0.0", -1 },
        { "text/plain;version=0.0.4;q=0.1, application/openmetrics-text;"
          "version=0.0.1", 0 },
        { "application/openmetrics-text;version=1.0.0,"
          "application/openmetrics-text;version=0.0.1;q=0.75,"
          "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", 1 },
        { "application/vnd.google.protobuf;proto=io.prometheus.client.Metric"
          "Family;encoding=delimited,application/openmetrics-text;version="
          "1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,"
          "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", 1 },
        { "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
          0 },
    };

    for (k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        i = es_accept(es_str(cases[k].value), forms, 2);
        is_int(i, cases[k].index, cases[k].value);
    }
}


static const es_str_t  codings[] = {
    { "br", 2 },
    { "gzip", 4 },
    { "identity", 8 },
};


static void
coding(const char *value, int index)
{
    is_int(es_accept_encoding(es_str(value), codings, 3), index, value);
}


static void
test_codings(void)
{
    enum { BR, GZIP, IDENTITY };

    coding("", IDENTITY);
    coding(" , ", IDENTITY);
    coding("gzip", GZIP);
    coding("x-gzip", GZIP);
    coding("GZIP;Q=0.1", GZIP);
    coding("x-gzi", IDENTITY);
    coding("gzip, br", BR);
    coding("gzip;q=1.0, br;q=0.9", GZIP);
    coding("gzip, deflate, br, zstd", BR);
    coding("deflate", IDENTITY);
    coding("deflate, identity", IDENTITY);
    coding("identity", IDENTITY);
    coding("identity;q=0.5, gzip;q=0.2", IDENTITY);
    coding("identity;q=0.5, gzip;q=0.7", GZIP);
    coding("identity, gzip", GZIP);
    coding("*", BR);
    coding("*;q=0.5, gzip;q=0.5", GZIP);
    coding("*, br;q=0", GZIP);
    coding("*;q=0", -1);
    coding("*;q=0, identity;q=0.001", IDENTITY);
    coding("*;q=0, gzip", GZIP);
    coding("identity;q=0", -1);
    coding("identity;q=0, deflate", -1);
    coding("identity;q=0, *;q=0", -1);
    coding("identity;q=0, *", BR);
    coding("gzip;q=0", IDENTITY);
    coding("gzip;q=2, br;q=x", IDENTITY);
    coding("br;q=0.001;x=y, gzip;q=0.0", BR);
    coding("gzip;q=0, gzip;q=0.3", GZIP);
}


int
main(void)
{
    test_codings();
    test_parameters();

    prefers("", 0);
    prefers(" , ,\t,", 0);
    prefers("*/*", 0);
    prefers("application/*", 0);
    prefers("text/*", 2);
    prefers("text/html", -1);
    prefers("application/x-ndjson", 1);
    prefers("APPLICATION/X-NDJSON", 1);
    prefers("application/json, application/x-ndjson", 0);
    prefers("application/x-ndjson,application/json", 0);
    prefers("application/x-ndjson, */*", 1);
    prefers("text/html, */*;q=0.1", 0);

    prefers("application/json;q=0.5, application/x-ndjson;q=0.6", 1);
    prefers("application/json;q=0.5, application/x-ndjson ; Q=0.501", 1);
    prefers("application/json;q=0", -1);
    prefers("*/*, application/json;q=0", 1);
    prefers("application/json;q=0, */*;q=0.001", 1);
    prefers("*/*;q=0", -1);
    prefers("application/*;q=0.2, */*;q=0.9", 2);
    prefers("application/json;q=0.2, application/json", 0);
    prefers("text/event-stream;q=1.000, application/json;q=0.999", 2);

    prefers("application/json;charset=utf-8", 0);
    prefers("application/x-ndjson;a=\"b,;q=0\\\",\";q=0.3", 1);
    prefers("application/x-ndjson;q=0.3;ext=1, application/json;q=0.2", 1);

    prefers("application/json;q=2", -1);
    prefers("application/json;q=1.001", -1);
    prefers("application/json;q=0.1234", -1);
    prefers("application/json;q=", -1);
    prefers("application/json;q=x, text/event-stream", 2);
    prefers("application/jso", -1);
    prefers("application/", -1);
    prefers("*", -1);
    prefers("*/json", -1);
    prefers("\"", -1);
    prefers("application/json;\"\\", 0);
    prefers(";", -1);

    is_int(es_accept(es_str("*/*"), offers, 0), -1, "nothing is offered");

    return done();
}
