/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Parses the dictionaries of RFC 8941 that RFC 9530 uses: "sha-256=:BASE64:,
 * sha-512=:BASE64:;parameter".
 */

#include <openssl/evp.h>

#include "base/base.h"
#include "base/base64.h"
#include "event/body_digest.h"

#define ES_BODY_DIGEST_TEXT  88    /* 64 bytes in base64 */


static void
es_dict_skip(es_str_t *text, size_t n)
{
    text->data += n;
    text->len -= n;
}


static void
es_dict_space(es_str_t *text)
{
    while (text->len > 0 && (text->data[0] == ' ' || text->data[0] == '\t')) {
        es_dict_skip(text, 1);
    }
}


static size_t
es_dict_key(es_str_t text)
{
    char    c;
    size_t  i;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if ((c >= 'a' && c <= 'z') || c == '*') {
            continue;
        }

        if (i == 0
            || !((c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'))
        {
            break;
        }
    }

    return i;
}


/* Parses one member, "key=:base64:", and skips its parameters. */

static bool
es_dict_next(es_str_t *text, es_str_t *key, es_str_t *base64)
{
    const char  *end;

    key->data = text->data;
    key->len = es_dict_key(*text);
    es_dict_skip(text, key->len);

    if (key->len == 0 || text->len < 2 || memcmp(text->data, "=:", 2) != 0) {
        return false;
    }

    es_dict_skip(text, 2);

    end = memchr(text->data, ':', text->len);
    if (end == NULL) {
        return false;
    }

    base64->data = text->data;
    base64->len = (size_t) (end - text->data);
    es_dict_skip(text, base64->len + 1);

    if (text->len > 0 && text->data[0] == ';') {
        end = memchr(text->data, ',', text->len);
        es_dict_skip(text, end ? (size_t) (end - text->data) : text->len);
    }

    es_dict_space(text);

    if (text->len == 0) {
        return true;
    }

    if (text->data[0] != ',') {
        return false;
    }

    es_dict_skip(text, 1);
    es_dict_space(text);

    return text->len > 0;
}


static bool
es_body_digest_decode(es_str_t base64, es_body_digest_t *digest)
{
    size_t         size, len;
    unsigned char  bytes[ES_BODY_DIGEST_TEXT];

    size = digest->sha512 ? 64 : 32;

    if (base64.len != (size + 2) / 3 * 4
        || es_base64_decode(base64, bytes, &len) != ES_OK
        || len != size)
    {
        return false;
    }

    memcpy(digest->bytes, bytes, size);

    return true;
}


es_rc_t
es_body_digests_add(es_body_digests_t *digests, es_str_t value)
{
    es_str_t           key, base64;
    es_body_digest_t  *digest;

    es_dict_space(&value);

    while (value.len > 0) {

        if (!es_dict_next(&value, &key, &base64)) {
            return ES_INVALID;
        }

        if (!es_str_eq(key, es_lit("sha-256"))
            && !es_str_eq(key, es_lit("sha-512")))
        {
            continue;
        }

        if (digests->n == ES_BODY_DIGESTS_MAX) {
            return ES_TOO_LARGE;
        }

        digest = &digests->list[digests->n];
        digest->sha512 = es_str_eq(key, es_lit("sha-512"));

        if (!es_body_digest_decode(base64, digest)) {
            return ES_INVALID;
        }

        digests->n++;
    }

    return ES_OK;
}


es_rc_t
es_body_digests_check(const es_body_digests_t *digests, es_str_t body)
{
    unsigned                 i, len;
    unsigned char            bytes[EVP_MAX_MD_SIZE];
    const es_body_digest_t  *digest;

    for (i = 0; i < digests->n; i++) {
        digest = &digests->list[i];

        if (!EVP_Digest(body.data, body.len, bytes, &len,
                        digest->sha512 ? EVP_sha512() : EVP_sha256(), NULL))
        {
            return ES_NOMEM;
        }

        if (memcmp(bytes, digest->bytes, digest->sha512 ? 64 : 32) != 0) {
            return ES_MISMATCH;
        }
    }

    return ES_OK;
}
