/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Takes UUIDs out of texts and puts them back.
 *
 * Each read of a packed page prints hundreds of them, so sixteen digits are made
 * at once.
 */

#include "log/uuid.h"

/* Half of a UUID's digits, or all of its bytes. */
typedef uint8_t  es_uuid_half_t __attribute__((vector_size(16)));

/* Where the groups of digits begin in the text. */
static const uint8_t  es_uuid_at[ES_UUID_LEN] = {
    0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34
};

static int
es_uuid_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


static bool
es_uuid_parse(const char *text, uint8_t uuid[ES_UUID_LEN])
{
    int       high, low;
    unsigned  i;

    if (text[8] != '-' || text[13] != '-' || text[18] != '-'
        || text[23] != '-')
    {
        return false;
    }

    for (i = 0; i < ES_UUID_LEN; i++) {
        high = es_uuid_digit(text[es_uuid_at[i]]);
        low = es_uuid_digit(text[es_uuid_at[i] + 1]);

        if (high < 0 || low < 0) {
            return false;
        }

        uuid[i] = (uint8_t) (high << 4 | low);
    }

    return true;
}


/* Prints all digits at once.  The compiler makes instructions of any processor
   of it. */

static inline void
es_uuid_print(const uint8_t uuid[ES_UUID_LEN], char *out)
{
    char            digits[2 * ES_UUID_LEN];
    es_uuid_half_t  bytes, high, low, half;

    memcpy(&bytes, uuid, sizeof(bytes));
    high = bytes >> 4;
    low = bytes & 0x0f;

    half = __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19,
                                   4, 20, 5, 21, 6, 22, 7, 23);
    half += '0' + ((es_uuid_half_t) (half > 9) & ('a' - '0' - 10));
    memcpy(digits, &half, sizeof(half));

    half = __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27,
                                   12, 28, 13, 29, 14, 30, 15, 31);
    half += '0' + ((es_uuid_half_t) (half > 9) & ('a' - '0' - 10));
    memcpy(digits + sizeof(half), &half, sizeof(half));

    memcpy(out, digits, 8);
    out[8] = '-';
    memcpy(out + 9, digits + 8, 4);
    out[13] = '-';
    memcpy(out + 14, digits + 12, 4);
    out[18] = '-';
    memcpy(out + 19, digits + 16, 4);
    out[23] = '-';
    memcpy(out + 24, digits + 20, 12);
}


es_rc_t
es_uuid_take(es_str_t text, es_buf_t *out, es_buf_t *uuids)
{
    char         mark = ES_UUID_MARK;
    uint8_t      uuid[ES_UUID_LEN];
    const char  *from, *p, *end;

    from = text.data;
    end = text.data + text.len;

    if (memchr(from, mark, text.len) != NULL) {
        return ES_INVALID;
    }

    for (p = from; (p = memchr(p, '-', (size_t) (end - p))) != NULL; ) {
        if (p - from < 8 || end - p < ES_UUID_TEXT - 8
            || !es_uuid_parse(p - 8, uuid))
        {
            p++;
            continue;
        }

        if (es_buf_append(out, from, (size_t) (p - 8 - from)) != ES_OK
            || es_buf_append(out, &mark, 1) != ES_OK
            || es_buf_append(uuids, uuid, sizeof(uuid)) != ES_OK)
        {
            return ES_NOMEM;
        }

        from = p - 8 + ES_UUID_TEXT;
        p = from;
    }

    return es_buf_append(out, from, (size_t) (end - from));
}


bool
es_uuid_put_back(es_uuid_reader_t *r, char *out, size_t len)
{
    size_t          n;
    const uint8_t  *text, *mark;

    for (text = r->text; len > 0; ) {
        n = (size_t) (r->text_end - text);
        n = n < len ? n : len;

        mark = memchr(text, ES_UUID_MARK, n);
        n = mark != NULL ? (size_t) (mark - text) : n;

        memcpy(out, text, n);
        text += n;
        out += n;
        len -= n;

        if (mark == NULL) {
            break;
        }

        if (len < ES_UUID_TEXT
            || r->uuids_end - r->uuids < (ptrdiff_t) ES_UUID_LEN)
        {
            return false;
        }

        es_uuid_print(r->uuids, out);
        text++;
        r->uuids += ES_UUID_LEN;
        out += ES_UUID_TEXT;
        len -= ES_UUID_TEXT;
    }

    r->text = text;

    return len == 0;
}
