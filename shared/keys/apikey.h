/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The text of API keys: esk_<keyid>_<secret><checksum>.
 *
 * keyid is 10 and secret 32 characters of lower-case base32.  The checksum is
 * 6 more, from a CRC of the text before it.  So a mistyped or truncated key is
 * recognised without a look-up, and scanners for leaked secrets make no false
 * report.
 *
 * A key of a store for trials (store/staging.h) begins with est_ instead, so
 * that people and scanners see that it opens nothing real.
 *
 * The secret of a dashboard link has the same form, but begins with esl_, so
 * that it is never taken for a key (registry/dashboard_link.h).
 */

#ifndef ES_APIKEY_H
#define ES_APIKEY_H

#include "base/base.h"

#define ES_KEYID_LEN    10
#define ES_APIKEY_LEN   (4 + ES_KEYID_LEN + 1 + 32 + 6)
#define ES_DIGEST_LEN   32

typedef struct {
    char     id[ES_KEYID_LEN + 1];
    uint8_t  digest[ES_DIGEST_LEN];    /* SHA-256 of the whole text */
} es_apikey_t;

/* Makes a random key: its text, NUL-terminated, and the record to store.
   ES_IO: the kernel gives no random bytes. */
es_rc_t es_apikey_create(bool staging, char text[ES_APIKEY_LEN + 1],
    es_apikey_t *key);

/* The same for a key with the id that `key` has. */
es_rc_t es_apikey_renew(bool staging, char text[ES_APIKEY_LEN + 1],
    es_apikey_t *key);

/* Parses a key and computes its digest.  ES_INVALID: malformed, or with a
   wrong checksum. */
es_rc_t es_apikey_parse(es_str_t text, es_apikey_t *key);

/* The same for the secret of a link. */
es_rc_t es_link_create(char text[ES_APIKEY_LEN + 1], es_apikey_t *link);
es_rc_t es_link_parse(es_str_t text, es_apikey_t *link);

/* SHA-256 of a key or of an access token. */
void es_credential_digest(es_str_t text, uint8_t digest[ES_DIGEST_LEN]);

/* Compares digests in constant time. */
bool es_apikey_equal(const uint8_t *a, const uint8_t *b);

#endif /* ES_APIKEY_H */
