/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes and encodes the inside of JSON strings.
 */

#include "base/base.h"
#include "base/json.h"

static char *
es_utf8_print(unsigned c, char *out)
{
    if (c < 0x80) {
        *out++ = (char) c;
        return out;
    }

    if (c < 0x800) {
        *out++ = (char) (0xc0 | c >> 6);

    } else {
        if (c < 0x10000) {
            *out++ = (char) (0xe0 | c >> 12);

        } else {
            *out++ = (char) (0xf0 | c >> 18);
            *out++ = (char) (0x80 | (c >> 12 & 0x3f));
        }

        *out++ = (char) (0x80 | (c >> 6 & 0x3f));
    }

    *out++ = (char) (0x80 | (c & 0x3f));

    return out;
}


/* The scanner has checked that these are hexadecimal digits. */
static unsigned
es_hex4_value(const char *p)
{
    unsigned  i, v;

    v = 0;

    for (i = 0; i < 4; i++) {
        v = v << 4 | (p[i] <= '9' ? (unsigned) (p[i] - '0')
                                  : (unsigned) ((p[i] | 0x20) - 'a' + 10));
    }

    return v;
}


/* Decodes the \u escape at `*p`, together with the second of a surrogate
   pair. */
static char *
es_json_decode_u(const char **p, char *out)
{
    unsigned  c;

    c = es_hex4_value(*p + 2);
    *p += 6;

    if (c >= 0xd800 && c <= 0xdbff) {
        c = 0x10000 + ((c & 0x3ff) << 10 | (es_hex4_value(*p + 2) & 0x3ff));
        *p += 6;
    }

    return es_utf8_print(c, out);
}


char *
es_json_decode(const es_json_value_t *value, char *out)
{
    size_t       n;
    const char  *p, *end, *slash;

    p = value->text.data + 1;
    end = value->text.data + value->text.len - 1;

    while (p < end) {
        slash = value->escaped ? memchr(p, '\\', (size_t) (end - p)) : NULL;
        n = (size_t) ((slash ? slash : end) - p);
        memcpy(out, p, n);
        out += n;
        p += n;

        if (p == end) {
            break;
        }

        switch (p[1]) {
        case 'u':
            out = es_json_decode_u(&p, out);
            continue;
        case 'b':
            *out++ = '\b';
            break;
        case 'f':
            *out++ = '\f';
            break;
        case 'n':
            *out++ = '\n';
            break;
        case 'r':
            *out++ = '\r';
            break;
        case 't':
            *out++ = '\t';
            break;
        default:
            *out++ = p[1];
        }

        p += 2;
    }

    return out;
}


char *
es_json_encode(es_str_t text, char *out)
{
    size_t         i;
    unsigned char  c;

    /* the letter of each short escape, by its character */

    static const char  short_escapes[32] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'
    };

    for (i = 0; i < text.len; i++) {
        c = (unsigned char) text.data[i];

        if (c >= 0x20) {
            if (c == '"' || c == '\\') {
                *out++ = '\\';
            }
            *out++ = (char) c;
            continue;
        }

        *out++ = '\\';

        if (short_escapes[c]) {
            *out++ = short_escapes[c];
            continue;
        }

        memcpy(out, "u00", 3);
        out[3] = (char) ('0' + (c >> 4));
        out[4] = "0123456789abcdef"[c & 15];
        out += 5;
    }

    return out;
}


es_rc_t
es_json_escape(es_str_t text, es_buf_t *out)
{
    size_t   room;

    if (!es_utf8_ok(text)) {
        return ES_INVALID;
    }

    if (__builtin_mul_overflow(text.len, (size_t) 6, &room)
        || es_buf_reserve(out, room) != ES_OK)
    {
        return ES_NOMEM;
    }

    out->len = (size_t) (es_json_encode(text, out->data + out->len)
                         - out->data);

    return ES_OK;
}
