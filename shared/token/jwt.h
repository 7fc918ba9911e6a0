/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Access tokens that this server signs and takes back: JWT in JWS
 * Compact Serialization (RFC 7519, RFC 9068), by the rules of RFC 8725.
 *
 * A key has one algorithm, and what a token says of its own is only compared
 * with that.  Tokens are of one store: its identity is both who issues them
 * and whom they are for, so that those of another store are worth nothing
 * here, whatever key they are signed with.
 *
 * What a token may do is judged by who takes it: against its key in the
 * registry, each time that it is used.
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
#define ES_JWT_KID_MAX         64

typedef struct es_jwt_keys  es_jwt_keys_t;

/*
 * A JWK Set (RFC 7517) of private or symmetric keys, each with `kid` and with
 * `alg`: HS256 (32 bytes or more), ES256, or RS256 (2048 to 4096 bits).  The
 * first key signs, all verify.  The file's rights are those of keyfile.h.
 * ES_IO, ES_DENIED, ES_INVALID, ES_NOMEM, with a problem that names the file
 * and the key.
 *
 * Keys may be used by one thread at a time.
 */
es_rc_t es_jwt_keys_load(const char *path, es_jwt_keys_t **keys,
    es_problem_t *problem);

/* The same of a text; `name` is what the problem calls it. */
es_rc_t es_jwt_keys_parse(es_str_t text, const char *name,
    es_jwt_keys_t **keys, es_problem_t *problem);
void es_jwt_keys_free(es_jwt_keys_t *keys);

/* What a token says.  Texts and feeds live as long as `pool`. */
typedef struct {
    char        client[ES_KEYID_LEN + 1];    /* id of the key */
    es_str_t    partner;
    es_scope_t  scope;
    int64_t     issued_s;
    int64_t     expires_s;
    es_pool_t   pool;
} es_jwt_t;

/* Appends the token.  ES_TOO_LARGE: it would be over ES_JWT_MAX; ES_NOMEM,
   ES_IO: no random bytes. */
es_rc_t es_jwt_sign(es_jwt_keys_t *keys, uint64_t store, const es_jwt_t *jwt,
    es_buf_t *out);

/*
 * Takes a token back.  ES_INVALID: one of these keys has not signed it for
 * this store, or it is from the future.  Whether it has expired is not judged
 * here, as a token is verified once and used many times: see
 * es_jwt_expired().  ES_NOMEM.  Free `jwt` if, and only if, it is ES_OK.
 */
es_rc_t es_jwt_verify(es_jwt_keys_t *keys, uint64_t store, es_str_t text,
    int64_t now_ms, es_jwt_t *jwt);

/* The same of the claims alone, which somebody has verified. */
es_rc_t es_jwt_claims(es_str_t json, uint64_t store, int64_t now_ms,
    es_jwt_t *jwt);
void es_jwt_free(es_jwt_t *jwt);

bool es_jwt_expired(const es_jwt_t *jwt, int64_t now_ms);

#endif /* ES_JWT_H */
