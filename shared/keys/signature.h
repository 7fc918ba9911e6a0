/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Signatures of Standard Webhooks 1.0.0.
 */

#ifndef ES_SIGNATURE_H
#define ES_SIGNATURE_H

#include "base/base.h"

#define ES_SECRET_BYTES_MIN  24
#define ES_SECRET_BYTES_MAX  64
#define ES_SECRET_TEXT_MAX   128     /* bytes of "whsec_..." or "whsk_...",
                                        with NUL */
#define ES_ED25519_PUBLIC    32
#define ES_SIGNATURE_V1A     92      /* bytes of "v1a," and 64 bytes in
                                        base64 */
#define ES_SIGNATURE_MAX     100     /* bytes of any signature, with NUL */

/* A decoded signing key, made once for each secret. */
typedef struct es_signer  es_signer_t;

/*
 * Parses `whsec_` (HMAC-SHA256, signs v1) or `whsk_` (ed25519, signs v1a).
 * ES_INVALID: anything else, or a wrong length.
 */
es_rc_t es_signer_create(es_str_t secret, es_signer_t **signer);
void es_signer_destroy(es_signer_t *signer);

/* Adds an owner, who also destroys the signer.  Two owners must not hold or
   destroy it at the same time. */
es_signer_t *es_signer_hold(es_signer_t *signer);

/* True if it signs v1a.  Such a signature always has ES_SIGNATURE_V1A
   bytes. */
bool es_signer_is_v1a(const es_signer_t *signer);

/*
 * Signs `id.timestamp.body`, with the body given in parts, and writes the
 * whole token ("v1,..."), NUL-terminated.  A signer for v1 may be used by one
 * thread at a time, one for v1a by any number.
 */
es_rc_t es_sign(es_signer_t *signer, es_str_t id, int64_t timestamp_s,
    const es_str_t *body, size_t nbody, char out[ES_SIGNATURE_MAX]);

/*
 * Verifies a `webhook-signature` header, whose tokens are separated by one
 * space.  True if any token of the signer's kind matches.  Each comparison
 * takes constant time.  The caller checks the age of the timestamp.
 */
bool es_signature_verify(es_signer_t *signer, es_str_t header, es_str_t id,
    es_str_t timestamp, es_str_t body);

/* Writes the public half of a `whsk_` secret.  False: any other text. */
bool es_secret_public_bytes(es_str_t secret,
    unsigned char out[ES_ED25519_PUBLIC]);

/* Makes a random `whsec_` secret of 32 bytes. */
es_rc_t es_secret_create(char out[ES_SECRET_TEXT_MAX]);

/* Makes a random `whsk_` secret: an ed25519 key pair.  ES_NOMEM, ES_IO. */
es_rc_t es_secret_create_pair(char out[ES_SECRET_TEXT_MAX]);

#endif /* ES_SIGNATURE_H */
