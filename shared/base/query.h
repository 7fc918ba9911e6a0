/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The query of a URL: "name=value&name=value", percent-encoded.
 */

#ifndef ES_QUERY_H
#define ES_QUERY_H

#include "base/base.h"

/*
 * Takes the first parameter from `rest`; empty ones are passed over.  False
 * when there is none.  `name` and `value` are parts of the text, as encoded.
 */
bool es_query_next(es_str_t *rest, es_str_t *name, es_str_t *value);

/* True if decoding would change the text. */
bool es_query_encoded(es_str_t text);

/*
 * Decodes a value into `out`, which has text.len bytes, and returns the end;
 * '+' is a space as forms have it, or with `plus` itself.  NULL: malformed.
 */
char *es_query_decode(es_str_t text, bool plus, char *out);

#endif /* ES_QUERY_H */
