/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Parses and prints a position in a snapshot.
 */

#include <openssl/evp.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/base.h"
#include "event/cursor.h"
#include "read/snapshot_token.h"

#define ES_ENCODED_MAX  ((ES_SNAPSHOT_POSITION_MAX + 2) / 3 * 4)


static uint64_t
es_snapshot_token_check(const es_snapshot_token_t *place, es_str_t feed,
    bool tombstones)
{
    uint64_t  hash;

    hash = XXH3_64bits_withSeed(feed.data, feed.len, place->at.sequence);
    hash = XXH3_64bits_withSeed(place->at.epoch, strlen(place->at.epoch),
                                hash + tombstones);

    return XXH3_64bits_withSeed(place->position, place->len, hash);
}


/* Encodes base64url (RFC 4648, section 5) without padding.  Returns the
   length. */

static size_t
es_snapshot_token_encode(const es_snapshot_token_t *place, char *out)
{
    size_t         i, len;
    unsigned char  text[ES_ENCODED_MAX + 1];

    (void) EVP_EncodeBlock(text, (const unsigned char *) place->position,
                           (int) place->len);

    len = (place->len * 4 + 2) / 3;

    for (i = 0; i < len; i++) {
        out[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : (char) text[i];
    }

    return len;
}


/* The caller checks that the text is the canonical one. */

static es_rc_t
es_snapshot_token_decode(es_str_t text, es_snapshot_token_t *place)
{
    size_t         i, len;
    unsigned char  in[ES_ENCODED_MAX], out[ES_ENCODED_MAX / 4 * 3];

    len = (text.len + 3) / 4 * 4;

    if (text.len == 0 || len > sizeof(in)) {
        return ES_INVALID;
    }

    memset(in, '=', len);

    for (i = 0; i < text.len; i++) {
        in[i] = text.data[i] == '-' ? '+' : text.data[i] == '_'
                ? '/' : (unsigned char) text.data[i];
    }

    place->len = text.len * 3 / 4;

    if (place->len == 0 || place->len > sizeof(place->position)
        || EVP_DecodeBlock(out, in, (int) len) != (int) (len / 4 * 3))
    {
        return ES_INVALID;
    }

    memcpy(place->position, out, place->len);

    return ES_OK;
}


es_rc_t
es_snapshot_token_parse(es_str_t text, es_str_t feed, bool tombstones,
    es_snapshot_token_t *place)
{
    char         again[ES_SNAPSHOT_TOKEN_MAX];
    size_t       len;
    es_str_t     cursor, position;
    const char  *first, *last;

    if (text.len <= ES_SNAPSHOT_CHECK_LEN + 1) {
        return ES_INVALID;
    }

    first = memchr(text.data, '.', text.len);
    last = text.data + text.len - ES_SNAPSHOT_CHECK_LEN - 1;

    if (first == NULL || first >= last) {
        return ES_INVALID;
    }

    cursor = (es_str_t) { text.data, (size_t) (first - text.data) };
    position = (es_str_t) { first + 1, (size_t) (last - first) - 1 };

    if (es_cursor_parse(cursor, &place->at) != ES_OK
        || es_snapshot_token_decode(position, place) != ES_OK)
    {
        return ES_INVALID;
    }

    len = es_snapshot_token_print(place, feed, tombstones, again);

    return es_str_eq(text, (es_str_t) { again, len }) ? ES_OK : ES_INVALID;
}


size_t
es_snapshot_token_print(const es_snapshot_token_t *place, es_str_t feed,
    bool tombstones, char *out)
{
    char           *p;
    size_t          i;
    uint64_t        check;
    unsigned char   bytes[sizeof(check)];

    static const char  hex[] = "0123456789abcdef";

    p = out + es_cursor_print(place->at.epoch, place->at.sequence, out);
    *p++ = '.';

    p += es_snapshot_token_encode(place, p);
    *p++ = '.';

    check = es_snapshot_token_check(place, feed, tombstones);
    memcpy(bytes, &check, sizeof(check));

    for (i = 0; i < sizeof(bytes); i++) {
        *p++ = hex[bytes[i] >> 4];
        *p++ = hex[bytes[i] & 15];
    }

    *p = '\0';

    return (size_t) (p - out);
}
