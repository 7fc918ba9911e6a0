/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What receivers verify v1a signatures with: the public half of
 * a `whsk_` secret (Standard Webhooks 1.0.0; RFC 8037 as a JWK).
 */

#ifndef ES_PUBLIC_KEY_H
#define ES_PUBLIC_KEY_H

#include <jansson.h>

#include "base/base.h"

#define ES_PUBLIC_TEXT_MAX  64         /* "whpk_...", with NUL */

/* The `whpk_` text of a secret, which may be sealed.  False for what has no
   public half, or is no secret. */
bool es_secret_public(es_str_t secret, char out[ES_PUBLIC_TEXT_MAX]);

/*
 * The JWK Set (RFC 7517, section 5) of an endpoint's object: its v1a keys that
 * sign at `now_ms`.  Beside what RFC 8037 gives a key, and its thumbprint (RFC
 * 7638) as `kid`, each has `whpk`, and `status`: "current", or "expiring" with
 * `expires`.  A new reference; NULL: out of memory.
 */
json_t *es_public_keys(json_t *endpoint, int64_t now_ms);

#endif /* ES_PUBLIC_KEY_H */
