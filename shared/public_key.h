/*
 * public_key.h - what receivers verify v1a signatures with: the public half of
 * a `whsk_` secret (Standard Webhooks 1.0.0; RFC 8037 as a JWK).
 */

#ifndef ES_PUBLIC_KEY_H
#define ES_PUBLIC_KEY_H

#include "base.h"

#define ES_PUBLIC_TEXT_MAX  64         /* "whpk_...", with NUL */

/* The `whpk_` text of a secret, which may be sealed.  False for what has no
   public half, or is no secret. */
bool es_secret_public(es_str_t secret, char out[ES_PUBLIC_TEXT_MAX]);

#endif /* ES_PUBLIC_KEY_H */
