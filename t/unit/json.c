/* SPDX-License-Identifier: BSD-2-Clause */

/* The JSON scanner: it accepts all of RFC 8259 and nothing else. */

#include "base/json.h"
#include "tap.h"


static es_rc_t
scan(const char *text, size_t len, es_json_value_t *value)
{
    char       *copy;
    es_rc_t     rc;
    es_json_t   json;

    /* A copy of the exact size, so that a sanitizer sees any byte too far. */

    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    es_json_init(&json, copy, len);

    rc = es_json_value(&json, value);
    if (rc == ES_OK) {
        rc = es_json_end(&json);
    }

    if (rc != ES_OK && (json.error == NULL || json.pos < json.start
                        || json.pos > json.end))
    {
        rc = ES_CORRUPT;
    }

    free(copy);

    return rc;
}


/* The text as a test's name: one line of ASCII. */

static const char *
shown(const char *text)
{
    char         *p;
    static char   line[80];

    (void) snprintf(line, sizeof(line), "%s", text);

    for (p = line; *p != '\0'; p++) {
        if (*p < 0x20 || *p >= 0x7f || *p == '#') {
            *p = '?';
        }
    }

    return line;
}


static void
good(const char *text)
{
    es_json_value_t  value;

    ok(scan(text, strlen(text), &value) == ES_OK, "valid: %s", shown(text));
}


static void
bad(const char *text)
{
    es_json_value_t  value;

    ok(scan(text, strlen(text), &value) == ES_INVALID, "not: %s", shown(text));
}


static void
bad_bytes(const char *text, size_t len, const char *name)
{
    es_json_value_t  value;

    ok(scan(text, len, &value) == ES_INVALID, "not: %s", name);
}


static void
test_values(void)
{
    good("null"); good("true"); good("false"); good(" true "); good("\"\"");
    good("\t\r\n 1 \n"); good("0"); good("-0"); good("1"); good("-1");
    good("10"); good("1.5"); good("0.1"); good("1e5"); good("1E+5");
    good("1e-5"); good("0e0"); good("0.0e0"); good("-0.0E-1");
    good("123456789012345678901234567890.5"); good("[]"); good("[ ]");
    good("{}"); good("{ }"); good("[1]"); good("[1,2]"); good("[ 1 , 2 ]");
    good("[[],[[]],{}]"); good("{\"a\":1}"); good("{\"\":0}");
    good("{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":[]}");
    good("{\"a\":1,\"a\":2}"); good("[true,false,null,\"x\",-1.5e3]");
    good("{ \"a\" : 1 , \"b\" : 2 }");

    bad(""); bad(" "); bad("nul"); bad("nulll"); bad("True"); bad("TRUE");
    bad("tru"); bad("fals"); bad("undefined"); bad("NaN"); bad("Infinity");
    bad("-Infinity"); bad("-"); bad("+1"); bad("01"); bad("-01"); bad("00");
    bad("1."); bad(".5"); bad("1.e5"); bad("1e"); bad("1e+"); bad("1E-");
    bad("0x10"); bad("1 2"); bad("1,"); bad("--1"); bad("1.2.3"); bad("1e5.5");
    bad("1a"); bad("'a'"); bad("a"); bad("\\u0031"); bad("// x"); bad("1 // x");
    bad("1/* */");
}


static void
test_brackets(void)
{
    bad("["); bad("]"); bad("{"); bad("}"); bad("[1"); bad("[1,"); bad("[1,]");
    bad("[,1]"); bad("[,]"); bad("[1,,2]"); bad("[1 2]"); bad("[1}"); bad("{1}");
    bad("[1]]"); bad("[[1]"); bad("{\"a\"}"); bad("{\"a\":}"); bad("{\"a\":1");
    bad("{\"a\":1,}"); bad("{,\"a\":1}"); bad("{\"a\":1,,\"b\":2}");
    bad("{\"a\" 1}"); bad("{\"a\"::1}"); bad("{a:1}"); bad("{1:1}");
    bad("{\"a\":1 \"b\":2}"); bad("{\"a\":1]"); bad("{\"a\":[1}"); bad("{null:1}");
    bad("[\"a\":1]"); bad("{\"a\",1}"); bad("{\"a"); bad("{\"a\":\"b");
    bad("[\"a"); bad("{}}"); bad("{}{}"); bad("[][]"); bad("[1:2]");
}


static void
test_strings(void)
{
    good("\"abc\""); good("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"");
    good("\"\\u0041\\u00e4\\uABCD\\uabcd\""); good("\"\\u0000\"");
    good("\"\\ud83d\\ude00\""); good("\"\\uDBFF\\uDFFF\""); good("\"\x7f\"");
    good("\"0123456789abcdef\\n0123456789abcdef0123456789\"");
    good("\"\xc3\xa4\""); good("\"\xe2\x82\xac\""); good("\"\xf0\x9f\x98\x80\"");
    good("\"\xf4\x8f\xbf\xbf\""); good("\"\xed\x9f\xbf\""); good("\"\xee\x80\x80\"");
    good("\"\xef\xbf\xbf\""); good("\"/\""); good("\"//* */\"");

    bad("\""); bad("\"abc"); bad("\"\\\""); bad("\"\\"); bad("\"\\x41\"");
    bad("\"\\a\""); bad("\"\\'\""); bad("\"\\u\""); bad("\"\\u1\"");
    bad("\"\\u12\""); bad("\"\\u123\""); bad("\"\\u123g\""); bad("\"\\u 123\"");
    bad("\"\\U0041\""); bad("\"\\u12"); bad("\"a\nb\""); bad("\"a\tb\"");
    bad("\"a\x01\""); bad("\"0123456789abcdef\x1f\""); bad("\"01234567\x1f\"");
    bad("\"\\ud800\""); bad("\"\\udc00\""); bad("\"\\ud800\\u0041\"");
    bad("\"\\ud800\\ud800\""); bad("\"\\ud800x\""); bad("\"\\ud800\\n\"");
    bad("\"\\ud800\\u\""); bad("\"\\udc00\\ud800\""); bad("\"\\ud800\\udc0");
    bad("\"\\ud800");

    bad("\"\x80\""); bad("\"\xbf\""); bad("\"\xc0\x80\""); bad("\"\xc0\xaf\"");
    bad("\"\xc1\xbf\""); bad("\"\xc3\""); bad("\"\xc3\x28\"");
    bad("\"\xe0\x80\x80\""); bad("\"\xe0\x9f\xbf\""); bad("\"\xe2\x82\"");
    bad("\"\xed\xa0\x80\""); bad("\"\xed\xbf\xbf\""); bad("\"\xf0\x80\x80\x80\"");
    bad("\"\xf0\x8f\xbf\xbf\""); bad("\"\xf4\x90\x80\x80\"");
    bad("\"\xf5\x80\x80\x80\""); bad("\"\xf8\x88\x80\x80\x80\"");
    bad("\"\xfe\""); bad("\"\xff\""); bad("\"\xf0\x9f\x98\"");
    bad("\"01234567\xff\""); bad("\"0123456789abcdef\xc3\"");
    bad("{\"\xff\":1}"); bad("\xef\xbb\xbf{}"); bad("[\xc2\xa0]"); bad("[\x0c]");

    bad_bytes("\"a\0b\"", 5, "a NUL in a string");
    bad_bytes("[1\0]", 4, "a NUL between tokens");
    bad_bytes("1\0", 2, "a NUL after the value");
}


static void
test_depth(void)
{
    char             text[300];
    unsigned         i;
    es_json_t        json;
    es_json_value_t  value;

    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    is_int(scan(text, 128, &value), ES_OK, "64 levels are taken");

    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    is_int(scan(text, 130, &value), ES_INVALID, "65 are not");

    for (i = 0; i < 32; i++) {
        memcpy(text + i * 6, "{\"a\":[", 6);
        memcpy(text + 32 * 6 + i * 2, "]}", 2);
    }

    is_int(scan(text, 32 * 8, &value), ES_OK, "64 of both kinds are taken");

    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    es_json_init(&json, text, 130);
    is_int(es_json_enter(&json, '['), ES_OK, "one level is entered");
    is_int(es_json_item(&json, true, &value), ES_INVALID,
           "and counts, so that 64 more are too many");
}


static void
test_walk(void)
{
    es_json_t        json;
    es_json_value_t  name, value;

    static const char  text[] = " { \"a\" : [1, 2] , \"b\\n\":\"x\\u0041\" } ";

    es_json_init(&json, text, strlen(text));
    is_int(es_json_enter(&json, '{'), ES_OK, "an object is entered");
    is_int(es_json_member(&json, true, &name, &value), ES_OK, "a member");
    is_str(name.text, "\"a\"", "its name with quotes");
    is_str(value.text, "[1, 2]", "its value's exact bytes");
    ok(value.type == ES_JSON_ARRAY && !name.escaped, "their kinds");
    is_int(es_json_member(&json, false, &name, &value), ES_OK, "another");
    ok(name.escaped && value.escaped && value.type == ES_JSON_STRING,
       "with escapes");
    is_int(es_json_member(&json, false, &name, &value), ES_NOT_FOUND,
           "and no more");
    is_int(es_json_end(&json), ES_OK, "and nothing after");

    es_json_init(&json, "[]", 2);
    is_int(es_json_enter(&json, '{'), ES_INVALID, "an array is no object");
    is_int(es_json_enter(&json, '['), ES_OK, "it is an array");
    is_int(es_json_item(&json, true, &value), ES_NOT_FOUND, "an empty one");

    es_json_init(&json, "[1 2]", 5);
    (void) es_json_enter(&json, '[');
    is_int(es_json_item(&json, true, &value), ES_OK, "an item");
    is_int(es_json_item(&json, false, &value), ES_INVALID,
           "not another without a comma");
    is_int((int64_t) (json.pos - json.start), 3, "and the place is known");

    es_json_init(&json, "[1,]", 4);
    (void) es_json_enter(&json, '[');
    (void) es_json_item(&json, true, &value);
    is_int(es_json_item(&json, false, &value), ES_INVALID,
           "nor after a comma with nothing behind");

    es_json_init(&json, "{\"a\":1", 6);
    (void) es_json_enter(&json, '{');
    (void) es_json_member(&json, true, &name, &value);
    is_int(es_json_member(&json, false, &name, &value), ES_INVALID,
           "an object must end");
}


static void
test_text(void)
{
    char             decoded[64];
    es_buf_t         buf = { NULL, 0, 0 };
    es_json_t        json;
    es_json_value_t  value;

    static const char  text[] = "\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\u20AC"
                                "\\ud83d\\ude00z\"";

    es_json_init(&json, text, strlen(text));
    (void) es_json_value(&json, &value);
    is_str((es_str_t) {
               decoded, (size_t) (es_json_decode(&value, decoded) - decoded) },
           "a\"\\/\b\f\n\r\t\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80z",
           "each escape is decoded");

    is_int(es_json_escape(es_lit("a\"\\/\b\f\n\r\t\x01\x1f\x7f\xc3\xa4"),
                          &buf), ES_OK, "text is escaped");
    is_str((es_str_t) { buf.data, buf.len },
           "a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa4",
           "as little as can be");

    is_int(es_json_escape(es_lit("\xc3"), &buf), ES_INVALID,
           "what is not UTF-8 is not");

    es_json_init(&json, "\"plain\"", 7);
    (void) es_json_value(&json, &value);
    is_str((es_str_t) {
               decoded, (size_t) (es_json_decode(&value, decoded) - decoded) },
           "plain", "plain text stays");

    es_buf_free(&buf);
}


/* Each special byte at each place of a string, against the eyes. */

static void
test_places(void)
{
    int              wrong;
    char             text[64];
    size_t           at, len;
    unsigned         c;
    es_rc_t          rc;
    es_json_value_t  value;

    wrong = 0;

    for (len = 1; len < 40; len++) {
        for (at = 0; at < len; at++) {
            for (c = 0; c < 256; c++) {
                memset(text, 'x', sizeof(text));
                text[0] = '"';
                text[len + 1] = '"';
                text[at + 1] = (char) c;

                rc = scan(text, len + 2, &value);
                wrong += (rc == ES_OK)
                         != (c >= 0x20 && c < 0x80 && c != '"' && c != '\\');
            }
        }
    }

    is_int(wrong, 0, "every byte at every place of a string is checked right");
}


int
main(void)
{
    test_values();
    test_brackets();
    test_strings();
    test_depth();
    test_walk();
    test_text();
    test_places();

    return done();
}
