/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Seals secrets with OpenSSL's AES-256-GCM, under the keys of a file.
 */

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/base64.h"
#include "base/random.h"
#include "keys/keyfile.h"
#include "keys/keyring.h"

#define ES_KEY_BYTES       32
#define ES_KEY_TEXT        44          /* in base64 */
#define ES_NONCE_BYTES     12
#define ES_TAG_BYTES       16
#define ES_SEALED_PREFIX   "sealed:"
#define ES_SEALED_PARTS    5
#define ES_KEY_FILE_MAX    4096

typedef struct {
    char           kid[ES_KID_LEN + 1];
    unsigned char  bytes[ES_KEY_BYTES];
} es_keyring_key_t;

struct es_keyring {
    unsigned          n;
    es_keyring_key_t  keys[ES_KEYRING_MAX];
};

/* The texts between the colons.  `public_part` may be empty. */
typedef struct {
    es_str_t  kid;
    es_str_t  nonce;
    es_str_t  text;
    es_str_t  tag;
    es_str_t  public_part;
} es_envelope_t;


/* An id has forty bits of the key's hash, which is enough for a few keys. */

static void
es_keyring_name(es_keyring_key_t *key)
{
    unsigned       i, bit;
    uint64_t       bits;
    unsigned char  digest[SHA256_DIGEST_LENGTH];

    (void) SHA256(key->bytes, ES_KEY_BYTES, digest);

    for (bits = 0, i = 0; i < ES_KID_LEN * 5 / 8; i++) {
        bits = bits << 8 | digest[i];
    }

    for (i = 0, bit = ES_KID_LEN * 5; i < ES_KID_LEN; i++) {
        bit -= 5;
        key->kid[i] = es_base32_char((unsigned) (bits >> bit) & 31);
    }

    key->kid[ES_KID_LEN] = '\0';
}


static es_rc_t
es_keyring_line(es_keyring_t *ring, es_str_t line)
{
    size_t             len;
    es_rc_t            rc;
    unsigned char      bytes[ES_KEY_TEXT];
    es_keyring_key_t  *key;

    while (line.len > 0 && (line.data[line.len - 1] == '\r'
                            || line.data[line.len - 1] == ' '))
    {
        line.len--;
    }

    if (line.len == 0 || line.data[0] == '#') {
        return ES_OK;
    }

    if (line.len != ES_KEY_TEXT) {
        return ES_INVALID;
    }

    if (ring->n == ES_KEYRING_MAX) {
        return ES_FULL;
    }

    rc = es_base64_decode(line, bytes, &len);

    if (rc == ES_OK && len == ES_KEY_BYTES) {
        key = &ring->keys[ring->n++];
        memcpy(key->bytes, bytes, ES_KEY_BYTES);
        es_keyring_name(key);

    } else {
        rc = ES_INVALID;
    }

    OPENSSL_cleanse(bytes, sizeof(bytes));

    return rc;
}


static es_rc_t
es_keyring_parse(es_keyring_t *ring, es_str_t text, const char *path,
    es_problem_t *problem)
{
    int          number;
    es_rc_t      rc;
    es_str_t     line;
    const char  *end;

    if (text.len == ES_KEY_BYTES) {
        memcpy(ring->keys[0].bytes, text.data, ES_KEY_BYTES);
        es_keyring_name(&ring->keys[0]);
        ring->n = 1;
        return ES_OK;
    }

    for (number = 1; text.len > 0; number++) {
        end = memchr(text.data, '\n', text.len);
        line.data = text.data;
        line.len = end ? (size_t) (end - text.data) : text.len;

        rc = es_keyring_line(ring, line);

        if (rc == ES_FULL) {
            return es_problem_set(problem, ES_INVALID, -1, NULL, "key file "
                                  "\"%s\" has more than %d keys", path,
                                  ES_KEYRING_MAX);
        }

        if (rc != ES_OK) {
            return es_problem_set(problem, ES_INVALID, -1, NULL, "key file "
                                  "\"%s\": line %d is not 32 bytes in "
                                  "base64", path, number);
        }

        text.data += line.len + (end != NULL);
        text.len -= line.len + (end != NULL);
    }

    if (ring->n == 0) {
        return es_problem_set(problem, ES_INVALID, -1, NULL,
                              "key file \"%s\" has no key", path);
    }

    return ES_OK;
}


es_rc_t
es_keyring_load(const char *path, es_keyring_t **out, es_problem_t *problem)
{
    size_t         len = 0;
    es_rc_t        rc;
    es_keyring_t  *ring;
    unsigned char  data[ES_KEY_FILE_MAX];

    ring = calloc(1, sizeof(es_keyring_t));
    if (ring == NULL) {
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    rc = es_key_file_read("key file", path, data, sizeof(data), &len, problem);

    if (rc == ES_OK) {
        rc = es_keyring_parse(ring, (es_str_t) { (char *) data, len }, path,
                              problem);
    }

    OPENSSL_cleanse(data, sizeof(data));

    if (rc != ES_OK) {
        es_keyring_free(ring);
        return rc;
    }

    *out = ring;

    return ES_OK;
}


void
es_keyring_free(es_keyring_t *ring)
{
    if (ring != NULL) {
        OPENSSL_cleanse(ring, sizeof(es_keyring_t));
        free(ring);
    }
}


es_keyring_t *
es_keyring_copy(const es_keyring_t *ring)
{
    es_keyring_t  *copy;

    copy = malloc(sizeof(es_keyring_t));
    if (copy != NULL) {
        *copy = *ring;
    }

    return copy;
}


bool
es_keyring_equal(const es_keyring_t *a, const es_keyring_t *b)
{
    return CRYPTO_memcmp(a, b, sizeof(es_keyring_t)) == 0;
}


const char *
es_keyring_current(const es_keyring_t *ring)
{
    return ring->keys[0].kid;
}


static const es_keyring_key_t *
es_keyring_find(const es_keyring_t *ring, es_str_t kid)
{
    unsigned  i;

    for (i = 0; i < ring->n; i++) {
        if (es_str_eq(es_str(ring->keys[i].kid), kid)) {
            return &ring->keys[i];
        }
    }

    return NULL;
}


bool
es_keyring_has(const es_keyring_t *ring, es_str_t kid)
{
    return es_keyring_find(ring, kid) != NULL;
}


/* The purpose has a key of its own, which encrypts nothing. */

es_rc_t
es_keyring_mac(const es_keyring_t *ring, es_str_t kid, const char *purpose,
    es_str_t text, uint8_t mac[ES_MAC_LEN])
{
    bool                     ok;
    unsigned                 len;
    unsigned char            derived[EVP_MAX_MD_SIZE];
    const es_keyring_key_t  *key;

    key = es_keyring_find(ring, kid);
    if (key == NULL) {
        return ES_NOT_FOUND;
    }

    ok = HMAC(EVP_sha256(), key->bytes, ES_KEY_BYTES,
              (const unsigned char *) purpose, strlen(purpose), derived, &len)
         != NULL
         && HMAC(EVP_sha256(), derived, (int) len,
                 (const unsigned char *) text.data, text.len, mac, &len)
            != NULL;

    OPENSSL_cleanse(derived, sizeof(derived));

    return ok ? ES_OK : ES_NOMEM;
}


static es_rc_t
es_base64_append(es_buf_t *out, const unsigned char *data, size_t len)
{
    if (es_buf_append(out, ":", 1) != ES_OK
        || es_buf_reserve(out, (len + 2) / 3 * 4 + 1) != ES_OK)
    {
        return ES_NOMEM;
    }

    out->len += (size_t) EVP_EncodeBlock((unsigned char *) out->data
                                         + out->len, data, (int) len);

    return ES_OK;
}


/* The data that the tag authenticates beside the text. */

static bool
es_gcm_bind(EVP_CIPHER_CTX *ctx, es_str_t bound, es_str_t public_part)
{
    int  n;

    return EVP_CipherUpdate(ctx, NULL, &n,
                            (const unsigned char *) bound.data,
                            (int) bound.len) == 1
           && EVP_CipherUpdate(ctx, NULL, &n, (const unsigned char *) "/", 1)
              == 1
           && (public_part.len == 0
               || EVP_CipherUpdate(ctx, NULL, &n,
                                   (const unsigned char *) public_part.data,
                                   (int) public_part.len) == 1);
}


static es_rc_t
es_gcm_encrypt(const es_keyring_key_t *key, const unsigned char *nonce,
    es_str_t bound, es_str_t public_part, es_str_t plain,
    unsigned char *text, unsigned char *tag)
{
    int              n;
    bool             ok;
    EVP_CIPHER_CTX  *ctx;

    ctx = EVP_CIPHER_CTX_new();

    ok = ctx != NULL
         && EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce,
                              1) == 1
         && es_gcm_bind(ctx, bound, public_part)
         && EVP_CipherUpdate(ctx, text, &n,
                             (const unsigned char *) plain.data,
                             (int) plain.len) == 1
         && EVP_CipherFinal_ex(ctx, text + n, &n) == 1
         && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, ES_TAG_BYTES, tag)
            == 1;

    EVP_CIPHER_CTX_free(ctx);

    return ok ? ES_OK : ES_NOMEM;
}


es_rc_t
es_seal(const es_keyring_t *ring, es_str_t bound, es_str_t plain,
    es_str_t public_part, es_buf_t *out)
{
    es_rc_t         rc;
    unsigned char  *text;
    unsigned char   nonce[ES_NONCE_BYTES], tag[ES_TAG_BYTES];

    if (es_random(nonce, sizeof(nonce)) != ES_OK) {
        return ES_IO;
    }

    text = malloc(plain.len + 1);
    if (text == NULL) {
        return ES_NOMEM;
    }

    rc = es_gcm_encrypt(&ring->keys[0], nonce, bound, public_part, plain,
                        text, tag);

    if (rc == ES_OK
        && (es_buf_printf(out, ES_SEALED_PREFIX "%s", ring->keys[0].kid)
               != ES_OK
            || es_base64_append(out, nonce, sizeof(nonce)) != ES_OK
            || es_base64_append(out, text, plain.len) != ES_OK
            || es_base64_append(out, tag, sizeof(tag)) != ES_OK
            || (public_part.len > 0
                && (es_buf_append(out, ":", 1) != ES_OK
                    || es_buf_str(out, public_part) != ES_OK))))
    {
        rc = ES_NOMEM;
    }

    free(text);

    return rc;
}


bool
es_sealed(es_str_t text)
{
    return text.len >= sizeof(ES_SEALED_PREFIX) - 1
           && memcmp(text.data, ES_SEALED_PREFIX,
                     sizeof(ES_SEALED_PREFIX) - 1) == 0;
}


/* False: the text does not have four or five parts. */

static bool
es_envelope_parse(es_str_t sealed, es_envelope_t *envelope)
{
    unsigned     i;
    es_str_t    *part;
    const char  *colon;

    es_str_t  *const  parts[ES_SEALED_PARTS] = {
        &envelope->kid, &envelope->nonce, &envelope->text, &envelope->tag,
        &envelope->public_part
    };

    memset(envelope, 0, sizeof(es_envelope_t));

    if (!es_sealed(sealed)) {
        return false;
    }

    sealed.data += sizeof(ES_SEALED_PREFIX) - 1;
    sealed.len -= sizeof(ES_SEALED_PREFIX) - 1;

    for (i = 0; i < ES_SEALED_PARTS; i++) {
        part = parts[i];
        colon = memchr(sealed.data, ':', sealed.len);
        part->data = sealed.data;
        part->len = colon ? (size_t) (colon - sealed.data) : sealed.len;

        if (colon == NULL) {
            return i + 1 >= ES_SEALED_PARTS - 1;
        }

        sealed.data += part->len + 1;
        sealed.len -= part->len + 1;
    }

    return false;
}


es_str_t
es_sealed_kid(es_str_t sealed)
{
    es_envelope_t  envelope;

    return es_envelope_parse(sealed, &envelope) ? envelope.kid : es_null_str;
}


es_str_t
es_sealed_public(es_str_t sealed)
{
    es_envelope_t  envelope;

    return es_envelope_parse(sealed, &envelope) ? envelope.public_part
                                                : es_null_str;
}


/* ES_CORRUPT: the tag does not match. */

static es_rc_t
es_gcm_decrypt(const es_keyring_key_t *key, es_str_t bound,
    const es_envelope_t *envelope, unsigned char *nonce, unsigned char *tag,
    unsigned char *text, size_t len)
{
    int              n;
    bool             ok;
    EVP_CIPHER_CTX  *ctx;

    ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) {
        return ES_NOMEM;
    }

    ok = EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->bytes, nonce, 0)
         == 1
         && es_gcm_bind(ctx, bound, envelope->public_part)
         && EVP_CipherUpdate(ctx, text, &n, text, (int) len) == 1
         && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, ES_TAG_BYTES, tag)
            == 1
         && EVP_CipherFinal_ex(ctx, text + n, &n) == 1;

    EVP_CIPHER_CTX_free(ctx);

    return ok ? ES_OK : ES_CORRUPT;
}


es_rc_t
es_unseal(const es_keyring_t *ring, es_str_t bound, es_str_t sealed,
    es_buf_t *out)
{
    size_t                   nonce_len, tag_len, len;
    es_rc_t                  rc;
    es_envelope_t            e;
    unsigned char           *text;
    unsigned char            nonce[ES_TAG_BYTES + 2], tag[ES_TAG_BYTES + 2];
    const es_keyring_key_t  *key;

    if (!es_envelope_parse(sealed, &e)
        || e.nonce.len != (ES_NONCE_BYTES + 2) / 3 * 4
        || e.tag.len != (ES_TAG_BYTES + 2) / 3 * 4)
    {
        return ES_CORRUPT;
    }

    key = es_keyring_find(ring, e.kid);
    if (key == NULL) {
        return ES_NOT_FOUND;
    }

    text = malloc(e.text.len + 1);
    if (text == NULL) {
        return ES_NOMEM;
    }

    rc = es_base64_decode(e.nonce, nonce, &nonce_len) == ES_OK
         && es_base64_decode(e.text, text, &len) == ES_OK
         && es_base64_decode(e.tag, tag, &tag_len) == ES_OK
         && nonce_len == ES_NONCE_BYTES && tag_len == ES_TAG_BYTES
         ? es_gcm_decrypt(key, bound, &e, nonce, tag, text, len)
         : ES_CORRUPT;

    if (rc == ES_OK) {
        rc = es_buf_append(out, text, len);
    }

    OPENSSL_cleanse(text, e.text.len + 1);
    free(text);

    return rc;
}
