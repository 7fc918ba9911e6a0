/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Verifies tokens of external issuers, see issuer.h.
 */

#include <jansson.h>

#include "base/base.h"
#include "base/json.h"
#include "base/pool.h"
#include "event/cursor.h"
#include "token/confirm.h"
#include "token/issuer.h"
#include "token/issuer_keys.h"
#include "token/jws.h"
#include "token/jwt.h"
#include "token/scope.h"

#define ES_FOREIGN_SKEW_S    60             /* between two clocks */
#define ES_FOREIGN_DATE_MAX  100000000000   /* the year 5138 */

/* Members of a header that lead to a key, change what is signed, or say that
   the content is encrypted, packed or another token. */
static const char *const  es_foreign_refused[] = {
    "crit", "b64", "jku", "jwk", "x5u", "x5c", "enc", "zip", "cty", NULL
};


static es_rc_t
es_foreign_no(const char **reason, const char *why)
{
    *reason = why;

    return ES_INVALID;
}


/* A decoded part; NULL: it is not a JSON object with distinct members. */

static json_t *
es_foreign_object(es_str_t part)
{
    char     data[ES_ISSUER_TOKEN_MAX];
    size_t   len;
    json_t  *object;

    if (!es_jws_decode(part, data, sizeof(data), &len)) {
        return NULL;
    }

    object = json_loadb(data, len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(object)) {
        json_decref(object);
        return NULL;
    }

    return object;
}


es_issuer_t *
es_issuer_of(es_issuer_t *const *issuers, size_t n, es_str_t text)
{
    size_t           i;
    json_t          *claims;
    es_str_t         iss;
    es_issuer_t     *found;
    es_jws_parts_t   parts;

    if (!es_jws_split(text, ES_ISSUER_TOKEN_MAX, &parts)) {
        return NULL;
    }

    claims = es_foreign_object(parts.claims);
    iss = es_text(json_object_get(claims, "iss"));
    found = NULL;

    for (i = 0; i < n && found == NULL; i++) {
        if (es_str_eq(es_issuer_conf(issuers[i])->iss, iss)) {
            found = issuers[i];
        }
    }

    json_decref(claims);

    return found;
}


static char
es_foreign_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char) (c + 32) : c;
}


/* Media types ignore case, and "application/" is left out in most tokens
   (RFC 7515, section 4.1.9). */

static bool
es_foreign_typ_ok(es_str_t typ, es_str_t wanted)
{
    size_t                 i;
    static const es_str_t  prefix = es_lit("application/");

    if (typ.len == wanted.len + prefix.len
        && memcmp(typ.data, prefix.data, prefix.len) == 0)
    {
        typ.data += prefix.len;
        typ.len -= prefix.len;
    }

    for (i = 0; i < typ.len && typ.len == wanted.len; i++) {
        if (es_foreign_lower(typ.data[i]) != es_foreign_lower(wanted.data[i]))
        {
            return false;
        }
    }

    return typ.len == wanted.len;
}


/* The key that the header names. */

static const es_issuer_key_t *
es_foreign_key(es_issuer_t *issuer, const json_t *header, const char **reason)
{
    size_t                  i;
    const es_issuer_key_t  *key;

    for (i = 0; es_foreign_refused[i] != NULL; i++) {
        if (json_object_get(header, es_foreign_refused[i]) != NULL) {
            *reason = "its header has a member that is refused";
            return NULL;
        }
    }

    if (!es_foreign_typ_ok(es_text(json_object_get(header, "typ")),
                           es_issuer_conf(issuer)->typ))
    {
        *reason = "its \"typ\" is another";
        return NULL;
    }

    key = es_issuer_keys_find(es_issuer_present(issuer),
                              es_text(json_object_get(header, "kid")));

    if (key == NULL) {
        *reason = "its \"kid\" is none of the issuer's";
        return NULL;
    }

    if (!es_str_eq(es_text(json_object_get(header, "alg")), key->alg)) {
        *reason = "its \"alg\" is not that of the key";
        return NULL;
    }

    return key;
}


/* A NumericDate (RFC 7519, section 2), which may have a fraction.  Absent is
   0.  False: it is something else. */

static bool
es_foreign_date(const json_t *claims, const char *name, int64_t *out)
{
    double   value;
    json_t  *date;

    date = json_object_get(claims, name);
    value = json_number_value(date);
    *out = 0;

    if (date == NULL) {
        return true;
    }

    if (!json_is_number(date) || !(value >= 1 && value < ES_FOREIGN_DATE_MAX))
    {
        return false;
    }

    *out = (int64_t) value;

    return true;
}


static es_rc_t
es_foreign_times(const json_t *claims, int64_t now_ms, es_jwt_t *jwt,
    const char **reason)
{
    int64_t  iat, nbf, now;

    now = now_ms / 1000;

    if (!es_foreign_date(claims, "exp", &jwt->expires_s)
        || !es_foreign_date(claims, "nbf", &nbf)
        || !es_foreign_date(claims, "iat", &iat)
        || jwt->expires_s == 0)
    {
        return es_foreign_no(reason, "\"exp\", \"nbf\" or \"iat\" is not a "
                             "time");
    }

    if (nbf > now + ES_FOREIGN_SKEW_S || iat > now + ES_FOREIGN_SKEW_S) {
        return es_foreign_no(reason, "it is not valid yet");
    }

    if (jwt->expires_s - now > ES_JWT_LIFETIME_MAX_S + ES_FOREIGN_SKEW_S) {
        return es_foreign_no(reason, "it lives longer than a day");
    }

    jwt->issued_s = iat;

    return ES_OK;
}


static bool
es_foreign_audience(const json_t *aud, es_str_t wanted)
{
    size_t   i;
    json_t  *item;

    if (json_is_string(aud)) {
        return es_str_eq(es_text(aud), wanted);
    }

    json_array_foreach(aud, i, item) {
        if (json_is_string(item) && es_str_eq(es_text(item), wanted)) {
            return true;
        }
    }

    return false;
}


/* `scope` is a text (RFC 9068).  Other issuers have `scp`, a text or a list of
   words. */

static es_rc_t
es_foreign_scope(const json_t *claims, unsigned allowed, es_jwt_t *jwt)
{
    size_t     i;
    json_t    *scope, *word;
    es_rc_t    rc;
    es_buf_t   text = { NULL, 0, 0 };

    scope = json_object_get(claims, "scope");
    scope = scope ? scope : json_object_get(claims, "scp");

    if (scope == NULL || json_is_string(scope)) {
        return es_scope_outside(es_text(scope), allowed, &jwt->pool,
                                &jwt->scope);
    }

    rc = json_is_array(scope) ? ES_OK : ES_INVALID;

    json_array_foreach(scope, i, word) {
        if (rc == ES_OK) {
            rc = json_is_string(word) ? es_buf_str(&text, es_text(word))
                                      : ES_INVALID;
        }

        if (rc == ES_OK) {
            rc = es_buf_append(&text, " ", 1);
        }
    }

    if (rc == ES_OK) {
        rc = es_scope_outside((es_str_t) { text.data, text.len }, allowed,
                              &jwt->pool, &jwt->scope);
    }

    es_buf_free(&text);

    return rc;
}


static es_rc_t
es_foreign_take(const es_issuer_conf_t *conf, const json_t *claims,
    int64_t now_ms, es_jwt_t *jwt, const char **reason)
{
    es_rc_t   rc;
    es_str_t  partner;

    if (!es_str_eq(es_text(json_object_get(claims, "iss")), conf->iss)) {
        return es_foreign_no(reason, "its \"iss\" is another");
    }

    if (!es_foreign_audience(json_object_get(claims, "aud"), conf->aud)) {
        return es_foreign_no(reason, "its \"aud\" is another");
    }

    rc = es_foreign_times(claims, now_ms, jwt, reason);
    if (rc != ES_OK) {
        return rc;
    }

    if (es_confirm_take(claims, jwt) != ES_OK) {
        return es_foreign_no(reason, "its \"cnf\" is not a certificate's "
                             "x5t#S256");
    }

    partner = conf->partner;

    if (partner.len == 0) {
        partner = es_text(json_object_get(claims, conf->partner_claim.data));
    }

    if (!es_feed_name_ok(partner)) {
        return es_foreign_no(reason, "no claim names a partner");
    }

    jwt->partner = es_pool_str(&jwt->pool, partner);
    if (jwt->partner.data == NULL) {
        return ES_NOMEM;
    }

    rc = es_foreign_scope(claims, conf->scopes, jwt);

    return rc == ES_INVALID ? es_foreign_no(reason, "its scope is malformed")
                            : rc;
}


/* Frees what was taken of a token that is refused. */

static es_rc_t
es_foreign_taken(const es_issuer_conf_t *conf, const json_t *claims,
    int64_t now_ms, es_jwt_t *jwt, const char **reason)
{
    es_rc_t  rc;

    memset(jwt, 0, sizeof(es_jwt_t));

    if (!json_is_object(claims)) {
        return es_foreign_no(reason, "its claims are no JSON object");
    }

    rc = es_foreign_take(conf, claims, now_ms, jwt, reason);

    if (rc != ES_OK) {
        es_jwt_free(jwt);
    }

    return rc;
}


es_rc_t
es_issuer_claims(const es_issuer_conf_t *conf, es_str_t json, int64_t now_ms,
    es_jwt_t *jwt, const char **reason)
{
    json_t   *claims;
    es_rc_t   rc;

    claims = json_loadb(json.data, json.len, JSON_REJECT_DUPLICATES, NULL);
    rc = es_foreign_taken(conf, claims, now_ms, jwt, reason);
    json_decref(claims);

    return rc;
}


es_rc_t
es_issuer_verify(es_issuer_t *issuer, es_str_t text, int64_t now_ms,
    es_foreign_t *token, const char **reason)
{
    json_t                 *header, *claims;
    es_rc_t                 rc;
    es_jws_parts_t          parts;
    const es_issuer_key_t  *key;

    if (es_issuer_present(issuer) == NULL
        || !es_jws_split(text, ES_ISSUER_TOKEN_MAX, &parts))
    {
        return es_foreign_no(reason, "it is malformed or too long");
    }

    header = es_foreign_object(parts.header);
    if (header == NULL) {
        return es_foreign_no(reason, "its header is no JSON object");
    }

    key = es_foreign_key(issuer, header, reason);
    json_decref(header);

    if (key == NULL) {
        return ES_INVALID;
    }

    if (!es_issuer_key_verify(es_issuer_present(issuer), key, &parts)) {
        return es_foreign_no(reason, "its signature is false");
    }

    memcpy(token->signer, key->digest, ES_DIGEST_LEN);

    claims = es_foreign_object(parts.claims);
    rc = es_foreign_taken(es_issuer_conf(issuer), claims, now_ms, &token->jwt,
                          reason);
    json_decref(claims);

    return rc;
}
