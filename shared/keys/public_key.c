/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Derives the public half of `whsk_` secrets, also of sealed ones, and prints
 * it as text and as JWK.
 */

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "base/base.h"
#include "base/clock.h"
#include "keys/keyring.h"
#include "keys/public_key.h"
#include "keys/signature.h"

#define ES_X_LEN      43           /* 32 bytes in base64url without padding */
#define ES_WHPK_LEN   (5 + 44)


bool
es_secret_public(es_str_t secret, char out[ES_PUBLIC_TEXT_MAX])
{
    es_str_t       text;
    unsigned char  key[ES_ED25519_PUBLIC];

    text = es_sealed_public(secret);

    if (text.len > 0) {
        if (text.len >= ES_PUBLIC_TEXT_MAX) {
            return false;
        }

        memcpy(out, text.data, text.len);
        out[text.len] = '\0';

        return true;
    }

    if (!es_secret_public_bytes(secret, key)) {
        return false;
    }

    memcpy(out, "whpk_", 5);
    (void) EVP_EncodeBlock((unsigned char *) out + 5, key, sizeof(key));

    return true;
}


/* Converts 32 bytes from base64, 44 characters, to base64url without
   padding. */

static void
es_base64url(const char *text, char out[ES_X_LEN + 1])
{
    size_t  i;

    for (i = 0; i < ES_X_LEN; i++) {
        out[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
    }

    out[ES_X_LEN] = '\0';
}


/* RFC 7638: the hash of the members that define the key, in their order. */

static void
es_thumbprint(const char *x, char kid[ES_X_LEN + 1])
{
    int            n;
    char           text[128];
    unsigned char  digest[SHA256_DIGEST_LENGTH], base64[64];

    n = snprintf(text, sizeof(text),
                 "{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"%s\"}", x);

    (void) SHA256((unsigned char *) text, (size_t) n, digest);
    (void) EVP_EncodeBlock(base64, digest, sizeof(digest));

    es_base64url((char *) base64, kid);
}


static json_t *
es_public_key(const char *whpk, json_t *expires)
{
    char     x[ES_X_LEN + 1], kid[ES_X_LEN + 1];
    json_t  *jwk;

    es_base64url(whpk + 5, x);
    es_thumbprint(x, kid);

    jwk = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "kty", "OKP",
                    "crv", "Ed25519", "x", x, "use", "sig", "alg", "EdDSA",
                    "kid", kid, "whpk", whpk, "status",
                    expires ? "expiring" : "current");

    if (jwk != NULL && expires != NULL) {
        (void) json_object_set(jwk, "expires", expires);
    }

    return jwk;
}


json_t *
es_public_keys(json_t *endpoint, int64_t now_ms)
{
    char      whpk[ES_PUBLIC_TEXT_MAX];
    size_t    i;
    json_t   *keys, *secret, *expires, *text;
    int64_t   ms;

    keys = json_array();

    json_array_foreach(json_object_get(endpoint, "secrets"), i, secret) {
        expires = json_object_get(secret, "expires");
        text = json_is_object(secret) ? json_object_get(secret, "secret")
                                      : secret;

        if (expires != NULL
            && (es_time_parse(es_str(json_string_value(expires)), &ms)
                != ES_OK
                || ms <= now_ms))
        {
            continue;
        }

        if (es_secret_public(es_str(json_string_value(text)), whpk)
            && strlen(whpk) == ES_WHPK_LEN)
        {
            (void) json_array_append_new(keys, es_public_key(whpk, expires));
        }
    }

    return json_pack("{s:o}", "keys", keys);
}
