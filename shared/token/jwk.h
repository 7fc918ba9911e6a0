/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The set of keys for access tokens, as jwk.c and jwt.c share it.  Others use
 * jwt.h.
 *
 * libjose counts references to its configuration without a lock.  So a thread
 * that signs uses a configuration and a copy of the key of its own.
 */

#ifndef ES_JWK_H
#define ES_JWK_H

#include <jansson.h>
#include <jose/cfg.h>
#include <pthread.h>

#include "token/jwt.h"

typedef struct {
    es_str_t   kid;            /* points into `jwk` */
    es_str_t   alg;            /* points into `jwk` */
    json_t    *jwk;
} es_jwk_t;

struct es_jwt_keys {
    jose_cfg_t      *cfg;      /* keeps libjose from writing to stderr */
    jose_cfg_t      *sign_cfg;
    json_t          *sign_jwk; /* a copy of the first key */
    pthread_mutex_t  lock;     /* of the two */
    json_t          *set;
    size_t           n;
    es_jwk_t         keys[ES_JWT_KEYS_MAX];
};

/* Signs the text with the first key and returns a flattened JWS (RFC 7515,
   section 7.2.2), a new reference.  NULL: out of memory.  Threads wait for each
   other. */
json_t *es_jwk_sign(es_jwt_keys_t *keys, es_str_t text);

/* NULL: no key has this "kid". */
const es_jwk_t *es_jwk_find(const es_jwt_keys_t *keys, es_str_t kid);

#endif /* ES_JWK_H */
