/* SPDX-License-Identifier: BSD-2-Clause */

/* Events in binary mode: whatever a text has, it makes only well-formed header
   fields. */

#include "base/query.h"
#include "event/binary_mode.h"
#include "fuzz.h"


static const char *
line_end(const char *p, const char *end)
{
    const char  *next;

    next = memmem(p, (size_t) (end - p), "\r\n", 2);

    return next ? next : end;
}


/* Each field is a name, a colon, a blank and visible ASCII. */

static void
fields(const es_buf_t *attrs)
{
    char        *out;
    size_t       i;
    es_str_t     value;
    const char  *p, *end, *last, *colon;

    p = attrs->data;
    last = p + attrs->len;

    while (p < last) {
        end = line_end(p, last);
        must(end - p > 5 && memcmp(p, "ce-", 3) == 0);

        colon = memchr(p, ':', (size_t) (end - p));
        must(colon != NULL && colon > p + 3 && colon + 1 < end
             && colon[1] == ' ');

        for (i = 3; p + i < colon; i++) {
            must((p[i] >= 'a' && p[i] <= 'z') || (p[i] >= '0' && p[i] <= '9'));
        }

        value = (es_str_t) { colon + 2, (size_t) (end - colon) - 2 };

        for (i = 0; i < value.len; i++) {
            must(value.data[i] > ' ' && value.data[i] <= '~'
                 && value.data[i] != '"');
        }

        out = malloc(value.len + 1);
        must(out != NULL && es_query_decode(value, true, out) != NULL);
        free(out);

        p = end < last ? end + 2 : end;
    }
}


static void
check(es_str_t json)
{
    size_t    i;
    es_rc_t   rc;
    es_buf_t  type = { 0 }, attrs = { 0 }, data = { 0 };

    rc = es_binary_mode(json, es_null_str, &type, &attrs, &data);
    must(rc == ES_OK || rc == ES_INVALID);

    if (rc == ES_OK) {
        must(data.data != NULL);
        fields(&attrs);

        for (i = 0; i < type.len; i++) {
            must((unsigned char) type.data[i] >= ' ' && type.data[i] != 0x7f);
        }
    }

    es_buf_free(&type);
    es_buf_free(&attrs);
    es_buf_free(&data);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check((es_str_t) { (const char *) data, size });

    return 0;
}
