/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Base64 (RFC 4648, section 4) with padding, in its one canonical form.
 *
 * EVP_DecodeBlock() alone would not do: it skips white space, counts the
 * padding, and ignores the bits that the padding leaves over.  Those must be
 * zero here, because some decoders reject others.
 */

#ifndef ES_BASE64_H
#define ES_BASE64_H

#include "base/base.h"

bool es_base64_ok(es_str_t text);

/* Decodes the text to `out`, which has room for three bytes for each four, and
   sets `len`.  ES_INVALID: it is empty, not base64, or longer than
   INT32_MAX. */
es_rc_t es_base64_decode(es_str_t text, void *out, size_t *len);

#endif /* ES_BASE64_H */
