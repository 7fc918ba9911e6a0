/* SPDX-License-Identifier: BSD-2-Clause */

/* The query of a URL: splitting and decoding. */

#include "base/query.h"
#include "tap.h"


static void
decodes(const char *text, bool plus, const char *expected)
{
    char  out[64], *end;

    end = es_query_decode(es_str(text), plus, out);

    if (expected == NULL) {
        ok(end == NULL, "'%s' is malformed", text);
        return;
    }

    is_str((es_str_t) { out, end ? (size_t) (end - out) : 0 }, expected, text);
}


int
main(void)
{
    es_str_t  rest, name, value;

    rest = es_str("&a=1&&b&=2&c==&");

    ok(es_query_next(&rest, &name, &value), "the first");
    is_str(name, "a", "its name");
    is_str(value, "1", "its value");
    ok(es_query_next(&rest, &name, &value), "the second");
    is_str(name, "b", "its name");
    is_str(value, "", "it has no value");
    ok(es_query_next(&rest, &name, &value), "the third");
    is_str(name, "", "it has no name");
    is_str(value, "2", "its value");
    ok(es_query_next(&rest, &name, &value), "the fourth");
    is_str(value, "=", "its value");
    ok(!es_query_next(&rest, &name, &value), "no other");

    rest = es_null_str;
    ok(!es_query_next(&rest, &name, &value), "none in nothing");

    decodes("", false, "");
    decodes("plain", false, "plain");
    decodes("a+b", false, "a b");
    decodes("a+b", true, "a+b");
    decodes("%41%7e%7E", false, "A~~");
    decodes("%2b+", true, "++");
    decodes("%25%34%31", false, "%41");
    decodes("%", false, NULL);
    decodes("%4", false, NULL);
    decodes("%4g", false, NULL);
    decodes("%-1", false, NULL);
    decodes("%%41", false, NULL);

    ok(es_query_encoded(es_str("%")), "a percent is to be decoded");
    ok(es_query_encoded(es_str("a+")), "so is a plus");
    ok(!es_query_encoded(es_str("a")), "other text is not");

    return done();
}
