/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Takes UUIDs out of texts and puts them back.
 *
 * Each read of a packed page prints hundreds of them, so eight digits are made
 * at once.
 */

#include "log/uuid.h"

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


/* Returns the eight digits of four bytes. */

static uint64_t
es_uuid_digits(const uint8_t *bytes)
{
    uint32_t  word;
    uint64_t  v, letters;

    memcpy(&word, bytes, sizeof(word));

    /* Each byte gets room for two, then each half a byte of its own. */

    v = word;
    v = (v | v << 16) & UINT64_C(0x0000ffff0000ffff);
    v = (v | v << 8) & UINT64_C(0x00ff00ff00ff00ff);
    v = (v >> 4 & UINT64_C(0x000f000f000f000f))
        | (v & UINT64_C(0x000f000f000f000f)) << 8;

    /* one in each byte that is above 9 */

    letters = (v + UINT64_C(0x0606060606060606)) >> 4
              & UINT64_C(0x0101010101010101);

    return v + UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10);
}


static void
es_uuid_print(const uint8_t uuid[ES_UUID_LEN], char *out)
{
    uint64_t  a, b, c, d;

    a = es_uuid_digits(uuid);
    b = es_uuid_digits(uuid + 4);
    c = es_uuid_digits(uuid + 8);
    d = es_uuid_digits(uuid + 12);

    memcpy(out, &a, 8);
    out[8] = '-';
    memcpy(out + 9, &b, 4);
    out[13] = '-';
    memcpy(out + 14, (char *) &b + 4, 4);
    out[18] = '-';
    memcpy(out + 19, &c, 4);
    out[23] = '-';
    memcpy(out + 24, (char *) &c + 4, 4);
    memcpy(out + 28, &d, 8);
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
    const uint8_t  *mark;

    while (len > 0) {
        n = (size_t) (r->text_end - r->text);
        n = n < len ? n : len;

        mark = memchr(r->text, ES_UUID_MARK, n);
        n = mark != NULL ? (size_t) (mark - r->text) : n;

        memcpy(out, r->text, n);
        r->text += n;
        out += n;
        len -= n;

        if (mark == NULL) {
            return len == 0;
        }

        if (len < ES_UUID_TEXT
            || r->uuids_end - r->uuids < (ptrdiff_t) ES_UUID_LEN)
        {
            return false;
        }

        es_uuid_print(r->uuids, out);
        r->text++;
        r->uuids += ES_UUID_LEN;
        out += ES_UUID_TEXT;
        len -= ES_UUID_TEXT;
    }

    return true;
}
