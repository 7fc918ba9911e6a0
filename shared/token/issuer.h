/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * External issuers: other servers whose JWTs (RFC 7519, RFC 9068) are a
 * credential here, by the rules of RFC 8725.
 *
 * An issuer has a file with its public keys, a JWK Set (RFC 7517).  A key has
 * one algorithm: ES256, RS256 or PS256 (by libjose), or EdDSA with Ed25519 (by
 * OpenSSL, because libjose knows no OKP keys).  A token's `alg` must be equal
 * to that of the key that its `kid` names.  The key must be one of the issuer
 * that its `iss` names.  Nothing in a token leads to another key: `jku`, `jwk`,
 * `x5u` and `x5c` are refused.
 *
 * issuer.c has the issuer and its file, issuer_keys.c the keys, and foreign.c
 * verifies tokens.  An issuer belongs to one thread.
 */

#ifndef ES_ISSUER_H
#define ES_ISSUER_H

#include "base/base.h"
#include "keys/apikey.h"
#include "token/jwt.h"

#define ES_ISSUER_TOKEN_MAX   8192     /* bytes of a token */
#define ES_ISSUER_KEYS_MAX    16
#define ES_ISSUER_FILE_MAX    65536    /* bytes */
#define ES_ISSUER_REREAD_MS   2000     /* between two looks at the file */

typedef struct es_issuer       es_issuer_t;
typedef struct es_issuer_keys  es_issuer_keys_t;

/* What the operator has set.  Texts must live as long as the issuer, and end
   with a NUL. */
typedef struct {
    es_str_t     iss;              /* equal to the claim */
    es_str_t     aud;              /* the claim is or contains it */
    es_str_t     typ;              /* of the header, such as at+jwt */
    es_str_t     alg;              /* of keys without "alg"; may be empty */
    es_str_t     partner;          /* of all tokens; empty: see the claim */
    es_str_t     partner_claim;    /* has the partner's name */
    unsigned     scopes;           /* ES_SCOPE_..., the most of a token */
    const char  *path;             /* of the JWK Set */
} es_issuer_conf_t;

/* A verified token.  `jwt.client` is empty.  The caller frees `jwt`. */
typedef struct {
    uint8_t   signer[ES_DIGEST_LEN];   /* digest of the key */
    es_jwt_t  jwt;
} es_foreign_t;

/* True if keys can have this algorithm. */
bool es_issuer_alg_ok(es_str_t alg);

/* Reads the keys.  ES_IO, ES_DENIED, ES_INVALID, ES_NOMEM, with a problem that
   names the file and the key. */
es_rc_t es_issuer_create(const es_issuer_conf_t *conf, es_issuer_t **issuer,
    es_problem_t *problem);
void es_issuer_free(es_issuer_t *issuer);

const es_issuer_conf_t *es_issuer_conf(const es_issuer_t *issuer);

/*
 * Looks whether the file has changed, at most every ES_ISSUER_REREAD_MS of a
 * monotonic clock, and reads the new keys.  A file of at most 64 KB, which an
 * event loop may read.
 *
 * ES_OK: there is no news.  Otherwise the problem must be logged, and the same
 * news is given once.  ES_INVALID: the new file is damaged, and the keys from
 * before stay.  ES_IO, ES_DENIED: the file is missing, cannot be read, or all
 * users can write it, so there are no keys until it is back.
 */
es_rc_t es_issuer_refresh(es_issuer_t *issuer, uint64_t now_ms,
    es_problem_t *problem);

/* How often the keys have changed since the start, or have gone or come back. */
uint64_t es_issuer_changes(const es_issuer_t *issuer);

/* False: the file is missing, and no token can be verified. */
bool es_issuer_ready(const es_issuer_t *issuer);

/* True if the issuer still has the key that signed the token. */
bool es_issuer_has(const es_issuer_t *issuer,
    const uint8_t signer[ES_DIGEST_LEN]);

/* Finds the issuer that the token names, before anything is verified.  NULL:
   the text is no token, or of nobody in the list. */
es_issuer_t *es_issuer_of(es_issuer_t *const *issuers, size_t n,
    es_str_t text);

/*
 * Verifies a token of this issuer.  ES_INVALID with the reason, a phrase for
 * the log.  A client must not see it.  A token is verified once and used many
 * times, so the caller checks es_jwt_expired() and es_issuer_has() at each use.
 * ES_NOMEM.
 */
es_rc_t es_issuer_verify(es_issuer_t *issuer, es_str_t text, int64_t now_ms,
    es_foreign_t *token, const char **reason);

/* The same for claims whose signature the caller has verified. */
es_rc_t es_issuer_claims(const es_issuer_conf_t *conf, es_str_t json,
    int64_t now_ms, es_jwt_t *jwt, const char **reason);

/* The keys of a JWK Set; the problem calls it `name`.  Keys for another use or
   of another algorithm are left out; one of ours that is unfit is an error, and
   so is a private or symmetric key.  `alg` is that of keys that have none. */
es_rc_t es_issuer_keys_parse(es_str_t text, const char *name, es_str_t alg,
    es_issuer_keys_t **keys, es_problem_t *problem);
void es_issuer_keys_free(es_issuer_keys_t *keys);

#endif /* ES_ISSUER_H */
