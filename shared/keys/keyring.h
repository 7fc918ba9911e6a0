/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The keys that secrets at rest are encrypted with (AES-256-GCM,
 * NIST SP 800-38D), from a file outside of the store.
 *
 * The file is 32 raw bytes, or text with 32 bytes in base64 on each line;
 * empty lines and those that begin with '#' are passed over.  The first key
 * encrypts, all decrypt.  A key's id is computed from the key, so that no two
 * files can mean different keys by one id.  A keyring never changes and may be
 * used by any number of threads.
 */

#ifndef ES_KEYRING_H
#define ES_KEYRING_H

#include "base/base.h"

#define ES_KEYRING_MAX  16
#define ES_KID_LEN      8          /* of [a-z2-7] */

typedef struct es_keyring  es_keyring_t;

/*
 * Reads the file.  ES_IO: it cannot be read; ES_DENIED: others than its owner
 * and, to read, its group have rights to it; ES_INVALID: it has no keys or
 * something else.  The problem has a sentence.  Blocks for the disk.
 */
es_rc_t es_keyring_load(const char *path, es_keyring_t **ring,
    es_problem_t *problem);
void es_keyring_free(es_keyring_t *ring);

/* NULL: out of memory. */
es_keyring_t *es_keyring_copy(const es_keyring_t *ring);

/* Whether two have the same keys in the same order. */
bool es_keyring_equal(const es_keyring_t *a, const es_keyring_t *b);

/* The id of the key that encrypts; NUL-terminated, lives as the keyring. */
const char *es_keyring_current(const es_keyring_t *ring);
bool es_keyring_has(const es_keyring_t *ring, es_str_t kid);

/*
 * Appends "sealed:KID:NONCE:CIPHERTEXT:TAG", and ":PUBLIC" if that is not
 * empty.  `bound` says what the text is a secret of, and has to be the same
 * when it is opened; so has the public part, which may not have a ':'.
 * ES_NOMEM, ES_IO: no random bytes.
 */
es_rc_t es_seal(const es_keyring_t *ring, es_str_t bound, es_str_t plain,
    es_str_t public_part, es_buf_t *out);

/* Appends the plain text.  ES_NOT_FOUND: the keyring has not its key;
   ES_CORRUPT: not a sealed text, of something else, or changed. */
es_rc_t es_unseal(const es_keyring_t *ring, es_str_t bound, es_str_t sealed,
    es_buf_t *out);

/* Of any text: whether it claims to be sealed, and by which key; what stands
   in its public part.  Empty when there is none. */
bool es_sealed(es_str_t text);
es_str_t es_sealed_kid(es_str_t sealed);
es_str_t es_sealed_public(es_str_t sealed);

#endif /* ES_KEYRING_H */
