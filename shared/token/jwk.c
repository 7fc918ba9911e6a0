/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The keys of access tokens: reads a JWK Set (RFC 7517), signs and verifies
 * (RFC 7515) with libjose.
 *
 * Each key is checked when it is loaded, and signs and verifies a test text, so
 * that a fault stops the start of nginx and not the first token.
 */

#include <jose/b64.h>
#include <jose/jwk.h>
#include <jose/jws.h>
#include <jose/openssl.h>
#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/json.h"
#include "jwe/jose.h"
#include "keys/keyfile.h"
#include "registry/member.h"
#include "token/jwk.h"
#include "token/jws.h"
#include "token/jwt.h"

#define ES_JWK_FILE_MAX    65536
#define ES_HS256_BYTES     32
#define ES_RS256_MIN_BITS  2048
#define ES_RS256_MAX_BITS  4096    /* so that a token stays below its limit */

/* Why a key does not fit its algorithm, as a sentence; NULL: it fits. */
typedef const char *(*es_jwk_fault_fn)(const json_t *jwk);

/* An algorithm, its "kty", and the check of its keys. */
typedef struct {
    const char       *alg;
    const char       *kty;
    es_jwk_fault_fn   fault;
} es_jwk_alg_t;

static const char *es_jwk_hs256(const json_t *jwk);
static const char *es_jwk_es256(const json_t *jwk);
static const char *es_jwk_rs256(const json_t *jwk);

static const es_jwk_alg_t  es_jwk_algs[] = {
    { "HS256", "oct", es_jwk_hs256 },
    { "ES256", "EC", es_jwk_es256 },
    { "RS256", "RSA", es_jwk_rs256 },
    { NULL, NULL, NULL }
};


static const char *
es_jwk_hs256(const json_t *jwk)
{
    size_t  len;

    len = jose_b64_dec(json_object_get(jwk, "k"), NULL, 0);

    return len != SIZE_MAX && len >= ES_HS256_BYTES
           ? NULL : "\"k\" must be 32 bytes or more in base64url";
}


static const char *
es_jwk_es256(const json_t *jwk)
{
    return es_str_eq(es_text(json_object_get(jwk, "crv")), es_lit("P-256"))
           && json_is_string(json_object_get(jwk, "d"))
           ? NULL : "it must be a private key with \"crv\" P-256";
}


static const char *
es_jwk_rs256(const json_t *jwk)
{
    int          bits;
    EVP_PKEY    *pkey;
    jose_cfg_t  *cfg;

    cfg = es_jose_cfg();
    if (cfg == NULL) {
        return "out of memory";
    }

    pkey = jose_openssl_jwk_to_EVP_PKEY(cfg, jwk);
    bits = pkey ? EVP_PKEY_bits(pkey) : 0;

    EVP_PKEY_free(pkey);
    jose_cfg_decref(cfg);

    return bits >= ES_RS256_MIN_BITS && bits <= ES_RS256_MAX_BITS
           && json_is_string(json_object_get(jwk, "d"))
           ? NULL : "it must be a private key of 2048 to 4096 bits";
}


const es_jwk_t *
es_jwk_find(const es_jwt_keys_t *keys, es_str_t kid)
{
    size_t  i;

    for (i = 0; i < keys->n; i++) {
        if (es_str_eq(keys->keys[i].kid, kid)) {
            return &keys->keys[i];
        }
    }

    return NULL;
}


static json_t *
es_jwk_make(jose_cfg_t *cfg, const es_jwk_t *key, const json_t *jwk,
    es_str_t text)
{
    json_t  *jws, *header;

    jws = json_pack("{s:o}", "payload", jose_b64_enc(text.data, text.len));
    header = json_pack("{s:{s:s%, s:s%, s:s}}", "protected",
                       "alg", key->alg.data, key->alg.len,
                       "kid", key->kid.data, key->kid.len,
                       "typ", "at+jwt");

    if (jws == NULL || header == NULL
        || !jose_jws_sig(cfg, jws, header, jwk))
    {
        json_decref(jws);
        jws = NULL;
    }

    json_decref(header);

    return jws;
}


json_t *
es_jwk_sign(es_jwt_keys_t *keys, es_str_t text)
{
    json_t  *jws;

    (void) pthread_mutex_lock(&keys->lock);
    jws = es_jwk_make(keys->sign_cfg, &keys->keys[0], keys->sign_jwk, text);
    (void) pthread_mutex_unlock(&keys->lock);

    return jws;
}


/* Signs and verifies a text, because members that look right may not belong
   together. */

static bool
es_jwk_works(es_jwt_keys_t *keys, const es_jwk_t *key)
{
    bool            works;
    json_t         *jws;
    es_jws_parts_t  parts;

    jws = es_jwk_make(keys->cfg, key, key->jwk, es_lit("{}"));

    parts.header = es_text(json_object_get(jws, "protected"));
    parts.claims = es_text(json_object_get(jws, "payload"));
    parts.signature = es_text(json_object_get(jws, "signature"));

    works = jws != NULL && es_jws_verify(keys->cfg, key->jwk, &parts);

    json_decref(jws);

    return works;
}


static const char *
es_jwk_fault(es_jwt_keys_t *keys, const es_jwk_t *key)
{
    const es_jwk_alg_t  *a;

    if (es_jwk_find(keys, key->kid) != NULL) {
        return "another key has this \"kid\"";
    }

    for (a = es_jwk_algs; a->alg != NULL; a++) {
        if (es_str_eq(key->alg, es_str(a->alg))) {
            break;
        }
    }

    if (a->alg == NULL) {
        return "\"alg\" must be HS256, ES256 or RS256";
    }

    if (!es_str_eq(es_text(json_object_get(key->jwk, "kty")), es_str(a->kty)))
    {
        return "\"kty\" does not fit \"alg\"";
    }

    if (a->fault(key->jwk) != NULL) {
        return a->fault(key->jwk);
    }

    return es_jwk_works(keys, key) ? NULL : "it cannot sign a text and verify "
                                            "the signature";
}


static es_rc_t
es_jwk_add(es_jwt_keys_t *keys, json_t *jwk, size_t i, const char *name,
    es_problem_t *problem)
{
    es_jwk_t    *key;
    const char  *why;

    if (i == ES_JWT_KEYS_MAX) {
        return es_problem_set(problem, ES_INVALID, -1, NULL, "key file "
                              "\"%s\" has more than %d keys", name,
                              ES_JWT_KEYS_MAX);
    }

    key = &keys->keys[i];
    key->jwk = jwk;
    key->kid = es_text(json_object_get(jwk, "kid"));
    key->alg = es_text(json_object_get(jwk, "alg"));

    if (!es_kid_ok(key->kid)) {
        return es_problem_set(problem, ES_INVALID, -1, NULL, "key file "
                              "\"%s\", key %zu: \"kid\" must be 1 to %d "
                              "visible ASCII characters", name, i + 1,
                              ES_KID_MAX);
    }

    why = es_jwk_fault(keys, key);

    if (why != NULL) {
        return es_problem_set(problem, ES_INVALID, -1, NULL,
                              "key file \"%s\", key \"%.*s\": %s", name,
                              (int) key->kid.len, key->kid.data, why);
    }

    keys->n++;

    return ES_OK;
}


static es_rc_t
es_jwk_read(es_jwt_keys_t *keys, es_str_t text, const char *name,
    es_problem_t *problem)
{
    json_t        *list, *jwk;
    size_t         i;
    es_rc_t        rc;
    json_error_t   error;

    keys->set = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES,
                           &error);

    if (keys->set == NULL) {
        return es_problem_set(problem, ES_INVALID, -1, NULL, "key file "
                              "\"%s\" is not JSON: line %d, column %d", name,
                              error.line, error.column);
    }

    list = json_object_get(keys->set, "keys");

    if (json_array_size(list) == 0) {
        return es_problem_set(problem, ES_INVALID, -1, NULL, "key file "
                              "\"%s\" must be a JWK Set with at least one "
                              "key", name);
    }

    json_array_foreach(list, i, jwk) {
        rc = es_jwk_add(keys, jwk, i, name, problem);
        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


es_rc_t
es_jwt_keys_parse(es_str_t text, const char *name, es_jwt_keys_t **out,
    es_problem_t *problem)
{
    es_rc_t         rc;
    es_jwt_keys_t  *keys;

    keys = calloc(1, sizeof(es_jwt_keys_t));

    if (keys != NULL) {
        (void) pthread_mutex_init(&keys->lock, NULL);
        keys->cfg = es_jose_cfg();
        keys->sign_cfg = es_jose_cfg();
    }

    if (keys == NULL || keys->cfg == NULL || keys->sign_cfg == NULL) {
        es_jwt_keys_free(keys);
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    rc = es_jwk_read(keys, text, name, problem);

    if (rc == ES_OK) {
        keys->sign_jwk = json_deep_copy(keys->keys[0].jwk);

        if (keys->sign_jwk == NULL) {
            rc = es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
        }
    }

    if (rc != ES_OK) {
        es_jwt_keys_free(keys);
        return rc;
    }

    *out = keys;

    return ES_OK;
}


es_rc_t
es_jwt_keys_load(const char *path, es_jwt_keys_t **keys,
    es_problem_t *problem)
{
    char     *data;
    size_t    len = 0;
    es_rc_t   rc;

    data = malloc(ES_JWK_FILE_MAX);
    if (data == NULL) {
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    rc = es_key_file_read("key file", path, data, ES_JWK_FILE_MAX, &len,
                          problem);

    if (rc == ES_OK) {
        rc = es_jwt_keys_parse((es_str_t) { data, len }, path, keys, problem);
    }

    OPENSSL_cleanse(data, ES_JWK_FILE_MAX);
    free(data);

    return rc;
}


void
es_jwt_keys_free(es_jwt_keys_t *keys)
{
    if (keys != NULL) {
        json_decref(keys->set);
        json_decref(keys->sign_jwk);

        if (keys->cfg != NULL) {
            jose_cfg_decref(keys->cfg);
        }

        if (keys->sign_cfg != NULL) {
            jose_cfg_decref(keys->sign_cfg);
        }

        (void) pthread_mutex_destroy(&keys->lock);
        free(keys);
    }
}
