/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Prints and parses page tokens: 8 bytes of hash and the masked position, in
 * hexadecimal.
 */

#include "base/hash.h"
#include "base/page_token.h"

#define ES_PAGE_CHECK_LEN  8


static uint64_t
es_page_token_check(es_str_t list, const char *position, size_t len)
{
    return es_hash_long(position, len, es_hash_long(list.data, list.len, 0));
}


/* The mask depends on the check, so that positions with a common start do not
   have tokens with one. */

static void
es_page_token_mask(es_str_t list, uint64_t check, char *position, size_t len)
{
    size_t    i;
    uint64_t  mask = 0;

    for (i = 0; i < len; i++) {
        if (i % sizeof(mask) == 0) {
            mask = es_hash_long(list.data, list.len, check + 1 + i);
        }

        position[i] = (char) ((unsigned char) position[i]
                              ^ (unsigned char) (mask >> 8 * (i % 8)));
    }
}


void
es_page_token_print(es_str_t list, es_str_t position, char *token)
{
    char      bytes[ES_PAGE_CHECK_LEN + ES_PAGE_POSITION_MAX];
    size_t    i;
    uint64_t  check;

    static const char  hex[] = "0123456789abcdef";

    check = es_page_token_check(list, position.data, position.len);

    memcpy(bytes, &check, sizeof(check));
    memcpy(bytes + sizeof(check), position.data, position.len);
    es_page_token_mask(list, check, bytes + sizeof(check), position.len);

    for (i = 0; i < sizeof(check) + position.len; i++) {
        *token++ = hex[(unsigned char) bytes[i] >> 4];
        *token++ = hex[(unsigned char) bytes[i] & 15];
    }

    *token = '\0';
}


static int
es_page_token_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                                 : -1;
}


es_rc_t
es_page_token_parse(es_str_t list, es_str_t token, char *position, size_t max,
    size_t *len)
{
    int       high, low;
    char      bytes[ES_PAGE_CHECK_LEN + ES_PAGE_POSITION_MAX];
    size_t    i;
    uint64_t  check;

    if (token.len % 2 != 0
        || token.len / 2 <= ES_PAGE_CHECK_LEN
        || token.len / 2 > sizeof(bytes)
        || token.len / 2 - ES_PAGE_CHECK_LEN > max)
    {
        return ES_INVALID;
    }

    for (i = 0; i < token.len / 2; i++) {
        high = es_page_token_digit(token.data[2 * i]);
        low = es_page_token_digit(token.data[2 * i + 1]);

        if (high < 0 || low < 0) {
            return ES_INVALID;
        }

        bytes[i] = (char) (high << 4 | low);
    }

    memcpy(&check, bytes, sizeof(check));
    *len = token.len / 2 - ES_PAGE_CHECK_LEN;
    es_page_token_mask(list, check, bytes + sizeof(check), *len);

    if (es_page_token_check(list, bytes + sizeof(check), *len) != check) {
        return ES_INVALID;
    }

    memcpy(position, bytes + sizeof(check), *len);

    return ES_OK;
}
