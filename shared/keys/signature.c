/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes and verifies webhook signatures with OpenSSL.
 *
 * A signer is keyed once for each secret, because the set-up of a key costs
 * more than the signature of a small message.
 */

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/base64.h"
#include "base/random.h"
#include "base/reason.h"
#include "keys/signature.h"

#define ES_HMAC_LEN         32
#define ES_ED25519_LEN      64
#define ES_ED25519_SEED     32
#define ES_SECRET_NEW_LEN   32
#define ES_TIMESTAMP_MAX    24

/* Exactly one of the two keys is set. */
struct es_signer {
    EVP_MAC_CTX           *mac;    /* keyed once, restarted for each signature */
    EVP_PKEY              *pkey;
    _Atomic(EVP_MD_CTX *)  spare;  /* of the last signature with `pkey`; NULL:
                                      a thread signs with it */
    unsigned               owners;
};


/*
 * Decodes strict base64 into `out`, which has room for ES_SECRET_BYTES_MAX
 * bytes and for what the last block may add.
 */

static es_rc_t
es_secret_decode(es_str_t text, unsigned char *out, size_t *len)
{
    return text.len <= (ES_SECRET_BYTES_MAX + 2) / 3 * 4
           ? es_base64_decode(text, out, len) : ES_INVALID;
}


static es_rc_t
es_signer_hmac(es_signer_t *signer, const unsigned char *key, size_t len)
{
    EVP_MAC     *mac;
    OSSL_PARAM   params[2];

    if (len < ES_SECRET_BYTES_MIN || len > ES_SECRET_BYTES_MAX) {
        return ES_INVALID;
    }

    mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (mac == NULL) {
        return ES_NOMEM;
    }

    signer->mac = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);

    if (signer->mac == NULL) {
        return ES_NOMEM;
    }

    params[0] = OSSL_PARAM_construct_utf8_string("digest", (char *) "SHA256",
                                                 0);
    params[1] = OSSL_PARAM_construct_end();

    return EVP_MAC_init(signer->mac, key, len, params) == 1
           ? ES_OK : ES_NOMEM;
}


/* The second half must be the public key of the first.  Otherwise receivers
   would get a public key that verifies nothing. */

static es_rc_t
es_signer_ed25519(es_signer_t *signer, const unsigned char *key, size_t len)
{
    size_t         n;
    unsigned char  public_key[ES_ED25519_SEED];

    if (len != ES_ED25519_LEN) {
        return ES_INVALID;
    }

    signer->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, key,
                                                ES_ED25519_SEED);
    if (signer->pkey == NULL) {
        return ES_NOMEM;
    }

    n = sizeof(public_key);

    if (EVP_PKEY_get_raw_public_key(signer->pkey, public_key, &n) != 1
        || n != ES_ED25519_SEED
        || memcmp(public_key, key + ES_ED25519_SEED, n) != 0)
    {
        return ES_INVALID;
    }

    return ES_OK;
}


es_rc_t
es_signer_create(es_str_t secret, es_signer_t **signer)
{
    bool            hmac;
    size_t          len;
    es_rc_t         rc;
    es_signer_t    *s;
    unsigned char   key[ES_SECRET_BYTES_MAX + 4];

    if (secret.len > 6 && memcmp(secret.data, "whsec_", 6) == 0) {
        hmac = true;
        secret.data += 6;
        secret.len -= 6;

    } else if (secret.len > 5 && memcmp(secret.data, "whsk_", 5) == 0) {
        hmac = false;
        secret.data += 5;
        secret.len -= 5;

    } else {
        return ES_INVALID;
    }

    rc = es_secret_decode(secret, key, &len);
    if (rc != ES_OK) {
        goto done;
    }

    s = calloc(1, sizeof(es_signer_t));
    if (s == NULL) {
        rc = ES_NOMEM;
        goto done;
    }

    s->owners = 1;
    rc = hmac ? es_signer_hmac(s, key, len) : es_signer_ed25519(s, key, len);

    if (rc != ES_OK) {
        es_signer_destroy(s);
        goto done;
    }

    *signer = s;

done:

    OPENSSL_cleanse(key, sizeof(key));

    return rc;
}


void
es_signer_destroy(es_signer_t *signer)
{
    if (signer == NULL || --signer->owners > 0) {
        return;
    }

    EVP_MAC_CTX_free(signer->mac);
    EVP_MD_CTX_free(atomic_load(&signer->spare));
    EVP_PKEY_free(signer->pkey);
    free(signer);
}


es_signer_t *
es_signer_hold(es_signer_t *signer)
{
    signer->owners++;

    return signer;
}


bool
es_signer_is_v1a(const es_signer_t *signer)
{
    return signer->pkey != NULL;
}


/* HMAC of id "." timestamp "." body. */

static es_rc_t
es_hmac(es_signer_t *signer, es_str_t id, es_str_t timestamp,
    const es_str_t *body, size_t nbody, unsigned char out[ES_HMAC_LEN])
{
    size_t         i, n;
    unsigned char  middle[ES_TIMESTAMP_MAX + 2];

    middle[0] = '.';
    memcpy(middle + 1, timestamp.data, timestamp.len);
    middle[timestamp.len + 1] = '.';

    /* Without a key argument the context restarts with its own key. */

    if (EVP_MAC_init(signer->mac, NULL, 0, NULL) != 1
        || EVP_MAC_update(signer->mac, (const unsigned char *) id.data,
                          id.len) != 1
        || EVP_MAC_update(signer->mac, middle, timestamp.len + 2) != 1)
    {
        return ES_NOMEM;
    }

    for (i = 0; i < nbody; i++) {
        if (EVP_MAC_update(signer->mac, (const unsigned char *) body[i].data,
                           body[i].len) != 1)
        {
            return ES_NOMEM;
        }
    }

    return EVP_MAC_final(signer->mac, out, &n, ES_HMAC_LEN) == 1
           ? ES_OK : ES_NOMEM;
}


/* ed25519 needs the message in one piece. */

static es_rc_t
es_message(es_buf_t *message, es_str_t id, es_str_t timestamp,
    const es_str_t *body, size_t nbody)
{
    size_t  i;

    if (es_buf_str(message, id) != ES_OK
        || es_buf_append(message, ".", 1) != ES_OK
        || es_buf_str(message, timestamp) != ES_OK
        || es_buf_append(message, ".", 1) != ES_OK)
    {
        return ES_NOMEM;
    }

    for (i = 0; i < nbody; i++) {
        if (es_buf_str(message, body[i]) != ES_OK) {
            return ES_NOMEM;
        }
    }

    return ES_OK;
}


/* Takes the spare context, or makes another one.  NULL: no memory. */

static EVP_MD_CTX *
es_ed25519_begin(es_signer_t *signer)
{
    EVP_MD_CTX  *ctx;

    ctx = atomic_exchange(&signer->spare, NULL);

    if (ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, NULL) == 1) {
        return ctx;
    }

    EVP_MD_CTX_free(ctx);
    ctx = EVP_MD_CTX_new();

    if (ctx != NULL
        && EVP_DigestSignInit(ctx, NULL, NULL, NULL, signer->pkey) == 1)
    {
        return ctx;
    }

    EVP_MD_CTX_free(ctx);

    return NULL;
}


static es_rc_t
es_ed25519_sign(es_signer_t *signer, const es_buf_t *message,
    unsigned char out[ES_ED25519_LEN])
{
    size_t       n;
    es_rc_t      rc;
    EVP_MD_CTX  *ctx;

    ctx = es_ed25519_begin(signer);
    if (ctx == NULL) {
        return ES_NOMEM;
    }

    n = ES_ED25519_LEN;

    rc = EVP_DigestSign(ctx, out, &n, (const unsigned char *) message->data,
                        message->len) == 1
         ? ES_OK : ES_NOMEM;

    EVP_MD_CTX_free(atomic_exchange(&signer->spare, ctx));

    return rc;
}


static bool
es_ed25519_verify(es_signer_t *signer, const es_buf_t *message,
    const unsigned char signature[ES_ED25519_LEN])
{
    bool         ok;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    if (ctx == NULL) {
        return false;
    }

    ok = EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, signer->pkey) == 1
         && EVP_DigestVerify(ctx, signature, ES_ED25519_LEN,
                             (const unsigned char *) message->data,
                             message->len) == 1;

    EVP_MD_CTX_free(ctx);

    return ok;
}


static es_str_t
es_timestamp_print(int64_t timestamp, char out[ES_TIMESTAMP_MAX])
{
    char      *p;
    uint64_t   n;

    n = timestamp < 0 ? (uint64_t) -timestamp : (uint64_t) timestamp;
    p = out + ES_TIMESTAMP_MAX;

    do {
        *--p = (char) ('0' + n % 10);
        n /= 10;
    } while (n > 0);

    if (timestamp < 0) {
        *--p = '-';
    }

    return (es_str_t) { p, (size_t) (out + ES_TIMESTAMP_MAX - p) };
}


es_rc_t
es_sign(es_signer_t *signer, es_str_t id, int64_t timestamp_s,
    const es_str_t *body, size_t nbody, char out[ES_SIGNATURE_MAX])
{
    char           digits[ES_TIMESTAMP_MAX];
    es_rc_t        rc;
    es_buf_t       message;
    es_str_t       timestamp;
    unsigned char  raw[ES_ED25519_LEN];

    timestamp = es_timestamp_print(timestamp_s, digits);

    if (signer->mac != NULL) {
        rc = es_hmac(signer, id, timestamp, body, nbody, raw);
        if (rc == ES_OK) {
            memcpy(out, "v1,", 3);
            (void) EVP_EncodeBlock((unsigned char *) out + 3, raw,
                                   ES_HMAC_LEN);
        }

        return rc;
    }

    memset(&message, 0, sizeof(message));

    rc = es_message(&message, id, timestamp, body, nbody);
    if (rc == ES_OK) {
        rc = es_ed25519_sign(signer, &message, raw);
    }

    if (rc == ES_OK) {
        memcpy(out, "v1a,", 4);
        (void) EVP_EncodeBlock((unsigned char *) out + 4, raw,
                               ES_ED25519_LEN);
    }

    es_buf_free(&message);

    return rc;
}


/* Takes the next token from the header. */

static es_str_t
es_signature_token(es_str_t *header)
{
    es_str_t     token;
    const char  *space;

    token = *header;
    space = memchr(header->data, ' ', header->len);

    if (space == NULL) {
        *header = es_null_str;
        return token;
    }

    token.len = (size_t) (space - header->data);
    header->data = space + 1;
    header->len -= token.len + 1;

    return token;
}


static bool
es_hmac_verify(es_signer_t *signer, es_str_t header, es_str_t id,
    es_str_t timestamp, es_str_t body)
{
    bool           ok;
    char           expected[ES_SIGNATURE_MAX];
    size_t         len;
    es_str_t       token;
    unsigned char  raw[ES_HMAC_LEN];

    if (es_hmac(signer, id, timestamp, &body, 1, raw) != ES_OK) {
        return false;
    }

    memcpy(expected, "v1,", 3);
    len = 3 + (size_t) EVP_EncodeBlock((unsigned char *) expected + 3, raw,
                                       ES_HMAC_LEN);
    ok = false;

    while (header.len > 0) {
        token = es_signature_token(&header);

        if (token.len == len && CRYPTO_memcmp(token.data, expected, len) == 0)
        {
            ok = true;
        }
    }

    OPENSSL_cleanse(expected, sizeof(expected));
    OPENSSL_cleanse(raw, sizeof(raw));

    return ok;
}


bool
es_signature_verify(es_signer_t *signer, es_str_t header, es_str_t id,
    es_str_t timestamp, es_str_t body)
{
    bool           ok;
    size_t         len;
    es_buf_t       message;
    es_str_t       token;
    unsigned char  raw[ES_SECRET_BYTES_MAX + 4];

    if (signer->mac != NULL) {
        return es_hmac_verify(signer, header, id, timestamp, body);
    }

    ok = false;
    memset(&message, 0, sizeof(message));

    if (es_message(&message, id, timestamp, &body, 1) != ES_OK) {
        header = es_null_str;
    }

    while (header.len > 0 && !ok) {
        token = es_signature_token(&header);

        if (token.len <= 4 || memcmp(token.data, "v1a,", 4) != 0) {
            continue;
        }

        token.data += 4;
        token.len -= 4;

        ok = es_secret_decode(token, raw, &len) == ES_OK
             && len == ES_ED25519_LEN
             && es_ed25519_verify(signer, &message, raw);
    }

    es_buf_free(&message);

    return ok;
}


bool
es_secret_public_bytes(es_str_t secret, unsigned char out[ES_ED25519_PUBLIC])
{
    bool           ok;
    size_t         len = 0;
    unsigned char  key[ES_SECRET_BYTES_MAX + 4];

    if (secret.len <= 5 || memcmp(secret.data, "whsk_", 5) != 0) {
        return false;
    }

    secret.data += 5;
    secret.len -= 5;

    ok = es_secret_decode(secret, key, &len) == ES_OK
         && len == ES_ED25519_LEN;

    if (ok) {
        memcpy(out, key + ES_ED25519_SEED, ES_ED25519_PUBLIC);
    }

    OPENSSL_cleanse(key, sizeof(key));

    return ok;
}


es_rc_t
es_secret_create(char out[ES_SECRET_TEXT_MAX])
{
    unsigned char  raw[ES_SECRET_NEW_LEN];

    if (es_random(raw, sizeof(raw)) != ES_OK) {
        return ES_IO;
    }

    memcpy(out, "whsec_", 6);
    (void) EVP_EncodeBlock((unsigned char *) out + 6, raw, sizeof(raw));
    OPENSSL_cleanse(raw, sizeof(raw));

    return ES_OK;
}


es_rc_t
es_secret_create_pair(char out[ES_SECRET_TEXT_MAX])
{
    size_t          seed_len, public_len;
    es_rc_t         rc;
    EVP_PKEY       *pkey;
    unsigned char   raw[ES_ED25519_LEN];

    pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    seed_len = ES_ED25519_SEED;
    public_len = ES_ED25519_PUBLIC;

    rc = pkey != NULL
         && EVP_PKEY_get_raw_private_key(pkey, raw, &seed_len) == 1
         && EVP_PKEY_get_raw_public_key(pkey, raw + ES_ED25519_SEED,
                                        &public_len) == 1
         ? ES_OK : es_refused_text(ES_IO, "cannot make an ed25519 key");

    if (rc == ES_OK) {
        memcpy(out, "whsk_", 5);
        (void) EVP_EncodeBlock((unsigned char *) out + 5, raw, sizeof(raw));
    }

    OPENSSL_cleanse(raw, sizeof(raw));
    EVP_PKEY_free(pkey);

    return rc;
}
