/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Inside of a set of keys for access tokens, see jwt.h.
 */

#ifndef ES_JWK_H
#define ES_JWK_H

#include <jansson.h>
#include <jose/cfg.h>

#include "token/jwt.h"

typedef struct {
    es_str_t   kid;            /* these two are parts of `jwk` */
    es_str_t   alg;
    json_t    *jwk;
} es_jwk_t;

struct es_jwt_keys {
    jose_cfg_t  *cfg;          /* keeps libjose from writing to stderr */
    json_t      *set;
    size_t       n;
    es_jwk_t     keys[ES_JWT_KEYS_MAX];
};

/* Signs the text: the parts of a flattened JWS.  NULL: no memory, or the key
   is not fit for its algorithm. */
json_t *es_jwk_sign(es_jwt_keys_t *keys, const es_jwk_t *key, es_str_t text);

/* Whether the key has signed these parts, by its own algorithm. */
bool es_jwk_verify(es_jwt_keys_t *keys, const es_jwk_t *key,
    es_str_t protected, es_str_t payload, es_str_t signature);

/* NULL: there is none. */
const es_jwk_t *es_jwk_find(const es_jwt_keys_t *keys, es_str_t kid);

#endif /* ES_JWK_H */
