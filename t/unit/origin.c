/* SPDX-License-Identifier: BSD-2-Clause */

/* Origins of URLs, and changes of them that would take secrets elsewhere. */

#include "registry/origin.h"
#include "tap.h"


static void
origin(const char *url, const char *expected)
{
    char  text[ES_ORIGIN_MAX] = "";

    if (!es_origin(es_str(url), text)) {
        text[0] = '\0';
    }

    is_str(es_str(text), expected, url ? url : "no URL");
}


static void
test_origins(void)
{
    origin("https://a.example", "https://a.example");
    origin("https://a.example/x?y", "https://a.example");
    origin("https://a.example?y:1", "https://a.example");
    origin("HTTPS://A.Example/", "https://a.example");
    origin("https://a.example./", "https://a.example");
    origin("https://a.example.:443/", "https://a.example");
    origin("https://a.example:0443/", "https://a.example");
    origin("https://a.example:80/", "https://a.example:80");
    origin("http://a.example:80/", "http://a.example");
    origin("http://a.example:443/", "http://a.example:443");
    origin("https://192.0.2.1:8443/", "https://192.0.2.1:8443");
    origin("https://[2001:DB8::1]/", "https://[2001:db8::1]");
    origin("https://[2001:db8:0:0:0::1]:443/", "https://[2001:db8::1]");
    origin("https://[2001:db8:0:0:0:0:0:1]:8443/",
           "https://[2001:db8::1]:8443");
    origin("https://[::ffff:192.0.2.1]/x:1", "https://[::ffff:192.0.2.1]");

    origin("ftp://a.example/", "");
    origin("https://u@a.example/", "");
    origin("https:///x", "");
    origin("a.example", "");
    origin("", "");
    origin(NULL, "");
}


/* The pointer of the refusal is `expected`; "": the change is allowed. */

static void
check(const char *stored, const char *change, const char *expected)
{
    json_t        *was, *is;
    es_rc_t        rc;
    es_problem_t   problem = { 0 };

    was = json_loads(stored, 0, NULL);
    is = json_loads(change, 0, NULL);

    rc = es_origin_check(was, is, &problem);
    is_int(rc, expected[0] ? ES_INVALID : ES_OK, change);
    is_str(es_str(problem.pointer), expected, "the pointer");

    json_decref(was);
    json_decref(is);
}


static void
test_check(void)
{
    static const char  bare[] = "{\"url\":\"https://a.example/x\"}";
    static const char  headers[] = "{\"url\":\"https://a.example/x\","
                                   "\"headers\":{\"X-Token\":\"one\"}}";
    static const char  oauth[] = "{\"url\":\"https://a.example/x\",\"oauth\":"
                                 "{\"token_url\":\"https://t.example/\","
                                 "\"client_secret\":\"one\"}}";

    check(bare, "{\"url\":\"https://b.example/\"}", "");

    check(headers, "{\"url\":\"https://A.EXAMPLE.:443/y\"}", "");
    check(headers, "{\"timeout\":\"3s\"}", "");
    check(headers, "{\"url\":\"https://b.example/x\"}", "/headers");
    check(headers, "{\"url\":\"http://a.example/x\"}", "/headers");
    check(headers, "{\"url\":\"https://a.example:8443/x\"}", "/headers");
    check(headers, "{\"url\":\"https://b.example/x\",\"headers\":null}", "");
    check(headers, "{\"url\":\"https://b.example/x\",\"headers\":"
          "{\"X-Token\":\"two\"}}", "");
    check(headers, "{\"url\":\"https://b.example/x\",\"headers\":"
          "{\"X-Token\":\"sealed:v1:AAAA\"}}", "/headers/X-Token");
    check(headers, "{\"url\":\"https://a.example/y\",\"headers\":"
          "{\"X-Token\":\"sealed:v1:AAAA\"}}", "");

    check(oauth, "{\"url\":\"https://a.example/y\"}", "");
    check(oauth, "{\"url\":\"https://b.example/y\"}", "/oauth");
    check(oauth, "{\"url\":\"https://b.example/y\",\"oauth\":null}", "");
    check(oauth, "{\"url\":\"https://b.example/y\",\"oauth\":{\"token_url\":"
          "\"https://t.example/\",\"client_secret\":\"two\"}}", "");
    check(oauth, "{\"oauth\":{\"token_url\":\"https://u.example/\","
          "\"client_secret\":\"two\"}}", "");
    check(oauth, "{\"oauth\":{\"token_url\":\"https://u.example/\","
          "\"client_secret\":\"sealed:v1:AAAA\"}}", "/oauth/client_secret");
    check(oauth, "{\"oauth\":{\"token_url\":\"https://t.example/y\","
          "\"client_secret\":\"sealed:v1:AAAA\"}}", "");

    /* a stored URL that no version accepts now is no origin to compare with */

    check("{\"url\":\"x\",\"headers\":{\"X-Token\":\"one\"}}",
          "{\"url\":\"https://a.example/\"}", "/headers");
}


static void
pinned(const char *member, const char *change, const char *expected)
{
    char         stored[256], text[ES_ORIGIN_MAX];
    json_t      *was, *is;
    const char  *pointer;

    (void) snprintf(stored, sizeof(stored), "{\"url\":\"https://a.example/\","
                    "\"%s\":\"file.pem\"}", member);
    was = json_loads(stored, 0, NULL);
    is = json_loads(change, 0, NULL);

    pointer = es_origin_pinned(was, is, text);
    is_str(es_str(pointer ? pointer : ""), expected, change);

    json_decref(was);
    json_decref(is);
}


static void
test_pinned(void)
{
    size_t  i;

    static const char  *const  pins[] = {
        "client_cert", "client_key", "ca_file"
    };

    for (i = 0; i < sizeof(pins) / sizeof(pins[0]); i++) {
        pinned(pins[i], "{\"url\":\"https://b.example/\"}", "/url");
        pinned(pins[i], "{\"url\":\"https://a.example:443/y\"}", "");
        pinned(pins[i], "{\"oauth\":{\"token_url\":\"https://b.example/\"}}",
               "/oauth/token_url");
        pinned(pins[i], "{\"oauth\":{\"token_url\":\"https://a.example/t\"}}",
               "");
        pinned(pins[i], "{\"oauth\":null}", "");
    }

    pinned("ack", "{\"url\":\"https://b.example/\"}", "");
}


int
main(void)
{
    test_origins();
    test_check();
    test_pinned();

    return done();
}
