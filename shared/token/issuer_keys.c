/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The public keys of an external issuer.  Each key is checked and rebuilt from
 * the members that it needs, so that libjose sees no other one.
 */

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/sha.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/json.h"
#include "jwe/jose.h"
#include "token/issuer.h"
#include "token/issuer_keys.h"
#include "token/jwk.h"
#include "token/jws.h"

#define ES_RSA_MIN_BYTES      256
#define ES_RSA_MAX_BYTES      512
#define ES_P256_BYTES         32
#define ES_ED25519_BYTES      32
#define ES_ED25519_SIGNATURE  64

/* Makes the key of OpenSSL; NULL: the members are no such key. */
typedef EVP_PKEY *(*es_issuer_make_fn)(const json_t *jwk);

typedef struct {
    const char         *alg;
    const char         *kty;
    const char         *crv;       /* NULL: none */
    const char         *members[2];
    es_issuer_make_fn   make;
} es_issuer_alg_t;

static EVP_PKEY *es_issuer_ec(const json_t *jwk);
static EVP_PKEY *es_issuer_rsa(const json_t *jwk);
static EVP_PKEY *es_issuer_ed25519(const json_t *jwk);

static const es_issuer_alg_t  es_issuer_algs[] = {
    { "ES256", "EC", "P-256", { "x", "y" }, es_issuer_ec },
    { "RS256", "RSA", NULL, { "n", "e" }, es_issuer_rsa },
    { "PS256", "RSA", NULL, { "n", "e" }, es_issuer_rsa },
    { "EdDSA", "OKP", "Ed25519", { "x", NULL }, es_issuer_ed25519 },
    { "Ed25519", "OKP", "Ed25519", { "x", NULL }, es_issuer_ed25519 },
    { NULL, NULL, NULL, { NULL, NULL }, NULL }
};


static const es_issuer_alg_t *
es_issuer_alg(es_str_t alg)
{
    const es_issuer_alg_t  *a;

    for (a = es_issuer_algs; a->alg != NULL; a++) {
        if (es_str_eq(alg, es_str(a->alg))) {
            return a;
        }
    }

    return NULL;
}


bool
es_issuer_alg_ok(es_str_t alg)
{
    return es_issuer_alg(alg) != NULL;
}


static bool
es_issuer_bytes(const json_t *jwk, const char *member, uint8_t *out,
    size_t size, size_t *len)
{
    return es_jws_decode(es_text(json_object_get(jwk, member)), (char *) out,
                         size, len);
}


static EVP_PKEY *
es_issuer_from(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY      *pkey;
    OSSL_PARAM    *params;
    EVP_PKEY_CTX  *ctx;

    pkey = NULL;
    params = OSSL_PARAM_BLD_to_param(bld);
    ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (params == NULL || ctx == NULL
        || EVP_PKEY_fromdata_init(ctx) != 1
        || EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
    {
        pkey = NULL;
    }

    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);

    return pkey;
}


/* OpenSSL refuses a point that is not on the curve. */

static EVP_PKEY *
es_issuer_ec(const json_t *jwk)
{
    size_t           x, y;
    uint8_t          point[1 + 2 * ES_P256_BYTES];
    EVP_PKEY        *pkey;
    OSSL_PARAM_BLD  *bld;

    if (!es_issuer_bytes(jwk, "x", point + 1, ES_P256_BYTES, &x)
        || !es_issuer_bytes(jwk, "y", point + 1 + ES_P256_BYTES,
                            ES_P256_BYTES, &y)
        || x != ES_P256_BYTES || y != ES_P256_BYTES)
    {
        return NULL;
    }

    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    pkey = NULL;
    bld = OSSL_PARAM_BLD_new();

    if (bld != NULL
        && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME,
                                           "P-256", 0) == 1
        && OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY,
                                            point, sizeof(point)) == 1)
    {
        pkey = es_issuer_from("EC", bld);
    }

    OSSL_PARAM_BLD_free(bld);

    return pkey;
}


/* With an even exponent, or 1, anyone could sign. */

static EVP_PKEY *
es_issuer_rsa(const json_t *jwk)
{
    size_t           nlen, elen;
    BIGNUM          *n, *e;
    uint8_t          nbuf[ES_RSA_MAX_BYTES], ebuf[8];
    EVP_PKEY        *pkey;
    OSSL_PARAM_BLD  *bld;

    if (!es_issuer_bytes(jwk, "n", nbuf, sizeof(nbuf), &nlen)
        || !es_issuer_bytes(jwk, "e", ebuf, sizeof(ebuf), &elen)
        || nlen < ES_RSA_MIN_BYTES || nbuf[0] < 0x80
        || !(nbuf[nlen - 1] & 1) || !(ebuf[elen - 1] & 1)
        || (elen == 1 && ebuf[0] < 3))
    {
        return NULL;
    }

    pkey = NULL;
    n = BN_bin2bn(nbuf, (int) nlen, NULL);
    e = BN_bin2bn(ebuf, (int) elen, NULL);
    bld = OSSL_PARAM_BLD_new();

    if (n != NULL && e != NULL && bld != NULL
        && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) == 1
        && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e) == 1)
    {
        pkey = es_issuer_from("RSA", bld);
    }

    OSSL_PARAM_BLD_free(bld);
    BN_free(n);
    BN_free(e);

    return pkey;
}


static EVP_PKEY *
es_issuer_ed25519(const json_t *jwk)
{
    size_t   len;
    uint8_t  x[ES_ED25519_BYTES];

    return es_issuer_bytes(jwk, "x", x, sizeof(x), &len) && len == sizeof(x)
           ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, len)
           : NULL;
}


const es_issuer_key_t *
es_issuer_keys_find(const es_issuer_keys_t *keys, es_str_t kid)
{
    size_t  i;

    for (i = 0; i < keys->n; i++) {
        if (es_str_eq(keys->keys[i].kid, kid)) {
            return &keys->keys[i];
        }
    }

    return NULL;
}


static bool
es_issuer_key_okp(const es_issuer_key_t *key, const es_jws_parts_t *parts)
{
    bool         good;
    size_t       len, signed_len;
    uint8_t      signature[ES_ED25519_SIGNATURE];
    EVP_MD_CTX  *ctx;

    if (!es_jws_decode(parts->signature, (char *) signature,
                       sizeof(signature), &len))
    {
        return false;
    }

    /* both parts and the dot between them stand in one text */

    signed_len = (size_t) (parts->claims.data - parts->header.data)
                 + parts->claims.len;
    ctx = EVP_MD_CTX_new();

    good = ctx != NULL
           && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->pkey) == 1
           && EVP_DigestVerify(ctx, signature, len,
                               (const uint8_t *) parts->header.data,
                               signed_len) == 1;

    EVP_MD_CTX_free(ctx);

    return good;
}


bool
es_issuer_key_verify(es_issuer_keys_t *keys, const es_issuer_key_t *key,
    const es_jws_parts_t *parts)
{
    return key->okp ? es_issuer_key_okp(key, parts)
                    : es_jws_verify(keys->cfg, key->jwk, parts);
}


/* False: the key is not for verification, or of an algorithm that is not
   ours. */

static bool
es_issuer_key_ours(const json_t *jwk, es_str_t alg)
{
    size_t   i;
    json_t  *use, *ops, *op;

    use = json_object_get(jwk, "use");
    ops = json_object_get(jwk, "key_ops");

    if (use != NULL && !es_str_eq(es_text(use), es_lit("sig"))) {
        return false;
    }

    if (ops == NULL) {
        return es_issuer_alg_ok(alg);
    }

    json_array_foreach(ops, i, op) {
        if (es_str_eq(es_text(op), es_lit("verify"))) {
            return es_issuer_alg_ok(alg);
        }
    }

    return false;
}


/* The key from its needed members alone; NULL: out of memory. */

static json_t *
es_issuer_key_public(const json_t *jwk, const es_issuer_alg_t *a)
{
    size_t   i;
    json_t  *out;

    out = json_pack("{s:s, s:s, s:O}", "kty", a->kty, "alg", a->alg,
                    "kid", json_object_get(jwk, "kid"));

    if (out != NULL && a->crv != NULL) {
        (void) json_object_set_new(out, "crv", json_string(a->crv));
    }

    for (i = 0; i < 2 && out != NULL && a->members[i] != NULL; i++) {
        (void) json_object_set(out, a->members[i],
                               json_object_get(jwk, a->members[i]));
    }

    return out;
}


static const char *
es_issuer_key_take(es_issuer_keys_t *keys, es_issuer_key_t *key,
    const json_t *jwk, const es_issuer_alg_t *a)
{
    char    *text;
    json_t  *crv;

    if (es_issuer_keys_find(keys, es_text(json_object_get(jwk, "kid")))) {
        return "another key has this \"kid\"";
    }

    crv = json_object_get(jwk, "crv");

    if (!es_str_eq(es_text(json_object_get(jwk, "kty")), es_str(a->kty))
        || (a->crv != NULL && !es_str_eq(es_text(crv), es_str(a->crv))))
    {
        return "\"kty\" or \"crv\" does not fit \"alg\"";
    }

    key->pkey = a->make(jwk);
    key->jwk = key->pkey ? es_issuer_key_public(jwk, a) : NULL;
    text = key->jwk ? json_dumps(key->jwk, JSON_COMPACT | JSON_SORT_KEYS)
                    : NULL;

    if (text == NULL) {
        return "it is not a public key of its type (RSA: 2048 to 4096 bits)";
    }

    (void) SHA256((const uint8_t *) text, strlen(text), key->digest);
    free(text);

    key->kid = es_text(json_object_get(key->jwk, "kid"));
    key->alg = es_text(json_object_get(key->jwk, "alg"));
    key->okp = strcmp(a->kty, "OKP") == 0;

    return NULL;
}


static es_rc_t
es_issuer_keys_add(es_issuer_keys_t *keys, const json_t *jwk, size_t i,
    const char *name, es_str_t alg, es_problem_t *problem)
{
    es_str_t     kid;
    const char  *why;

    if (json_object_get(jwk, "k") != NULL || json_object_get(jwk, "d") != NULL)
    {
        return es_problem_set(problem, ES_INVALID, -1, NULL, "key file "
                              "\"%s\", key %zu: it must be a public key",
                              name, i + 1);
    }

    if (json_object_get(jwk, "alg") != NULL) {
        alg = es_text(json_object_get(jwk, "alg"));
    }

    if (!es_issuer_key_ours(jwk, alg)) {
        return ES_OK;
    }

    kid = es_text(json_object_get(jwk, "kid"));

    if (!es_kid_ok(kid)) {
        return es_problem_set(problem, ES_INVALID, -1, NULL, "key file "
                              "\"%s\", key %zu: \"kid\" must be 1 to %d "
                              "visible ASCII characters", name, i + 1,
                              ES_KID_MAX);
    }

    if (keys->n == ES_ISSUER_KEYS_MAX) {
        return es_problem_set(problem, ES_INVALID, -1, NULL, "key file "
                              "\"%s\" has more than %d keys", name,
                              ES_ISSUER_KEYS_MAX);
    }

    why = es_issuer_key_take(keys, &keys->keys[keys->n], jwk,
                             es_issuer_alg(alg));
    if (why != NULL) {
        EVP_PKEY_free(keys->keys[keys->n].pkey);
        json_decref(keys->keys[keys->n].jwk);

        return es_problem_set(problem, ES_INVALID, -1, NULL,
                              "key file \"%s\", key \"%.*s\": %s", name,
                              (int) kid.len, kid.data, why);
    }

    keys->n++;

    return ES_OK;
}


static es_rc_t
es_issuer_keys_read(es_issuer_keys_t *keys, es_str_t text, const char *name,
    es_str_t alg, es_problem_t *problem)
{
    json_t        *set, *jwk;
    size_t         i;
    es_rc_t        rc;
    json_error_t   error;

    set = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);

    if (set == NULL) {
        return es_problem_set(problem, ES_INVALID, -1, NULL, "key file "
                              "\"%s\" is not JSON: line %d, column %d", name,
                              error.line, error.column);
    }

    rc = ES_OK;

    json_array_foreach(json_object_get(set, "keys"), i, jwk) {
        rc = es_issuer_keys_add(keys, jwk, i, name, alg, problem);
        if (rc != ES_OK) {
            break;
        }
    }

    json_decref(set);

    if (rc == ES_OK && keys->n == 0) {
        rc = es_problem_set(problem, ES_INVALID, -1, NULL, "key file \"%s\" "
                            "must be a JWK Set with at least one key for "
                            "ES256, RS256, PS256 or EdDSA", name);
    }

    return rc;
}


es_rc_t
es_issuer_keys_parse(es_str_t text, const char *name, es_str_t alg,
    es_issuer_keys_t **out, es_problem_t *problem)
{
    es_rc_t            rc;
    es_issuer_keys_t  *keys;

    keys = calloc(1, sizeof(es_issuer_keys_t));

    if (keys != NULL) {
        keys->cfg = es_jose_cfg();
    }

    rc = keys != NULL && keys->cfg != NULL
         ? es_issuer_keys_read(keys, text, name, alg, problem)
         : es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");

    if (rc != ES_OK) {
        es_issuer_keys_free(keys);
        return rc;
    }

    *out = keys;

    return ES_OK;
}


void
es_issuer_keys_free(es_issuer_keys_t *keys)
{
    size_t  i;

    if (keys == NULL) {
        return;
    }

    for (i = 0; i < keys->n; i++) {
        json_decref(keys->keys[i].jwk);
        EVP_PKEY_free(keys->keys[i].pkey);
    }

    if (keys->cfg != NULL) {
        jose_cfg_decref(keys->cfg);
    }

    free(keys);
}
