/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The part of an event's text that depends on its position in the log.
 */

#include "event/cursor.h"
#include "log/chunk.h"

#define ES_MID_SEQUENCE  ",\"sequence\":\""
#define ES_MID_CURSOR    "\",\"cursor\":\""
#define ES_MID_PREV      "\",\"prevcursor\":\""
#define ES_SEQUENCE_LEN  20


/* Uses the logarithm, because a filtered page calls this hundreds of times. */

static size_t
es_digits_count(uint64_t v)
{
    unsigned  n;

    static const uint64_t  powers[] = {
        UINT64_C(1), UINT64_C(10), UINT64_C(100), UINT64_C(1000),
        UINT64_C(10000), UINT64_C(100000), UINT64_C(1000000),
        UINT64_C(10000000), UINT64_C(100000000), UINT64_C(1000000000),
        UINT64_C(10000000000), UINT64_C(100000000000),
        UINT64_C(1000000000000), UINT64_C(10000000000000),
        UINT64_C(100000000000000), UINT64_C(1000000000000000),
        UINT64_C(10000000000000000), UINT64_C(100000000000000000),
        UINT64_C(1000000000000000000), UINT64_C(10000000000000000000)
    };

    /* 1233 / 4096 is about log10(2) */

    n = (64 - (unsigned) __builtin_clzll(v | 1)) * 1233 >> 12;

    return n + (v >= powers[n] || v == 0);
}


size_t
es_cursor_len(const char *epoch, uint64_t sequence)
{
    return strlen(epoch) + 1 + es_digits_count(sequence);
}


size_t
es_mid_len(size_t cursor, size_t prev)
{
    return sizeof(ES_MID_SEQUENCE) - 1 + ES_SEQUENCE_LEN
           + sizeof(ES_MID_CURSOR) - 1 + cursor
           + sizeof(ES_MID_PREV) - 1 + prev + 1;
}


static char *
es_mid_lit(char *out, const char *text, size_t len)
{
    memcpy(out, text, len);

    return out + len;
}


char *
es_mid_print(const char *epoch, const char *before, uint64_t sequence,
    char *out)
{
    int       i;
    char     *p;
    uint64_t  v;

    p = es_mid_lit(out, ES_MID_SEQUENCE, sizeof(ES_MID_SEQUENCE) - 1);

    for (i = ES_SEQUENCE_LEN - 1, v = sequence; i >= 0; i--, v /= 10) {
        p[i] = (char) ('0' + v % 10);
    }

    p = es_mid_lit(p + ES_SEQUENCE_LEN, ES_MID_CURSOR,
                   sizeof(ES_MID_CURSOR) - 1);
    p += es_cursor_print(epoch, sequence, p);
    p = es_mid_lit(p, ES_MID_PREV, sizeof(ES_MID_PREV) - 1);
    p += es_cursor_print(before, sequence - 1, p);
    *p++ = '"';

    return p;
}


size_t
es_mid_cursor(void)
{
    return sizeof(ES_MID_SEQUENCE) - 1 + ES_SEQUENCE_LEN
           + sizeof(ES_MID_CURSOR) - 1;
}


/* Adds one to a decimal number, which is not all nines. */

static void
es_mid_increment(char *end)
{
    while (*--end == '9') {
        *end = '0';
    }

    (*end)++;
}


char *
es_mid_next(es_str_t mid, size_t cursor, char *out)
{
    memcpy(out, mid.data, mid.len);

    es_mid_increment(out + sizeof(ES_MID_SEQUENCE) - 1 + ES_SEQUENCE_LEN);
    es_mid_increment(out + es_mid_cursor() + cursor);
    es_mid_increment(out + mid.len - 1);

    return out + mid.len;
}
