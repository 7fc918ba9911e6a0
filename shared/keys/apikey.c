/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes and parses API keys, and computes their digests.
 */

/* The one-shot and EVP forms of SHA-256 look up the algorithm by name at
   each call, which costs more than the hash; each request hashes a key. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <zlib.h>

#include "keys/apikey.h"
#include "base/random.h"

#define ES_KEY_KIND          "esk_"
#define ES_KEY_STAGING       "est_"
#define ES_LINK_KIND         "esl_"
#define ES_KEY_KIND_LEN      4
#define ES_KEY_SECRET_LEN    32
#define ES_KEY_CHECKSUM_LEN  6
#define ES_KEY_BODY_LEN      (ES_APIKEY_LEN - ES_KEY_CHECKSUM_LEN)


/* Writes the low thirty bits of the CRC as six characters, the highest
   first. */

static void
es_key_checksum(const char *text, char out[ES_KEY_CHECKSUM_LEN])
{
    int       i;
    uint32_t  crc;

    crc = (uint32_t) crc32(0, (const Bytef *) text, ES_KEY_BODY_LEN);

    for (i = ES_KEY_CHECKSUM_LEN - 1; i >= 0; i--) {
        out[i] = es_base32_char(crc);
        crc >>= 5;
    }
}


void
es_credential_digest(es_str_t text, uint8_t digest[ES_DIGEST_LEN])
{
    SHA256_CTX  sha;

    (void) SHA256_Init(&sha);
    (void) SHA256_Update(&sha, text.data, text.len);
    (void) SHA256_Final(digest, &sha);
    OPENSSL_cleanse(&sha, sizeof(sha));
}


/* Makes a text that begins with `kind` and the id of `key`, and its digest. */

static es_rc_t
es_key_make(const char *kind, char text[ES_APIKEY_LEN + 1], es_apikey_t *key)
{
    char  *p;

    p = text;
    memcpy(p, kind, ES_KEY_KIND_LEN);
    p += ES_KEY_KIND_LEN;

    memcpy(p, key->id, ES_KEYID_LEN);
    p += ES_KEYID_LEN;
    *p++ = '_';

    if (es_random_base32(p, ES_KEY_SECRET_LEN) != ES_OK) {
        return ES_IO;
    }

    es_key_checksum(text, p + ES_KEY_SECRET_LEN);
    text[ES_APIKEY_LEN] = '\0';

    es_credential_digest((es_str_t) { text, ES_APIKEY_LEN }, key->digest);

    return ES_OK;
}


/* Those of base32: each request has a key. */

static const bool  es_key_chars[256] = {
    ['a' ... 'z'] = true, ['2' ... '7'] = true
};


static bool
es_key_valid_text(const char *text, size_t len)
{
    bool    valid;
    size_t  i;

    valid = true;

    for (i = 0; i < len; i++) {
        valid &= es_key_chars[(unsigned char) text[i]];
    }

    return valid;
}


static es_rc_t
es_key_parse(const char *kind, es_str_t text, es_apikey_t *key)
{
    char    checksum[ES_KEY_CHECKSUM_LEN];
    size_t  secret;

    secret = ES_KEY_KIND_LEN + ES_KEYID_LEN + 1;

    if (text.len != ES_APIKEY_LEN
        || memcmp(text.data, kind, ES_KEY_KIND_LEN) != 0
        || text.data[secret - 1] != '_'
        || !es_key_valid_text(text.data + ES_KEY_KIND_LEN, ES_KEYID_LEN)
        || !es_key_valid_text(text.data + secret, text.len - secret))
    {
        return ES_INVALID;
    }

    es_key_checksum(text.data, checksum);

    if (memcmp(text.data + ES_KEY_BODY_LEN, checksum, sizeof(checksum)) != 0) {
        return ES_INVALID;
    }

    memcpy(key->id, text.data + ES_KEY_KIND_LEN, ES_KEYID_LEN);
    key->id[ES_KEYID_LEN] = '\0';
    es_credential_digest(text, key->digest);

    return ES_OK;
}


static es_rc_t
es_key_id(es_apikey_t *key)
{
    key->id[ES_KEYID_LEN] = '\0';

    return es_random_base32(key->id, ES_KEYID_LEN);
}


es_rc_t
es_apikey_create(bool staging, char text[ES_APIKEY_LEN + 1], es_apikey_t *key)
{
    return es_key_id(key) == ES_OK ? es_apikey_renew(staging, text, key)
                                   : ES_IO;
}


es_rc_t
es_apikey_renew(bool staging, char text[ES_APIKEY_LEN + 1], es_apikey_t *key)
{
    return es_key_make(staging ? ES_KEY_STAGING : ES_KEY_KIND, text, key);
}


es_rc_t
es_apikey_parse(es_str_t text, es_apikey_t *key)
{
    es_rc_t  rc;

    rc = es_key_parse(ES_KEY_KIND, text, key);

    return rc == ES_OK ? rc : es_key_parse(ES_KEY_STAGING, text, key);
}


es_rc_t
es_link_create(char text[ES_APIKEY_LEN + 1], es_apikey_t *link)
{
    return es_key_id(link) == ES_OK ? es_key_make(ES_LINK_KIND, text, link)
                                    : ES_IO;
}


es_rc_t
es_link_parse(es_str_t text, es_apikey_t *link)
{
    return es_key_parse(ES_LINK_KIND, text, link);
}


bool
es_apikey_equal(const uint8_t *a, const uint8_t *b)
{
    return CRYPTO_memcmp(a, b, ES_DIGEST_LEN) == 0;
}
