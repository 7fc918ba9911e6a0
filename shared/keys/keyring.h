/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The keys that encrypt stored secrets (AES-256-GCM, NIST SP 800-38D), from a
 * file outside of the store.
 *
 * The file is 32 raw bytes, or text with 32 bytes in base64 on each line;
 * empty lines and lines that begin with '#' are ignored.  The first key
 * encrypts, and all keys decrypt.  A key's id is computed from the key, so
 * that one id never means different keys in two files.
 *
 * A keyring does not change.  Any number of threads may use it.
 */

#ifndef ES_KEYRING_H
#define ES_KEYRING_H

#include "base/base.h"

#define ES_KEYRING_MAX  16
#define ES_KID_LEN      8          /* characters of [a-z2-7] */

typedef struct es_keyring  es_keyring_t;

/*
 * Reads the file.  Blocks for the disk.  ES_IO: it cannot be read.  ES_DENIED:
 * users other than its owner and, for reading, its group have rights to it.
 * ES_INVALID: it has no keys, or anything else.  The problem has a sentence.
 * The caller destroys `*ring`.
 */
es_rc_t es_keyring_load(const char *path, es_keyring_t **ring,
    es_problem_t *problem);
void es_keyring_free(es_keyring_t *ring);

/* Returns a copy.  NULL: out of memory. */
es_keyring_t *es_keyring_copy(const es_keyring_t *ring);

/* True if both have the same keys in the same order. */
bool es_keyring_equal(const es_keyring_t *a, const es_keyring_t *b);

/* Returns the id of the key that encrypts, NUL-terminated.  It lives as
   long as the keyring. */
const char *es_keyring_current(const es_keyring_t *ring);
bool es_keyring_has(const es_keyring_t *ring, es_str_t kid);

/*
 * Appends "sealed:KID:NONCE:CIPHERTEXT:TAG", and ":PUBLIC" if the public part
 * is not empty.  `bound` names the owner of the secret.  It must be the same
 * when the text is opened, and so must the public part, which has no ':'.
 * ES_NOMEM; ES_IO: the kernel gives no random bytes.
 */
es_rc_t es_seal(const es_keyring_t *ring, es_str_t bound, es_str_t plain,
    es_str_t public_part, es_buf_t *out);

/*
 * Appends the plain text.  ES_NOT_FOUND: the keyring lacks the text's key.
 * ES_CORRUPT: the text is not sealed, belongs to another owner, or was
 * changed.
 */
es_rc_t es_unseal(const es_keyring_t *ring, es_str_t bound, es_str_t sealed,
    es_buf_t *out);

/*
 * Computes HMAC-SHA256 (RFC 2104) of the text under the key `kid`, for a
 * purpose: the same text has another result for another purpose.
 * ES_NOT_FOUND: the keyring lacks the key.  ES_NOMEM.
 */
#define ES_MAC_LEN  32

es_rc_t es_keyring_mac(const es_keyring_t *ring, es_str_t kid,
    const char *purpose, es_str_t text, uint8_t mac[ES_MAC_LEN]);

/* For any text: whether it has the form of a sealed one, the id of its key,
   and its public part.  Empty: there is none. */
bool es_sealed(es_str_t text);
es_str_t es_sealed_kid(es_str_t sealed);
es_str_t es_sealed_public(es_str_t sealed);

#endif /* ES_KEYRING_H */
