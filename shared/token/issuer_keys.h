/* SPDX-License-Identifier: BSD-2-Clause */

/* The public keys of an external issuer, as issuer.c and foreign.c use them.
   Others use issuer.h. */

#ifndef ES_ISSUER_KEYS_H
#define ES_ISSUER_KEYS_H

#include <jansson.h>
#include <jose/cfg.h>
#include <openssl/evp.h>

#include "token/issuer.h"
#include "token/jws.h"

typedef struct {
    es_str_t   kid;            /* points into `jwk` */
    es_str_t   alg;            /* points into `jwk` */
    json_t    *jwk;            /* only the members that a public key needs */
    EVP_PKEY  *pkey;
    bool       okp;            /* OpenSSL verifies, not libjose */
    uint8_t    digest[ES_DIGEST_LEN];    /* of `jwk` */
} es_issuer_key_t;

struct es_issuer_keys {
    jose_cfg_t       *cfg;
    size_t            n;
    es_issuer_key_t   keys[ES_ISSUER_KEYS_MAX];
};

/* NULL: no key has this "kid". */
const es_issuer_key_t *es_issuer_keys_find(const es_issuer_keys_t *keys,
    es_str_t kid);

/* True if the key has signed these parts with its own algorithm. */
bool es_issuer_key_verify(es_issuer_keys_t *keys, const es_issuer_key_t *key,
    const es_jws_parts_t *parts);

/* The issuer's keys; NULL: its file is missing. */
es_issuer_keys_t *es_issuer_present(es_issuer_t *issuer);

#endif /* ES_ISSUER_KEYS_H */
