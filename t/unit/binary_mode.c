/* SPDX-License-Identifier: BSD-2-Clause */

/* An event as the header fields and the body of CloudEvents' binary mode. */

#include "event/binary_mode.h"
#include "tap.h"

#define START  "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"/s\"," \
               "\"type\":\"t\""
#define ATTRS  "ce-specversion: 1.0\r\nce-id: e1\r\nce-source: /s\r\n" \
               "ce-type: t"

typedef struct {
    es_buf_t  type;
    es_buf_t  attrs;
    es_buf_t  data;
} parts_t;


static es_str_t
str(const es_buf_t *buf)
{
    return (es_str_t) { buf->data, buf->len };
}


static void
parts_free(parts_t *parts)
{
    es_buf_free(&parts->type);
    es_buf_free(&parts->attrs);
    es_buf_free(&parts->data);
}


/* The attributes of an event with more members at its end. */

static void
attrs(const char *more, const char *expected, const char *name)
{
    char      text[4096];
    parts_t   parts = { .type.data = NULL };
    es_rc_t   rc;

    (void) snprintf(text, sizeof(text), START "%s}", more);

    rc = es_binary_mode(es_str(text), es_null_str, &parts.type, &parts.attrs,
                        &parts.data);
    is_int(rc, ES_OK, name);

    (void) snprintf(text, sizeof(text), ATTRS "%s", expected);
    is_str(str(&parts.attrs), text, name);
    parts_free(&parts);
}


/* The body, and the type (NULL: none), of an event that ends so. */

static void
content(const char *more, const char *type, es_str_t data, const char *name)
{
    char      text[4096];
    parts_t   parts = { .type.data = NULL };
    es_rc_t   rc;
    es_buf_t  sole = { 0 }, again = { 0 };

    (void) snprintf(text, sizeof(text), START "%s}", more);

    rc = es_binary_mode(es_str(text), es_null_str, &parts.type, &parts.attrs,
                        &parts.data);
    is_int(rc, ES_OK, name);
    is_str(str(&parts.type), type ? type : "", "... its type");
    ok(es_str_eq(str(&parts.data), data) && parts.data.data != NULL,
       "... its data");

    rc = es_binary_mode(es_str(text), es_null_str, &again, NULL, &sole);
    ok(rc == ES_OK && es_str_eq(str(&sole), data)
       && es_str_eq(str(&again), str(&parts.type)),
       "... and the same without attributes");

    es_buf_free(&sole);
    es_buf_free(&again);
    parts_free(&parts);
}


static void
refuses(const char *text)
{
    parts_t  parts = { .type.data = NULL };

    is_int(es_binary_mode(es_str(text), es_null_str, &parts.type, &parts.attrs,
                          &parts.data), ES_INVALID, text);
    parts_free(&parts);
}


static void
values(void)
{
    attrs("", "", "an event with the least members");
    attrs(",\"subject\":\"Euro \xe2\x82\xac \xf0\x9f\x98\x80\"",
          "\r\nce-subject: Euro%20%E2%82%AC%20%F0%9F%98%80",
          "the example of the specification");
    attrs(",\"a\":\" \\\" % \\\\ ~!\"", "\r\nce-a: %20%22%20%25%20\\%20~!",
          "what is encoded, and what is not");
    attrs(",\"a\":\"\\u00e9\\ud83d\\ude00\\/\"",
          "\r\nce-a: %C3%A9%F0%9F%98%80/", "escapes of JSON");
    attrs(",\"a\":\"\\r\\n\\u0000\\u007f\"", "\r\nce-a: %0D%0A%00%7F",
          "control characters, which no event has");
    attrs(",\"a\":\"\"", "\r\nce-a: ", "an empty value");
    attrs(",\"a\":true,\"b1\":-2147483648,\"c\":null", "\r\nce-a: true"
          "\r\nce-b1: -2147483648", "a boolean, an integer and nothing");
    attrs(",\"datacontenttype\":\"text/plain\",\"data\":\"x\"", "",
          "neither type nor data are attributes");
}


static void
contents(void)
{
    content("", NULL, es_lit(""), "no data");
    content(",\"datacontenttype\":\"application/json\"", NULL, es_lit(""),
            "a type without data");
    content(",\"data\":{ \"a\": 1.500 , \"\\u00e9\":\"\\/\"}",
            "Content-Type: application/json",
            es_lit("{ \"a\": 1.500 , \"\\u00e9\":\"\\/\"}"),
            "JSON keeps its bytes");
    content(",\"data\":null", "Content-Type: application/json", es_lit("null"),
            "null is data");
    content(",\"data\":\"I'm \\u00e9\"", "Content-Type: application/json",
            es_lit("\"I'm \\u00e9\""), "a string without a type is JSON");
    content(",\"datacontenttype\":\"application/x+json; v=1\",\"data\":\"x\"",
            "Content-Type: application/x+json; v=1", es_lit("\"x\""),
            "and of a type that ends in +json");
    content(",\"datacontenttype\":\"text/plain\",\"data\":\"\\u00e9\\n\\u0000"
            "\\\"\"", "Content-Type: text/plain", es_lit("\xc3\xa9\n\0\""),
            "a string of another type is decoded");
    content(",\"datacontenttype\":\"application/xml\",\"data\":\"<a/>\"",
            "Content-Type: application/xml", es_lit("<a/>"), "such as XML");
    content(",\"datacontenttype\":\"text/plain\",\"data\":\"\"",
            "Content-Type: text/plain", es_lit(""), "an empty text");
    content(",\"datacontenttype\":\"text/plain\",\"data\":{\"a\":1}",
            "Content-Type: text/plain", es_lit("{\"a\":1}"),
            "another value of such a type keeps its bytes");
    content(",\"datacontenttype\":\"a/b;c=\\\"d\\\\\\\\e\\\"  \","
            "\"data_base64\":\"AAH/\"", "Content-Type: a/b;c=\"d\\\\e\"",
            es_lit("\0\1\xff"), "base64 is decoded");
    content(",\"data_base64\":\"eyAieHl6IjogMTIzIH0=\"", NULL,
            es_lit("{ \"xyz\": 123 }"), "base64 without a type has none");
    content(",\"datacontenttype\":\"image/png\",\"data_base64\":\"\"",
            "Content-Type: image/png", es_lit(""), "empty base64");
    content(",\"data\":1,\"b\":2", "Content-Type: application/json",
            es_lit("1"), "an attribute may follow the data");
}


static void
deep(void)
{
    char      text[300], data[129];
    parts_t   parts = { .type.data = NULL };

    memset(data, '[', 64);
    memset(data + 64, ']', 64);
    data[128] = '\0';
    (void) snprintf(text, sizeof(text), START ",\"data\":%s}", data);

    is_int(es_binary_mode(es_str(text), es_null_str, &parts.type, &parts.attrs,
                          &parts.data), ES_OK,
           "data as deep as binary mode takes it");
    is_str(str(&parts.data), data, "... is there");
    parts_free(&parts);
}


static void
cursor(void)
{
    parts_t  parts = { .type.data = NULL };

    is_int(es_binary_mode(es_str("{\"cursor\":\"k-9\",\"prevcursor\":\"k-8\","
                                 "\"data\":1}"),
                          es_lit("k-4"), &parts.type, &parts.attrs,
                          &parts.data), ES_OK, "a filter left out events");
    is_str(str(&parts.attrs), "ce-cursor: k-9\r\nce-prevcursor: k-4",
           "... prevcursor says so");
    parts_free(&parts);
}


int
main(void)
{
    values();
    contents();
    deep();
    cursor();

    refuses("");
    refuses("[]");
    refuses(START);
    refuses(START "} ,");
    refuses(START ",\"A\":\"x\"}");
    refuses(START ",\"\":\"x\"}");
    refuses(START ",\"a-b\":\"x\"}");
    refuses(START ",\"a:\":\"x\"}");
    refuses(START ",\"a\":[]}");
    refuses(START ",\"a\":{}}");
    refuses(START ",\"data_base64\":\"A\"}");
    refuses(START ",\"data_base64\":1}");
    refuses(START ",\"datacontenttype\":1,\"data\":1}");
    refuses(START ",\"datacontenttype\":\"a/b\\r\\nx: y\",\"data\":1}");

    return done();
}
