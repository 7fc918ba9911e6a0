/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The keys with which receivers verify v1a signatures: the public half of a
 * `whsk_` secret (Standard Webhooks 1.0.0), also as a JWK (RFC 8037).
 */

#ifndef ES_PUBLIC_KEY_H
#define ES_PUBLIC_KEY_H

#include <jansson.h>

#include "base/base.h"

#define ES_PUBLIC_TEXT_MAX  64         /* bytes of "whpk_...", with NUL */

/* Writes the `whpk_` text of a secret, which may be sealed.  False: the
   text has no public half, or is no secret. */
bool es_secret_public(es_str_t secret, char out[ES_PUBLIC_TEXT_MAX]);

/*
 * Makes the JWK Set (RFC 7517, section 5) of an endpoint's record: its v1a
 * keys that sign at `now_ms`.  A key has the members of RFC 8037 and its
 * thumbprint (RFC 7638) as `kid`.  It also has `whpk`, and `status`:
 * "current", or "expiring" with `expires`.  Returns a new reference.  NULL:
 * out of memory.
 */
json_t *es_public_keys(json_t *endpoint, int64_t now_ms);

#endif /* ES_PUBLIC_KEY_H */
