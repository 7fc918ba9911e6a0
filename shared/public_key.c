/*
 * public_key.c - public keys, without the private ones.
 */

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "keyring.h"
#include "public_key.h"
#include "signature.h"


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
