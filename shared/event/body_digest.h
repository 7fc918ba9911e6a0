/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The digest of a request's body that its client claims: the fields
 * Content-Digest and Repr-Digest (RFC 9530), by SHA-256 and SHA-512.
 *
 * In a request without Content-Range both fields cover the same bytes: those
 * that were sent, with their content codings.
 */

#ifndef ES_BODY_DIGEST_H
#define ES_BODY_DIGEST_H

#include "base/base.h"

/* At most this many digests of a body are checked. */
#define ES_BODY_DIGESTS_MAX  4

typedef struct {
    bool     sha512;           /* else SHA-256 */
    uint8_t  bytes[64];
} es_body_digest_t;

/* A zeroed list is empty. */
typedef struct {
    unsigned          n;
    es_body_digest_t  list[ES_BODY_DIGESTS_MAX];
} es_body_digests_t;

/*
 * Adds the digests of a field's value and ignores other algorithms.
 * ES_INVALID: the value is no dictionary of byte sequences (RFC 8941), or a
 * digest has the wrong length.  ES_TOO_LARGE: there are more than
 * ES_BODY_DIGESTS_MAX.
 */
es_rc_t es_body_digests_add(es_body_digests_t *digests, es_str_t value);

/* Compares the body with all digests.  ES_MISMATCH: one differs.  ES_NOMEM. */
es_rc_t es_body_digests_check(const es_body_digests_t *digests, es_str_t body);

#endif /* ES_BODY_DIGEST_H */
