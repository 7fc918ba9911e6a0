/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Access tokens that this server signs and verifies: JWT (RFC 7519, RFC 9068)
 * in JWS Compact Serialization (RFC 7515), by the rules of RFC 8725.
 *
 * A key has one algorithm; a token's `alg` must be equal to it.  The store's
 * identity is both the issuer and the audience of a token.  So a token of
 * another store is invalid here, even if the same key has signed it.
 *
 * A token grants nothing by itself.  At each use the caller looks up the
 * token's key in the registry and decides by what that key may do now.  It also
 * checks that the client has the certificate that a token is bound to.
 */

#ifndef ES_JWT_H
#define ES_JWT_H

#include "base/base.h"
#include "base/pool.h"
#include "keys/apikey.h"
#include "token/scope.h"

#define ES_JWT_MAX             2048    /* bytes of a token */
#define ES_JWT_LIFETIME_MAX_S  86400
#define ES_JWT_KEYS_MAX        16

typedef struct es_jwt_keys  es_jwt_keys_t;

/*
 * Loads a JWK Set (RFC 7517) of private or symmetric keys, each with `kid` and
 * `alg`: HS256 (32 bytes or more), ES256, or RS256 (2048 to 4096 bits).  The
 * first key signs; all keys verify.  keyfile.h says which permissions the file
 * must have.  ES_IO, ES_DENIED, ES_INVALID, ES_NOMEM, with a problem that
 * names the file and the key.
 *
 * Any thread may sign.  Only one thread at a time may verify.
 */
es_rc_t es_jwt_keys_load(const char *path, es_jwt_keys_t **keys,
    es_problem_t *problem);

/* The same for a text; the problem calls it `name`. */
es_rc_t es_jwt_keys_parse(es_str_t text, const char *name,
    es_jwt_keys_t **keys, es_problem_t *problem);
void es_jwt_keys_free(es_jwt_keys_t *keys);

/* A token's claims.  Texts and feeds live as long as `pool`. */
typedef struct {
    char        client[ES_KEYID_LEN + 1];    /* id of the API key */
    es_str_t    partner;
    es_scope_t  scope;
    int64_t     issued_s;                    /* seconds since 1970 */
    int64_t     expires_s;
    bool        bound;                       /* to a client certificate, */
    uint8_t     certificate[ES_DIGEST_LEN];  /* which has this SHA-256 */
    es_pool_t   pool;
} es_jwt_t;

/* Appends the token.  ES_TOO_LARGE: the token would be longer than ES_JWT_MAX.
   ES_NOMEM.  ES_IO: no random bytes. */
es_rc_t es_jwt_sign(es_jwt_keys_t *keys, uint64_t store, const es_jwt_t *jwt,
    es_buf_t *out);

/*
 * Verifies a token.  ES_INVALID: none of these keys has signed it for this
 * store, or its `iat` is in the future.  A token is verified once and used many
 * times, so the caller checks es_jwt_expired() at each use.  ES_NOMEM.  The
 * caller frees `jwt` after ES_OK only.
 */
es_rc_t es_jwt_verify(es_jwt_keys_t *keys, uint64_t store, es_str_t text,
    int64_t now_ms, es_jwt_t *jwt);

/* The same for claims whose signature the caller has verified. */
es_rc_t es_jwt_claims(es_str_t json, uint64_t store, int64_t now_ms,
    es_jwt_t *jwt);
void es_jwt_free(es_jwt_t *jwt);

bool es_jwt_expired(const es_jwt_t *jwt, int64_t now_ms);

#endif /* ES_JWT_H */
