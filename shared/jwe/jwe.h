/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Encryption of one field of an event to a partner's public key: JWE in Compact
 * Serialization (RFC 7516, section 7.1) by libjose.
 *
 * The algorithms are always ECDH-ES+A256KW (RFC 7518, section 4.6) and A256GCM.
 * libjose 11 and 14 have no RSA-OAEP and no OKP keys, so only EC keys are
 * taken.  There is never a "zip", which libjose 11 announces and does not do.
 * There is no "aad" either, which libjose computes in its own way.  What binds
 * the text to its place are members of the protected header.
 *
 * Any thread may call these functions.  Encryption takes from 0.1 ms (P-256) to
 * some ms (P-384), so no event loop may encrypt.
 */

#ifndef ES_JWE_H
#define ES_JWE_H

#include <jansson.h>

#include "base/base.h"
#include "jwe/jose.h"

/* What a process says that stops for es_jwe_available(). */
#define ES_JWE_UNAVAILABLE                                                    \
    "libjose cannot encrypt by ECDH-ES+A256KW and A256GCM"

#define ES_JWE_ALG          "ECDH-ES+A256KW"
#define ES_JWE_ENC          "A256GCM"
#define ES_JWE_COORDINATE   88     /* base64url characters of one of P-521 */

/* A public key that was checked. */
typedef struct {
    char  kid[ES_KID_MAX + 1];
    char  crv[sizeof("P-256")];
    char  x[ES_JWE_COORDINATE + 1];
    char  y[ES_JWE_COORDINATE + 1];
} es_jwe_key_t;

/* Where a text belongs.  The protected header has these as "feed",
   "event_source", "event_id" and "field". */
typedef struct {
    es_str_t  feed;
    es_str_t  source;
    es_str_t  id;
    es_str_t  field;           /* JSON Pointer (RFC 6901) within the event */
} es_jwe_place_t;

/*
 * Reads a public EC key as a JWK (RFC 7517) with "kid".  NULL: `key` is filled.
 * Otherwise the text says what is wrong, and `*member` names the member of the
 * JWK; it is "" for the JWK as a whole.  Other members are ignored, but those
 * of a private key, or of a key for something else, are not.
 */
const char *es_jwe_key_read(const json_t *jwk, es_jwe_key_t *key,
    const char **member);

/*
 * True if texts can be encrypted to the key.  The point of a key that was only
 * read need not be on its curve.  Encrypts a text to find out.
 */
bool es_jwe_key_works(const es_jwe_key_t *key);

/*
 * Encrypts `plain` and appends the JWE, which is a random one of many.
 * ES_INVALID: the key cannot be used, or `place` is not UTF-8.  ES_NOMEM.  `out`
 * has nothing more then.
 */
es_rc_t es_jwe_encrypt(const es_jwe_key_t *key, const es_jwe_place_t *place,
    es_str_t plain, es_buf_t *out);

/* True if the text has the form of a compact JWE: five parts of base64url. */
bool es_jwe_compact(es_str_t text);

/* True if the text is a compact JWE whose protected header has exactly what
   es_jwe_encrypt() writes for this key and place. */
bool es_jwe_is(es_str_t text, const es_jwe_key_t *key,
    const es_jwe_place_t *place);

/* True if libjose can do all this, on each curve.  It takes some ms, so a
   process asks once, when it starts. */
bool es_jwe_available(void);

#endif /* ES_JWE_H */
