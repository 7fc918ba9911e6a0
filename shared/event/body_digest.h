/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a client says the digest of its body is: the fields
 * Content-Digest and Repr-Digest (RFC 9530), by SHA-256 and SHA-512.
 *
 * In a request that has no Content-Range both are of the same bytes, those that
 * were sent, before any content coding is taken off.
 */

#ifndef ES_BODY_DIGEST_H
#define ES_BODY_DIGEST_H

#include "base/base.h"

/* So many digests of a body are looked at. */
#define ES_BODY_DIGESTS_MAX  4

typedef struct {
    bool     sha512;           /* or else SHA-256 */
    uint8_t  bytes[64];
} es_body_digest_t;

/* Zero-initialised is none. */
typedef struct {
    unsigned          n;
    es_body_digest_t  list[ES_BODY_DIGESTS_MAX];
} es_body_digests_t;

/*
 * Adds the digests of a field's value; those of other algorithms are passed
 * over.  ES_INVALID: the value is no dictionary of byte sequences (RFC 8941),
 * or one has another length than its algorithm gives; ES_TOO_LARGE: they are
 * more than ES_BODY_DIGESTS_MAX.
 */
es_rc_t es_body_digests_add(es_body_digests_t *digests, es_str_t value);

/* ES_MISMATCH: the body has another digest than one of them; ES_NOMEM. */
es_rc_t es_body_digests_check(const es_body_digests_t *digests, es_str_t body);

#endif /* ES_BODY_DIGEST_H */
