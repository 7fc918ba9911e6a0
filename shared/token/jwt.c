/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Access tokens: writes and reads their text and claims, and decides whether a
 * token is valid.  jwk.c and jws.c make and check the signatures.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/event_loop.h"
#include "base/json.h"
#include "base/pool.h"
#include "base/random.h"
#include "keys/apikey.h"
#include "registry/member.h"
#include "token/confirm.h"
#include "token/jwk.h"
#include "token/jws.h"
#include "token/jwt.h"
#include "token/scope.h"

#define ES_JWT_ISSUER_MAX  48
#define ES_JWT_JTI_LEN     20       /* 100 bits */
#define ES_JWT_SKEW_S      60       /* allowed for a clock that was set back */

static void
es_jwt_issuer(uint64_t store, char out[ES_JWT_ISSUER_MAX])
{
    (void) snprintf(out, ES_JWT_ISSUER_MAX,
                    "urn:eventsync:store:%016" PRIx64, store);
}


static json_t *
es_jwt_pack(uint64_t store, const es_jwt_t *jwt, es_str_t scope,
    const char *jti)
{
    char  issuer[ES_JWT_ISSUER_MAX];

    es_jwt_issuer(store, issuer);

    return json_pack("{s:s, s:s, s:s%, s:s, s:s%, s:I, s:I, s:s%}",
                     "iss", issuer, "aud", issuer,
                     "sub", jwt->partner.data, jwt->partner.len,
                     "client_id", jwt->client,
                     "scope", scope.data, scope.len,
                     "iat", (json_int_t) jwt->issued_s,
                     "exp", (json_int_t) jwt->expires_s,
                     "jti", jti, (size_t) ES_JWT_JTI_LEN);
}


/* The claims as JSON text; the caller frees it.  NULL: see `rc`. */

static char *
es_jwt_text(uint64_t store, const es_jwt_t *jwt, es_rc_t *rc)
{
    char      jti[ES_JWT_JTI_LEN], *text;
    json_t   *claims;
    es_buf_t  scope = { NULL, 0, 0 };

    *rc = es_random_base32(jti, sizeof(jti));

    if (*rc == ES_OK) {
        *rc = es_scope_print(&jwt->scope, &scope);
    }

    if (*rc != ES_OK) {
        es_buf_free(&scope);
        return NULL;
    }

    claims = es_jwt_pack(store, jwt, (es_str_t) { scope.data, scope.len },
                         jti);
    text = claims && es_confirm_add(claims, jwt) == ES_OK
           ? json_dumps(claims, JSON_COMPACT) : NULL;
    *rc = text ? ES_OK : ES_NOMEM;

    json_decref(claims);
    es_buf_free(&scope);

    return text;
}


static es_rc_t
es_jwt_write(const json_t *jws, es_buf_t *out)
{
    es_rc_t   rc;
    es_str_t  header, claims, signature;

    header = es_text(json_object_get(jws, "protected"));
    claims = es_text(json_object_get(jws, "payload"));
    signature = es_text(json_object_get(jws, "signature"));

    if (header.len + claims.len + signature.len + 2 > ES_JWT_MAX) {
        return ES_TOO_LARGE;
    }

    if ((rc = es_buf_str(out, header)) != ES_OK
        || (rc = es_buf_append(out, ".", 1)) != ES_OK
        || (rc = es_buf_str(out, claims)) != ES_OK
        || (rc = es_buf_append(out, ".", 1)) != ES_OK)
    {
        return rc;
    }

    return es_buf_str(out, signature);
}


es_rc_t
es_jwt_sign(es_jwt_keys_t *keys, uint64_t store, const es_jwt_t *jwt,
    es_buf_t *out)
{
    char     *text;
    json_t   *jws;
    es_rc_t   rc;

    ES_ASSERT_NO_EVENT_LOOP();

    text = es_jwt_text(store, jwt, &rc);
    if (text == NULL) {
        return rc;
    }

    jws = es_jwk_sign(keys, es_str(text));
    rc = jws ? es_jwt_write(jws, out) : ES_NOMEM;

    json_decref(jws);
    free(text);

    return rc;
}


/*
 * The key that the header names, or NULL.  Our headers have exactly the members
 * `alg`, `kid` and `typ`; a header with any other one (`crit`, `jku`, `jwk`,
 * `b64` ...) is not ours.
 */

static const es_jwk_t *
es_jwt_key(const es_jwt_keys_t *keys, es_str_t text)
{
    json_t          *header;
    const es_jwk_t  *key;

    header = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(header) || json_object_size(header) != 3
        || !es_str_eq(es_text(json_object_get(header, "typ")),
                      es_lit("at+jwt")))
    {
        json_decref(header);
        return NULL;
    }

    key = es_jwk_find(keys, es_text(json_object_get(header, "kid")));

    if (key != NULL
        && !es_str_eq(es_text(json_object_get(header, "alg")), key->alg))
    {
        key = NULL;
    }

    json_decref(header);

    return key;
}


static bool
es_jwt_times_ok(const json_t *claims, int64_t now_ms, es_jwt_t *jwt)
{
    json_t  *iat, *exp;

    iat = json_object_get(claims, "iat");
    exp = json_object_get(claims, "exp");

    if (!json_is_integer(iat) || !json_is_integer(exp)) {
        return false;
    }

    jwt->issued_s = json_integer_value(iat);
    jwt->expires_s = json_integer_value(exp);

    return jwt->issued_s > 0
           && jwt->issued_s <= now_ms / 1000 + ES_JWT_SKEW_S
           && jwt->expires_s > jwt->issued_s
           && jwt->expires_s - jwt->issued_s <= ES_JWT_LIFETIME_MAX_S;
}


static es_rc_t
es_jwt_take(const json_t *claims, uint64_t store, int64_t now_ms,
    es_jwt_t *jwt)
{
    char      issuer[ES_JWT_ISSUER_MAX];
    es_str_t  client, partner;

    es_jwt_issuer(store, issuer);

    client = es_text(json_object_get(claims, "client_id"));
    partner = es_text(json_object_get(claims, "sub"));

    if (!es_str_eq(es_text(json_object_get(claims, "iss")), es_str(issuer))
        || !es_str_eq(es_text(json_object_get(claims, "aud")), es_str(issuer))
        || client.len != ES_KEYID_LEN || partner.len == 0
        || es_text(json_object_get(claims, "jti")).len == 0
        || es_confirm_take(claims, jwt) != ES_OK
        || !es_jwt_times_ok(claims, now_ms, jwt))
    {
        return ES_INVALID;
    }

    memcpy(jwt->client, client.data, client.len);

    jwt->partner = es_pool_str(&jwt->pool, partner);
    if (jwt->partner.data == NULL) {
        return ES_NOMEM;
    }

    return es_scope_parse(es_text(json_object_get(claims, "scope")),
                          &jwt->pool, &jwt->scope);
}


es_rc_t
es_jwt_claims(es_str_t text, uint64_t store, int64_t now_ms, es_jwt_t *jwt)
{
    json_t   *claims;
    es_rc_t   rc;

    memset(jwt, 0, sizeof(es_jwt_t));

    claims = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);

    rc = json_is_object(claims) ? es_jwt_take(claims, store, now_ms, jwt)
                                : ES_INVALID;

    json_decref(claims);

    if (rc != ES_OK) {
        es_jwt_free(jwt);
    }

    return rc;
}


es_rc_t
es_jwt_verify(es_jwt_keys_t *keys, uint64_t store, es_str_t text,
    int64_t now_ms, es_jwt_t *jwt)
{
    char             data[ES_JWT_MAX];
    size_t           len;
    es_jws_parts_t   parts;
    const es_jwk_t  *key;

    if (!es_jws_split(text, ES_JWT_MAX, &parts)
        || !es_jws_decode(parts.header, data, sizeof(data), &len))
    {
        return ES_INVALID;
    }

    key = es_jwt_key(keys, (es_str_t) { data, len });

    if (key == NULL
        || !es_jws_decode(parts.signature, data, sizeof(data), &len)
        || !es_jws_verify(keys->cfg, key->jwk, &parts)
        || !es_jws_decode(parts.claims, data, sizeof(data), &len))
    {
        return ES_INVALID;
    }

    return es_jwt_claims((es_str_t) { data, len }, store, now_ms, jwt);
}


void
es_jwt_free(es_jwt_t *jwt)
{
    es_pool_free(&jwt->pool);
}


bool
es_jwt_expired(const es_jwt_t *jwt, int64_t now_ms)
{
    return now_ms >= jwt->expires_s * 1000;
}
