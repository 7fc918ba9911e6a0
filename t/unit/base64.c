/* SPDX-License-Identifier: BSD-2-Clause */

/* Base64 in its one canonical form. */

#include "base/base64.h"
#include "tap.h"


static void
decodes(const char *text, const char *expected)
{
    char    out[16];
    size_t  len;

    ok(es_base64_decode(es_str(text), out, &len) == ES_OK
       && len == strlen(expected) && memcmp(out, expected, len) == 0, text);
    ok(es_base64_ok(es_str(text)), "%s is valid", text);
}


static void
refuses(const char *text)
{
    char    out[16];
    size_t  len;

    is_int(es_base64_decode(es_str(text), out, &len), ES_INVALID, text);
}


int
main(void)
{
    decodes("Zg==", "f");
    decodes("Zm8=", "fo");
    decodes("Zm9v", "foo");
    decodes("Zm9vYg==", "foob");
    decodes("+/+/", "\xfb\xff\xbf");

    ok(es_base64_ok(es_str("")), "an empty text is base64");
    refuses("");
    refuses("Zg");
    refuses("Zg=");
    refuses("Zg===");
    refuses("====");
    refuses("Zh==");           /* bits are left over */
    refuses("Zm9=");
    refuses("Zm9v\n");
    refuses(" Zm9");
    refuses("Zg==Zg==");
    refuses("Zm-_");

    return done();
}
