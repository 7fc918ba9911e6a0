/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Takes UUIDs out of texts and puts them back.
 *
 * Each read of a packed page prints hundreds of them, so two digits are copied
 * at once.
 */

#include "log/uuid.h"

/* Where the groups of digits begin in the text. */
static const uint8_t  es_uuid_at[ES_UUID_LEN] = {
    0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34
};

#define ES_HEX_ROW(h)                                                         \
    { h "0" }, { h "1" }, { h "2" }, { h "3" }, { h "4" }, { h "5" },         \
    { h "6" }, { h "7" }, { h "8" }, { h "9" }, { h "a" }, { h "b" },         \
    { h "c" }, { h "d" }, { h "e" }, { h "f" }

static const char  es_uuid_hex[256][3] = {
    ES_HEX_ROW("0"), ES_HEX_ROW("1"), ES_HEX_ROW("2"), ES_HEX_ROW("3"),
    ES_HEX_ROW("4"), ES_HEX_ROW("5"), ES_HEX_ROW("6"), ES_HEX_ROW("7"),
    ES_HEX_ROW("8"), ES_HEX_ROW("9"), ES_HEX_ROW("a"), ES_HEX_ROW("b"),
    ES_HEX_ROW("c"), ES_HEX_ROW("d"), ES_HEX_ROW("e"), ES_HEX_ROW("f")
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


static void
es_uuid_print(const uint8_t uuid[ES_UUID_LEN], char *out)
{
    unsigned  i;

    for (i = 0; i < ES_UUID_LEN; i++) {
        memcpy(out + es_uuid_at[i], es_uuid_hex[uuid[i]], 2);
    }

    out[8] = out[13] = out[18] = out[23] = '-';
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
