/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Splits and decodes the query of a URL.
 */

#include "base/query.h"


bool
es_query_next(es_str_t *rest, es_str_t *name, es_str_t *value)
{
    const char  *p, *last, *end, *equals;

    p = rest->data;
    last = p + rest->len;

    while (p < last && *p == '&') {
        p++;
    }

    if (p == last) {
        return false;
    }

    end = memchr(p, '&', (size_t) (last - p));
    if (end == NULL) {
        end = last;
    }

    equals = memchr(p, '=', (size_t) (end - p));

    name->data = p;
    name->len = (size_t) ((equals ? equals : end) - p);
    value->data = equals ? equals + 1 : end;
    value->len = (size_t) (end - value->data);

    rest->data = end;
    rest->len = (size_t) (last - end);

    return true;
}


bool
es_query_encoded(es_str_t text)
{
    return text.len > 0
           && (memchr(text.data, '%', text.len) != NULL
               || memchr(text.data, '+', text.len) != NULL);
}


static int
es_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}


char *
es_query_decode(es_str_t text, bool plus, char *out)
{
    int         high, low;
    const char  *p, *last;

    last = text.data + text.len;

    for (p = text.data; p < last; p++) {

        if (*p != '%') {
            *out++ = (*p == '+' && !plus) ? ' ' : *p;
            continue;
        }

        if (last - p < 3) {
            return NULL;
        }

        high = es_hex_digit(p[1]);
        low = es_hex_digit(p[2]);

        if (high < 0 || low < 0) {
            return NULL;
        }

        *out++ = (char) (high * 16 + low);
        p += 2;
    }

    return out;
}
