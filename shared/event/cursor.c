/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Parses and prints cursors, epochs and feed names.
 */

#include "event/cursor.h"
#include "base/random.h"

#define ES_EPOCH_LEN  8

es_rc_t
es_cursor_parse(es_str_t text, es_cursor_t *cursor)
{
    size_t    i, n;
    char      c;
    uint64_t  sequence;

    for (n = 0; n < text.len && es_base32_value(text.data[n]) >= 0; n++) {
        if (n == ES_EPOCH_MAX) {
            return ES_INVALID;
        }
    }

    /* 13 digits hold ES_SEQUENCE_MAX and cannot overflow. */

    if (n == 0 || n + 1 >= text.len || text.data[n] != '-'
        || text.len - n - 1 > 13
        || (text.data[n + 1] == '0' && text.len - n - 1 > 1))
    {
        return ES_INVALID;
    }

    sequence = 0;

    for (i = n + 1; i < text.len; i++) {
        c = text.data[i];

        if (c < '0' || c > '9') {
            return ES_INVALID;
        }

        sequence = sequence * 10 + (uint64_t) (c - '0');
    }

    if (sequence > ES_SEQUENCE_MAX) {
        return ES_INVALID;
    }

    memcpy(cursor->epoch, text.data, n);
    cursor->epoch[n] = '\0';
    cursor->sequence = sequence;

    return ES_OK;
}


size_t
es_cursor_print(const char *epoch, uint64_t sequence, char *out)
{
    char    *p, digits[20];
    size_t   n;

    n = strnlen(epoch, ES_EPOCH_MAX);
    memcpy(out, epoch, n);
    out[n++] = '-';

    p = digits + sizeof(digits);

    do {
        *--p = (char) ('0' + sequence % 10);
        sequence /= 10;
    } while (sequence > 0);

    memcpy(out + n, p, (size_t) (digits + sizeof(digits) - p));
    n += (size_t) (digits + sizeof(digits) - p);
    out[n] = '\0';

    return n;
}


es_str_t
es_cursor_of(es_str_t event)
{
    const char  *p, *end, *last;

    static const char  name[] = "\"cursor\":\"";

    /* within a string the quotes would be escaped */

    p = memmem(event.data, event.len, name, sizeof(name) - 1);
    if (p == NULL) {
        return es_null_str;
    }

    p += sizeof(name) - 1;
    last = event.data + event.len;
    end = memchr(p, '"', (size_t) (last - p));

    if (end == NULL || end - p >= ES_CURSOR_MAX) {
        return es_null_str;
    }

    return (es_str_t) { p, (size_t) (end - p) };
}


es_rc_t
es_epoch_create(char *out)
{
    if (es_random_base32(out, ES_EPOCH_LEN) != ES_OK) {
        return ES_IO;
    }

    out[ES_EPOCH_LEN] = '\0';

    return ES_OK;
}


bool
es_feed_name_ok(es_str_t name)
{
    char    c;
    size_t  i;

    if (name.len == 0 || name.len > ES_FEED_MAX) {
        return false;
    }

    for (i = 0; i < name.len; i++) {
        c = name.data[i];

        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            continue;
        }

        if (i == 0 || (c != '-' && c != '_')) {
            return false;
        }
    }

    return true;
}
